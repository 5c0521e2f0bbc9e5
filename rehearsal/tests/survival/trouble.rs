//! What goes wrong with the API, or what others do to it, at one call of a run.

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
    /// The (first) target group is deleted.
    GroupDeleted,
    /// Somebody else deregisters our target.
    Deregistered,
    /// Somebody else registers it.
    Registered,
    /// Somebody removes our lease tag.
    TagWiped,
}

impl Trouble {
    pub const ALL: [Trouble; 11] = [
        Trouble::Throttled,
        Trouble::ServerErrors,
        Trouble::Refused,
        Trouble::LostAnswer,
        Trouble::LandsLate,
        Trouble::Stale,
        Trouble::CredentialsExpired,
        Trouble::GroupDeleted,
        Trouble::Deregistered,
        Trouble::Registered,
        Trouble::TagWiped,
    ];

    /// Makes it happen at a call of this play.
    pub fn at(self, call: usize, play: &Play) {
        play.points.meddle(call, self.meddle(play));
    }

    /// Not a fault of the API: somebody else changes what is ours.
    pub fn is_foreign_hand(self) -> bool {
        matches!(
            self,
            Trouble::GroupDeleted | Trouble::Deregistered | Trouble::Registered | Trouble::TagWiped
        )
    }

    fn meddle(self, play: &Play) -> Meddle {
        let node = &play.fleet.nodes[0];
        let (arn, id) = (play.fleet.arn.clone(), node.target_id.clone());
        let port = play.fleet.pairs(0)[0].0;
        let key = format!("node-agent/lease/{}", node.identity.instance_id);
        let points = play.points.clone();
        Box::new(move |alb, action| {
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
                Trouble::GroupDeleted => alb.delete_target_group(&arn),
                Trouble::Deregistered => alb.deregister(&arn, &id, port),
                Trouble::Registered => alb.register(&arn, &id, port),
                Trouble::TagWiped => alb.remove_tag(&arn, &key),
            }
        })
    }
}

fn for_a_while(alb: &LocalAlb, seconds: u64, set: fn(&mut local_alb::Faults, bool)) {
    alb.change_faults(|faults| set(faults, true));
    let alb = alb.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        alb.change_faults(|faults| set(faults, false));
    });
}
