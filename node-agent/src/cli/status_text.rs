//! The text of `status`.

use crate::cli::status_facts::{GroupStatus, LeaseStatus, Status};
use crate::machine::time::ago;
use crate::record::phase::Phase;
use jiff::Timestamp;
use std::fmt::Write;

pub(super) fn text(status: &Status) -> String {
    let mut out = String::new();
    if let Some(problem) = &status.record_problem {
        let _ = writeln!(out, "problem   {problem}");
    }
    node(&mut out, status);
    for group in &status.groups {
        if !out.is_empty() {
            out.push('\n');
        }
        self::group(&mut out, group, status.at);
    }
    for problem in &status.problems {
        let _ = writeln!(out, "problem   {problem}");
    }
    out
}

fn node(out: &mut String, status: &Status) {
    let Some(id) = &status.instance_id else { return };
    let _ = writeln!(out, "node      {id}");
    match &status.operation {
        Some(operation) => {
            let _ = writeln!(
                out,
                "phase     {} since {}",
                operation.phase,
                since(operation.phase_began.utc, status.at)
            );
            if let Some(doing) = &status.doing {
                let _ = writeln!(out, "doing     {doing}");
            }
            if !status.driven {
                let advice = match operation.phase {
                    Phase::Drained => "`node-agent rejoin` brings the node back",
                    _ => "`node-agent resume` continues the maintenance",
                };
                let _ = writeln!(out, "driver    not running: {advice}");
            }
            if let Some(failure) = &operation.failure {
                let _ = writeln!(out, "reason    {}", failure.reason);
            }
        }
        None if status.record_problem.is_some() => {
            out.push_str("phase     unknown: the record of this node could not be read\n");
        }
        None => out.push_str("phase     none: no maintenance in progress\n"),
    }
    if let Some(last) = &status.last {
        let reason = last.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let _ = writeln!(out, "last      {}, {}{reason}", last.verdict, since(last.at, status.at));
    }
}

fn group(out: &mut String, group: &GroupStatus, now: Timestamp) {
    let _ = writeln!(
        out,
        "group     {}: {} of {} instances healthy, {}",
        group.name,
        group.healthy,
        group.registered,
        policy(group)
    );
    if let Some(reason) = &group.paused {
        let _ = writeln!(out, "paused    {reason}");
    }
    for target in &group.own_targets {
        let _ = writeln!(out, "target    {} {}", target.target, target.state);
    }
    leases(out, &group.leases, now);
    for (word, remarks) in [("blocks", &group.blocks), ("note", &group.notes)] {
        for remark in remarks {
            let _ = writeln!(out, "{word:<9} {}\n            -> {}", remark.what, remark.advice);
        }
    }
    if group.blocks.is_empty() {
        out.push_str("blocks    nothing: the next node can leave service\n");
    }
}

fn policy(group: &GroupStatus) -> String {
    let (Some(k), Some(slots)) = (group.max_unavailable, group.slots) else {
        return "policy unreadable".to_owned();
    };
    let mut text = format!("at most {k} out (K)");
    if slots < k {
        let _ = write!(text, ", effective limit {slots} until the current holders release");
    }
    match group.fleet_size {
        Some(size) => text += &format!(", fleet of {size} (F)"),
        None => text += ", fleet size counted",
    }
    text
}

fn leases(out: &mut String, leases: &[LeaseStatus], now: Timestamp) {
    if leases.is_empty() {
        out.push_str("leases    none\n");
        return;
    }
    let width = leases.iter().map(|lease| lease.instance_id.len()).max().unwrap_or(0).max("instance".len());
    let heads = ["instance", "state", "place", "since", "operation"];
    let [instance, state, place, since_, operation] = heads;
    let _ = writeln!(out, "leases    {instance:<width$}  {state:<10}  {place:<5}  {since_:<37}  {operation}");
    for lease in leases {
        let place = lease.place.map(|place| place.to_string()).unwrap_or_default();
        let since = lease.since.map(|at| since(at, now)).unwrap_or_default();
        let _ = writeln!(
            out,
            "          {:<width$}  {:<10}  {place:<5}  {since:<37}  {}",
            lease.instance_id, lease.state, lease.operation
        );
    }
}

/// `2026-01-02 03:04:05Z (3 min ago)`
fn since(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", at.strftime("%Y-%m-%d %H:%M:%SZ"), ago(at, now))
}

#[cfg(test)]
mod tests;
