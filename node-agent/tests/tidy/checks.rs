//! What is checked, and the sentences that say what was found: who points to whom, at which line, and what to do.

use crate::arrows::{Arrows, top};
use crate::source::Tree;

/// The most lines of a file.
pub const MOST_LINES: usize = 350;

/// What a crate can be held to.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// No file is longer than [`MOST_LINES`].
    Length,
    /// No circle of files.
    NoCircle,
    /// Arrows go one way from folder to folder, and only `wait` sleeps in `maintenance`.
    Order(&'static Order),
    /// Phases are not compared by their place in the enum.
    NoPhaseOrder,
}

/// Folders in their order: an arrow stays in its folder or goes to one further down. `lib.rs` and `main.rs` stand above
/// all of them, and nothing points to those two.
#[derive(Debug)]
pub struct Order {
    /// From top to bottom; a single file at the top level counts as a folder.
    pub folders: &'static [&'static str],
    /// (from, to, module): of the folder `to`, the folder `from` may name this module alone.
    pub only: &'static [(&'static str, &'static str, &'static str)],
}

/// Everything that is wrong, a sentence each.
pub fn check(arrows: &Arrows<'_>, what: Check) -> Vec<String> {
    match what {
        Check::Length => too_long(arrows.tree),
        Check::NoCircle => circles(arrows),
        Check::Order(order) => {
            [unplaced(arrows.tree, order), against(arrows, order), strays(arrows), sleeps(arrows)].concat()
        }
        Check::NoPhaseOrder => phase_orders(arrows.tree),
    }
}

fn too_long(tree: &Tree) -> Vec<String> {
    let long = tree.lengths.iter().filter(|(_, lines)| **lines > MOST_LINES);
    long.map(|(path, lines)| {
        format!(
            "{path} has {lines} lines, the most is {MOST_LINES}: move a part that has a name of its own into a file of \
             that name"
        )
    })
    .collect()
}

fn circles(arrows: &Arrows<'_>) -> Vec<String> {
    let sentence = |circle: &Vec<usize>| {
        let way = arrows.shortest_way_around(circle);
        let way: Vec<String> = way.into_iter().map(|(from, to)| arrows.words(from, to)).collect();
        let names: Vec<&str> = circle.iter().map(|file| arrows.tree.path_of(*file)).collect();
        format!(
            "{} files point to each other in a circle: {}. The shortest way around: {}. Move what both sides need into a \
             file below them, or hand it down as an argument",
            circle.len(),
            names.join(", "),
            way.join(", ")
        )
    };
    arrows.circles().iter().map(sentence).collect()
}

/// `lib.rs` and `main.rs` stand above all folders.
fn is_top(path: &str) -> bool {
    path == "lib.rs" || path == "main.rs"
}

fn unplaced(tree: &Tree, order: &Order) -> Vec<String> {
    let paths = tree.files.iter().map(|file| file.path.as_str());
    let unplaced = paths.filter(|path| !is_top(path) && !order.folders.contains(&top(path)));
    unplaced
        .map(|path| {
            format!(
                "{path} lies in no folder of the order: move it into one of {}",
                order.folders.join(" -> ")
            )
        })
        .collect()
}

fn against(arrows: &Arrows<'_>, order: &Order) -> Vec<String> {
    let mut found = Vec::new();
    let place = |folder: &str| order.folders.iter().position(|known| *known == folder);
    for (from_file, to_file) in arrows.all.keys() {
        let (from_path, to_path) = (arrows.tree.path_of(*from_file), arrows.tree.path_of(*to_file));
        let (from, to) = (top(from_path), top(to_path));
        let arrow = arrows.words(*from_file, *to_file);
        if is_top(to_path) {
            found.push(format!(
                "{arrow}: nothing points to {to_path}, which only opens the crate. Move what is needed there into a folder"
            ));
        } else if is_top(from_path) {
        } else if let (Some(high), Some(low)) = (place(from), place(to))
            && high > low
        {
            found.push(format!(
                "{arrow} is against the order: {from} stands below {to}. Move what is needed into {from} or further down, \
                 or let {to} hand it down as an argument"
            ));
        } else if let Some((.., only)) = order.only.iter().find(|(f, t, _)| (*f, *t) == (from, to))
            && top(to_path.split_once('/').unwrap_or_default().1) != *only
        {
            found.push(format!(
                "{arrow}: of {to}, {from} may name {only} alone. Hand in what is needed as a type of {from}, or move it to \
                 {to}/{only}.rs if it says what a target group is"
            ));
        }
    }
    found
}

fn strays(arrows: &Arrows<'_>) -> Vec<String> {
    let path = |file| arrows.tree.path_of(file);
    let far = arrows
        .strays
        .iter()
        .map(|(block, defined)| (*block, path(arrows.file(block.module)), path(*defined)));
    far.filter(|(_, here, defined)| top(here) != top(defined))
        .map(|(block, here, defined)| {
            format!(
                "{here}:{} has an `impl {}`, a type that {defined} defines in another folder: move these functions there, \
                 or make them plain functions here",
                block.line,
                block.of.join("::")
            )
        })
        .collect()
}

/// Functions that let time pass.
const SLEEPS: [&str; 4] = ["sleep", "sleep_until", "interval", "interval_at"];

/// Every place that lets time pass: file, line, path.
pub fn all_sleeps<'a>(arrows: &'a Arrows<'_>) -> Vec<(&'a str, usize, String)> {
    let tree = arrows.tree;
    let imports = tree.modules.iter().enumerate().flat_map(|(module, of)| {
        of.imports
            .iter()
            .map(move |import| (module, &import.path, import.line, tree.resolve_import(module, import)))
    });
    let mentions = tree.mentions.iter().map(|mention| {
        (mention.module, &mention.path, mention.line, tree.resolve(mention.module, &mention.path))
    });
    let sleeps =
        |path: &[String]| path.len() > 1 && path.last().is_some_and(|last| SLEEPS.contains(&last.as_str()));
    imports
        .chain(mentions)
        .filter(|(_, path, _, target)| target.is_none() && sleeps(path))
        .map(|(module, path, line, _)| (tree.path_of(arrows.file(module)), line, path.join("::")))
        .collect()
}

fn sleeps(arrows: &Arrows<'_>) -> Vec<String> {
    let waits = |path: &str| path == "maintenance/wait.rs" || path.starts_with("maintenance/wait/");
    let sleeps =
        all_sleeps(arrows).into_iter().filter(|(path, ..)| path.starts_with("maintenance/") && !waits(path));
    sleeps
        .map(|(path, line, what)| {
            format!(
                "{path}:{line} sleeps ({what}): in maintenance only wait.rs does, where a wait has a deadline, hears a \
                 request to stop and looks after the lease. Wait for a condition with what wait.rs offers"
            )
        })
        .collect()
}

fn phase_orders(tree: &Tree) -> Vec<String> {
    let places = tree.phase_orders.iter().map(|(file, line)| (tree.path_of(*file), line));
    places
        .map(|(path, line)| {
            format!(
                "{path}:{line} compares phases by their place in the enum, which means nothing: ask for the phase's stage, \
                 or name the phases that are meant"
            )
        })
        .collect()
}
