//! Which file defines what a path names, re-exports and renamed imports followed.

use crate::source::{Import, ModuleId, Tree};

/// What a path leads to inside the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Module(ModuleId),
    /// Something that this module defines, or a part of it.
    Item(ModuleId),
}

/// Re-exports of re-exports; more are a circle of imports, as in `use jiff::{self}`.
const MOST_STEPS: usize = 16;

impl Target {
    pub fn module(self) -> ModuleId {
        match self {
            Target::Module(module) | Target::Item(module) => module,
        }
    }
}

impl Tree {
    /// Where a path leads that is written in this module; `None`: out of the crate.
    pub fn resolve(&self, from: ModuleId, path: &[String]) -> Option<Target> {
        // A lone name can be a local variable, and never is a module.
        self.walk(from, path, 0).filter(|found| path.len() > 1 || matches!(found, Target::Item(_)))
    }

    /// Where an import leads.
    pub fn resolve_import(&self, from: ModuleId, import: &Import) -> Option<Target> {
        self.walk(from, &import.path, 0)
    }

    /// Whether a path says itself that it stays in the crate.
    pub fn is_inside(path: &[String]) -> bool {
        path.len() > 1
            && path.first().is_some_and(|first| ["crate", "self", "super"].contains(&first.as_str()))
    }

    fn walk(&self, from: ModuleId, path: &[String], steps: usize) -> Option<Target> {
        if steps > MOST_STEPS {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Target::Module(self.root(from)),
            "self" => Target::Module(from),
            "super" => Target::Module(self.modules[from].parent?),
            name => self.find(from, name, rest.is_empty(), steps).or_else(|| self.own_library(from, name))?,
        };
        while let Some((name, after)) = rest.split_first() {
            let Target::Module(module) = at else { break };
            at = match name.as_str() {
                "super" => Target::Module(self.modules[module].parent?),
                name => self.find(module, name, after.is_empty(), steps)?,
            };
            rest = after;
        }
        Some(at)
    }

    fn find(&self, module: ModuleId, name: &str, is_last: bool, steps: usize) -> Option<Target> {
        let here = &self.modules[module];
        let child = here.children.get(name).copied();
        if here.items.contains(name) && (is_last || child.is_none()) {
            return Some(Target::Item(module));
        }
        if let Some(child) = child {
            return Some(Target::Module(child));
        }
        let named = here.imports.iter().find(|import| import.name.as_deref() == Some(name));
        if let Some(import) = named {
            return self.walk(module, &import.path, steps + 1);
        }
        let globs = here.imports.iter().filter(|import| import.name.is_none());
        globs.filter_map(|glob| self.walk(module, &glob.path, steps + 1)).find_map(|glob| match glob {
            Target::Module(glob) if glob != module && steps <= MOST_STEPS => {
                self.find(glob, name, is_last, steps + 1)
            }
            _ => None,
        })
    }

    /// `main.rs` names the library by the crate's name.
    fn own_library(&self, from: ModuleId, name: &str) -> Option<Target> {
        let library =
            self.modules.iter().position(|m| m.parent.is_none() && self.path_of(m.file) == "lib.rs")?;
        (name == self.name && self.root(from) != library).then_some(Target::Module(library))
    }

    fn root(&self, module: ModuleId) -> ModuleId {
        self.modules[module].parent.map_or(module, |parent| self.root(parent))
    }

    /// Whether one module lies inside another.
    pub fn is_within(&self, module: ModuleId, outer: ModuleId) -> bool {
        self.modules[module].parent.is_some_and(|parent| parent == outer || self.is_within(parent, outer))
    }
}
