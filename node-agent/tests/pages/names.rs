//! Links, files, folders and functions.

use crate::page::{page, pages, root};
use std::path::Path;

const SUFFIXES: [&str; 7] = [".rs", ".md", ".toml", ".tf", ".py", ".yaml", ".service"];
/// What is made by a build, or stands on a node and not here.
const ELSEWHERE: [&str; 3] = ["target/", "/", "~"];

/// All files and folders of the project, by their path below its root.
pub(crate) fn tree() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if ["target", ".git", ".terraform"].contains(&name) {
                continue;
            }
            found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            if path.is_dir() {
                walk(&path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found
}

fn is_a_path(code: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    let ours = code.starts_with("node-agent/src") || code.starts_with("node-agent/tests");
    let a_tag = code.starts_with("node-agent/") && !ours;
    code.chars().all(plain)
        && (code.contains('/') || SUFFIXES.iter().any(|suffix| code.ends_with(suffix)))
        && !a_tag
        && !ELSEWHERE.iter().any(|start| code.starts_with(start))
}

#[test]
fn every_link_leads_somewhere() {
    let mut followed = 0;
    for page in pages() {
        let folder = root().join(&page.name);
        let folder = folder.parent().unwrap();
        for link in page.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(folder.join(file).exists(), "{}: {link}", page.name);
            assert_eq!(anchor, "", "{}: {link}: anchors are not checked", page.name);
            followed += 1;
        }
    }
    assert!(followed > 15, "{followed} links");
}

#[test]
fn every_file_and_folder_that_a_page_names_exists() {
    let tree = tree();
    let mut named = 0;
    for page in pages() {
        for code in page.code().iter().filter(|code| is_a_path(code)) {
            let path = code.trim_end_matches('/');
            let below = format!("/{path}");
            let exists = tree.iter().any(|entry| entry == path || entry.ends_with(&below));
            assert!(exists, "{} names {code}", page.name);
            named += 1;
        }
    }
    assert!(named > 20, "{named} names");
}

#[test]
fn every_function_that_a_page_names_exists() {
    let sources: Vec<_> = tree()
        .into_iter()
        .filter(|path| path.ends_with(".rs"))
        .map(|path| std::fs::read_to_string(root().join(path)).unwrap())
        .collect();
    let defined = |what: &str| sources.iter().any(|source| source.contains(what));
    for page in ["ARCHITECTURE.md", "CONTRIBUTING.md"].map(page) {
        for code in page.code() {
            let Some((of, name)) = code.split_once("::") else { continue };
            let known =
                ["struct", "enum", "trait", "type"].iter().any(|kind| defined(&format!("{kind} {of}")));
            assert!(known && defined(&format!("fn {name}(")), "{} names {code}", page.name);
        }
    }
}
