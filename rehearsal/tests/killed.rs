//! SIGKILL to the real program, at an API call or while its command runs: `resume` brings the node back, the command has run
//! once, and no more than one reboot was asked for. `SEED=n` plays the same points again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests say what they expect by panicking, and print what they drew"
)]

mod estate;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use estate::{Estate, NODE, estate, lease_key, serve};
use local_alb::TargetHealth;
use node_agent::record::{Finished, Verdict};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How many times the program is killed in all; both kinds get half of them.
const POINTS: usize = 20;
/// Of those, how many while the command runs.
const IN_THE_COMMAND: usize = 4;
/// No run takes longer, whatever else the machine does.
const LIMIT: Duration = Duration::from_secs(120);

/// What is maintained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    CommandAndReboot,
}

/// Where the program is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    Nowhere,
    /// The call of this number has arrived and is never made.
    Before(usize),
    /// It has been made, and its answer never comes.
    After(usize),
    /// The command runs.
    InTheCommand,
}

/// Stands before the API and stops one call.
struct Trap {
    point: Point,
    seen: AtomicUsize,
    sprung: Notify,
}

impl Trap {
    async fn stop_if(&self, here: Point) {
        if self.point == here {
            self.sprung.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

async fn pass(State(trap): State<Arc<Trap>>, call: Request, next: Next) -> Response {
    let number = trap.seen.fetch_add(1, Ordering::Relaxed);
    trap.stop_if(Point::Before(number)).await;
    let answer = next.run(call).await;
    trap.stop_if(Point::After(number)).await;
    answer
}

/// One node with its own load balancer, and the trap in between.
struct Stage {
    kind: Kind,
    estate: Estate,
    trap: Arc<Trap>,
    port: u16,
}

impl Stage {
    async fn new(kind: Kind, point: Point) -> Stage {
        let estate = estate().await;
        let trap = Arc::new(Trap { point, seen: AtomicUsize::new(0), sprung: Notify::new() });
        let api = estate.alb.aws().elastic_load_balancing().layer(from_fn_with_state(trap.clone(), pass));
        let own = estate.alb.targets(&estate.arn).into_iter().find(|target| target.id == NODE).unwrap();
        let reboot = format!("echo asked >> {}", estate.dir.path().join("reboots").display());
        let estate = estate
            .configured("quarantine = \"2s\"\napi_timeout = \"1900ms\"\nhealth_passes = 1")
            .configured_instead("[\"false\"]", &format!("[\"sh\", \"-c\", {reboot:?}]"))
            .with("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", &serve(api).await);
        let stage = Stage { kind, estate, trap, port: own.port };
        stage.is_in_boot(0);
        stage
    }

    fn is_in_boot(&self, number: usize) {
        std::fs::write(self.file("boot_id"), format!("boot {number}\n")).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.estate.dir.path().join(name)
    }

    /// How many lines the command or the reboot has left.
    fn lines(&self, name: &str) -> usize {
        std::fs::read_to_string(self.file(name)).map_or(0, |text| text.lines().count())
    }

    fn start(&self, run: usize) -> Child {
        // It ends when it may, or with the estate.
        let script = format!(
            "cd {0} && echo >> began && while [ -e began ] && [ ! -e may_end ]; do sleep 0.05; done; echo >> ended",
            self.estate.dir.path().display(),
        );
        let maintain: &[&str] = match self.kind {
            Kind::Command => &["maintain", "--", "sh", "-c", &script],
            Kind::CommandAndReboot => &["maintain", "--reboot", "--", "sh", "-c", &script],
        };
        let log = File::create(self.file(&format!("log-{run}"))).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
        program.arg("node-agent").args(if run == 0 { maintain } else { &["resume"] });
        program.env_clear().envs(&self.estate.environment).kill_on_drop(true);
        program.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// Starts the program, and again whenever it was killed or the machine has booted. Returns its last exit code.
    async fn play(&self) -> i32 {
        let (mut killed, mut booted) = (false, 0);
        if self.trap.point != Point::InTheCommand {
            File::create(self.file("may_end")).unwrap();
        }
        for run in 0.. {
            let mut program = self.start(run);
            tokio::select! {
                status = program.wait() => return status.unwrap().code().unwrap(),
                () = self.trap.sprung.notified() => killed = true,
                () = self.has("began", 0), if self.trap.point == Point::InTheCommand && !killed => killed = true,
                () = self.has("reboots", booted) => booted += 1,
            }
            program.kill().await.unwrap();
            File::create(self.file("may_end")).unwrap();
            if self.lines("reboots") > booted {
                // Killed right after it had asked.
                booted += 1;
            }
            self.is_in_boot(booted);
        }
        unreachable!("it ends some time")
    }

    /// Waits until a file has more lines than this.
    async fn has(&self, name: &str, lines: usize) {
        while self.lines(name) <= lines {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn finished(&self) -> Option<Finished> {
        let record = node_agent::record::journal::read(&self.file("state")).unwrap()?;
        assert_eq!(record.operation, None, "the program has ended, and not its maintenance");
        record.finished.last().cloned()
    }

    /// All that must be so in the end.
    async fn assert_nothing_is_lost(&self, code: i32) {
        estate::until(|| self.estate.alb.instances_out(&self.estate.arn) == 0).await;
        let targets = self.estate.alb.targets(&self.estate.arn);
        let own: Vec<_> = targets.iter().filter(|target| target.id == NODE).collect();
        let registered = own.iter().all(|own| (own.port, own.state) == (self.port, TargetHealth::Healthy));
        assert!(own.len() == 1 && registered, "{own:?}");

        let (began, ended, reboots) = (self.lines("began"), self.lines("ended"), self.lines("reboots"));
        assert!(began <= 1, "the command was begun {began} times");
        assert!(reboots <= 1, "{reboots} reboots were asked for");
        let lease = self.estate.alb.tags(&self.estate.arn).remove(&lease_key(1));
        let Some(finished) = self.finished() else {
            assert_eq!((code, began, reboots, lease), (0, 0, 0, None), "nothing on record: {}", self.logs());
            return;
        };
        assert_eq!(i32::from(finished.exit_code), code, "{finished:?}");
        let seen_to_its_end = finished.verdict == Verdict::Succeeded;
        match finished.verdict {
            Verdict::Succeeded => {
                assert_eq!((began, ended, &lease), (1, 1, &None));
                assert_eq!(reboots, usize::from(self.kind == Kind::CommandAndReboot));
            }
            Verdict::FailedButRestored | Verdict::GroupsDeleted => {
                assert!(finished.reason.is_some() && code == 1, "{finished:?}");
            }
            Verdict::NothingChanged => assert_eq!((began, reboots, &lease), (0, 0, &None)),
        }
        if self.trap.point == Point::InTheCommand {
            assert!(!seen_to_its_end && began == 1, "nobody saw the command's end: {finished:?}");
            assert!(lease.as_ref().is_some_and(|tag| tag.contains("p=failed")), "{lease:?}");
        }
        assert!(lease.is_none_or(|tag| tag.contains("p=failed")), "the lease is kept");
    }

    fn logs(&self) -> String {
        (0..9).filter_map(|run| std::fs::read_to_string(self.file(&format!("log-{run}"))).ok()).collect()
    }
}

/// One maintenance, killed there. Returns how many calls were made.
async fn killed_at(kind: Kind, point: Point) -> usize {
    let stage = Stage::new(kind, point).await;
    let played = tokio::time::timeout(LIMIT, stage.play()).await;
    let code = played.unwrap_or_else(|_| panic!("{kind:?}, {point:?}: no end\n{}", stage.logs()));
    println!("{kind:?}, killed at {point:?}: exit code {code}");
    stage.assert_nothing_is_lost(code).await;
    stage.trap.seen.load(Ordering::Relaxed)
}

fn drawn(kind: Kind, calls: usize, random: &mut StdRng) -> Vec<(Kind, Point)> {
    let mut points = vec![(kind, Point::InTheCommand); IN_THE_COMMAND / 2];
    while points.len() < POINTS / 2 {
        let call = random.random_range(0..calls);
        points.push((kind, if random.random() { Point::Before(call) } else { Point::After(call) }));
    }
    points
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_twenty_points_a_node_is_back_and_its_command_has_run_once() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (command, reboot) = tokio::join!(
        killed_at(Kind::Command, Point::Nowhere),
        killed_at(Kind::CommandAndReboot, Point::Nowhere),
    );
    let mut points = drawn(Kind::Command, command, &mut random);
    points.extend(drawn(Kind::CommandAndReboot, reboot, &mut random));
    let mut runs = JoinSet::new();
    for (kind, point) in points {
        runs.spawn(killed_at(kind, point));
    }
    runs.join_all().await;
}
