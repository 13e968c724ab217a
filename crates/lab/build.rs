//! Records the commit that the lab is built from, for the summaries of its runs, and takes the
//! scenarios in, so that their names are known wherever the lab runs.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

#[path = "src/run/commit/last_commit.rs"]
mod last_commit;
use last_commit::last_commit;

/// What the lab is built from, beside other people's crates, from this folder. Nothing else has this run
/// again: not an edit of a server, and not a commit that leaves the lab as it is.
const SOURCES: [&str; 7] = [
    "src",
    "build.rs",
    "Cargo.toml",
    "../verdict",
    "../../scenarios",
    "../../Cargo.toml",
    "../../Cargo.lock",
];

fn main() -> Result<(), Box<dyn Error>> {
    take_scenarios_in()?;
    // It counts for a lab that is installed; one that is run where it was built looks for itself.
    let commit = last_commit(".", &SOURCES).unwrap_or("unknown".to_owned());
    println!("cargo::rustc-env=LAB_GIT_COMMIT={commit}");
    for path in SOURCES {
        println!("cargo::rerun-if-changed={path}");
    }
    Ok(())
}

/// Writes a Rust array of the names and texts of the files in `scenarios/`, sorted.
fn take_scenarios_in() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../scenarios");
    let mut files = std::fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path().canonicalize()?))
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    let mut table = "[".to_owned();
    for file in files {
        let name = file.file_stem().ok_or("a file without a name")?;
        let name = name.to_str().ok_or("a name that is not UTF-8")?;
        write!(table, "({name:?}, include_str!({file:?})), ")?;
    }
    table.push(']');
    let out = Path::new(&std::env::var("OUT_DIR")?).join("scenarios.rs");
    Ok(std::fs::write(out, format!("&{table}"))?)
}
