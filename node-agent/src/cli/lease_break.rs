//! `lease break`: frees the slot of a node whose agent has stopped for good.

use crate::agent::failure::Complaint;
use crate::aws::target_group::TargetGroup;
use crate::cli::operator::{Operator, Sent};
use crate::cli::say::say;
use crate::cli::tally::Tally;
use crate::exit;
use crate::lease::operator::{self as decide, Broken, Found, Refused};
use crate::settings::Settings;

/// A lease to break, and its group.
struct Planned {
    group: TargetGroup,
    lease: Found,
}

pub(super) async fn run(settings: &Settings, id: &str) -> Result<u8, Complaint> {
    let what = format!("break every lease of {id}");
    let operator = Operator::new(settings).await?;
    let mut tally = Tally::default();
    let Some(planned) = plan(&operator, id, &mut tally).await? else {
        if tally.is_clean() {
            say(&format!("nothing to do: {id} has no lease in {}\n", operator.names()));
        }
        return tally.end(&what);
    };
    if planned.is_empty() {
        if tally.is_clean() {
            say(&format!("nothing to do: the lease of {id} is already broken in {}\n", operator.names()));
        }
        return tally.end(&what);
    }
    let mut written = Vec::new();
    for one in planned {
        let value = decide::broken(&one.lease.reading).to_string();
        let sent = operator.change(async |lb| lb.add_tag(&one.group.arn, &one.lease.key, &value).await).await;
        if let Some(sent) = tally.take(&one.group.name, sent) {
            written.push((one, sent));
        }
    }
    if !written.is_empty() {
        operator.settle().await;
    }
    for (one, sent) in &written {
        let looked = look_back(&operator, id, one, &written, *sent).await;
        if tally.take(&one.group.name, looked?).is_some() {
            tally.done();
        }
    }
    if tally.is_clean() {
        say(&next_steps(id));
    }
    tally.end(&what)
}

/// The leases to break; `None`: there is no lease. Nothing is written before every group has been checked.
async fn plan(operator: &Operator, id: &str, tally: &mut Tally) -> Result<Option<Vec<Planned>>, Complaint> {
    let (mut planned, mut refused, mut any) = (Vec::new(), None, false);
    for group in &operator.groups {
        let Some(tags) = tally.take(&group.name, operator.tags(group).await) else { continue };
        any |= !decide::find(&tags, id).is_empty();
        match decide::may_break(&tags, id) {
            Ok(leases) => {
                planned.extend(leases.into_iter().map(|lease| Planned { group: group.clone(), lease }));
            }
            Err(why @ Refused::OneAtATime(_)) => return Err(refusal(exit::NOTHING_CHANGED, id, why)),
            // The node may hold a lease in another group.
            Err(why) => refused = Some(why),
        }
    }
    match refused {
        _ if !any => Ok(None),
        Some(why) if planned.is_empty() => Err(refusal(exit::USAGE, id, why)),
        _ => Ok(Some(planned)),
    }
}

fn refusal(exit_code: u8, id: &str, why: Refused) -> Complaint {
    Complaint::new(exit_code, anyhow::Error::new(why).context(format!("failed to break the lease of {id}")))
}

/// Outer error: another lease was broken at the same time, and all of ours are put back.
async fn look_back(
    operator: &Operator,
    id: &str,
    one: &Planned,
    all: &[(Planned, Sent)],
    sent: Sent,
) -> Result<Result<(), Complaint>, Complaint> {
    let (name, before) = (&one.group.name, &one.lease.reading);
    let tags = match operator.tags(&one.group).await {
        Ok(tags) => tags,
        Err(complaint) => return Ok(Err(complaint)),
    };
    match decide::look_back(&tags, id, &one.lease.key) {
        Broken::Stands => say(&format!("{name}: broke the lease of {id}, which was {}\n", before.word())),
        Broken::Gone => say(&format!("{name}: {id} has released its lease by itself\n")),
        Broken::OwnerLives(now) if now == *before && sent == Sent::Unknown => {
            return Ok(Err(Complaint::new(
                exit::NOTHING_CHANGED,
                anyhow::anyhow!(
                    "failed to break the lease of {id} in {name}: the response was lost and the tag is unchanged; try again"
                ),
            )));
        }
        Broken::OwnerLives(now) => {
            return Ok(Err(Complaint::new(
                exit::USAGE,
                anyhow::anyhow!(
                    "failed to break the lease of {id} in {name}: its agent is running and has written the tag \
                     again ({}); let it finish, or run `systemctl stop node-agent` on that node first",
                    now.word()
                ),
            )));
        }
        Broken::Another(other) => {
            put_back(operator, all).await?;
            return Err(Complaint::new(
                exit::NOTHING_CHANGED,
                anyhow::anyhow!(
                    "failed to break the lease of {id} in {name}: the lease of {other} was broken at the same time, and only \
                     one lease can be broken at a time; the lease of {id} has been restored: agree on an order, then try again"
                ),
            ));
        }
    }
    Ok(Ok(()))
}

async fn put_back(operator: &Operator, all: &[(Planned, Sent)]) -> Result<(), Complaint> {
    let nonce = format!("{:016x}", rand::random::<u64>());
    for (Planned { group, lease }, _) in all {
        let value = decide::put_back(&lease.reading, &nonce).to_string();
        operator.change(async |lb| lb.add_tag(&group.arn, &lease.key, &value).await).await?;
    }
    Ok(())
}

fn next_steps(id: &str) -> String {
    format!(
        "\
Its slot is free. It counts as missing until it is healthy: the next node leaves service only if enough others are healthy.
Next, one of:
  - bring it back: run `node-agent resume` on {id}; it removes the tag when the load balancer reports the node healthy
  - replace it: terminate it, then run `node-agent lease gc {id}`
No other lease can be broken before that.
"
    )
}
