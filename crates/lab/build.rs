//! Records the commit that the lab is built from, for the summaries of its runs.

use std::process::Command;

fn main() {
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
        if std::path::Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}
