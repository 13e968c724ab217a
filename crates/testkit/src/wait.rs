use std::time::{Duration, Instant};

/// Longer than anything takes that comes to its end, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A millisecond.
pub const MS: Duration = Duration::from_millis(1);

/// How long at a time a condition is waited for.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `is_so`.
///
/// # Panics
/// If it is not within [`PATIENCE`].
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(
            start.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits, in a test without a runtime, until `look` finds something, and returns it.
///
/// # Panics
/// If there is nothing after `limit`.
pub fn block_until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "for tests without a runtime")]
fn pause() {
    std::thread::sleep(PAUSE);
}
