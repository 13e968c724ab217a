use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::wait::eventually;

/// Asks a program of this workspace to end when its standard input does.
const LIFELINE: &str = "LAB_LIFELINE";

/// The path of a program of this workspace, which stands beside the folder of the test that asks.
///
/// # Panics
/// If it is not built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.ancestors().nth(2).expect("two folders up");
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is not built: cargo build --release --workspace --bins",
        path.display()
    );
    path
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(pid_of(pid), signal).expect("sent");
}

fn pid_of(pid: u32) -> Pid {
    let pid = i32::try_from(pid).expect("a process id");
    Pid::from_raw(pid).expect("a process id")
}

/// A program that a test has started. It is killed when this is dropped, and ends with the test in any
/// case.
pub struct Process {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    _lifeline: Option<ChildStdin>,
}

impl Process {
    /// Starts a program, whose first lines say where it listens.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .env(LIFELINE, "stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = child.stdout.take().expect("piped");
        Self {
            stdout: BufReader::new(stdout).lines(),
            _lifeline: child.stdin.take(),
            child,
        }
    }

    /// The address in its next line, which is `<what> on http://<address>`.
    pub fn announced(&mut self, what: &str) -> SocketAddr {
        let line = self.stdout.next().expect("an announcement").expect("text");
        let address = line.strip_prefix(&format!("{what} on http://"));
        address.expect(&line).parse().expect("an address")
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, number: Signal) {
        signal(self.pid(), number);
    }

    /// Asks it to end, as an operator does: with `SIGTERM`.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        eventually("the program ends", async || {
            self.child.try_wait().expect("known").is_some()
        })
        .await;
        self.child.wait().expect("known")
    }

    /// A figure in bytes of `/proc/<pid>/status`, such as `VmHWM`.
    #[cfg(target_os = "linux")]
    pub fn memory(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix(figure));
        let line = line.unwrap_or_else(|| panic!("no {figure}"));
        let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
        kib.parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
