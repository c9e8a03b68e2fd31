//! What a Rust source file says about other files: parsed with syn, without compiling anything.
//!
//! Code under `#[cfg(test)]` is left out: a test may look wherever it likes.

#![expect(clippy::wildcard_enum_match_arm, reason = "syn's enums are not ours and may grow")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};

/// A file under `src/`.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path from the root of the repository: `src/plan/check.rs`.
    pub(crate) path: String,
    /// Its module path: `["plan", "check"]`; empty for `lib.rs`.
    pub(crate) module: Vec<String>,
    /// What it says about others.
    pub(crate) facts: Facts,
}

/// What a file says about others. Paths are absolute, from the root of the crate.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Paths into our own crate that it uses.
    pub(crate) uses: BTreeSet<Vec<String>>,
    /// Paths into other crates that it uses.
    pub(crate) outside: BTreeSet<Vec<String>>,
    /// Names that `use` brings into it, and what they stand for.
    pub(crate) aliases: BTreeMap<String, Vec<String>>,
    /// Modules whose whole content `use` brings into it.
    pub(crate) globs: BTreeSet<Vec<String>>,
    /// Names that it defines itself.
    pub(crate) defined: BTreeSet<String>,
    /// Those of them that are words, not deeds: types and constants.
    pub(crate) words: BTreeSet<String>,
    /// Modules that exist for tests only.
    pub(crate) test_modules: BTreeSet<Vec<String>>,
}

impl Source {
    /// Parses a file.
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let module = module_of(path);
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut reader = Reader { module: module.clone(), depth: 0, facts: Facts::default() };
        reader.visit_file(&file);
        Self { path: path.to_owned(), module, facts: reader.facts }
    }

    /// The room it stands in: the first part of its module path, `lib` or `main`.
    pub(crate) fn room(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

/// Parses files and leaves out those that exist for tests only.
pub(crate) fn parse_all(files: &[(String, String)]) -> Vec<Source> {
    let all: Vec<Source> = files.iter().map(|(path, text)| Source::parse(path, text)).collect();
    let tests: BTreeSet<Vec<String>> =
        all.iter().flat_map(|source| source.facts.test_modules.iter().cloned()).collect();
    let is_test = |source: &Source| tests.iter().any(|test| source.module.starts_with(test));
    all.into_iter().filter(|source| !is_test(source)).collect()
}

fn module_of(path: &str) -> Vec<String> {
    let path = Path::new(path).strip_prefix("src").expect("sources lie under src/");
    let mut parts: Vec<String> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") || parts == ["lib"] {
        parts.pop();
    }
    parts
}

struct Reader {
    /// Where we are, inline modules included.
    module: Vec<String>,
    /// How many inline modules deep.
    depth: usize,
    facts: Facts,
}

impl Reader {
    /// The absolute form of a path as written; `None` when it leads out of the crate.
    fn absolute(&self, written: &[String]) -> Option<Vec<String>> {
        let mut rest = written.iter().map(String::as_str).peekable();
        let mut base = match rest.next()? {
            "crate" | "muxvisor" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.parent(self.module.clone()),
            _ => return None,
        };
        while rest.peek() == Some(&"super") {
            rest.next();
            base = self.parent(base);
        }
        base.extend(rest.map(str::to_owned));
        Some(base)
    }

    fn parent(&self, mut module: Vec<String>) -> Vec<String> {
        module.pop();
        module
    }

    fn note(&mut self, written: &[String]) {
        match self.relative_or_absolute(written) {
            Some(path) => self.facts.uses.insert(path),
            None => self.facts.outside.insert(written.to_vec()),
        };
    }

    /// Follows a `use` tree. A re-export is a door, not an arrow: it only tells where a name leads.
    fn follow(&mut self, tree: &syn::UseTree, before: &[String], reexport: bool) {
        let with = |ident: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(ident.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.follow(&path.tree, &with(&path.ident), reexport),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.follow(tree, before, reexport);
                }
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                self.bring(last, before.to_vec(), reexport);
            }
            syn::UseTree::Name(name) => {
                self.bring(name.ident.to_string(), with(&name.ident), reexport);
            }
            syn::UseTree::Rename(name) => {
                self.bring(name.rename.to_string(), with(&name.ident), reexport);
            }
            syn::UseTree::Glob(_) => {
                let path = self.relative_or_absolute(before);
                if !reexport || self.leaves_the_room(path.as_deref()) {
                    self.note(before);
                }
                self.facts.globs.extend(path);
            }
        }
    }

    fn bring(&mut self, name: String, written: Vec<String>, reexport: bool) {
        let path = self.relative_or_absolute(&written);
        if !reexport || self.leaves_the_room(path.as_deref()) {
            self.note(&written);
        }
        if let Some(path) = path
            && self.depth == 0
        {
            self.facts.aliases.insert(name, path);
        }
    }

    /// Whether a path leads out of the room; a re-export of that is an arrow like any other.
    fn leaves_the_room(&self, path: Option<&[String]>) -> bool {
        path.is_none_or(|path| path.first() != self.module.first())
    }

    /// A path that begins with a child module, `check::all`, is relative to where it stands.
    fn relative_or_absolute(&self, written: &[String]) -> Option<Vec<String>> {
        self.absolute(written).or_else(|| {
            let first = written.first().filter(|_| self.depth == 0)?;
            self.facts.defined.contains(first).then(|| [&self.module[..], written].concat())
        })
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_file(&mut self, file: &'ast syn::File) {
        for item in &file.items {
            let test = attributes(item).iter().any(is_cfg_test);
            if let syn::Item::Mod(module) = item
                && test
            {
                let path = [&self.module[..], &[module.ident.to_string()]].concat();
                self.facts.test_modules.insert(path);
            }
            if let Some(name) = name_of(item).filter(|_| !test) {
                if !matches!(item, syn::Item::Fn(_) | syn::Item::Mod(_)) {
                    self.facts.words.insert(name.clone());
                }
                self.facts.defined.insert(name);
            }
        }
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !attributes(item).iter().any(is_cfg_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        self.depth += 1;
        visit::visit_item_mod(self, item);
        self.depth -= 1;
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let reexport = !matches!(item.vis, syn::Visibility::Inherited);
        self.follow(&item.tree, &[], reexport);
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let written: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if written.len() > 1 {
            self.note(&written);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        for written in paths_in_tokens(&call.tokens.to_string()) {
            self.note(&written);
        }
        visit::visit_macro(self, call);
    }
}

/// Paths in the arguments of a macro, which syn leaves as tokens.
fn paths_in_tokens(tokens: &str) -> Vec<Vec<String>> {
    let tokens = tokens.replace(" :: ", "::");
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = tokens.split(|c: char| !is_path(c));
    let paths = words.map(|word| word.split("::").map(str::to_owned).collect::<Vec<_>>());
    paths
        .filter(|path| path.len() > 1 && path.iter().all(|part| !part.is_empty()))
        .filter(|path| ["crate", "super", "self", "std"].contains(&path[0].as_str()))
        .collect()
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("cfg") && list.tokens.to_string() == "test"
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Mod(item) => &item.ident,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
