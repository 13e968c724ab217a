use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::records::GRACE;

/// Runs `command` for a lab, and ends it with all that it has started, when the command ends, when
/// the lab's end of standard input closes, which the kernel sees to whatever ends the lab, or at
/// SIGTERM. The first line on standard output is the number of the process; the command's own output
/// goes to standard error.
///
/// # Errors
/// If the command cannot be started.
pub async fn guard(command: &[String]) -> anyhow::Result<ExitCode> {
    let (program, args) = command.split_first().context("no command")?;
    // What its children leave behind becomes a child of this process and can be found.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let mut terminate = signal(SignalKind::terminate())?;
    let stdin = rustix::io::dup(std::io::stdin())?;
    let mut lifeline = pipe::Receiver::from_owned_fd(stdin)?;
    let output = rustix::io::dup(std::io::stderr())?;
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::from(output))
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let group = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    println!("{}", child.id().unwrap_or_default());
    let mut byte = [0];
    let status = tokio::select! {
        status = child.wait() => Some(status?),
        _ = lifeline.read(&mut byte) => None,
        _ = terminate.recv() => None,
    };
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while status.is_none() && Instant::now() < deadline {
            if child.try_wait()?.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let _ = kill_process_group(group, Signal::KILL);
    }
    end_orphans().await;
    let code = status.and_then(|status| status.code());
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Ends what has left the command's process group and outlived it.
async fn end_orphans() {
    for _ in 0..50 {
        let children = own_children();
        if children.is_empty() {
            return;
        }
        for child in children {
            let _ = kill_process(child, Signal::KILL);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Children of this process that have not ended; on Linux alone.
fn own_children() -> Vec<Pid> {
    let me = std::process::id();
    let path = format!("/proc/{me}/task/{me}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter(|&pid| crate::measure::started_ticks(pid).is_some())
        .filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        .collect()
}
