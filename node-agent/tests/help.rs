//! The help of the program and of each verb, hidden ones included, for review in `tests/snapshots`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]

use clap::Command;

/// The command line without what the environment of the test would add to its help.
fn program() -> Command {
    let program = node_agent::cli::command().term_width(100);
    program.mut_args(|argument| argument.hide_env_values(true))
}

/// The verbs below this one, each with its path.
fn verbs(of: &Command, path: &str) -> Vec<(String, Command)> {
    let below = of.get_subcommands().filter(|verb| verb.get_name() != "help");
    below
        .flat_map(|verb| {
            let path = format!("{path} {}", verb.get_name());
            let below = verbs(verb, &path);
            [vec![(path, verb.clone())], below].concat()
        })
        .collect()
}

#[test]
fn the_help_of_the_program_reads_as_reviewed() {
    insta::assert_snapshot!("program", program().render_long_help());
}

#[test]
fn the_help_of_each_verb_reads_as_reviewed() {
    // The settings are part of the help of each verb. The program's snapshot has them.
    let mut program = program().mut_args(|argument| argument.hide(true));
    program.build();
    let verbs = verbs(&program, "node-agent");
    assert!(verbs.len() >= 14, "{} verbs", verbs.len());
    let shown = verbs.into_iter().map(|(path, mut verb)| format!("## {path}\n\n{}", verb.render_long_help()));
    insta::assert_snapshot!("verbs", shown.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_help_of_each_verb_shows_the_settings() {
    let mut program = program();
    program.build();
    for (path, mut verb) in verbs(&program, "node-agent") {
        let help = verb.render_long_help().to_string();
        assert!(help.contains("[default: 4h]") && help.contains("such as 30s, 10m or 4h"), "{path}: {help}");
    }
}
