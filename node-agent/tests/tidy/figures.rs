//! The figures of a source tree, to be compared before and after a change.

use crate::arrows::Arrows;
use crate::checks::{MOST_LINES, all_sleeps, check};
use crate::source::Tree;
use crate::{ALL, IN_FORCE, src};
use std::path::PathBuf;

fn print(tree: &Tree) {
    let arrows = Arrows::of(tree);
    let path = |file: usize| tree.path_of(file);
    let line = |what: &str, count: usize, which: &str| println!("  {what:<42}{count:>6}  {which}");
    println!("{}", tree.name);
    line("files", tree.files.len(), "");
    line(
        "lines of code",
        tree.files.iter().map(|file| file.code).sum(),
        "not blank, no comment, not for tests",
    );
    line("arrows from file to file", arrows.all.len(), "");
    line("arrows from top-level module to another", arrows.between_top_modules(), "");
    let circles = arrows.circles();
    line("circles of files", circles.len(), "");
    for circle in circles {
        let names: Vec<&str> = circle.iter().map(|file| path(*file)).collect();
        println!("    {} files: {}", names.len(), names.join(", "));
    }
    let long = tree.lengths.iter().filter(|(_, lines)| **lines > MOST_LINES);
    let long: Vec<String> = long.map(|(path, lines)| format!("{path} ({lines})")).collect();
    line(&format!("files of more than {MOST_LINES} lines"), long.len(), &long.join(", "));
    let phases: Vec<String> =
        tree.phase_orders.iter().map(|(file, line)| format!("{}:{line}", path(*file))).collect();
    line("phases compared by their order", phases.len(), &phases.join(", "));
    let strays = arrows.strays.iter().map(|(block, defined)| {
        format!(
            "{}:{} {} of {}",
            path(arrows.file(block.module)),
            block.line,
            block.of.join("::"),
            path(*defined)
        )
    });
    let strays: Vec<String> = strays.collect();
    line("`impl`s outside the file of their type", strays.len(), &strays.join(", "));
    let mut sleeps: Vec<&str> = all_sleeps(&arrows).into_iter().map(|(path, ..)| path).collect();
    sleeps.sort_unstable();
    sleeps.dedup();
    line("files that sleep", sleeps.len(), &sleeps.join(", "));
    if std::env::var_os("TIDY_ARROWS").is_some() {
        arrows.all.keys().for_each(|(from, to)| println!("  {}", arrows.words(*from, *to)));
    }
    if std::env::var_os("TIDY_FINDINGS").is_some() {
        for sentence in ALL.iter().flat_map(|what| check(&arrows, *what)) {
            println!("  {sentence}");
        }
    }
    println!();
}

#[test]
fn figures_are_printed_and_every_path_leads_to_a_file() {
    let trees: Vec<PathBuf> = match std::env::var_os("TIDY_SRC") {
        Some(src) => vec![src.into()],
        None => IN_FORCE.iter().map(|(name, _)| src(name)).collect(),
    };
    for src in trees {
        let tree = Tree::read(&src);
        print(&tree);
        let lost: Vec<String> = Arrows::of(&tree)
            .lost
            .iter()
            .map(|(file, line, what)| {
                format!(
                    "{}:{line}: {what} leads to nothing that can be seen. Is it made by a macro?",
                    tree.path_of(*file)
                )
            })
            .collect();
        assert!(lost.is_empty(), "\n{}\n", lost.join("\n"));
    }
}
