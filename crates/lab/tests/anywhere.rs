//! The lab needs nothing of the repository: its commands in an empty folder.

use std::path::Path;
use std::process::{Command, Output};

/// The binary in a folder of its own, without the servers beside it, as `cargo install` leaves it.
struct Installed {
    bin: tempfile::TempDir,
    empty: tempfile::TempDir,
}

impl Installed {
    fn new() -> Self {
        let bin = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        // A link and no copy: a file that is open for writing when another test starts a program, which
        // has it open too for a moment, cannot be run.
        std::fs::hard_link(env!("CARGO_BIN_EXE_lab"), bin.path().join("lab")).expect("linked");
        Self {
            bin,
            empty: tempfile::tempdir().expect("a folder"),
        }
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let lab = Command::new(self.bin.path().join("lab"))
            .args(arguments)
            .current_dir(self.empty.path())
            .output();
        let Output {
            status,
            stdout,
            stderr,
        } = lab.expect("lab runs");
        let text = [stdout, stderr].concat();
        (status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    fn left(&self) -> usize {
        std::fs::read_dir(self.empty.path())
            .expect("a folder")
            .count()
    }
}

#[test]
fn every_built_in_scenario_is_listed_and_can_be_forecast() {
    let lab = Installed::new();
    let (code, list) = lab.run(&["list"]);
    assert_eq!(code, Some(0), "{list}");
    for name in [
        "disconnect",
        "large-body",
        "liveness",
        "route-matrix",
        "stream",
    ] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{list}");
        let (code, text) = lab.run(&["forecast", name]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.starts_with(name) && text.contains("broken"), "{text}");
    }
    let settings = ["forecast", "stream", "--set", "server.pool_threads=40"];
    let (code, text) = lab.run(&settings);
    assert!(code == Some(0) && text.contains("40"), "{text}");
    assert_eq!(lab.left(), 0, "nothing was written");
}

#[test]
fn a_file_wins_over_what_is_built_in() {
    let lab = Installed::new();
    let folder = lab.empty.path().join("scenarios");
    std::fs::create_dir(&folder).expect("a folder");
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
    let text = std::fs::read_to_string(Path::new(published)).expect("readable");
    let title = text
        .lines()
        .find(|line| line.starts_with("title"))
        .expect("a title");
    let own = text.replace(title, "title = \"My own\"");
    std::fs::write(folder.join("stream.toml"), own).expect("written");
    let (code, list) = lab.run(&["list"]);
    assert_eq!((code, list.lines().count()), (Some(0), 1), "{list}");
    let (_, forecast) = lab.run(&["forecast", "stream"]);
    assert!(forecast.starts_with("stream: My own"), "{forecast}");
    let (code, _) = lab.run(&["forecast", "liveness"]);
    assert_eq!(
        code,
        Some(0),
        "a name that the folder has not is the built-in one"
    );
}

#[test]
fn what_is_missing_is_told_in_a_sentence() {
    let lab = Installed::new();
    let (code, text) = lab.run(&["compare"]);
    assert_eq!(code, Some(4), "{text}");
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    assert!(text.contains("there is no run in results/runs"), "{text}");
    let (code, text) = lab.run(&["forecast", "nowhere"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("there is no scenario nowhere; there are disconnect"),
        "{text}"
    );
    let (code, text) = lab.run(&["run", "stream", "--quick", "--variant", "fixed"]);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("mock-llm"), "{text}");
}
