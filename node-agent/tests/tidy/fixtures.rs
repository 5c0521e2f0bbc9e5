//! Small trees with one thing wrong in each, and the sentence that finds it.

use crate::arrows::Arrows;
use crate::checks::{Check, check};
use crate::source::Tree;
use crate::{ALL, FOLDERS};
use std::collections::BTreeMap;

const ORDER: Check = Check::Order(&FOLDERS);

/// A crate of these files. Modules are declared where the paths say that they are: every `mod.rs` and `lib.rs` is made, or
/// made longer.
fn tree(files: &[(&str, &str)]) -> Tree {
    let mut texts: BTreeMap<String, String> =
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    let mut parents: BTreeMap<String, String> = BTreeMap::new();
    for (path, _) in files {
        let mut path = path.trim_end_matches(".rs").trim_end_matches("/mod");
        while !["", "lib", "main"].contains(&path) {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let parent = if folder.is_empty() { "lib.rs".to_owned() } else { format!("{folder}/mod.rs") };
            let declared = format!("pub mod {name};\n");
            let declarations = parents.entry(parent).or_default();
            if !declarations.contains(&declared) {
                declarations.push_str(&declared);
            }
            path = folder;
        }
    }
    for (path, declarations) in parents {
        let text = texts.entry(path).or_default();
        *text = format!("{text}\n{declarations}");
    }
    Tree::parse("fixture", &texts)
}

fn found(files: &[(&str, &str)], what: Check) -> Vec<String> {
    check(&Arrows::of(&tree(files)), what)
}

fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    let tree = tree(files);
    let arrows = Arrows::of(&tree);
    assert!(arrows.lost.is_empty(), "{:?}", arrows.lost);
    arrows.all.keys().map(|(from, to)| arrows.words(*from, *to)).collect()
}

/// There is one finding, and it says all this.
fn assert_says(found: &[String], words: &[&str]) {
    assert_eq!(found.len(), 1, "{found:#?}");
    for words in words {
        assert!(found[0].contains(words), "{words:?} is not in {:?}", found[0]);
    }
}

#[test]
fn a_tree_in_order_has_nothing_to_complain_about() {
    let files = [
        ("lib.rs", "pub use cli::run;"),
        ("main.rs", "fn main() { fixture::run(); }"),
        ("cli/mod.rs", "pub fn run() { status::status(); }"),
        ("cli/status.rs", "use crate::record::Record; pub fn status() -> Option<Record> { None }"),
        ("record/mod.rs", "pub use operation::Record;"),
        (
            "record/operation.rs",
            "use crate::aws::target_group::Target; pub struct Record(Target, crate::exit::Code);",
        ),
        ("maintenance/wait.rs", "pub async fn wait() { tokio::time::sleep(crate::exit::LENGTH).await; }"),
        ("aws/target_group.rs", "pub struct Target;"),
        ("exit.rs", "pub type Code = u8; pub const LENGTH: u8 = 1;"),
    ];
    for what in ALL {
        assert_eq!(found(&files, what), Vec::<String>::new(), "{what:?}");
    }
}

#[test]
fn an_arrow_up_the_order_is_found_with_its_line_and_what_to_do() {
    let files = [
        ("cli/args.rs", "pub struct Args;"),
        ("lease/queue.rs", "//! The queue.\n\nuse crate::cli::args::Args;\npub struct Queue(Args);"),
    ];
    assert_says(
        &found(&files, ORDER),
        &[
            "lease/queue.rs:3 -> cli/args.rs (crate::cli::args::Args) is against the order",
            "lease stands below cli",
            "Move what is needed into lease or further down",
        ],
    );
}

#[test]
fn an_arrow_up_the_order_does_not_hide_behind_a_re_export() {
    let files = [
        ("aws/mod.rs", "pub use crate::agent::Driver;"),
        ("agent/mod.rs", "pub struct Driver;"),
        ("lease/tag.rs", "fn tag() -> Option<crate::aws::Driver> { None }"),
    ];
    let found = found(&files, ORDER);
    assert_says(&found[..1], &["aws/mod.rs:1 -> agent/mod.rs (crate::agent::Driver)"]);
    assert_says(&found[1..], &["lease/tag.rs:1 -> agent/mod.rs (crate::aws::Driver)"]);
}

#[test]
fn the_lease_may_name_target_groups_and_nothing_else_of_aws() {
    let files = [
        ("aws/load_balancer.rs", "pub struct LoadBalancer;"),
        ("aws/target_group.rs", "pub struct Target;"),
        ("lease/queue.rs", "use crate::aws::{load_balancer::LoadBalancer, target_group::Target};"),
    ];
    assert_says(
        &found(&files, ORDER),
        &["lease/queue.rs:1 -> aws/load_balancer.rs", "of aws, lease may name target_group alone"],
    );
}

#[test]
fn nothing_points_to_the_top_of_the_crate() {
    let files = [("lib.rs", "pub struct Everything;"), ("lease/tag.rs", "use crate::Everything;")];
    assert_says(
        &found(&files, ORDER),
        &["lease/tag.rs:1 -> lib.rs", "Move what is needed there into a folder"],
    );
}

#[test]
fn a_file_in_no_folder_is_found() {
    let files = [("waiting.rs", "")];
    assert_says(
        &found(&files, ORDER),
        &["waiting.rs lies in no folder of the order", "cli -> client -> agent"],
    );
}

#[test]
fn functions_of_another_folders_type_are_found() {
    let files = [
        ("record/operation.rs", "pub struct Operation;"),
        ("cli/resume.rs", "use crate::record::operation::Operation;\nimpl Operation { fn resume(&self) {} }"),
        ("record/going_down.rs", "use super::operation::Operation; impl Operation { fn boot(&self) {} }"),
    ];
    assert_says(
        &found(&files, ORDER),
        &["cli/resume.rs:2 has an `impl Operation`", "record/operation.rs", "move these functions there"],
    );
}

#[test]
fn a_circle_of_files_is_found_with_the_shortest_way_around() {
    let files = [
        ("agent.rs", "use crate::node::Place;"),
        ("node.rs", "use crate::process::Process;\npub struct Place;"),
        ("process.rs", "use crate::agent;\nuse crate::node::Place; pub struct Process;"),
        ("report.rs", "use crate::agent;"),
    ];
    assert_says(
        &found(&files, Check::NoCircle),
        &[
            "3 files point to each other in a circle: agent.rs, node.rs, process.rs.",
            "node.rs:1 -> process.rs (crate::process::Process), process.rs:2 -> node.rs (crate::node::Place).",
            "Move what both sides need into a file below them",
        ],
    );
}

#[test]
fn a_parent_that_uses_the_child_that_uses_it_is_a_circle() {
    let child = ("api/tags.rs", "use super::Answer; pub struct Query(Answer);");
    let calls = ("api/mod.rs", "pub struct Answer; fn call() { tags::Query; }");
    assert_says(&found(&[calls, child], Check::NoCircle), &["api/mod.rs:1 -> api/tags.rs (tags::Query)"]);
    let shows = ("api/mod.rs", "pub struct Answer; pub use tags::Query;");
    assert_eq!(found(&[shows, child], Check::NoCircle), Vec::<String>::new());
    let shows_and_uses = ("api/mod.rs", "pub struct Answer; pub use tags::Query; fn ask(_: Query) {}");
    assert_says(&found(&[shows_and_uses, child], Check::NoCircle), &["api/mod.rs:1 -> api/tags.rs (Query)"]);
}

#[test]
fn a_circle_through_the_functions_of_a_shared_type_is_found() {
    let files = [
        ("driver.rs", "pub struct Driver;\nimpl Driver { fn drive(&self) { self.keep_lease(); } }"),
        ("lease_tags.rs", "use crate::driver::Driver; impl Driver { pub fn keep_lease(&self) {} }"),
    ];
    assert_says(&found(&files, Check::NoCircle), &["driver.rs:2 -> lease_tags.rs (Driver::keep_lease)"]);
}

#[test]
fn a_file_of_one_line_too_many_is_found_tests_included() {
    let long = "//\n".repeat(351);
    let texts = [("lib.rs", "#[cfg(test)] mod tests; mod b;"), ("tests.rs", &long), ("b.rs", &long[3..])];
    let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let found = check(&Arrows::of(&Tree::parse("fixture", &texts.into())), Check::Length);
    assert_says(&found, &["tests.rs has 351 lines, the most is 350", "move a part"]);
}

#[test]
fn a_sleep_in_the_maintenance_is_found_unless_it_is_in_wait() {
    let files = [
        ("maintenance/wait.rs", "use tokio::time::sleep; pub async fn sleep_until() {}"),
        (
            "maintenance/drain.rs",
            "async fn run() {\n    tokio::select! { _ = tokio::time::sleep(LONG) => {} }\n}",
        ),
        ("maintenance/reboot.rs", "async fn run() { super::wait::sleep_until().await; }"),
        ("agent/unit.rs", "use tokio::time::sleep;"),
    ];
    assert_says(
        &found(&files, ORDER),
        &[
            "maintenance/drain.rs:2 sleeps (tokio::time::sleep)",
            "Wait for a condition with what wait.rs offers",
        ],
    );
    let imported = [("maintenance/steps/drain.rs", "use tokio::time::{self, sleep};")];
    assert_says(&found(&imported, ORDER), &["maintenance/steps/drain.rs:1 sleeps"]);
}

#[test]
fn phases_compared_by_their_order_are_found_in_code_and_in_macros() {
    let compared = [
        "phase < Phase::Drain",
        "phase >= other",
        "operation.phase > last",
        "first <= Phase::Drain",
        "(Phase::Drain..=Phase::Reboot).contains(&other)",
        "debug_assert!(phase < last)",
        "assert!(last >= Phase::Drain, \"{last}\")",
    ];
    for code in compared {
        let text = format!("fn f() {{\n {code};\n}}");
        assert_says(
            &found(&[("a.rs", &text)], Check::NoPhaseOrder),
            &["a.rs:2 compares phases", "ask for the phase's stage"],
        );
    }
    let fine = [
        "phase == Phase::Drain",
        "matches!(phase, Phase::Drain | Phase::Reboot)",
        "let phases: Vec<Phase> = Vec::new()",
        "trace!(x = match phase { phase => Phase::Drain })",
        "stage < last",
    ];
    for code in fine {
        let text = format!("fn f() {{ {code}; }}");
        assert_eq!(found(&[("a.rs", &text)], Check::NoPhaseOrder), Vec::<String>::new(), "{code}");
    }
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let target =
        ("b.rs", "pub struct B; pub const N: u8 = 0; pub fn make() {} pub mod inner { pub struct C; }");
    let ways = [
        "use crate::{c::{}, b::{B as Other}};",
        "use crate::b; fn f() { b::make() }",
        "use super::b::*;",
        "fn f() -> Vec<crate::b::B> { Vec::new() }",
        "fn f() { println!(\"{}\", [1, crate::b::N].len()) }",
        "struct A { #[serde(with = \"crate::b::inner\")] a: u8 }",
        "#[derive(Args)] struct A { #[arg(default_value_t = crate::b::N)] a: u8 }",
        "impl self::Local for crate::b::B {} trait Local {}",
        "mod within { use super::super::b::inner::C; }",
        "fn f() { use crate::b::make; make() }",
        "fn f() { match 0 { crate::b::N => {}, _ => {} } }",
    ];
    for way in ways {
        let found = arrows(&[("a.rs", way), target, ("c.rs", "")]);
        assert_eq!(found.len(), 1, "{way}: {found:?}");
        assert!(found[0].starts_with("a.rs:1 -> b.rs ("), "{way}: {found:?}");
    }
}

#[test]
fn re_exports_and_other_names_are_followed_to_the_file_that_defines() {
    let files = |text| {
        let door = ("door.rs", "pub use crate::c::*; pub use crate::c::C as Sea; pub use crate::c as again;");
        [("a.rs", text), ("c.rs", "pub struct C; pub fn c() {}"), door]
    };
    let ways = [
        "use crate::door::C;",
        "use crate::door::Sea;",
        "use crate::door::again::C;",
        "use crate::door as other; fn f() -> other::Sea { other::Sea }",
        "use crate::door::again as other; fn f() { other::c() }",
    ];
    for way in ways {
        assert!(arrows(&files(way))[0].starts_with("a.rs:1 -> c.rs ("), "{way}: {:?}", arrows(&files(way)));
    }
}

#[test]
fn what_is_for_tests_alone_and_what_only_looks_like_a_path_does_not_count() {
    let target = ("b.rs", "pub struct B;");
    let ways = [
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(all(test, unix))] use crate::b::B;",
        "struct A; impl A { #[cfg(test)] fn new() -> crate::b::B { crate::b::B } }",
        "/// See [`crate::b::B`].\npub(crate) struct A; // crate::b::B",
        "fn f() { let b = \"crate::b::B\"; b.len(); }",
        "use std::b::B; fn f() -> other::b::B { ::b::B }",
    ];
    for way in ways {
        assert_eq!(arrows(&[("a.rs", way), target]), Vec::<String>::new(), "{way}");
    }
    assert_eq!(arrows(&[("c/d.rs", "pub(in crate::c) fn f() {}")]), Vec::<String>::new());
}

#[test]
fn lines_of_code_are_those_that_are_built() {
    let text = "//! A.\n\nuse std::fmt; // why\n\n/// B.\npub fn b() {\n}\n\n#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n";
    assert_eq!(tree(&[("lib.rs", text)]).files[0].code, 3);
}
