//! The jobs of docs/ci.md, command by command, as a runner would run them: against a service with
//! threads enough, and against the same service with too few.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{LAB, has_python, stderr, stdout};
use lab::stage::Port;
use testkit::Beside;

const PAGE: &str = include_str!("../../../docs/ci.md");

/// The service: it streams from a pool of `$THREADS` threads, and its health check needs one of them.
const SERVICE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/python_service/app.py"
);

/// The YAML blocks of the page, GitHub's before GitLab's.
fn jobs() -> [&'static str; 2] {
    let parts = PAGE.split("```yaml\n").skip(1);
    let blocks: Vec<_> = parts
        .map(|part| part.split_once("```").expect("a closed block").0)
        .collect();
    blocks.try_into().expect("two jobs")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// What stands at a line: the rest of it, or after `|` the lines below that are indented further.
fn value<'a>(first: &'a str, lines: &[&'a str], depth: usize) -> String {
    if first != "|" {
        return first.to_owned();
    }
    let inside = |line: &&&str| line.trim().is_empty() || indent(line) > depth;
    let block: Vec<_> = lines.iter().take_while(inside).copied().collect();
    block.join("\n")
}

/// GitHub runs each `run:` in a shell of its own.
fn steps(job: &str) -> Vec<String> {
    let lines: Vec<_> = job.lines().collect();
    let runs = lines.iter().enumerate();
    runs.filter_map(|(at, line)| {
        let first = line.trim_start().strip_prefix("run: ")?;
        Some(value(first, &lines[at + 1..], indent(line)))
    })
    .collect()
}

/// GitLab runs all items of `script:` in one shell.
fn script(job: &str) -> String {
    let lines: Vec<_> = job.lines().collect();
    let begin = lines.iter().position(|line| line.trim() == "script:");
    let begin = begin.expect("a script") + 1;
    let depth = indent(lines[begin]);
    let items = (begin..lines.len()).take_while(|&at| indent(lines[at]) >= depth);
    let items = items.filter_map(|at| {
        let first = lines[at]
            .strip_prefix(&" ".repeat(depth))?
            .strip_prefix("- ")?;
        Some(value(first, &lines[at + 1..], depth))
    });
    items.collect::<Vec<_>>().join("\n")
}

/// An empty folder with a service in it, and the environment of a runner.
struct Runner {
    folder: tempfile::TempDir,
    port: Port,
    threads: u32,
}

impl Runner {
    fn new(threads: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = Port::reserve().expect("a port");
        let number = port.address().port();
        let start = format!(
            "#!/bin/sh\necho $$ > pid\nexec python3 {SERVICE} --port {number} --threads \"$THREADS\"\n"
        );
        let path = folder.path().join("start-service");
        std::fs::write(&path, start).expect("written");
        let made = Command::new("chmod").arg("+x").arg(&path).status();
        assert!(made.expect("chmod").success());
        Self {
            folder,
            port,
            threads,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs commands in a shell that ends at the first failure, as both kinds of runner do.
    fn shell(&self, commands: &str) -> Output {
        let bin = Path::new(LAB).parent().expect("a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(bin).chain(std::env::split_paths(&path));
        let url = format!("http://{}", self.port.address());
        Command::new("bash")
            .args(["-eo", "pipefail", "-c", commands])
            .current_dir(self.path())
            .env("PATH", std::env::join_paths(paths).expect("a path"))
            .env("THREADS", self.threads.to_string())
            .env("STREAM_URL", format!("{url}/stream"))
            .env("HEALTH_URL", format!("{url}/health-sync"))
            .env("LAB_GIT", "nowhere: the lab is installed")
            .stdin(Stdio::null())
            .output()
            .expect("bash")
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.path().join("pid"));
        if let Ok(pid) = pid {
            let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        }
    }
}

#[track_caller]
fn check(runner: &Runner, last: &Output, code: i32, part: &str) {
    let text = stdout(last) + &stderr(last);
    assert_eq!(last.status.code(), Some(code), "{text}");
    assert!(text.contains(part), "\"{part}\" is not in: {text}");
    let runs = std::fs::read_dir(runner.path().join("results/runs")).expect("what is kept");
    assert!(runs.count() > 0, "there is nothing to keep");
    assert!(runner.path().join("service.log").is_file());
}

fn on_github(threads: u32, code: i32, part: &str) {
    if !has_python() {
        return;
    }
    let _beside = Beside::others();
    let runner = Runner::new(threads);
    let mut steps = steps(jobs()[0]);
    assert_eq!(steps.len(), 3, "{steps:#?}");
    let attach = steps.pop().expect("the last one");
    for step in steps {
        let output = runner.shell(&step);
        assert!(output.status.success(), "{step}: {}", stderr(&output));
    }
    check(&runner, &runner.shell(&attach), code, part);
}

fn on_gitlab(threads: u32, code: i32, part: &str) {
    if !has_python() {
        return;
    }
    let _beside = Beside::others();
    let runner = Runner::new(threads);
    check(&runner, &runner.shell(&script(jobs()[1])), code, part);
}

#[test]
fn the_github_job_passes_a_good_service() {
    on_github(64, 0, "healthy");
}

#[test]
fn the_github_job_fails_for_a_bad_service() {
    on_github(4, 1, "FAILED diagnosis");
}

#[test]
fn the_gitlab_job_passes_a_good_service() {
    on_gitlab(64, 0, "healthy");
}

#[test]
fn the_gitlab_job_fails_for_a_bad_service() {
    on_gitlab(4, 1, "FAILED diagnosis");
}
