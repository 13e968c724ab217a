use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal to the process of this number; whether there is one that takes it.
pub(super) fn send_signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}
