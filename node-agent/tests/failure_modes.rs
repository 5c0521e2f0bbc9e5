//! docs/failure-modes.md names a test in every row. Each of them exists, and expects the messages that its row quotes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]

use std::collections::BTreeSet;
use std::path::Path;

/// A row of the page: the file and the name of its test.
struct Row {
    text: String,
    file: String,
    test: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("docs/failure-modes.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what happens |"));
    let row = |row: &str| {
        let named = row.trim_end_matches(" |").rsplit("| ").next().unwrap_or_default().trim_matches('`');
        let (file, test) = named.split_once("::").unwrap_or_else(|| panic!("no test in this row: {row}"));
        Row { text: row.to_owned(), file: file.to_owned(), test: test.to_owned() }
    };
    rows.map(row).collect()
}

/// The source of a file, with texts that go on in the next line in one piece.
fn source(file: &str) -> String {
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut parts = text.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| whole + part.trim_start())
}

/// The functions and constants of a source, each with its text.
fn items(source: &str) -> Vec<(&str, &str)> {
    let named = |start: usize, keyword: &str| {
        let rest = source.get(start + keyword.len()..)?;
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        // An item ends where the next one of its depth does: at a brace, or at a semicolon, in its first column.
        let line = source.get(..start)?.rsplit('\n').next()?;
        let indent = line.chars().take_while(|c| *c == ' ').count();
        let brace = format!("\n{}}}\n", " ".repeat(indent));
        let end = match keyword {
            "const " => rest.find(";\n"),
            _ => rest.find(&brace),
        };
        Some((name, rest.get(..end?)?))
    };
    let found = |keyword: &'static str| {
        source.match_indices(keyword).filter_map(move |(start, _)| named(start, keyword)).collect::<Vec<_>>()
    };
    [found("fn "), found("const ")].concat()
}

/// The text of a test, with that of everything in its file that it names.
fn expectations(source: &str, test: &str) -> String {
    let items = items(source);
    let (mut seen, mut all, mut next) = (BTreeSet::new(), String::new(), vec![test]);
    while let Some(name) = next.pop() {
        for (_, text) in items.iter().filter(|(item, _)| *item == name).filter(|_| seen.insert(name)) {
            all.push_str(text);
            let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            next.extend(items.iter().map(|(item, _)| *item).filter(|item| words.contains(item)));
        }
    }
    all
}

/// What stands between quotation marks, without what varies: `...`. An argument such as `"$0"` is no message.
fn quoted(row: &str) -> impl Iterator<Item = &str> {
    let texts = row.split('"').skip(1).step_by(2).filter(|text| !text.starts_with('$'));
    let parts = texts.flat_map(|text| text.split("..."));
    parts
        .map(|part| part.trim().trim_end_matches("i-").trim_matches([' ', ',']))
        .filter(|part| !part.is_empty())
}

#[test]
fn every_row_of_the_failure_modes_names_a_test_that_exists() {
    let rows = rows();
    for Row { file, test, .. } in &rows {
        let source = source(file);
        let exists = source.contains(&format!("fn {test}(")) || source.contains(&format!(": {test},"));
        assert!(exists, "{file} has no test {test}");
    }
    assert!(rows.len() > 30, "{} rows", rows.len());
}

#[test]
fn every_message_that_a_row_quotes_is_expected_by_its_test() {
    let (mut seen, mut missing) = (0, Vec::new());
    for Row { text, file, test } in rows() {
        let source = source(&file);
        let expected = expectations(&source, &test);
        for message in quoted(&text) {
            seen += 1;
            if !expected.contains(message) {
                missing.push(format!("{file}::{test} does not expect {message:?}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(seen > 90, "{seen} messages");
}

#[test]
fn a_test_expects_what_it_and_its_helpers_say() {
    let source = "const SAID: &str = \"by a constant\";\n\nfn helper() {\n    says(SAID);\n}\n\nfn test() {\n    helper();\n    \
                  says(\"by itself\");\n}\n\nfn other() {\n    says(\"by another\");\n}\n";
    let expected = expectations(source, "test");
    assert!(expected.contains("by itself") && expected.contains("by a constant"), "{expected}");
    assert!(!expected.contains("by another"), "{expected}");
    let row = r#"| x | "failed to read ... again", exit code 2 | `--run "$0"` | `a.rs::b` |"#;
    assert_eq!(quoted(row).collect::<Vec<_>>(), ["failed to read", "again"]);
}
