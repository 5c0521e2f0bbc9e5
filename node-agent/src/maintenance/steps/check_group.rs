//! check_group: check that this node is healthy in its target groups, and that they can spare it.

use super::acquire_lease::pace;
use crate::aws::auto_scaling::undecided;
use crate::aws::own_groups::{self, Membership, MembershipError, Search};
use crate::aws::target_group::{Attributes, TargetState};
use crate::lease::LeaseState;
use crate::lease::snapshot::{GroupSnapshot, Refusal};
use crate::lease::tag::other_keys;
use crate::maintenance::context::{DriveError, Driver, Step, StepError};
use crate::maintenance::last_look::refused;
use crate::maintenance::local_check;
use crate::maintenance::read_group;
use crate::maintenance::way::standby;
use crate::record::{Group, InDoubt, RebootWhen};
use crate::settings::AutoScaling;
use rand::RngExt;
use std::collections::BTreeMap;
use std::time::Duration;

/// The targets of each group, by ARN, that were just read.
type JustRead = BTreeMap<String, Vec<TargetState>>;

/// The longest pause after the first block; it doubles with each further one.
const BLOCKED_FIRST: Duration = Duration::from_secs(1);
/// The limit of that pause.
const BLOCKED_LONGEST: Duration = Duration::from_secs(60);

pub(super) async fn run(driver: &mut Driver) -> Step {
    refuse_auto_scaling(driver)?;
    if driver.operation.forced {
        return find_groups(driver).await.map(drop);
    }
    refuse_missing_programs(driver)?;
    if driver.operation.blocked > 0 {
        let bound = BLOCKED_FIRST.saturating_mul(1 << driver.operation.blocked.min(10)).min(BLOCKED_LONGEST);
        let pause = bound.mul_f64(driver.random.random_range(0.1..=1.0));
        let why =
            driver.operation.history.iter().rev().find_map(|run| run.reason.clone()).unwrap_or_default();
        driver.look_again(pause, &format!("to try again: {why}")).await?;
    }
    delay_start(driver).await?;
    wait_out_calls_in_doubt(driver).await?;
    let mut just_read = find_groups(driver).await?;
    let mut told = None;
    loop {
        if let Some(why) = not_now(driver, std::mem::take(&mut just_read)).await? {
            if told.as_ref() != Some(&why) {
                tracing::warn!("not now: {why}");
            }
            let pause = driver.lease_poll();
            driver.look_again(pause, &format!("for the target group to spare us: {why}")).await?;
            told = Some(why);
            continue;
        }
        let Some(why) = local_check::pass_before_leaving(driver).await? else { return Ok(()) };
        // If the load balancer sees it, too, the service is sick, and the check is right.
        if not_now(driver, JustRead::new()).await?.is_none() {
            return Err(StepError::Misconfigured(why));
        }
    }
}

async fn not_now(driver: &mut Driver, just_read: JustRead) -> Step<Option<String>> {
    match standby::may_begin(driver).await? {
        None => blocked(driver, just_read).await,
        why => Ok(why),
    }
}

/// Waits a random time, because a whole fleet often starts in one second. The last maintenance has noted the size of the
/// fleet; a node without one starts at once.
async fn delay_start(driver: &mut Driver) -> Step {
    if driver.operation.blocked > 0 || driver.operation.going_down.is_some() {
        return Ok(());
    }
    let registered = driver.journal.record.fleet_seen;
    let spread = pace(driver).start_spread(registered).mul_f64(driver.random.random::<f64>());
    driver.look_again(spread, "for the random start delay (spreads the load of a large fleet)").await
}

/// Calls of earlier maintenances without an answer must not take effect while the node is out: RegisterTargets, and the
/// calls of a lost record. The node holds no lease meanwhile.
async fn wait_out_calls_in_doubt(driver: &mut Driver) -> Step {
    let quarantine = driver.operation.request.settings.quarantine.0;
    loop {
        let now = driver.now()?;
        let Some(left) = driver.journal.record.calls_in_doubt.left(&now, quarantine) else {
            driver.journal.record.calls_in_doubt.forget();
            return Ok(());
        };
        driver.look_again(left, "until earlier unanswered calls can no longer take effect").await?;
    }
}

/// A program that does not exist is found now, and not when the node is out.
fn refuse_missing_programs(driver: &Driver) -> Step {
    let (request, settings) = (&driver.operation.request, &driver.operation.request.settings);
    let reboots = request.reboot != RebootWhen::Never;
    for (what, argv, used) in [
        ("the command", &request.command, true),
        ("reboot_command", &settings.reboot_command, reboots && !request.under_ssm),
        ("reboot_required_command", &settings.reboot_required_command, reboots),
        ("notify_command", &settings.notify_command, true),
    ] {
        if let Some(shown) = driver.machine.lacks(argv).filter(|_| used) {
            return Err(StepError::Misconfigured(format!(
                "failed to find the program of {what} `{shown}`: there is no such executable file; correct it, or give its \
                 absolute path"
            )));
        }
    }
    Ok(())
}

fn refuse_auto_scaling(driver: &Driver) -> Step {
    if driver.operation.going_down.is_some() {
        // The machine goes down whatever the owner would choose. Registered and down loses requests.
        return Ok(());
    }
    match (&driver.identity.auto_scaling, driver.operation.request.settings.asg) {
        (Some(state), AutoScaling::Refuse) => Err(StepError::Misconfigured(undecided(state))),
        _ => Ok(()),
    }
}

/// Writes our target groups and our registrations in them to the record. Returns all targets that were read.
async fn find_groups(driver: &mut Driver) -> Step<JustRead> {
    let search = Search::of(&driver.operation.request.settings.target_groups);
    let identity = driver.identity.clone();
    let find = async |lb: &_| match own_groups::find(lb, &identity, &search).await {
        Err(MembershipError::Call(error)) => Err(error),
        answer => Ok(answer),
    };
    let found = if driver.operation.going_down.is_some() {
        driver.ask(async |lb| own_groups::find_usable(lb, &identity, &search).await).await?
    } else {
        driver.ask(find).await?.map_err(|error| StepError::Misconfigured(error.to_string()))?
    };
    if found.is_empty() {
        let nowhere = MembershipError::Nowhere(identity.instance_id);
        return Err(StepError::Misconfigured(nowhere.to_string()));
    }
    let mut groups = Vec::new();
    let mut seen = JustRead::new();
    for mut membership in found {
        let attributes = driver.ask(async |lb| lb.attributes(&membership.group.arn).await).await?;
        let targets = std::mem::take(&mut membership.targets);
        let arn = membership.group.arn.clone();
        groups.push(on_record(driver, membership, attributes, targets.len()));
        seen.insert(arn, targets);
    }
    driver.operation.groups = groups;
    driver.journal.record.fleet_seen = seen.values().map(Vec::len).max().unwrap_or(0);
    driver.save()?;
    Ok(seen)
}

/// Before a shutdown of a node that is out: other groups in which somebody has registered it meanwhile join the record. No
/// answer counts as none. True when one was found.
pub(crate) async fn join_other_groups(driver: &mut Driver) -> Result<bool, DriveError> {
    let search = Search::of(&driver.operation.request.settings.target_groups);
    let Ok(found) = own_groups::find_usable(&driver.load_balancer, &driver.identity, &search).await else {
        return Ok(false);
    };
    let mut joined = false;
    for membership in found {
        let arn = &membership.group.arn;
        if driver.operation.groups.iter().any(|known| known.arn == *arn) {
            continue;
        }
        let Ok(attributes) = driver.load_balancer.attributes(arn).await else { continue };
        tracing::warn!("this node was registered in {} meanwhile", membership.group.name);
        let registered = membership.targets.len();
        let group = on_record(driver, membership, attributes, registered);
        driver.operation.groups.push(group);
        joined = true;
    }
    if joined {
        driver.save()?;
    }
    Ok(joined)
}

fn on_record(driver: &Driver, membership: Membership, attributes: Attributes, registered: usize) -> Group {
    let (arn, pairs) = (membership.group.arn.clone(), membership.pairs());
    let mut registered_own = membership.own.iter().filter(|state| state.is_registered());
    let not_in_use = registered_own.all(TargetState::is_not_in_use);
    let address = local_check::address_of(&driver.identity, &membership.group);
    let before = driver.operation.groups.iter().find(|before| before.arn == arn);
    Group {
        // Writes of an earlier attempt that may still take effect stay in doubt.
        tags_in_doubt: before.map(|before| before.tags_in_doubt.clone()).unwrap_or_default(),
        failed_before: before.is_some_and(|before| before.failed_before),
        other_keys: Vec::new(),
        not_in_use,
        arn,
        name: membership.group.name,
        target_type: membership.group.target_type,
        port: membership.group.port,
        address,
        health_check: membership.group.health_check,
        pairs,
        joined: Vec::new(),
        attributes,
        registered,
        ticket: None,
        claim: None,
        deregistered: None,
        deregisters_in_doubt: InDoubt::default(),
        gone: false,
    }
}

/// Why the node cannot start now; `None`: it can. Target health that was just read is not read again.
async fn blocked(driver: &mut Driver, mut just_read: JustRead) -> Step<Option<String>> {
    let identity = driver.identity.clone();
    let settings = driver.operation.request.settings.clone();
    let own_key = driver.lease_key();
    for index in 0..driver.operation.groups.len() {
        let Some(group) = driver.operation.live_group(index) else { continue };
        let (arn, attributes) = (group.arn.clone(), group.attributes.clone());
        let reading = match just_read.remove(&arn) {
            Some(targets) => {
                driver.group_tags(index).await?.map(|tags| GroupSnapshot::of(attributes, &tags, targets))
            }
            None => {
                driver
                    .ask_group(index, async |lb, arn| {
                        read_group::read_with(lb, arn, attributes.clone()).await
                    })
                    .await?
            }
        };
        let Some(reading) = reading else { continue };
        let Some(group) = driver.operation.live_group(index) else { continue };
        let own = reading.leases.of(&identity.instance_id);
        group.other_keys = other_keys(reading.lease_keys.iter(), &identity.instance_id, &own_key);
        group.failed_before |= own.is_some_and(|own| own.state() == Some(LeaseState::Failed));
        match reading.may_begin(identity.own_ids(group.target_type), &settings) {
            Ok(()) => (),
            Err(Refusal::NotNow(why)) => return Ok(Some(format!("in target group {}, {why}", group.name))),
            Err(refusal) => return Err(refused(&group.name, &refusal)),
        }
    }
    Ok(None)
}
