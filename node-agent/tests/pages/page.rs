//! The pages as text, and what stands in them: links and code.

use std::path::{Path, PathBuf};

pub(crate) struct Page {
    /// Its path below the root of the project.
    pub(crate) name: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn page(name: &str) -> Page {
    let text = std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    Page { name: name.to_owned(), text }
}

/// All pages that people read.
pub(crate) fn pages() -> Vec<Page> {
    let mut names: Vec<_> = std::fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()))
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.extend(
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(str::to_owned),
    );
    names.sort();
    names.iter().map(|name| page(name)).collect()
}

impl Page {
    /// Where its links lead, those to the web left out.
    pub(crate) fn links(&self) -> Vec<&str> {
        let after = self.text.split("](").skip(1);
        let targets = after.map(|rest| rest.split(')').next().unwrap_or_default());
        targets.filter(|target| !target.starts_with("https://")).collect()
    }

    /// What stands between backticks, and each indented line, with the lines that continue it.
    pub(crate) fn code(&self) -> Vec<String> {
        let mut code = Vec::new();
        let mut prose = String::new();
        let mut lines = self.text.lines();
        let mut in_a_list = false;
        let mut after_a_blank = true;
        while let Some(line) = lines.next() {
            let indent = line.len() - line.trim_start().len();
            // Text below a list's item is indented as well, but less than code there.
            let is_code = after_a_blank && indent >= if in_a_list { 7 } else { 4 };
            if is_code {
                let mut whole = line.trim().to_owned();
                while let Some(open) = whole.strip_suffix('\\') {
                    whole = format!("{open}{}", lines.next().unwrap_or_default().trim());
                }
                code.push(whole);
                continue;
            }
            if !line.trim().is_empty() {
                in_a_list = line.starts_with("1. ") || in_a_list && !line.starts_with('#');
            }
            after_a_blank = line.trim().is_empty();
            prose.push_str(line);
            prose.push('\n');
        }
        for paragraph in prose.split("\n\n") {
            // A pair of backticks never spans rows of a table.
            let parts: Vec<_> =
                if paragraph.starts_with('|') { paragraph.lines().collect() } else { vec![paragraph] };
            for part in parts {
                code.extend(part.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")));
            }
        }
        code
    }
}
