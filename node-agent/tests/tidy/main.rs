//! The structure of the source: which file needs which, in which order the folders stand, how long the files are.
//!
//! An arrow goes from a file to the file that defines what it names: in a `use`, a path, a macro's arguments, an `impl`.
//! Re-exports are followed to where the thing is defined. Code for tests alone does not count: what is behind
//! `#[cfg(test)]`, and files that only such modules lead to.
//!
//! A `mod.rs` is a file like any other, so a parent and its child that need each other are a circle. One thing is
//! allowed: a folder's front door. `mod child;` and `pub use child::Thing;` in the parent are no arrow to the child, as
//! long as the parent does not use `Thing` itself. So a parent either calls its children, which then need nothing that it
//! defines, or it defines what they need and only shows them.
//!
//! When one type's functions are spread over several files, whoever knows the type and calls such a function points to the
//! file that has it, if no other type has a function of that name.
//!
//! `cargo test -p node-agent --test tidy figures -- --nocapture` prints the figures. `TIDY_SRC=other/src` prints those of
//! another source tree; `TIDY_ARROWS=1` adds the arrows, and `TIDY_FINDINGS=1` every sentence of every check, of those too
//! that are not in force.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test says what it expects by panicking, prints its figures, and has no users"
)]

mod arrows;
mod checks;
mod figures;
mod fixtures;
mod mentions;
mod names;
mod source;

use arrows::Arrows;
use checks::{Check, Order, check};
use source::Tree;
use std::path::{Path, PathBuf};

/// The folders of node-agent, from top to bottom.
const FOLDERS: Order = Order {
    folders: &[
        "cli",
        "client",
        "agent",
        "maintenance",
        "record",
        "lease",
        "aws",
        "settings",
        "machine",
        "exit",
    ],
    only: &[("record", "aws", "target_group"), ("lease", "aws", "target_group")],
};

/// Everything that can be checked.
const ALL: [Check; 4] = [Check::Length, Check::NoCircle, Check::Order(&FOLDERS), Check::NoPhaseOrder];

/// What is in force, for each crate. Once node-agent's files lie in their folders its line becomes `&ALL`.
const IN_FORCE: [(&str, &[Check]); 3] = [
    ("node-agent", &ALL),
    ("local-alb", &[Check::Length, Check::NoCircle]),
    ("rehearsal", &[Check::Length, Check::NoCircle]),
];

fn src(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(of).join("src")
}

#[test]
fn every_crate_keeps_its_order() {
    let mut found = Vec::new();
    for (name, in_force) in IN_FORCE {
        let tree = Tree::read(&src(name));
        let arrows = Arrows::of(&tree);
        let sentences = in_force.iter().flat_map(|what| check(&arrows, *what));
        found.extend(sentences.map(|sentence| format!("{name}/src: {sentence}")));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// The text of every Rust file of the workspace, tests included.
fn texts(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !["target", ".git"].iter().any(|other| path.ends_with(other)) {
            texts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn the_sdk_behaves_as_of_a_date_and_not_as_the_latest_release_does() {
    let mut found = Vec::new();
    texts(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap(), &mut found);
    let (dated, latest) = (concat!("BehaviorVersion::", "v20"), concat!("BehaviorVersion::", "latest"));
    let with = |what: &str| {
        found.iter().filter(|(_, text)| text.contains(what)).map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert!(with(dated).len() >= 4, "{:?}", with(dated));
    assert_eq!(with(latest), Vec::<&PathBuf>::new());
}
