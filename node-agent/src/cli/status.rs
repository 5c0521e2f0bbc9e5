//! `status`: this node, its target groups, lease holders, the queue, and what blocks the next node. On a machine that is
//! not a node, it shows all groups.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::agent::who;
use crate::aws::instance_metadata::{Identity, identify};
use crate::aws::load_balancer::LoadBalancer;
use crate::aws::own_groups::{self, MembershipError, Search, patiently};
use crate::aws::target_group::TargetType;
use crate::cli::args::StatusArgs;
use crate::cli::say::say;
use crate::cli::status_facts::{GroupStatus, Status};
use crate::cli::status_text;
use crate::exit;
use crate::maintenance::progress;
use crate::maintenance::read_group;
use crate::record::Operation;
use crate::record::journal;
use crate::settings::{Settings, SettingsError};
use jiff::Timestamp;

pub(super) async fn status(
    settings: &Settings,
    args: &StatusArgs,
    unusable: Option<SettingsError>,
) -> Result<u8, Complaint> {
    let (status, exit_code) = gather_status(settings, unusable).await;
    if args.json {
        let text =
            serde_json::to_string_pretty(&status).map_err(|e| Complaint::new(exit::NOTHING_CHANGED, e))?;
        say(&format!("{text}\n"));
    } else {
        say(&status_text::text(&status));
    }
    Ok(exit_code)
}

/// The facts that could be read, and the exit code.
async fn gather_status(settings: &Settings, unusable: Option<SettingsError>) -> (Status, u8) {
    let mut status = Status {
        at: Timestamp::now(),
        instance_id: None,
        record_problem: None,
        operation: None,
        driven: journal::is_driven(&settings.state_dir),
        doing: None,
        last: None,
        groups: Vec::new(),
        problems: unusable.iter().map(ToString::to_string).collect(),
    };
    let mut remembered = None;
    match journal::read(&settings.state_dir) {
        Ok(Some(record)) => {
            remembered = Some(who::remembered(&record));
            status.last = record.finished.last().cloned();
            status.operation = record.operation;
            status.doing = progress::written(&settings.state_dir).filter(|_| status.driven);
        }
        Ok(None) => (),
        Err(error) => status.record_problem = Some(error.to_string()),
    }
    // A node in trouble may have neither metadata service nor credentials. Its record still tells who it is.
    let identity = identify(settings).await.ok().or(remembered);
    let mut exit_code = exit::NOTHING_CHANGED;
    match gather::reach(settings).await {
        Ok((load_balancer, _)) => {
            if !add_groups(&mut status, &load_balancer, identity.as_ref(), settings).await {
                exit_code = exit::USAGE;
            }
        }
        Err(complaint) => {
            exit_code = complaint.exit_code;
            status.problems.push(format!("{:#}", complaint.error));
        }
    }
    // An EC2 instance need not be a node: an operator may work on it.
    let is_node =
        status.operation.is_some() || status.groups.iter().any(|group| !group.own_targets.is_empty());
    let is_node = is_node || settings.instance_id.is_some() || status.last.is_some();
    let is_node = is_node || status.record_problem.is_some();
    status.instance_id = identity.map(|identity| identity.instance_id).filter(|_| is_node);
    let problems = status.record_problem.is_some() || !status.problems.is_empty();
    let told_nothing = status.groups.is_empty() && status.operation.is_none() && problems;
    (status, if told_nothing { exit_code } else { exit::DONE })
}

/// False: the groups cannot be found until a person changes the arguments or the permissions.
async fn add_groups(
    status: &mut Status,
    load_balancer: &LoadBalancer,
    identity: Option<&Identity>,
    settings: &Settings,
) -> bool {
    let groups = match groups(load_balancer, identity, settings, status.operation.as_ref()).await {
        Ok(groups) => groups,
        Err(error) => {
            status.problems.push(error.to_string());
            return !error.is_final();
        }
    };
    for (arn, name, kind) in groups {
        let us = identity.map(|identity| identity.own_ids(kind));
        match read_group::read(load_balancer, &arn).await {
            Ok(reading) => status.groups.push(GroupStatus::of(us, name, arn, &reading, status.at)),
            Err(error) => status.problems.push(error.to_string()),
        }
    }
    true
}

/// The groups of this node by record or membership, or all groups if it is in none. As (ARN, name, type of its targets).
async fn groups(
    load_balancer: &LoadBalancer,
    identity: Option<&Identity>,
    settings: &Settings,
    operation: Option<&Operation>,
) -> Result<Vec<(String, String, TargetType)>, MembershipError> {
    let on_record = operation.into_iter().flat_map(Operation::live_groups);
    let on_record = on_record.map(|group| (group.arn.clone(), group.name.clone(), group.target_type));
    let on_record: Vec<_> = on_record.collect();
    if !on_record.is_empty() {
        return Ok(on_record);
    }
    let named = &settings.target_groups;
    let search = Search::of(named);
    let mut groups = patiently(async || own_groups::at_least_one(load_balancer, &search).await).await?;
    if let Some(identity) = identity.filter(|_| named.is_empty()) {
        let found = own_groups::memberships(load_balancer, identity, groups.clone()).await;
        let ours = found?.into_iter().filter(|m| !m.pairs().is_empty()).map(|m| m.group).collect::<Vec<_>>();
        groups = if ours.is_empty() { groups } else { ours };
    }
    Ok(groups.into_iter().map(|group| (group.arn, group.name, group.target_type)).collect())
}
