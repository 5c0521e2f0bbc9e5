//! Every sentence in the code that is not for tests, by file, for review in `tests/snapshots/messages__texts.snap`.
//! `errors.snap` beside it has the errors as they are printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]

use proc_macro2::{TokenStream, TokenTree};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// One file: its texts, and the modules in other files that it declares.
#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    modules: Vec<String>,
}

impl Texts {
    fn add(&mut self, text: &str) {
        let has_words = text.trim().contains(' ') && text.contains(|c: char| c.is_ascii_lowercase());
        if has_words {
            self.texts.push(text.trim_end_matches('\n').replace('\n', "\\n"));
        }
    }

    fn add_tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                        self.add(&text.value());
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => (),
            }
        }
    }
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let for_tests = module.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|what| what == "test")
        });
        match &module.content {
            _ if for_tests => (),
            None => self.modules.push(module.ident.to_string()),
            Some(_) => visit::visit_item_mod(self, module),
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("error") {
            visit::visit_attribute(self, attribute);
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.add(&literal.value());
    }

    fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
        self.add_tokens(tokens.clone());
    }
}

/// The texts of a file and of the modules below it. The files of modules lie in `folder`.
fn walk(file: &Path, folder: &Path, out: &mut Vec<(PathBuf, Vec<String>)>) {
    let source = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut found = Texts::default();
    found.visit_file(&syn::parse_file(&source).unwrap());
    out.push((file.to_owned(), found.texts));
    for module in found.modules {
        let below = folder.join(&module);
        let file = Some(below.join("mod.rs")).filter(|file| file.exists());
        walk(&file.unwrap_or_else(|| folder.join(format!("{module}.rs"))), &below, out);
    }
}

#[test]
fn every_text_reads_as_reviewed() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&src.join("lib.rs"), &src, &mut files);
    files.sort();
    let files = files.iter().filter(|(_, texts)| !texts.is_empty());
    let shown = files.map(|(file, texts)| {
        format!("## {}\n\n{}\n", file.strip_prefix(&src).unwrap().display(), texts.join("\n"))
    });
    let all: Vec<_> = shown.collect();
    assert!(all.len() > 40, "{} files with texts", all.len());
    insta::assert_snapshot!("texts", all.join("\n"));
}
