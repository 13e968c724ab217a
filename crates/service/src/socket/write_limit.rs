use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How long a write to a peer that takes nothing may wait.
///
/// Without it a client that never reads keeps what its response holds for ever: its body is not asked
/// for more while a write waits, so no timeout inside the body can run.
#[derive(Debug, Default)]
pub struct WriteLimit {
    limit: Option<Duration>,
    /// Runs while a write waits for the peer.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl WriteLimit {
    /// Ends a write that waits for `limit`; `None` never does.
    #[must_use]
    pub fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            waiting: None,
        }
    }

    /// The outcome of a write that had `result`: the same, or [`io::ErrorKind::TimedOut`] once writes
    /// have waited for the limit without a byte being taken in between.
    pub fn check(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let (Poll::Pending, Some(limit)) = (&result, self.limit) else {
            self.waiting = None;
            return result;
        };
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        waiting
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(limit: &mut WriteLimit, result: impl Fn() -> Poll<io::Result<usize>>) -> String {
        let polled = std::future::poll_fn(|cx| Poll::Ready(limit.check(cx, result()))).await;
        format!("{polled:?}")
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_waits_is_ended_and_one_that_is_taken_starts_the_time_anew() {
        let mut limit = WriteLimit::new(Some(Duration::from_secs(10)));
        for _ in 0..3 {
            assert_eq!(check(&mut limit, || Poll::Pending).await, "Pending");
            tokio::time::advance(Duration::from_secs(9)).await;
            assert_eq!(check(&mut limit, || Poll::Pending).await, "Pending");
            assert_eq!(
                check(&mut limit, || Poll::Ready(Ok(5))).await,
                "Ready(Ok(5))"
            );
        }
        assert_eq!(check(&mut limit, || Poll::Pending).await, "Pending");
        tokio::time::advance(Duration::from_secs(11)).await;
        let ended = check(&mut limit, || Poll::Pending).await;
        assert!(ended.contains("TimedOut"), "{ended}");
    }
}
