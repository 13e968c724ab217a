/// Puts the calling thread before the load and the servers when cores are short, where the operating
/// system lets it (as root, or with `CAP_SYS_NICE`). Elsewhere nothing changes: that the probe was
/// late is measured in any case, and ends a run as invalid.
pub fn prefer_this_thread() {
    #[cfg(target_os = "linux")]
    {
        let thread = rustix::thread::gettid();
        // On Linux a thread has a nice value of its own.
        let _ = rustix::process::setpriority_process(Some(thread), -15);
    }
}
