//! Who points to whom: arrows between files, and the circles that they make.

use crate::names::Target;
use crate::source::{FileId, Impl, ModuleId, Tree};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The first place where one file needs another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    pub line: usize,
    /// What is needed, as it is written there.
    pub what: String,
}

/// The arrows of a crate.
#[derive(Debug)]
pub struct Arrows<'a> {
    pub tree: &'a Tree,
    pub all: BTreeMap<(FileId, FileId), Arrow>,
    /// Paths that begin in the crate and lead nowhere that can be seen: file, line and path.
    pub lost: Vec<(FileId, usize, String)>,
    /// An inherent `impl` outside the file that defines its type: which, and that file.
    pub strays: Vec<(&'a Impl, FileId)>,
}

impl<'a> Arrows<'a> {
    pub fn of(tree: &'a Tree) -> Arrows<'a> {
        let mut arrows = Arrows { tree, all: BTreeMap::new(), lost: Vec::new(), strays: Vec::new() };
        arrows.imports();
        arrows.mentions();
        arrows.impls();
        arrows.methods();
        arrows
    }

    fn imports(&mut self) {
        for (module, of) in self.tree.modules.iter().enumerate() {
            for import in &of.imports {
                let target = self.tree.resolve_import(module, import);
                // A folder's front door shows what lies behind it. That is no use of it.
                let front_door =
                    import.is_public && target.is_some_and(|t| self.tree.is_within(t.module(), module));
                if !front_door {
                    self.point(module, target, &import.path, import.line);
                }
            }
        }
    }

    fn mentions(&mut self) {
        for mention in &self.tree.mentions {
            let target = self.tree.resolve(mention.module, &mention.path);
            self.point(mention.module, target, &mention.path, mention.line);
        }
    }

    /// An `impl` points to the file that defines its type.
    fn impls(&mut self) {
        for block in &self.tree.impls {
            let Some(target) = self.tree.resolve(block.module, &block.of) else { continue };
            let (here, defined) = (self.file(block.module), self.file(target.module()));
            if here != defined {
                self.strays.push((block, defined));
                self.add(here, defined, block.line, format!("impl {}", block.of.join("::")));
            }
        }
    }

    /// Whoever knows a type and calls one of its functions points to the file that has this function. Names that several
    /// types have are left alone: what is called cannot be told from its name.
    fn methods(&mut self) {
        let once = |name: &String| self.tree.functions.get(name) == Some(&1);
        let blocks: Vec<(FileId, FileId, &Impl)> =
            self.strays.iter().map(|(block, defined)| (self.file(block.module), *defined, *block)).collect();
        for (holds, defined, block) in blocks {
            for name in block.functions.iter().filter(|name| once(name)) {
                let calls = self.tree.calls.iter().filter(|call| call.name == *name);
                let calls = calls.map(|call| (self.file(call.module), call.line));
                let paths =
                    self.tree.mentions.iter().filter(|m| m.path.len() > 1 && m.path.last() == Some(name));
                let paths = paths.map(|mention| (self.file(mention.module), mention.line));
                let callers: Vec<(FileId, usize)> = calls.chain(paths).collect();
                for (from, line) in callers {
                    if from == defined || self.all.contains_key(&(from, defined)) {
                        self.add(from, holds, line, format!("{}::{name}", block.of.join("::")));
                    }
                }
            }
        }
    }

    fn point(&mut self, from: ModuleId, target: Option<Target>, path: &[String], line: usize) {
        let file = self.file(from);
        match target {
            Some(target) => self.add(file, self.file(target.module()), line, path.join("::")),
            None if Tree::is_inside(path) => self.lost.push((file, line, path.join("::"))),
            None => {}
        }
    }

    fn add(&mut self, from: FileId, to: FileId, line: usize, what: String) {
        if from != to {
            let first = self.all.entry((from, to)).or_insert_with(|| Arrow { line, what: what.clone() });
            if line < first.line {
                *first = Arrow { line, what };
            }
        }
    }

    pub fn file(&self, module: ModuleId) -> FileId {
        self.tree.modules[module].file
    }

    /// In words: `steps/drain.rs:7 -> driver.rs (crate::driver::Driver)`.
    pub fn words(&self, from: FileId, to: FileId) -> String {
        let Arrow { line, what } = &self.all[&(from, to)];
        format!("{}:{line} -> {} ({what})", self.tree.path_of(from), self.tree.path_of(to))
    }

    /// Pairs of top-level modules, `main.rs` and `lib.rs` among them.
    pub fn between_top_modules(&self) -> usize {
        let tops =
            self.all.keys().map(|(from, to)| (top(self.tree.path_of(*from)), top(self.tree.path_of(*to))));
        tops.filter(|(from, to)| from != to).collect::<BTreeSet<_>>().len()
    }

    /// Files that can all reach each other, two or more.
    pub fn circles(&self) -> Vec<Vec<FileId>> {
        let reached: Vec<BTreeSet<FileId>> =
            (0..self.tree.files.len()).map(|from| self.reached(from)).collect();
        let mut circles: Vec<Vec<FileId>> = Vec::new();
        for file in 0..reached.len() {
            let others = reached[file].iter().copied().filter(|other| reached[*other].contains(&file));
            let circle: Vec<FileId> = others.collect();
            if circle.len() > 1 && !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }

    fn next(&self, from: FileId) -> impl Iterator<Item = FileId> {
        self.all.range((from, 0)..=(from, FileId::MAX)).map(|((_, to), _)| *to)
    }

    /// Where the arrows lead from here, at last.
    fn reached(&self, from: FileId) -> BTreeSet<FileId> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<FileId> = self.next(from).collect();
        while let Some(file) = open.pop() {
            if seen.insert(file) {
                open.extend(self.next(file));
            }
        }
        seen
    }

    /// The shortest way around through one of these files.
    pub fn shortest_way_around(&self, circle: &[FileId]) -> Vec<(FileId, FileId)> {
        let ways = circle.iter().filter_map(|start| self.way_around(*start));
        ways.min_by_key(Vec::len).unwrap_or_default()
    }

    fn way_around(&self, start: FileId) -> Option<Vec<(FileId, FileId)>> {
        let mut came_from: BTreeMap<FileId, FileId> = BTreeMap::new();
        let mut open = VecDeque::from([start]);
        while let Some(file) = open.pop_front() {
            for to in self.next(file) {
                came_from.entry(to).or_insert_with(|| {
                    open.push_back(to);
                    file
                });
            }
        }
        let mut way = vec![(*came_from.get(&start)?, start)];
        while let Some((from, _)) = way.first().copied().filter(|(from, _)| *from != start) {
            way.insert(0, (came_from[&from], from));
        }
        Some(way)
    }
}

/// The top-level module that a file belongs to: `steps` for `steps/drain.rs`, `driver` for `driver.rs`.
pub fn top(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}
