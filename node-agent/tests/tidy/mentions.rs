//! Every path that a module mentions: in its imports, types and expressions, in what stands between a macro's brackets,
//! and in the strings that serde takes for paths.

use crate::source::{Impl, Import, ModuleId, Tree, is_for_tests, parts};
use proc_macro2::{Spacing, TokenStream, TokenTree};
use std::collections::BTreeSet;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, BinOp, Expr, ImplItem, Item, Macro, Path, TraitItem, Type, TypeParamBound, UseTree, Visibility,
};

/// A path, as written.
#[derive(Debug)]
pub struct Mention {
    pub module: ModuleId,
    pub path: Vec<String>,
    pub line: usize,
}

/// A call of a method, or of a function of `Self`, by its name alone.
#[derive(Debug)]
pub struct Call {
    pub module: ModuleId,
    pub name: String,
    pub line: usize,
}

/// Goes through the items of one module.
pub struct Reader<'a> {
    tree: &'a mut Tree,
    module: ModuleId,
    /// From line to line, what is for tests alone.
    tests: &'a mut Vec<(usize, usize)>,
}

impl<'a> Reader<'a> {
    pub fn new(tree: &'a mut Tree, module: ModuleId, tests: &'a mut Vec<(usize, usize)>) -> Reader<'a> {
        Reader { tree, module, tests }
    }

    pub fn item(&mut self, item: &Item) {
        self.visit_item(item);
    }

    fn mention(&mut self, path: Vec<String>, line: usize) {
        let module = self.module;
        match path.as_slice() {
            [first] if first == "self" || first == "Self" || first == "crate" => {}
            [first, name] if first == "Self" => self.call(name, line),
            _ => self.tree.mentions.push(Mention { module, path, line }),
        }
    }

    fn call(&mut self, name: &str, line: usize) {
        self.tree.calls.push(Call { module: self.module, name: name.to_owned(), line });
    }

    fn import(&mut self, before: &[String], tree: &UseTree, is_public: bool) {
        let line = tree.span().start().line;
        let longer = |name: &dyn ToString| [before, &[name.to_string()]].concat();
        let (name, path) = match tree {
            UseTree::Path(path) => return self.import(&longer(&path.ident), &path.tree, is_public),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(before, tree, is_public));
            }
            UseTree::Name(name) if name.ident == "self" => (before.last().cloned(), before.to_vec()),
            UseTree::Rename(name) if name.ident == "self" => (Some(name.rename.to_string()), before.to_vec()),
            UseTree::Name(name) => (Some(name.ident.to_string()), longer(&name.ident)),
            UseTree::Rename(name) => (Some(name.rename.to_string()), longer(&name.ident)),
            _ => (None, before.to_vec()),
        };
        self.tree.modules[self.module].imports.push(Import { name, path, line, is_public });
    }

    /// Paths and calls among tokens that only their macro can parse.
    fn tokens(&mut self, tokens: TokenStream, strings_are_paths: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, c: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == c);
        let joint =
            |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.spacing() == Spacing::Joint);
        let ident = |at: usize| match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
            _ => None,
        };
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let line = token.span().start().line;
            match token {
                TokenTree::Group(group) => self.tokens(group.stream(), strings_are_paths),
                TokenTree::Literal(literal) if strings_are_paths => {
                    let text = literal.to_string();
                    let path = text.trim_matches('"').split("::").map(str::to_owned).collect();
                    self.mention(path, line);
                }
                TokenTree::Ident(first) => {
                    let begins = at;
                    let mut path = vec![first.to_string()];
                    while is(at + 1, ':') && joint(at + 1) && is(at + 2, ':') {
                        let Some(next) = ident(at + 3) else { break };
                        path.push(next);
                        at += 3;
                    }
                    let after_dot = begins > 0 && is(begins - 1, '.') && !(begins > 1 && is(begins - 2, '.'));
                    let is_call = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
                    let below = |at: usize| is(at, '<') || (is(at, '>') && !is(at.wrapping_sub(1), '='));
                    let compared = path.last().is_some_and(|name| name == "phase") && below(at + 1)
                        || path.len() > 1
                            && path[path.len() - 2] == "Phase"
                            && begins > 0
                            && (below(begins - 1) || begins > 1 && is(begins - 1, '=') && below(begins - 2));
                    if compared {
                        self.tree.phase_orders.push((self.tree.modules[self.module].file, line));
                    }
                    match path.as_slice() {
                        [name] if after_dot && is_call => self.call(name, line),
                        [_] if after_dot => {}
                        _ => self.mention(path, line),
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(parts(item).0) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&[], &item.tree, !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let functions = item.items.iter().filter_map(|item| match item {
            ImplItem::Fn(function) if !is_for_tests(&function.attrs) => Some(function.sig.ident.to_string()),
            _ => None,
        });
        let functions: BTreeSet<String> = functions.collect();
        for name in &functions {
            *self.tree.functions.entry(name.clone()).or_default() += 1;
        }
        if let (None, Some(of)) = (&item.trait_, type_path(&item.self_ty)) {
            let line = item.impl_token.span.start().line;
            self.tree.impls.push(Impl { module: self.module, of: segments(of), line, functions });
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        match item {
            ImplItem::Fn(function) if is_for_tests(&function.attrs) => {
                self.tests.push((item.span().start().line, item.span().end().line));
            }
            _ => visit::visit_impl_item(self, item),
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if let TraitItem::Fn(function) = item {
            *self.tree.functions.entry(function.sig.ident.to_string()).or_default() += 1;
        }
        visit::visit_trait_item(self, item);
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Ok(list) = attribute.meta.require_list()
            && !attribute.path().is_ident("cfg")
        {
            self.tokens(list.tokens.clone(), attribute.path().is_ident("serde"));
        }
    }

    fn visit_macro(&mut self, written: &'ast Macro) {
        self.visit_path(&written.path);
        self.tokens(written.tokens.clone(), false);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            self.mention(segments(path), path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.call(&call.method.to_string(), call.method.span().start().line);
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let ordering = matches!(binary.op, BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_));
        if ordering && (is_phase(&binary.left) || is_phase(&binary.right)) {
            self.tree.phase_orders.push((self.tree.modules[self.module].file, binary.op.span().start().line));
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_range(&mut self, range: &'ast syn::ExprRange) {
        if [&range.start, &range.end].into_iter().flatten().any(|end| is_phase(end)) {
            self.tree.phase_orders.push((self.tree.modules[self.module].file, range.span().start().line));
        }
        visit::visit_expr_range(self, range);
    }
}

/// Whether this is a phase by its looks: `Phase::Drain`, `phase`, `operation.phase`, `driver.phase()`.
fn is_phase(expression: &Expr) -> bool {
    match expression {
        Expr::Path(path) => match segments(&path.path).as_slice() {
            [.., of, _] if of == "Phase" => true,
            path => path.last().is_some_and(|name| name == "phase"),
        },
        Expr::Field(field) => matches!(&field.member, syn::Member::Named(name) if name == "phase"),
        Expr::MethodCall(call) => call.method == "phase",
        Expr::Paren(inner) => is_phase(&inner.expr),
        Expr::Reference(inner) => is_phase(&inner.expr),
        Expr::Unary(inner) => is_phase(&inner.expr),
        _ => false,
    }
}

fn type_path(of: &Type) -> Option<&Path> {
    match of {
        Type::Path(path) => Some(&path.path),
        Type::TraitObject(object) => object.bounds.iter().find_map(|bound| match bound {
            TypeParamBound::Trait(bound) => Some(&bound.path),
            _ => None,
        }),
        _ => None,
    }
}

fn segments(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}
