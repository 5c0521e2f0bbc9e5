//! What goes wrong with the API, or what others do to it, at one call of a run.

use crate::kind::Kind;
use crate::play::Play;
use crate::points::Meddle;
use local_alb::{Fault, LocalAlb};
use std::time::Duration;

/// How old a stale read may be: as old as the agent reckons with.
pub const STALENESS: Duration = Duration::from_secs(5);

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// This call is throttled, and so are the next 19 of its kind.
    Throttled,
    /// A 500, ten times.
    ServerErrors,
    /// For 30 s nobody listens.
    Refused,
    /// The change is made, the answer never comes.
    LostAnswer,
    /// The answer never comes, and the change is made ten minutes later.
    LandsLate,
    /// From now on every read may be 5 s old.
    Stale,
    /// For a minute the credentials are expired.
    CredentialsExpired,
    /// For three minutes this call is not allowed.
    Denied,
    /// For two hours this call is not allowed.
    DeniedForLong,
    /// From now on a registration shows after 30 s.
    ShowsLate,
    /// For a minute the node's own health check fails, and not that of the load balancer.
    OwnCheckFails,
    /// The (first) target group is deleted.
    GroupDeleted,
    /// Somebody else deregisters our target.
    Deregistered,
    /// Somebody else registers it.
    Registered,
    /// Somebody registers another port of the node.
    RegisteredOnAnotherPort,
    /// Somebody registers another address of the node, in a group of type `ip`; elsewhere as above.
    RegisteredByAnotherAddress,
    /// Somebody removes our lease tag.
    TagWiped,
    /// Somebody turns our lease tag into another one.
    TagTurned(Turned),
}

/// What a lease tag is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    Waiting,
    Failed,
    /// With a nonce that is not ours.
    Held,
    /// With a nonce that is not ours.
    Halted,
    Broken,
    Unreadable,
}

impl Turned {
    pub fn value(self) -> &'static str {
        match self {
            Turned::Waiting => "v1 p=waiting e=other t=3 s=1",
            Turned::Failed => "v1 p=failed e=other",
            Turned::Held => "v1 p=held e=other k=1",
            Turned::Halted => "v1 p=halted e=other k=1",
            Turned::Broken => "v1 p=broken e=other k=1",
            Turned::Unreadable => "v9 what?",
        }
    }
}

/// Another port of the node.
pub const ANOTHER_PORT: u16 = 7070;
/// Another address of the node.
pub const ANOTHER_ADDRESS: &str = "10.0.9.1";

impl Trouble {
    /// All of them.
    pub fn all() -> Vec<Trouble> {
        let others = [
            Trouble::Throttled,
            Trouble::ServerErrors,
            Trouble::Refused,
            Trouble::LostAnswer,
            Trouble::LandsLate,
            Trouble::Stale,
            Trouble::CredentialsExpired,
            Trouble::Denied,
            Trouble::DeniedForLong,
            Trouble::ShowsLate,
            Trouble::OwnCheckFails,
            Trouble::GroupDeleted,
            Trouble::Deregistered,
        ];
        others.into_iter().chain(Trouble::BY_OTHERS).collect()
    }

    /// What others do to a registration or a tag of the node, in any phase.
    pub const BY_OTHERS: [Trouble; 10] = [
        Trouble::Registered,
        Trouble::RegisteredOnAnotherPort,
        Trouble::RegisteredByAnotherAddress,
        Trouble::TagWiped,
        Trouble::TagTurned(Turned::Waiting),
        Trouble::TagTurned(Turned::Failed),
        Trouble::TagTurned(Turned::Held),
        Trouble::TagTurned(Turned::Halted),
        Trouble::TagTurned(Turned::Broken),
        Trouble::TagTurned(Turned::Unreadable),
    ];

    /// Makes it happen at a call of this play.
    pub fn at(self, call: usize, play: &Play) {
        play.points.meddle(call, self.meddle(play));
    }

    /// Not a fault of the API: somebody else changes what is ours.
    pub fn is_foreign_hand(self) -> bool {
        matches!(self, Trouble::GroupDeleted | Trouble::Deregistered) || Trouble::BY_OTHERS.contains(&self)
    }

    /// Something of the node is registered.
    pub fn is_registration(self) -> bool {
        use Trouble::{Registered, RegisteredByAnotherAddress, RegisteredOnAnotherPort};
        matches!(self, Registered | RegisteredOnAnotherPort | RegisteredByAnotherAddress)
    }

    /// Makes it happen now.
    pub fn now(self, play: &Play) {
        self.meddle(play)(&play.fleet.alb, "");
    }

    fn meddle(self, play: &Play) -> Meddle {
        let node = &play.fleet.nodes[0];
        let (arn, id) = (play.fleet.arn.clone(), node.target_id.clone());
        let port = play.fleet.pairs(0)[0].0;
        let key = format!("node-agent/lease/{}", node.identity.instance_id);
        let (points, service) = (play.points.clone(), node.service.clone());
        let (by_address, instance) = (play.kind == Kind::ByAddress, node.identity.instance_id.clone());
        Box::new(move |alb, action| {
            if matches!(self, Trouble::TagTurned(_)) && !alb.tags(&arn).contains_key(&key) {
                return;
            }
            points.happens(self);
            match self {
                Trouble::Throttled => alb.script(action, Fault::Throttled, 20),
                Trouble::ServerErrors => alb.script(action, Fault::ServerError, 10),
                Trouble::Refused => for_a_while(alb, 30, |faults, on| faults.refuse = on),
                Trouble::LostAnswer => alb.script(action, Fault::LostAnswer, 1),
                Trouble::LandsLate => alb.script(action, Fault::LandsLate(Duration::from_secs(600)), 1),
                Trouble::Stale => alb.change_faults(|faults| {
                    faults.stale_tags = STALENESS;
                    faults.stale_health = STALENESS;
                }),
                Trouble::CredentialsExpired => {
                    for_a_while(alb, 60, |faults, on| faults.expired_credentials = on);
                }
                Trouble::Denied => deny(alb, action, Duration::from_secs(180)),
                Trouble::DeniedForLong => deny(alb, action, Duration::from_secs(7200)),
                Trouble::ShowsLate => {
                    alb.change_faults(|faults| faults.late_registrations = Duration::from_secs(30));
                }
                Trouble::OwnCheckFails => {
                    service.answers_the_node(None);
                    let service = service.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                        service.answers_all_alike();
                    });
                }
                Trouble::GroupDeleted => alb.delete_target_group(&arn),
                Trouble::Deregistered => alb.deregister(&arn, &id, port),
                Trouble::Registered => alb.register(&arn, &id, port),
                Trouble::RegisteredByAnotherAddress if by_address => {
                    alb.assign_address(&instance, ANOTHER_ADDRESS.parse().unwrap());
                    alb.register(&arn, ANOTHER_ADDRESS, port);
                }
                Trouble::RegisteredOnAnotherPort | Trouble::RegisteredByAnotherAddress => {
                    alb.register(&arn, &id, ANOTHER_PORT);
                }
                Trouble::TagWiped => alb.remove_tag(&arn, &key),
                Trouble::TagTurned(turned) => alb.set_tag(&arn, &key, turned.value()),
            }
        })
    }
}

fn deny(alb: &LocalAlb, action: &str, length: Duration) {
    let action = action.to_owned();
    alb.change_faults(|faults| _ = faults.denied.insert(action.clone()));
    let alb = alb.clone();
    tokio::spawn(async move {
        tokio::time::sleep(length).await;
        alb.change_faults(|faults| _ = faults.denied.remove(&action));
    });
}

fn for_a_while(alb: &LocalAlb, seconds: u64, set: fn(&mut local_alb::Faults, bool)) {
    alb.change_faults(|faults| set(faults, true));
    let alb = alb.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        alb.change_faults(|faults| set(faults, false));
    });
}
