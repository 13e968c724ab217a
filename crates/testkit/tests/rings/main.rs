//! Files that import each other in a ring cannot be read, moved or tested one at a time: there is none
//! in the source of any crate, but for those that are named here.
//!
//! An import is a `use` or a path that leads to something defined in another file, also by way of
//! modules that pass it on. So a file imports the `mod.rs` above it if it uses something that is defined
//! there; a `mod.rs` that only declares and re-exports is imported by nobody. What is only there for
//! tests does not count.

mod graph;
mod source;
mod tokens;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use graph::{Ring, imports, rings};

/// The rings that are known, each with its folder and its files, sorted.
const KNOWN: &[(&str, &[&str])] = &[];

#[test]
fn files_import_each_other_in_no_ring_but_the_known_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().expect("the workspace");
    let mut unknown = Vec::new();
    let mut found = BTreeSet::new();
    for entry in entries(&root) {
        let imports = imports(&entry);
        for ring in rings(&imports) {
            let files: Vec<String> = ring.files.iter().map(|file| short(&root, file)).collect();
            match KNOWN
                .iter()
                .find(|(folder, names)| is_known(folder, names, &files))
            {
                Some(known) => {
                    found.insert(*known);
                }
                None => unknown.push(describe(&root, &ring)),
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "rings of imports:\n\n{}",
        unknown.join("\n\n")
    );
    let gone: Vec<_> = KNOWN
        .iter()
        .filter(|known| !found.contains(known))
        .collect();
    assert!(
        gone.is_empty(),
        "no longer a ring, take it off the list: {gone:#?}"
    );
}

/// The files in which the crates of the workspace begin.
fn entries(root: &Path) -> Vec<PathBuf> {
    let list = |folder: PathBuf| {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut packages = list(root.join("crates"));
    packages.extend([root.join("mock-llm"), root.join("examples")]);
    let mut entries = Vec::new();
    for package in packages {
        let source = package.join("src");
        entries.extend([source.join("lib.rs"), source.join("main.rs")]);
        entries.extend(list(source.join("bin")));
    }
    entries.retain(|entry| entry.is_file());
    entries.sort();
    assert!(entries.len() > 10, "{entries:?}");
    entries
}

fn short(root: &Path, file: &Path) -> String {
    let file = file.strip_prefix(root).unwrap_or(file);
    file.display().to_string()
}

fn is_known(folder: &str, names: &[&str], files: &[String]) -> bool {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("{folder}/{name}"))
        .collect();
    names == files
}

/// The way around, and how many files are in the ring.
fn describe(root: &Path, ring: &Ring) -> String {
    let mut way: Vec<String> = ring.way.iter().map(|file| short(root, file)).collect();
    way.push(way[0].clone());
    let all: Vec<String> = ring.files.iter().map(|file| short(root, file)).collect();
    format!(
        "{}\n  all files of the ring: {}",
        way.join("\n  imports "),
        all.join(", ")
    )
}
