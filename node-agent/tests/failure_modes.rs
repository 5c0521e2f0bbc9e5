//! docs/failure-modes.md names a test in every row, and each of them exists.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]

use std::path::Path;

#[test]
fn every_row_of_the_failure_modes_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join("docs/failure-modes.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what happens |"));
    let mut found = 0;
    for row in rows {
        let named = row.trim_end_matches(" |").rsplit("| ").next().unwrap_or_default().trim_matches('`');
        let (file, test) = named.split_once("::").unwrap_or_else(|| panic!("no test in this row: {row}"));
        let source =
            std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let exists = source.contains(&format!("fn {test}(")) || source.contains(&format!(": {test},"));
        assert!(exists, "{file} has no test {test}");
        found += 1;
    }
    assert!(found > 30, "{found} rows");
}
