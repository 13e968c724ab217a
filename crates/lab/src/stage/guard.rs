use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::records::GRACE;
use super::signal::send_signal;
use crate::measure::{descendants, started_ticks};

/// Runs `command` for a lab and ends everything that it has started. It does so when the command ends,
/// at SIGTERM, or when the lab ends: then the kernel closes the standard input of this process. The
/// first line on standard output is the command's process number. The command's own output goes to
/// standard error.
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
        if status.is_none() {
            let _ = tokio::time::timeout(GRACE, child.wait()).await;
        }
        let _ = kill_process_group(group, Signal::KILL);
    }
    end_orphans().await;
    let code = status.and_then(|status| status.code());
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Ends what has left the command's process group and outlived it. On Linux alone: elsewhere it is not
/// known.
async fn end_orphans() {
    for _ in 0..50 {
        let mut left = descendants(std::process::id());
        left.retain(|&pid| started_ticks(pid).is_some());
        if left.is_empty() {
            return;
        }
        for pid in left {
            send_signal(pid, Signal::KILL);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
