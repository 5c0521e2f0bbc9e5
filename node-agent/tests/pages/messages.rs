//! Messages that docs/failure-modes.md quotes are messages of the program.

use crate::names::tree;
use crate::page::{page, root};

/// The sources of the agent and of its packages, with texts that go on in the next line in one piece.
fn sources() -> String {
    let ours = |path: &String| {
        let source = path.starts_with("node-agent/src/") && path.ends_with(".rs");
        source || path.starts_with("packaging/deb/") || path.starts_with("packaging/rpm/")
    };
    let paths = tree().into_iter().filter(ours).map(|path| root().join(path)).filter(|path| path.is_file());
    let mut all = String::new();
    for path in paths {
        let text = std::fs::read_to_string(path).unwrap();
        let mut parts = text.split("\\\n");
        all.push_str(parts.next().unwrap_or_default());
        parts.for_each(|part| all.push_str(part.trim_start()));
    }
    all
}

/// What stands between quotation marks, without what varies: `...`.
fn quoted(row: &str) -> Vec<&str> {
    let texts = row.split('"').skip(1).step_by(2);
    texts.flat_map(|text| text.split("...")).map(|part| part.trim().trim_end_matches("i-")).collect()
}

#[test]
fn every_message_that_is_quoted_is_one_of_the_program() {
    let (page, sources) = (page("docs/failure-modes.md").text, sources());
    let mut seen = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        for text in quoted(row).into_iter().map(str::trim).filter(|text| !text.is_empty()) {
            // Some errors are put together: `failed to`, and what.
            let what = text.strip_prefix("failed to ").unwrap_or(text);
            assert!(sources.contains(what), "no message has {text:?}: {row}");
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} messages");
}
