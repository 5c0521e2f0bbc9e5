//! The life of a target on tokio's paused clock: the SDK calls the API in process, a script answers health checks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_elasticloadbalancingv2::Client;
use local_alb::{Faults, LocalAlb, Probe, Probes, Settings, TargetGroupSettings, in_process::InProcess};
use support::{code, config, health, instance, target};

const ID: &str = "i-0a000001";

struct World {
    alb: LocalAlb,
    client: Client,
    arn: String,
    well: Arc<AtomicBool>,
}

impl World {
    /// One instance on port 80, lag 2 s, checks every 6 s with thresholds of 2, delay 30 s.
    fn new(target_type: &str, id: &str) -> Self {
        let well = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&well);
        let script =
            move |_: &str, _: u16| Probe::Status(if seen.load(Ordering::Relaxed) { 200 } else { 503 });
        let probes = Probes::Scripted(Arc::new(script));
        let alb = LocalAlb::new(Settings {
            propagation_lag: Duration::from_secs(2),
            probes,
            ..Settings::default()
        });
        alb.add_instance(instance(id));
        let settings = TargetGroupSettings {
            target_type: target_type.to_owned(),
            attributes: [(support::DELAY.to_owned(), "30".to_owned())].into(),
            targets: vec![(id.to_owned(), 80)],
            ..TargetGroupSettings::default()
        };
        let arn = alb.create_target_group(settings).unwrap();
        let config =
            config("http://in.process").http_client(InProcess::new(alb.aws().elastic_load_balancing()));
        Self { client: Client::from_conf(config.build()), alb, arn, well }
    }

    async fn is(&self, id: &str, state: &str, reason: &str) {
        let shown = health(&self.client, &self.arn, &[target(id, 80)]).await;
        assert_eq!((shown[0].2.as_str(), shown[0].3.as_str()), (state, reason));
    }

    async fn register(&self, id: &str) -> Result<(), String> {
        let request = self.client.register_targets().target_group_arn(&self.arn).targets(target(id, 80));
        let answer = request.send().await;
        if answer.is_ok() { Ok(()) } else { Err(code(answer)) }
    }

    async fn deregister(&self, id: &str) {
        let request = self.client.deregister_targets().target_group_arn(&self.arn).targets(target(id, 80));
        request.send().await.unwrap();
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn one_passed_check_brings_a_target_into_service() {
    let world = World::new("instance", ID);
    world.is(ID, "initial", "Elb.RegistrationInProgress").await;
    assert_eq!(world.alb.instances_out(&world.arn), 1);
    pass(3).await;
    world.is(ID, "healthy", "").await;
    assert_eq!(world.alb.instances_out(&world.arn), 0);
}

#[tokio::test(start_paused = true)]
async fn after_that_the_thresholds_count() {
    let world = World::new("instance", ID);
    pass(3).await;
    world.well.store(false, Ordering::Relaxed);
    pass(6).await;
    world.is(ID, "healthy", "").await;
    pass(6).await;
    world.is(ID, "unhealthy", "Target.ResponseCodeMismatch").await;
    world.well.store(true, Ordering::Relaxed);
    pass(6).await;
    world.is(ID, "unhealthy", "Target.ResponseCodeMismatch").await;
    pass(6).await;
    world.is(ID, "healthy", "").await;
}

#[tokio::test(start_paused = true)]
async fn draining_lasts_for_the_whole_delay_although_idle() {
    let world = World::new("instance", ID);
    pass(3).await;
    world.deregister(ID).await;
    for _ in 0..2 {
        world.is(ID, "draining", "Target.DeregistrationInProgress").await;
        assert_eq!(health(&world.client, &world.arn, &[]).await.len(), 1);
        assert_eq!(world.alb.instances_out(&world.arn), 1);
        pass(14).await;
    }
    world.deregister(ID).await;
    pass(3).await;
    world.is(ID, "unused", "Target.NotRegistered").await;
    assert!(health(&world.client, &world.arn, &[]).await.is_empty());
    assert_eq!(world.alb.instances_out(&world.arn), 1);
}

#[tokio::test(start_paused = true)]
async fn an_instance_can_come_back_while_it_drains() {
    let world = World::new("instance", ID);
    pass(3).await;
    world.deregister(ID).await;
    pass(10).await;
    world.register(ID).await.unwrap();
    world.is(ID, "initial", "Elb.RegistrationInProgress").await;
    pass(3).await;
    world.is(ID, "healthy", "").await;
    pass(60).await;
    world.is(ID, "healthy", "").await;
}

#[tokio::test(start_paused = true)]
async fn an_address_has_to_wait_for_the_end_of_draining() {
    let world = World::new("ip", "127.0.0.1");
    pass(3).await;
    world.deregister("127.0.0.1").await;
    pass(29).await;
    assert_eq!(world.register("127.0.0.1").await, Err("InvalidTarget".to_owned()));
    pass(2).await;
    world.register("127.0.0.1").await.unwrap();
    pass(3).await;
    world.is("127.0.0.1", "healthy", "").await;
}

#[tokio::test(start_paused = true)]
async fn stale_reads_show_the_past_for_a_while_and_the_truth_in_the_end() {
    let world = World::new("instance", ID);
    pass(60).await;
    world.alb.set_faults(Faults {
        stale_health: Duration::from_secs(10),
        stale_tags: Duration::from_secs(10),
        ..Faults::default()
    });
    world.alb.set_tag(&world.arn, "k", "v");
    world.deregister(ID).await;
    pass(5).await;
    let (mut old, mut new, mut without) = (0, 0, 0);
    for _ in 0..100 {
        match health(&world.client, &world.arn, &[]).await[0].2.as_str() {
            "healthy" => old += 1,
            _ => new += 1,
        }
        let tags = world.client.describe_tags().resource_arns(&world.arn).send().await.unwrap();
        without += usize::from(tags.tag_descriptions()[0].tags().is_empty());
    }
    assert!(old > 20 && new > 20 && (20..80).contains(&without), "{old} {new} {without}");
    assert_eq!(world.alb.targets(&world.arn)[0].state.to_string(), "draining");
    pass(6).await;
    for _ in 0..100 {
        world.is(ID, "draining", "Target.DeregistrationInProgress").await;
    }
}
