//! Records the commit that the lab is built from, for the summaries of its runs, and takes the
//! scenarios in, so that their names are known wherever the lab runs.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    take_scenarios_in()?;
    let commit = Command::new("git")
        .args([
            "describe",
            "--always",
            "--dirty",
            "--abbrev=40",
            "--exclude=*",
        ])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let commit = commit.as_deref().map_or("unknown", str::trim);
    println!("cargo::rustc-env=LAB_GIT_COMMIT={commit}");
    // Whatever could change the answer; a path that does not exist would rebuild each time.
    for path in [
        "../../.git/HEAD",
        "../../.git/logs/HEAD",
        "../../crates",
        "../../mock-llm",
        "../../scenarios",
    ] {
        if Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
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
