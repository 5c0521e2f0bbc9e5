//! `lease gc`: removes the leases of terminated instances. No agent is left to release them.

use crate::agent::failure::Complaint;
use crate::aws::ec2::{self, Fate};
use crate::aws::target_group::TargetGroup;
use crate::cli::operator::Operator;
use crate::cli::say::say;
use crate::cli::tally::Tally;
use crate::exit;
use crate::lease::Leases;
use crate::lease::operator::{self as decide, Found, Refused};
use crate::settings::Settings;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Continues "failed to".
const LIST: &str = "list the leases of all target groups";

pub(super) async fn run(settings: &Settings, ids: &[String]) -> Result<u8, Complaint> {
    let operator = Operator::new(settings).await?;
    if ids.is_empty() { explain(&operator).await } else { collect(&operator, ids).await }
}

/// Removes the leases of all instances that have been terminated long enough, according to EC2.
pub(super) async fn ask_ec2(settings: &Settings) -> Result<u8, Complaint> {
    let operator = Operator::new(settings).await?;
    let mut tally = Tally::default();
    let Some((text, ids)) = leases(&operator, &mut tally).await else { return tally.end(LIST) };
    say(&text);
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let fates = ec2::fates(&operator.region, &ids, settings.quarantine.0).await.map_err(|error| {
        let advice = "`node-agent lease gc` shows how to ask by hand";
        Complaint::new(exit::NOTHING_CHANGED, anyhow::anyhow!("{error}; {advice}"))
    })?;
    let mut terminated = Vec::new();
    for (id, fate) in fates {
        match fate {
            Fate::Terminated => terminated.push(id),
            Fate::NotListed => say(&format!(
                "kept: EC2 does not list {id}; if it belongs to this region and account, it was terminated at least an hour ago: \
                 run `node-agent lease gc {id}`\n"
            )),
            _ => say(&format!("kept: {id} is {fate}\n")),
        }
    }
    // What cannot be read is told by either.
    if terminated.is_empty() { tally.end(LIST) } else { collect(&operator, &terminated).await }
}

/// All leases, a line each, and their instance IDs. Prints a message if there are none.
async fn leases(operator: &Operator, tally: &mut Tally) -> Option<(String, BTreeSet<String>)> {
    let (mut text, mut ids) = (String::new(), BTreeSet::new());
    for group in &operator.groups {
        let Some(tags) = tally.take(&group.name, operator.tags(group).await) else { continue };
        for (id, reading) in Leases::from_tags(&tags).iter() {
            let _ = writeln!(text, "{}: {id} {}", group.name, reading.word());
            ids.insert(id.to_owned());
        }
    }
    if ids.is_empty() {
        if tally.is_clean() {
            say(&format!("no leases in {}\n", operator.names()));
        }
        return None;
    }
    tally.done();
    Some((text, ids))
}

/// Prints all leases, and how to find those of terminated instances.
async fn explain(operator: &Operator) -> Result<u8, Complaint> {
    let mut tally = Tally::default();
    let Some((mut text, ids)) = leases(operator, &mut tally).await else { return tally.end(LIST) };
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let _ = write!(
        text,
        "\nTo remove those of terminated instances, with the AWS CLI and permission for ec2:DescribeInstances:\n
  node-agent lease gc --ask-ec2\n
To ask EC2 by hand:\n
  aws ec2 describe-instances --region {} \\
    --filters Name=instance-id,Values={} \\
    --query 'Reservations[].Instances[].[InstanceId,State.Name]' --output text\n
EC2 does not list an instance that was terminated more than an hour ago. 15 minutes after the termination, run:\n
  node-agent lease gc INSTANCE-ID ...\n",
        operator.region,
        ids.join(",")
    );
    say(&text);
    tally.end(LIST)
}

async fn collect(operator: &Operator, ids: &[String]) -> Result<u8, Complaint> {
    let mut tally = Tally::default();
    let mut seen = look(operator, ids, &mut tally).await;
    if !seen.leases.is_empty() {
        // A stale read may miss an instance that was just registered, or a tag that was just written.
        operator.settle().await;
        tally = Tally::default();
        let first = std::mem::replace(&mut seen, look(operator, ids, &mut tally).await);
        for (group, lease) in seen.leases.iter().filter(|lease| first.leases.contains(lease)) {
            let removed = operator.remove(group, lease).await;
            if tally.take(&group.name, removed).is_some() {
                tally.done();
            }
        }
    }
    for id in ids.iter().filter(|id| tally.is_clean() && !seen.known.contains(*id)) {
        say(&format!("nothing to do: {id} has no lease in {}\n", operator.names()));
    }
    for (group, why) in seen.refused {
        tally.failed(&group, exit::USAGE, why);
    }
    tally.end("remove all leases")
}

/// What one read of all groups showed.
#[derive(Default)]
struct Seen {
    leases: Vec<(TargetGroup, Found)>,
    refused: Vec<(String, Refused)>,
    known: BTreeSet<String>,
}

async fn look(operator: &Operator, ids: &[String], tally: &mut Tally) -> Seen {
    let mut seen = Seen::default();
    for group in &operator.groups {
        let read = async {
            let tags = operator.tags(group).await?;
            Ok((tags, operator.ask(async |lb| lb.target_health(&group.arn).await).await?))
        };
        let Some((tags, targets)) = tally.take(&group.name, read.await) else { continue };
        for id in ids {
            match decide::may_collect(&tags, &targets, id) {
                Ok(found) if found.is_empty() => continue,
                Ok(found) => seen.leases.extend(found.into_iter().map(|lease| (group.clone(), lease))),
                Err(why) => seen.refused.push((group.name.clone(), why)),
            }
            seen.known.insert(id.clone());
        }
    }
    // An instance that is registered in one group is alive: keep its leases in all groups.
    let alive: BTreeSet<_> = seen.refused.iter().filter_map(|(_, why)| why.registered()).collect();
    seen.leases
        .retain(|(_, lease)| crate::lease::tag::owner(&lease.key).is_none_or(|owner| !alive.contains(owner)));
    seen
}
