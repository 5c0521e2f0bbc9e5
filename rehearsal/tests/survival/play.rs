//! Plays one maintenance to its end, through every stop.

use crate::fleet::{Fleet, Told};
use crate::kind::Kind;
use crate::points::{Point, PointDisk, Points, until_stopped};
use crate::trouble::{ANOTHER_ADDRESS, Trouble};
use crate::verdict::Before;
use crate::wire::Wire;
use local_alb::{Faults, LocalAlb, TargetHealth};
use node_agent::maintenance::context::{Driver, End};
use node_agent::record::{Finished, Request};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How a driver is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// SIGKILL; `resume` runs in the same boot.
    Killed,
    /// The power fails; `resume` runs after the boot.
    PowerCut,
}

/// Where it all ended.
#[derive(Debug)]
pub enum Ended {
    Finished(Finished),
    Halted(String),
    /// The record cannot be written.
    Stuck(String),
    /// Stopped before anything was on record.
    NotBegun,
}

/// What happens between two drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// The driver has asked the SSM agent for the reboot.
    RebootAsked,
    /// The next driver is about to start.
    Continues,
}

/// Who is told of it.
pub type Bystander = Box<dyn Fn(&Play, Between)>;

/// A node about to be maintained, with everything counted.
pub struct Play {
    pub kind: Kind,
    pub fleet: Fleet,
    pub points: Points,
    pub before: Before,
    pub death: Death,
    /// What happens after the first stop, before the driver goes on.
    pub while_stopped: Option<Trouble>,
    /// Whoever else uses the record.
    pub bystander: Option<Bystander>,
}

impl Play {
    /// Sets the stage.
    pub async fn new(kind: Kind, points: Points, death: Death) -> Play {
        let mut fleet = kind.fleet(1).await;
        let wire = Wire {
            points: points.clone(),
            alb: fleet.alb.clone(),
            instance: fleet.nodes[0].identity.instance_id.clone(),
            target: fleet.nodes[0].target_id.clone(),
            state_dir: fleet.nodes[0].settings.state_dir.clone(),
        };
        let (told, alb, arns) = (points.clone(), fleet.alb.clone(), fleet.arns.clone());
        let node = &mut fleet.nodes[0];
        let id = node.target_id.clone();
        node.http = Some(wire.client());
        node.disk = Arc::new(PointDisk(points.clone()));
        let listen = move |event| {
            let disturbs = matches!(event, Told::CommandBegun | Told::BeforeReboot);
            if disturbs && told.could_see_registered() && is_registered(&alb, &arns, &id) {
                told.wrong(format!("{event:?} while the node is registered"));
            }
            told.pass(match event {
                Told::CommandBegun => Point::CommandBegun,
                Told::CommandEnded => Point::CommandEnded,
                Told::BeforeReboot => Point::BeforeReboot,
                Told::AfterReboot => Point::AfterReboot,
            });
        };
        *node.machine.told.lock().unwrap() = Some(Arc::new(listen));
        let before = Before::of(&fleet);
        Play { kind, fleet, points, before, death, while_stopped: None, bystander: None }
    }

    /// Runs the maintenance, and `resume` after every stop, to the end.
    pub async fn to_the_end(&self) -> Ended {
        self.begun(self.kind.request(&self.fleet.nodes[0])).await
    }

    /// Runs the maintenance of this request, and `resume` after every stop, to the end.
    pub async fn begun(&self, request: Request) -> Ended {
        self.drive(self.fleet.nodes[0].driver(request)).await
    }

    fn tell(&self, what: Between) {
        if let Some(bystander) = &self.bystander {
            bystander(self, what);
        }
    }

    /// Runs the maintenance until it is stopped.
    pub async fn until_stopped(&self) {
        let node = &self.fleet.nodes[0];
        let mut driver = node.driver(self.kind.request(node));
        loop {
            let end = tokio::select! {
                end = until_stopped(driver.drive()) => end,
                () = node.machine.down.notified() => {
                    drop(driver);
                    node.boot().await;
                    driver = node.restarted();
                    continue;
                }
            };
            match end {
                Err(_) => return,
                Ok(Ok(End::Drained)) => {
                    drop(driver);
                    driver = node.wanted_back();
                }
                Ok(Ok(End::RebootMe)) => {
                    drop(driver);
                    node.boot().await;
                    driver = node.restarted();
                }
                Ok(other) => panic!("not stopped: {other:?}"),
            }
        }
    }

    /// Goes on from the record after a boot, and as a person's `rejoin` does where the node is drained.
    pub async fn resumed(&self) -> Ended {
        let record = self.fleet.nodes[0].journal().record;
        match (record.operation, record.finished.last()) {
            (Some(_), _) => self.drive(self.fleet.nodes[0].restarted()).await,
            (None, Some(finished)) => Ended::Finished(finished.clone()),
            (None, None) => Ended::NotBegun,
        }
    }

    /// Whether requests may reach the node.
    pub fn is_registered(&self) -> bool {
        is_registered(&self.fleet.alb, &self.fleet.arns, &self.fleet.nodes[0].target_id)
    }

    /// Goes on from the record, as an operator's `resume` does.
    pub async fn wanted_back(&self) -> Ended {
        self.drive(self.fleet.nodes[0].wanted_back()).await
    }

    /// Goes on with this driver, as often as it is stopped.
    pub async fn goes_on(&self, driver: Driver) -> Ended {
        self.drive(driver).await
    }

    /// What goes wrong with the API is over, and a person runs `resume` for as long as that is what the node waits for.
    pub async fn healed(&self, mut ended: Ended) -> Ended {
        self.fleet.alb.set_faults(Faults::default());
        self.fleet.alb.clear_script();
        for _ in 0..3 {
            if let Ended::Halted(_) | Ended::Stuck(_) = ended {
                let record = self.fleet.nodes[0].journal().record;
                ended = match record {
                    record if record.operation.is_some() => self.wanted_back().await,
                    record => {
                        record.finished.last().map_or(Ended::NotBegun, |last| Ended::Finished(last.clone()))
                    }
                };
            }
        }
        ended
    }

    /// A machine that was booted while in service gets its first health checks, and so does a late registration.
    pub async fn settle(&self) {
        for _ in 0..60 {
            if self.is_in_service() && self.is_added_back() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn drive(&self, mut driver: Driver) -> Ended {
        let node = &self.fleet.nodes[0];
        loop {
            let mut down = pin!(node.machine.down.notified());
            let end = tokio::select! {
                end = until_stopped(driver.drive()) => Some(end),
                () = &mut down => None,
            };
            drop(driver);
            let drained = matches!(end, Some(Ok(Ok(End::Drained))));
            match end {
                Some(Ok(Ok(End::Finished(finished)))) => return Ended::Finished(finished),
                Some(Ok(Ok(End::Halted(reason)))) => return Ended::Halted(reason),
                Some(Ok(Err(error))) => return Ended::Stuck(error.to_string()),
                // Somebody runs `rejoin`.
                Some(Ok(Ok(End::Drained))) => (),
                Some(Ok(Ok(End::RebootMe))) => {
                    self.tell(Between::RebootAsked);
                    node.boot().await;
                }
                Some(Ok(Ok(End::GoingDown))) | None => node.boot().await,
                Some(Err(_)) => {
                    if let Some(trouble) = self.while_stopped.filter(|_| !self.points.is_meddled()) {
                        trouble.now(self);
                    }
                    // Stopped, while the machine was going down, perhaps.
                    let going_down = futures_now(down.as_mut()).await;
                    if going_down || self.death == Death::PowerCut {
                        node.boot().await;
                    } else {
                        tokio::time::sleep(Duration::from_secs(2)).await;
                    }
                }
            }
            self.tell(Between::Continues);
            let record = node.journal().record;
            driver = match (record.operation, record.finished.last()) {
                (Some(_), _) if drained => node.wanted_back(),
                (Some(_), _) => node.restarted(),
                (None, Some(finished)) => return Ended::Finished(finished.clone()),
                (None, None) => return Ended::NotBegun,
            };
        }
    }
}

/// Whether requests may reach the node with any port or address.
fn is_registered(alb: &LocalAlb, arns: &[String], id: &str) -> bool {
    let targets = arns.iter().flat_map(|arn| alb.targets(arn));
    let own = targets.filter(|target| target.id == id || target.id == ANOTHER_ADDRESS);
    own.map(|target| target.state)
        .any(|state| !matches!(state, TargetHealth::Draining | TargetHealth::NotRegistered))
}

/// Whether a future is ready now.
async fn futures_now(future: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = future => true,
        () = std::future::ready(()) => false,
    }
}
