//! Sentences about the project that can be compared with it.

use crate::page::{page, pages, root};
use std::collections::BTreeSet;

const MEMBERS: [&str; 4] = ["hello-service", "local-alb", "node-agent", "rehearsal"];

fn manifest(member: &str) -> String {
    std::fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap()
}

/// Whether one crate of ours depends on another, for its tests or for itself.
fn depends(member: &str, on: &str) -> bool {
    manifest(member)
        .lines()
        .any(|line| line.starts_with(&format!("{on}.")) || line.starts_with(&format!("{on} =")))
}

#[test]
fn the_rehearsal_uses_the_other_three_crates_which_never_import_each_other() {
    for member in MEMBERS {
        for other in MEMBERS.iter().filter(|other| **other != member) {
            let allowed = member == "rehearsal";
            assert_eq!(depends(member, other), allowed, "{member} on {other}");
        }
    }
}

#[test]
fn the_map_names_every_crate() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = MEMBERS.map(|member| format!("{member:?}")).join(", ");
    assert!(workspace.contains(&format!("members = [{members}]")), "the crates are others than {members}");
    let code = page("ARCHITECTURE.md").code();
    for member in MEMBERS {
        assert!(code.iter().any(|name| name == member), "ARCHITECTURE.md does not name {member}");
    }
}

#[test]
fn the_pages_ask_for_the_rust_that_the_workspace_asks_for() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let line = workspace.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    let sentence = format!("Rust {} or later", line.trim_matches('"'));
    for name in ["README.md", "CONTRIBUTING.md"] {
        assert!(page(name).text.contains(&sentence), "{name}: {sentence}");
    }
}

#[test]
fn contributing_names_every_check_and_ci_runs_them() {
    let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    let contributing = page("CONTRIBUTING.md").code();
    let scripts = std::fs::read_dir(root().join("scripts")).unwrap();
    let scripts: Vec<_> = scripts.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let checks: Vec<_> = scripts.iter().filter(|name| name.starts_with("check-")).collect();
    assert!(checks.len() >= 5, "{checks:?}");
    for check in checks {
        let script = format!("scripts/{check}");
        assert!(contributing.contains(&script), "CONTRIBUTING.md does not name {script}");
        assert!(ci.contains(&script), ".ci/run does not run {script}");
    }
    assert!(!ci.contains("scripts/fuzz"), "CONTRIBUTING.md says that .ci/run leaves it out");
}

#[test]
fn the_page_of_exit_codes_has_the_table_of_the_program() {
    let page = page("docs/exit-codes.md").text;
    let table = page.split_once("\n| code |").map(|(_, rest)| format!("| code |{rest}"));
    assert_eq!(table.unwrap_or_default(), node_agent::exit::page());
}

#[test]
fn the_page_of_the_lease_has_every_rule_that_the_code_cites() {
    let lease = page("docs/lease.md").text;
    for rule in 1..=5 {
        assert!(lease.contains(&format!("- **R{rule}. ")), "R{rule}");
    }
}

#[test]
fn no_page_names_a_variable_that_nothing_reads() {
    let program = node_agent::cli::command();
    let variables =
        program.get_arguments().filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned));
    let variables: BTreeSet<_> = variables.collect();
    for page in pages() {
        for code in page.code().iter().filter(|code| code.starts_with("NODE_AGENT_")) {
            let known = variables.contains(code) || code == "NODE_AGENT_LOG";
            assert!(known, "{} names {code}, which nothing reads", page.name);
        }
    }
}
