//! A child of the lab ends when the lab does, whatever ends the lab.
//!
//! The lab holds the writing end of the child's standard input and never writes to it. When the lab
//! exits, is killed or crashes, the kernel closes that end, the child reads end-of-file and exits.
//! The parent-death signal would not do: it follows the *thread* that spawned the child.

use std::io::Read;

/// Name of the environment variable that asks for the lifeline; any value but the empty one counts.
pub const VARIABLE: &str = "LAB_LIFELINE";

/// Exit code of a process whose lifeline broke.
pub const EXIT_CODE: i32 = 5;

/// If [`VARIABLE`] is set, starts an OS thread that ends the process when standard input closes.
///
/// # Errors
/// If the thread cannot be started.
pub fn watch() -> std::io::Result<()> {
    if std::env::var_os(VARIABLE).is_none_or(|value| value.is_empty()) {
        return Ok(());
    }
    std::thread::Builder::new()
        .name("lifeline".into())
        .spawn(|| {
            let mut stdin = std::io::stdin().lock();
            let mut scratch = [0_u8; 64];
            // Nothing is ever sent: both end-of-file and an error mean that the holder is gone.
            while matches!(stdin.read(&mut scratch), Ok(n) if n > 0) {}
            std::process::exit(EXIT_CODE);
        })?;
    Ok(())
}
