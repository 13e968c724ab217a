//! Which file of a crate imports which, and where that goes in rings.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use crate::source::{Module, read};

/// Files, each with those that it imports.
pub type Imports = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

/// The modules of a crate by their path from its root, which is the empty path.
struct Tree {
    modules: BTreeMap<Vec<String>, (PathBuf, Module)>,
}

/// What a path leads to.
#[derive(PartialEq, Eq)]
enum Target {
    /// A module as such, of which nothing is used yet.
    Module(Vec<String>),
    /// Something that is defined in this module.
    Item(Vec<String>),
}

/// The imports between the files of the crate whose `lib.rs` or `main.rs` this is.
pub fn imports(root: &Path) -> Imports {
    let mut tree = Tree {
        modules: BTreeMap::new(),
    };
    let folder = root.parent().expect("a file in a folder");
    tree.load(root.to_owned(), folder, Vec::new());
    let mut imports = Imports::new();
    for (path, (file, module)) in &tree.modules {
        let entry = imports.entry(file.clone()).or_default();
        for target in tree.targets(path, module) {
            if target != *file {
                entry.insert(target);
            }
        }
    }
    imports
}

impl Tree {
    /// Takes in a file and, from `folder`, its children.
    fn load(&mut self, file: PathBuf, folder: &Path, path: Vec<String>) {
        let text = read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        self.add(&file, folder, path, read(&text));
    }

    fn add(&mut self, file: &Path, folder: &Path, path: Vec<String>, mut module: Module) {
        for (name, child) in std::mem::take(&mut module.inline) {
            let path = [path.as_slice(), std::slice::from_ref(&name)].concat();
            self.add(file, &folder.join(name), path, child);
        }
        for name in &module.files {
            let path = [path.as_slice(), std::slice::from_ref(name)].concat();
            let below = folder.join(name);
            let beside = folder.join(format!("{name}.rs"));
            let child = if beside.is_file() {
                beside
            } else {
                below.join("mod.rs")
            };
            self.load(child, &below, path);
        }
        self.modules.insert(path, (file.to_owned(), module));
    }

    /// The files that hold what a module uses. A name that is only passed on is not used. A module that
    /// only declares and passes on defines nothing, so its file is among none of them.
    fn targets(&self, path: &[String], module: &Module) -> Vec<PathBuf> {
        let used = |name: &str| module.mentions.iter().any(|mention| mention[0] == name);
        let uses = module
            .uses
            .iter()
            .filter(|one| !one.is_public || used(&one.name));
        let paths = uses.map(|one| &one.path).chain(&module.mentions);
        let found = paths.filter_map(|used| self.resolve(path, used, &mut BTreeSet::new()));
        let mut modules: Vec<Vec<String>> = found
            .filter_map(|target| match target {
                Target::Item(module) => Some(module),
                Target::Module(_) => None,
            })
            .collect();
        for glob in module
            .uses
            .iter()
            .filter(|one| one.name == "*" && !one.is_public)
        {
            if let Some(Target::Module(module)) =
                self.resolve(path, &glob.path, &mut BTreeSet::new())
                && !self.modules[&module].1.items.is_empty()
            {
                modules.push(module);
            }
        }
        let file = |module: &Vec<String>| self.modules[module].0.clone();
        modules.iter().map(file).collect()
    }

    /// What a path, as written in a module, leads to in this crate; nothing if to another crate.
    fn resolve(
        &self,
        from: &[String],
        path: &[String],
        seen: &mut BTreeSet<(Vec<String>, Vec<String>)>,
    ) -> Option<Target> {
        if !seen.insert((from.to_vec(), path.to_vec())) {
            return None;
        }
        let Some((first, rest)) = path.split_first() else {
            return Some(Target::Module(from.to_vec()));
        };
        match first.as_str() {
            "crate" => return self.resolve(&[], rest, seen),
            "self" => return self.resolve(from, rest, seen),
            "super" => return self.resolve(from.split_last()?.1, rest, seen),
            _ => {}
        }
        let child = [from, std::slice::from_ref(first)].concat();
        if self.modules.contains_key(&child) {
            return self.resolve(&child, rest, seen);
        }
        let (_, module) = &self.modules[from];
        if module.items.contains(first) {
            return Some(Target::Item(from.to_vec()));
        }
        for one in &module.uses {
            let target = if one.name == *first {
                let whole = [one.path.as_slice(), rest].concat();
                // `use tokio::tokio;` names a crate, not itself.
                let is_of_a_crate = one.path[0] == *first;
                (!is_of_a_crate).then(|| self.resolve(from, &whole, seen))
            } else if one.name == "*" {
                match self.resolve(from, &one.path, seen) {
                    Some(Target::Module(module)) => Some(self.resolve(&module, path, seen)),
                    _ => None,
                }
            } else {
                None
            };
            if let Some(Some(target)) = target {
                return Some(target);
            }
        }
        None
    }
}

/// A ring: files of which each imports, by way of others of them, each other.
#[derive(Debug)]
pub struct Ring {
    /// All of them, sorted.
    pub files: Vec<PathBuf>,
    /// A shortest way around; its last file imports its first.
    pub way: Vec<PathBuf>,
}

/// The rings among these files.
pub fn rings(imports: &Imports) -> Vec<Ring> {
    let reach: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = imports
        .keys()
        .map(|file| (file, reachable(imports, file)))
        .collect();
    let mut rings: Vec<Ring> = Vec::new();
    for (file, reached) in &reach {
        let known = rings.iter().any(|ring| ring.files.contains(file));
        if !reached.contains(file) || known {
            continue;
        }
        let files = reached.iter().filter(|other| reach[*other].contains(file));
        let files: Vec<PathBuf> = files.copied().cloned().collect();
        let ways = files.iter().map(|file| way_around(imports, file));
        let way = ways.min_by_key(Vec::len).expect("not empty");
        rings.push(Ring { files, way });
    }
    rings
}

/// The files that this one imports, and those that these import, and so on.
fn reachable<'a>(imports: &'a Imports, file: &Path) -> BTreeSet<&'a PathBuf> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&PathBuf> = imports[file].iter().collect();
    while let Some(next) = left.pop() {
        if reached.insert(next) {
            left.extend(&imports[next]);
        }
    }
    reached
}

/// A shortest way from a file in a ring back to it.
fn way_around(imports: &Imports, file: &Path) -> Vec<PathBuf> {
    let mut ways = VecDeque::from([vec![file.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in &imports[&way[way.len() - 1]] {
            if next == file {
                return way;
            }
            if seen.insert(next) {
                ways.push_back([way.as_slice(), std::slice::from_ref(next)].concat());
            }
        }
    }
    panic!("{file:?} is in no ring");
}

#[test]
fn a_ring_is_found_through_modules_that_pass_on_and_with_a_parent_that_defines() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rings");
    for (file, text) in [
        ("lib.rs", "mod a; mod b; mod c; mod d; pub struct Root;"),
        ("a/mod.rs", "mod one; pub use one::One;"),
        (
            "a/one.rs",
            "use crate::{Root, b::{self as other, Unused}}; pub struct One(other::Two);",
        ),
        ("b.rs", "pub use crate::c::Three as Two; pub struct Unused;"),
        ("c.rs", "pub struct Three(Option<Box<crate::a::One>>);"),
        ("d/mod.rs", "mod child; pub struct Parent(child::Child);"),
        (
            "d/child.rs",
            "use super::Parent; pub struct Child(Option<Box<Parent>>);",
        ),
    ] {
        let file = folder.join(file);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, text).expect("written");
    }
    let found = rings(&imports(&folder.join("lib.rs")));
    let expected = [["a/one.rs", "c.rs"], ["d/child.rs", "d/mod.rs"]];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (ring, files) in found.iter().zip(expected) {
        let files = files.map(|file| folder.join(file));
        assert_eq!(ring.files, files);
        assert_eq!(ring.way, files);
    }
}
