//! The source of one crate: its files, its modules, and what is declared in them.

use crate::mentions::{Call, Mention, Reader};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use syn::spanned::Spanned;
use syn::{Attribute, Ident, Item};

/// Index of a file in [`Tree::files`].
pub type FileId = usize;
/// Index of a module in [`Tree::modules`].
pub type ModuleId = usize;

/// A crate's source as it is built: what is for tests alone is left out.
#[derive(Debug, Default)]
pub struct Tree {
    /// The crate's name in paths.
    pub name: String,
    pub files: Vec<File>,
    pub modules: Vec<Module>,
    /// All files, those for tests included, with their number of lines.
    pub lengths: BTreeMap<String, usize>,
    pub mentions: Vec<Mention>,
    pub calls: Vec<Call>,
    pub impls: Vec<Impl>,
    /// Every function that an `impl` or a trait has, and how many have one of that name.
    pub functions: BTreeMap<String, usize>,
    /// Where phases are compared by their order.
    pub phase_orders: Vec<(FileId, usize)>,
}

/// A file that holds a module.
#[derive(Debug)]
pub struct File {
    /// From `src`: `steps/drain.rs`.
    pub path: String,
    /// Lines that are neither blank nor comment nor for tests.
    pub code: usize,
}

/// A module: a file, or a part of one.
#[derive(Debug)]
pub struct Module {
    pub file: FileId,
    pub parent: Option<ModuleId>,
    pub children: BTreeMap<String, ModuleId>,
    /// What it defines itself.
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
}

/// One name that a `use` brings in.
#[derive(Debug, Clone)]
pub struct Import {
    /// What it is called here; `None`: everything that is there.
    pub name: Option<String>,
    pub path: Vec<String>,
    pub line: usize,
    /// Whether others can find it here.
    pub is_public: bool,
}

/// An inherent `impl`.
#[derive(Debug)]
pub struct Impl {
    pub module: ModuleId,
    /// The type, as written.
    pub of: Vec<String>,
    pub line: usize,
    pub functions: BTreeSet<String>,
}

impl Tree {
    /// Reads every `.rs` file under a `src`, and the crate's name from the folder that it lies in.
    pub fn read(src: &Path) -> Tree {
        let src =
            src.canonicalize().unwrap_or_else(|error| panic!("failed to find {}: {error}", src.display()));
        let name = src.parent().and_then(Path::file_name).unwrap().to_string_lossy().replace('-', "_");
        let mut texts = BTreeMap::new();
        collect(&src, &src, &mut texts);
        Tree::parse(&name, &texts)
    }

    /// Reads a crate from its files' paths and texts.
    pub fn parse(name: &str, texts: &BTreeMap<String, String>) -> Tree {
        let mut tree = Tree { name: name.to_owned(), ..Tree::default() };
        tree.lengths = texts.iter().map(|(path, text)| (path.clone(), text.lines().count())).collect();
        for root in ["lib.rs", "main.rs"].into_iter().filter(|root| texts.contains_key(*root)) {
            tree.load(texts, root, "", None);
        }
        assert!(!tree.files.is_empty(), "{name} has neither src/lib.rs nor src/main.rs");
        tree
    }

    /// Reads the file of a module and everything below it. `folder` is where its child modules lie.
    fn load(
        &mut self,
        texts: &BTreeMap<String, String>,
        path: &str,
        folder: &str,
        parent: Option<ModuleId>,
    ) -> ModuleId {
        let text = &texts[path];
        let parsed = syn::parse_file(text)
            .unwrap_or_else(|error| panic!("failed to parse {path}:{}: {error}", error.span().start().line));
        let file = self.files.len();
        self.files.push(File { path: path.to_owned(), code: 0 });
        let mut tests = Vec::new();
        let module = self.module(texts, &parsed.items, Place { file, folder, parent }, &mut tests);
        let is_code = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        let for_tests = |line: usize| tests.iter().any(|(from, to)| (*from..=*to).contains(&line));
        self.files[file].code =
            text.lines().zip(1..).filter(|(line, number)| is_code(line) && !for_tests(*number)).count();
        module
    }

    fn module(
        &mut self,
        texts: &BTreeMap<String, String>,
        items: &[Item],
        place: Place<'_>,
        tests: &mut Vec<(usize, usize)>,
    ) -> ModuleId {
        let Place { file, folder, parent } = place;
        let module = self.modules.len();
        let (children, items_here, imports) = Default::default();
        self.modules.push(Module { file, parent, children, items: items_here, imports });
        for item in items {
            let (attributes, name) = parts(item);
            if is_for_tests(attributes) {
                tests.push((item.span().start().line, item.span().end().line));
                continue;
            }
            let Item::Mod(declared) = item else {
                self.modules[module].items.extend(name.map(ToString::to_string));
                Reader::new(self, module, tests).item(item);
                continue;
            };
            let name = declared.ident.to_string();
            let folder = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let child = match &declared.content {
                Some((_, items)) => {
                    self.module(texts, items, Place { file, folder: &folder, parent: Some(module) }, tests)
                }
                None => {
                    let candidates = [format!("{folder}.rs"), format!("{folder}/mod.rs")];
                    let path = candidates.iter().find(|path| texts.contains_key(*path));
                    let path =
                        path.unwrap_or_else(|| panic!("failed to find the module {name} at {candidates:?}"));
                    self.load(texts, path, &folder, Some(module))
                }
            };
            self.modules[module].children.insert(name, child);
        }
        module
    }

    /// The path of a module's file.
    pub fn path_of(&self, file: FileId) -> &str {
        &self.files[file].path
    }
}

/// Where a module stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: FileId,
    /// Where the files of its child modules lie.
    folder: &'a str,
    parent: Option<ModuleId>,
}

fn collect(src: &Path, folder: &Path, texts: &mut BTreeMap<String, String>) {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("failed to read {}: {error}", folder.display()));
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(src, &path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(src).unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()));
            texts.insert(name, text);
        }
    }
}

/// Whether this is built for tests alone.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = attribute.meta.require_list().map(|list| list.tokens.to_string());
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && condition.is_ok_and(|text| {
                    text == "test" || text.starts_with("all (test") || text.starts_with("all(test")
                })
    })
}

/// An item's attributes and its name.
pub fn parts(item: &Item) -> (&[Attribute], Option<&Ident>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Impl(item) => (&item.attrs, None),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Mod(item) => (&item.attrs, Some(&item.ident)),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}
