//! The text of `status` in the situations that people look at it in. `tests/snapshots/status.snap` has all of them.

use super::*;
use crate::aws::load_balancer::{CallError, CallErrorKind};
use crate::aws::target_group::{Attributes, OwnIds, Target, TargetHealth, TargetState};
use crate::lease::snapshot::GroupSnapshot;
use crate::machine::time::Moment;
use crate::record::journal::JournalError;
use crate::record::phase::Phase::{AcquireLease, Drain, Drained, Halted, RunCommand};
use crate::record::{Failure, Finished, Operation, Request, Verdict};
use crate::settings::Settings;
use std::collections::BTreeMap;

const ME: &str = "i-0a000000000000001";
const SECOND: &str = "i-0a000000000000002";
const THIRD: &str = "i-0a000000000000003";
const GONE: &str = "i-0a000000000000009";

fn at(time: &str) -> Timestamp {
    format!("2026-01-02T{time}Z").parse().unwrap()
}

/// This node at 02:00 with nothing on record.
fn node() -> Status {
    Status {
        at: at("02:00:00"),
        instance_id: Some(ME.to_owned()),
        record_problem: None,
        operation: None,
        driven: false,
        doing: None,
        last: None,
        groups: Vec::new(),
        problems: Vec::new(),
    }
}

/// An operator's machine.
fn laptop() -> Status {
    Status { instance_id: None, ..node() }
}

impl Status {
    fn maintained_at(self, phase: Phase, since: &str) -> Status {
        let began = Moment { boot_id: "boot".to_owned(), uptime_ms: 0, utc: at(since) };
        let request = Request::new("kernel-2026-01".to_owned(), Settings::default());
        Status {
            operation: Some(Operation { phase, ..Operation::new(request, began) }),
            driven: true,
            ..self
        }
    }

    fn without_a_driver(self) -> Status {
        Status { driven: false, ..self }
    }

    fn waiting_for(self, what: &str) -> Status {
        Status { doing: Some(what.to_owned()), ..self }
    }

    fn because(mut self, reason: &str) -> Status {
        let operation = self.operation.as_mut().unwrap();
        operation.failure = Some(Failure {
            phase: operation.phase,
            reason: reason.to_owned(),
            configuration: false,
            turned_back: None,
        });
        self
    }

    fn after(self, verdict: Verdict, reason: Option<&str>) -> Status {
        let last = Finished {
            id: "kernel-2025-12".to_owned(),
            also: Vec::new(),
            verdict,
            exit_code: 0,
            at: at("00:30:00"),
            reason: reason.map(str::to_owned),
            turned_back: None,
            phases: Vec::new(),
            boots: 1,
            reboot: None,
        };
        Status { last: Some(last), ..self }
    }

    fn with(mut self, group: Group) -> Status {
        let (name, arn) = (group.name.to_owned(), format!("arn:{}", group.name));
        let snapshot = GroupSnapshot::of(group.attributes, &group.tags, group.targets);
        let us = self.instance_id.as_deref().map(|instance| OwnIds { instance, addresses: &[] });
        self.groups.push(GroupStatus::of(us, name, arn, &snapshot, self.at));
        self
    }

    fn with_a_problem(mut self, problem: &str) -> Status {
        self.problems.push(problem.to_owned());
        self
    }
}

struct Group {
    name: &'static str,
    attributes: Attributes,
    tags: BTreeMap<String, String>,
    targets: Vec<TargetState>,
}

/// A target group with three healthy nodes.
fn group(name: &'static str) -> Group {
    let target = |id: &str| TargetState {
        target: Target::new(id, 8080),
        zone: None,
        health: TargetHealth::Healthy,
        reason: String::new(),
        administrative_override: None,
    };
    Group {
        name,
        attributes: Attributes { cross_zone: true, ..Attributes::default() },
        tags: BTreeMap::new(),
        targets: [ME, SECOND, THIRD].map(target).to_vec(),
    }
}

impl Group {
    fn tag(mut self, name: &str, value: &str) -> Group {
        self.tags.insert(format!("node-agent/{name}"), value.to_owned());
        self
    }

    fn lease(self, id: &str, value: &str) -> Group {
        self.tag(&format!("lease/{id}"), &format!("v1 {value} op=kernel-2026-01"))
    }

    fn target(mut self, id: &str, health: TargetHealth, reason: &str) -> Group {
        for target in self.targets.iter_mut().filter(|state| state.target.id == id) {
            (target.health, target.reason) = (health, reason.to_owned());
        }
        self
    }
}

/// Every situation with its title.
fn situations() -> Vec<(&'static str, Status)> {
    let held_since = |time| format!("p=held e=1 k=1 at=2026-01-02T{time}Z");
    let out = |group: Group| group.target(ME, TargetHealth::Unused, "Target.NotRegistered");
    let refused = CallError {
        call: "DescribeTargetHealth",
        kind: CallErrorKind::Unknown("dispatch failure: connection refused".to_owned()),
    }
    .to_string();
    vec![
        ("an idle node", node().with(group("web"))),
        (
            "an idle node whose last maintenance failed",
            node()
                .after(Verdict::FailedButRestored, Some("run_command: `dnf -y upgrade` exited with 1"))
                .with(group("web").lease(ME, "p=failed e=1 at=2026-01-02T00:30:00Z")),
        ),
        (
            "a node in the queue",
            node().maintained_at(AcquireLease, "01:55:00").waiting_for("waiting for a slot").with(
                group("web")
                    .lease(SECOND, &held_since("01:57:00"))
                    .lease(ME, "p=waiting e=2 t=1 s=1 at=2026-01-02T01:55:00Z")
                    .lease(THIRD, "p=waiting e=3 t=2 s=1 at=2026-01-02T01:56:00Z")
                    .target(SECOND, TargetHealth::Draining, "Target.DeregistrationInProgress"),
            ),
        ),
        (
            "a drained node",
            node().maintained_at(Drained, "01:30:00").with(out(group("web")).lease(ME, &held_since("01:29:00"))),
        ),
        (
            "a drained node without a driver",
            node()
                .maintained_at(Drained, "01:30:00")
                .without_a_driver()
                .with(out(group("web")).lease(ME, &held_since("01:29:00"))),
        ),
        (
            "a halted node",
            node()
                .maintained_at(Halted, "01:00:00")
                .because("check_health: gave up after 10m; repair the service, then run `node-agent resume`")
                .with(out(group("web")).lease(ME, "p=halted e=1 k=1 at=2026-01-02T00:50:00Z")),
        ),
        (
            "an interrupted maintenance",
            node()
                .maintained_at(RunCommand, "01:50:00")
                .without_a_driver()
                .with(out(group("web")).lease(ME, &held_since("01:48:00"))),
        ),
        ("a paused group", node().with(group("web").tag("paused", "release day"))),
        (
            "too many failures",
            node().with(group("web").tag("max-failures", "1").lease(SECOND, "p=failed e=1").lease(
                THIRD,
                "p=halted e=2 k=1 at=2026-01-02T01:00:00Z",
            )),
        ),
        (
            "a group that cannot spare a node",
            node().with(group("web").tag("fleet-size", "3").target(
                THIRD,
                TargetHealth::Unhealthy,
                "Target.ResponseCodeMismatch",
            )),
        ),
        ("an unreadable policy", node().with(group("web").tag("max-unavailable", "half"))),
        (
            "an operator's laptop, with two groups",
            laptop().with(group("api")).with(group("web").lease(SECOND, &held_since("01:57:00"))),
        ),
        (
            "leases that need an operator",
            laptop().with(
                group("web")
                    .tag("max-unavailable", "2")
                    .lease(SECOND, &held_since("00:10:00"))
                    .lease(THIRD, "p=broken e=2 at=2026-01-02T01:00:00Z")
                    .lease(GONE, "p=waiting e=3 t=1 s=1 at=2026-01-01T01:00:00Z"),
            ),
        ),
        (
            "a node that is out while the API is unreachable",
            node()
                .maintained_at(Drain, "01:59:00")
                .waiting_for("waiting for the drain to end")
                .with_a_problem(&refused),
        ),
        (
            "a node whose record is not for this user",
            Status {
                record_problem: Some(
                    JournalError::Denied {
                        what: "read the record",
                        path: "/var/lib/node-agent/record.json".into(),
                        cause: std::io::Error::from_raw_os_error(13),
                    }
                    .to_string(),
                ),
                ..node().with(group("web"))
            },
        ),
        (
            "a machine without credentials",
            laptop().with_a_problem(
                "failed to get AWS credentials: no providers in chain provided credentials; attach an instance profile",
            ),
        ),
    ]
}

#[test]
fn each_situation_reads_as_reviewed() {
    let shown = situations().into_iter().map(|(title, status)| format!("## {title}\n\n{}", text(&status)));
    let all = shown.collect::<Vec<_>>().join("\n");
    insta::with_settings!({ snapshot_path => "../../../tests/snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("status", all);
    });
}

#[test]
fn the_table_of_leases_is_aligned() {
    let status = laptop().with(group("web").lease("i-01234567", "p=held e=1").lease(ME, "p=waiting e=2 t=1"));
    let text = text(&status);
    let lines: Vec<_> = text.lines().skip_while(|line| !line.starts_with("leases")).take(3).collect();
    let column = |line: &str, word| line.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
    assert_eq!(column(lines[0], "state"), column(lines[1], "held"));
    assert_eq!(column(lines[0], "place"), column(lines[2], " 1 ") + 1);
    assert_eq!(column(lines[0], "operation"), column(lines[1], "kernel-2026-01"));
    assert_eq!(column(lines[0], "operation"), column(lines[2], "kernel-2026-01"));
}
