//! The two scenarios.

use std::{
    fmt,
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::{
    agent,
    clock::Clock,
    fleet::Fleet,
    load::{self, Load, Tally},
    node::{AgentEvent, Node},
    report,
    sampler::{self, Samples},
    settings::Settings,
    summary::{self, Span, rounded, total, uncovered},
    view::View,
};

/// Load before the first reboot, so that the plot shows normal operation.
const WARM_UP: Duration = Duration::from_secs(1);
/// Load after the last node has returned to service.
const TAIL: Duration = Duration::from_millis(1500);
/// Naive only: the time from a node's first response to the reboot of the next node.
const PAUSE: Duration = Duration::from_millis(500);
/// At the default rate, a little more than 5,000 requests.
const LEAST_LOAD: Duration = Duration::from_secs(26);
/// What a maintenance takes beside its reboot here, about; only for the view.
const BESIDE_A_REBOOT: Duration = Duration::from_secs(6);
/// Time limit for a scenario, without the reboots.
const LIMIT: Duration = Duration::from_secs(300);

const MAINTAIN: [&str; 2] = ["maintain", "--reboot"];

/// The agent's name of this phase.
const REBOOT: &str = "reboot";

/// A way to reboot a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Naive,
    Graceful,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Naive => "naive",
            Self::Graceful => "graceful",
        })
    }
}

impl Scenario {
    /// How long it takes, about: the reboots, and what comes with each of them.
    fn about(self, settings: &Settings) -> Duration {
        let beside = match self {
            Self::Naive => PAUSE,
            Self::Graceful => BESIDE_A_REBOOT,
        };
        let reboots = (settings.reboot_time() + beside) * u32::from(settings.nodes);
        (WARM_UP + reboots + TAIL).max(LEAST_LOAD)
    }

    fn explained(self) -> &'static str {
        match self {
            Self::Naive => "reboots each node in turn without telling the load balancer",
            Self::Graceful => "runs node-agent maintain --reboot on all nodes at once",
        }
    }
}

/// A node after the scenario, and how its agent ended.
struct Ending {
    node: Node,
    exit_code: Option<u8>,
    problem: Option<String>,
}

/// Plays `scenario` on a new fleet. `place` says which of how many it is.
pub(crate) async fn play(
    scenario: Scenario,
    settings: &Settings,
    place: (usize, usize),
) -> anyhow::Result<report::Scenario> {
    let directory = settings.directory.join(scenario.to_string());
    let (number, of) = place;
    let _ = writeln!(
        io::stderr(),
        "{number} of {of}, {scenario}: {}; logs in {}",
        scenario.explained(),
        directory.display()
    );
    let (fleet, nodes) = Fleet::start(&directory, settings).await?;

    let clock = Clock::start();
    let (stop, stopped) = watch::channel(false);
    let tally = Arc::new(Tally::default());
    let load = load::generate(fleet.front_url.clone(), settings.rps, clock, tally.clone(), stopped.clone());
    let load = load.context("failed to start the load generator")?;
    let watched = fleet.watched(&nodes, tally, clock);
    let sampling = tokio::spawn(sampler::sample(watched, View::new(scenario.about(settings)), stopped));

    tokio::time::sleep(WARM_UP).await;
    let deadline = Instant::now() + LIMIT + settings.reboot_time() * u32::from(settings.nodes);
    let endings = match scenario {
        Scenario::Naive => reboot_in_turn(nodes, deadline).await?,
        Scenario::Graceful => maintain_all(nodes, deadline).await?,
    };
    // Up to exactly a whole second, so that the last second of the plot is complete.
    let load_for = (clock.elapsed() + TAIL).max(LEAST_LOAD).as_secs();
    let end = Duration::from_secs(load_for).saturating_sub(Duration::from_millis(20));
    tokio::time::sleep(end.saturating_sub(clock.elapsed())).await;
    stop.send_replace(true);

    let load = load.await.context("the load generator failed")?.context("failed to set up the load")?;
    let samples = sampling.await.context("the sampler failed")?;
    Ok(summarize(&fleet, &endings, &load, &samples, clock))
}

async fn reboot_in_turn(mut nodes: Vec<Node>, deadline: Instant) -> anyhow::Result<Vec<Ending>> {
    for node in &mut nodes {
        node.reboot().await?;
        let name = node.place.name.clone();
        timeout_at(deadline, node.answering()).await.with_context(|| {
            format!("the service of {name} does not respond after the reboot; see its service.log")
        })?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(nodes.into_iter().map(|node| Ending { node, exit_code: None, problem: None }).collect())
}

async fn maintain_all(nodes: Vec<Node>, deadline: Instant) -> anyhow::Result<Vec<Ending>> {
    let mut maintenances = JoinSet::new();
    for node in nodes {
        maintenances.spawn(maintain(node, deadline));
    }
    let mut endings = Vec::new();
    while let Some(ending) = maintenances.join_next().await {
        endings.push(ending.context("a node failed")??);
    }
    endings.sort_by(|a, b| a.node.place.name.cmp(&b.node.place.name));
    Ok(endings)
}

/// Runs a node's maintenance, and reboots the node when its agent asks for it.
async fn maintain(mut node: Node, deadline: Instant) -> anyhow::Result<Ending> {
    node.start_agent(&MAINTAIN)?;
    // Somebody has killed an agent of this node, and the next one has not succeeded yet.
    let mut killed = false;
    loop {
        let (exit_code, problem) = match timeout_at(deadline, node.agent_event()).await {
            Ok(event) => match event? {
                AgentEvent::RebootRequested => {
                    node.reboot().await?;
                    // As the unit does at boot.
                    node.start_agent(&["resume"])?;
                    let _ = timeout_at(deadline, node.answering()).await;
                    continue;
                }
                AgentEvent::Exited(status) if status.signal().is_some() => {
                    // As systemd does.
                    killed = true;
                    node.start_agent(&["resume"])?;
                    continue;
                }
                AgentEvent::Exited(status) if status.success() && (node.has_new_boot_id() || !killed) => {
                    (Some(0), None)
                }
                AgentEvent::Exited(_) if killed => {
                    // The one that was killed has changed nothing, or was brought back. Whoever asked for it asks again.
                    killed = false;
                    node.start_agent(&MAINTAIN)?;
                    continue;
                }
                AgentEvent::Exited(status) => {
                    let code = status.code().and_then(|code| u8::try_from(code).ok());
                    (code, Some(format!("its agent ended with {status}")))
                }
                AgentEvent::Halted => (None, Some("it is halted and needs a person".to_owned())),
            },
            Err(_) => {
                let phase =
                    agent::phase(&node.place).map_or("no phase".to_owned(), |phase| phase.to_string());
                (None, Some(format!("it did not finish in time; it is in {phase}")))
            }
        };
        let problem = problem.map(|problem| explained(&node, &problem));
        return Ok(Ending { node, exit_code, problem });
    }
}

/// A problem, with the reason from the agent's record and the path of the agent's log.
fn explained(node: &Node, problem: &str) -> String {
    let reason = agent::reason(&node.place).map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{problem}{reason}; see {}", node.place.agent_log().display())
}

fn summarize(
    fleet: &Fleet,
    endings: &[Ending],
    load: &Load,
    samples: &Samples,
    clock: Clock,
) -> report::Scenario {
    let nodes = endings.iter().zip(&samples.out_of_rotation).map(|(ending, out_of_rotation)| {
        let node = &ending.node;
        let down = node.reboots.iter().map(|reboot| Span {
            from: clock.at(reboot.killed),
            to: reboot.answering.map_or_else(|| clock.now(), |answering| clock.at(answering)),
        });
        let down: Vec<Span> = down.collect();
        report::Node {
            down_in_rotation_s: uncovered(&down, out_of_rotation),
            name: node.place.name.clone(),
            instance_id: node.place.instance_id.clone(),
            out_of_rotation_s: total(out_of_rotation),
            service_down_s: total(&down),
            phases: phases(node, clock),
            exit_code: ending.exit_code,
            rebooted: node.has_new_boot_id(),
            in_service: fleet.in_service(&node.place),
            problem: ending.problem.clone(),
        }
    });
    summary::scenario(load, samples.max_nodes_out, nodes.collect())
}

/// The phases on record, and the reboots. Those are measured from outside, because the agent does not run then.
fn phases(node: &Node, clock: Clock) -> Vec<report::Phase> {
    let reboots = node.reboots.iter().map(|reboot| report::Phase {
        name: REBOOT.to_owned(),
        began_s: rounded(clock.at(reboot.killed)),
        seconds: rounded(clock.at(reboot.started) - clock.at(reboot.killed)),
    });
    let mut phases = agent::phases(&node.place, clock);
    phases.retain(|phase| phase.name != REBOOT);
    phases.extend(reboots);
    phases.sort_by(|a, b| a.began_s.total_cmp(&b.began_s));
    phases
}
