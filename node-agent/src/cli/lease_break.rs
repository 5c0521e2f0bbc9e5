//! `lease break`: frees the slot of a node whose agent is stopped for good.

use crate::agent::failure::Complaint;
use crate::aws::target_group::TargetGroup;
use crate::cli::operator::{Operator, Sent};
use crate::cli::say::say;
use crate::exit;
use crate::lease::operator::{self as decide, Broken, Found, Refused};
use crate::settings::Settings;

/// One lease to break, and where.
struct Planned {
    group: TargetGroup,
    lease: Found,
}

pub(super) async fn run(settings: &Settings, id: &str) -> Result<u8, Complaint> {
    let operator = Operator::new(settings).await?;
    let planned = plan(&operator, id).await?;
    if planned.is_empty() {
        say(&format!("already so: the lease of {id} is broken in {}\n", operator.names()));
        return Ok(exit::DONE);
    }
    let mut sent = Sent::Acknowledged;
    for Planned { group, lease } in &planned {
        let value = decide::broken(&lease.reading).to_string();
        if operator.change(async |lb| lb.add_tag(&group.arn, &lease.key, &value).await).await?
            == Sent::Unknown
        {
            sent = Sent::Unknown;
        }
    }
    operator.settle().await;
    for one in &planned {
        look_back(&operator, id, one, &planned, sent).await?;
    }
    say(&next_steps(id));
    Ok(exit::DONE)
}

/// What to break. Nothing is written before every group has agreed.
async fn plan(operator: &Operator, id: &str) -> Result<Vec<Planned>, Complaint> {
    let (mut planned, mut refused, mut any) = (Vec::new(), None, false);
    for group in &operator.groups {
        let tags = operator.tags(group).await?;
        any |= !decide::find(&tags, id).is_empty();
        match decide::may_break(&tags, id) {
            Ok(leases) => {
                planned.extend(leases.into_iter().map(|lease| Planned { group: group.clone(), lease }));
            }
            Err(why @ Refused::OneAtATime(_)) => return Err(Complaint::new(exit::NOTHING_CHANGED, why)),
            // It may still hold another group.
            Err(why) => refused = Some(why),
        }
    }
    if !any {
        let nothing = anyhow::anyhow!(
            "{id} has no lease in {}; `node-agent status` lists all leases",
            operator.names()
        );
        return Err(Complaint::new(exit::USAGE, nothing));
    }
    match refused {
        Some(why) if planned.is_empty() => Err(Complaint::new(exit::USAGE, why)),
        _ => Ok(planned),
    }
}

async fn look_back(
    operator: &Operator,
    id: &str,
    one: &Planned,
    all: &[Planned],
    sent: Sent,
) -> Result<(), Complaint> {
    let (name, before) = (&one.group.name, &one.lease.reading);
    let tags = operator.tags(&one.group).await?;
    match decide::look_back(&tags, id, &one.lease.key) {
        Broken::Stands => say(&format!("{name}: broke the lease of {id}, which was {}\n", before.word())),
        Broken::Gone => say(&format!("{name}: {id} has given its lease back by itself meanwhile\n")),
        Broken::OwnerLives(now) if now == *before && sent == Sent::Unknown => {
            return Err(Complaint::new(
                exit::NOTHING_CHANGED,
                anyhow::anyhow!(
                    "failed to break the lease of {id} in {name}: the answer was lost and the tag is as before; try again"
                ),
            ));
        }
        Broken::OwnerLives(now) => {
            return Err(Complaint::new(
                exit::USAGE,
                anyhow::anyhow!(
                    "failed to break the lease of {id} in {name}: somebody has written it again ({}), so its agent is alive; \
                     let it finish, or stop it first (`systemctl stop node-agent` there)",
                    now.word()
                ),
            ));
        }
        Broken::Another(other) => {
            put_back(operator, all).await?;
            return Err(Complaint::new(
                exit::NOTHING_CHANGED,
                anyhow::anyhow!(
                    "the lease of {other} in {name} was broken at the same time, and only one may be at a time: the lease of \
                     {id} has been put back; agree on an order and try again"
                ),
            ));
        }
    }
    Ok(())
}

async fn put_back(operator: &Operator, all: &[Planned]) -> Result<(), Complaint> {
    let nonce = format!("{:016x}", rand::random::<u64>());
    for Planned { group, lease } in all {
        let value = decide::put_back(&lease.reading, &nonce).to_string();
        operator.change(async |lb| lb.add_tag(&group.arn, &lease.key, &value).await).await?;
    }
    Ok(())
}

fn next_steps(id: &str) -> String {
    format!(
        "\
Its slot is free. Until it is healthy again it still counts as missing: the next node goes only if enough others serve.
Next, one of:
  - bring it back: `node-agent resume` on {id} removes the tag once the load balancer calls the node healthy
  - replace it: terminate it, then `node-agent lease gc {id}`
No other lease can be broken before that.
"
    )
}
