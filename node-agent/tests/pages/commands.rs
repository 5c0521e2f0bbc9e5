//! Commands that a page shows: programs, verbs, flags, scripts and the variables that they read.

use crate::page::{pages, root};
use clap::Command;

/// A command line without its prompt, and the variables that it sets.
fn parsed(code: &str) -> (Vec<&str>, Vec<&str>) {
    let mut words = code.trim_start_matches("$ ").split_whitespace().peekable();
    let mut variables = Vec::new();
    let is_a_name = |name: &str| name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    while let Some((name, _)) =
        words.peek().and_then(|word| word.split_once('=')).filter(|(n, _)| is_a_name(n))
    {
        variables.push(name);
        words.next();
    }
    (words.collect(), variables)
}

/// Every command line in the pages that begins with this program.
fn shown(program: &str) -> Vec<(String, String)> {
    let all =
        pages().into_iter().flat_map(|page| page.code().into_iter().map(move |c| (page.name.clone(), c)));
    all.filter(|(_, code)| parsed(code).0.first().is_some_and(|first| *first == program)).collect()
}

/// Fails unless the program has this verb and these flags.
fn understood(code: &str, words: &[&str]) -> Result<(), String> {
    let program = node_agent::cli::command();
    let mut verb: &Command = &program;
    let mut words = words.iter().copied().take_while(|word| *word != "--").peekable();
    while verb.has_subcommands() {
        let Some(word) = words.next_if(|word| !word.starts_with('-')) else { break };
        verb = verb.find_subcommand(word).ok_or_else(|| format!("{code}: there is no {word}"))?;
    }
    for flag in words.filter(|word| word.starts_with("--")) {
        let name = flag.trim_start_matches('-').split('=').next().unwrap_or_default();
        let its_own = verb.get_arguments().chain(program.get_arguments());
        let known = its_own.filter_map(clap::Arg::get_long).any(|long| long == name);
        if !known && !["help", "version"].contains(&name) {
            return Err(format!("{code}: there is no {flag}"));
        }
    }
    Ok(())
}

#[test]
fn every_verb_and_flag_of_node_agent_exists() {
    let commands = shown("node-agent");
    assert!(commands.len() > 40, "{} commands", commands.len());
    for (page, code) in commands {
        let (words, _) = parsed(&code);
        if let Err(why) = understood(&code, &words[1..]) {
            panic!("{page}: {why}");
        }
    }
}

#[test]
fn a_verb_or_flag_that_does_not_exist_is_found() {
    for wrong in ["maintian", "lease brake", "drain --reboot", "maintain --not-befor 4h"] {
        let words: Vec<_> = wrong.split(' ').collect();
        assert!(understood(wrong, &words).is_err(), "{wrong}");
    }
    let ends_at_the_command = ["maintain", "--reboot", "--", "dnf", "--releasever=2023.12.20260817"];
    assert_eq!(understood("", &ends_at_the_command), Ok(()));
}

#[test]
fn every_script_exists_and_reads_the_variables_that_are_set_for_it() {
    let mut seen = 0;
    for (page, code) in
        pages().iter().flat_map(|page| page.code().into_iter().map(|c| (page.name.clone(), c)))
    {
        let (words, variables) = parsed(&code);
        let Some(script) = words.first().filter(|first| first.starts_with("scripts/")) else { continue };
        let text =
            std::fs::read_to_string(root().join(script)).unwrap_or_else(|e| panic!("{page}: {script}: {e}"));
        for variable in variables {
            assert!(text.contains(&format!("${{{variable}")), "{page}: {script} does not read {variable}");
        }
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(text.contains(*flag), "{page}: {script} has no {flag}");
        }
        seen += 1;
    }
    assert!(seen > 15, "{seen} scripts");
}

#[test]
fn every_package_test_and_example_of_a_cargo_command_exists() {
    let commands = shown("cargo");
    assert!(commands.len() > 5, "{} commands", commands.len());
    for (page, code) in commands {
        let (words, _) = parsed(&code);
        let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1));
        let package = after("-p").copied().unwrap_or("rehearsal");
        let folder = root().join(package);
        assert!(folder.join("Cargo.toml").exists(), "{page}: {code}: there is no package {package}");
        for (flag, below) in [("--test", "tests"), ("--example", "examples")] {
            let Some(name) = after(flag) else { continue };
            let files = [format!("{below}/{name}.rs"), format!("{below}/{name}/main.rs")];
            assert!(
                files.iter().any(|file| folder.join(file).exists()),
                "{page}: {code}: there is no {name}"
            );
        }
    }
}
