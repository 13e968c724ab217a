use std::num::NonZero;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, available_parallelism, spawn};
use std::time::{Duration, Instant};

/// How often at most something is tried.
const ATTEMPTS: usize = 3;

/// How long the threads that watch sleep at a time.
const TICK: Duration = Duration::from_millis(1);

/// Less moves no figure that a test asserts.
const TOLERATED: Duration = Duration::from_millis(20);

/// Notes when the machine stands still: threads that do nothing but sleep wake too late then.
pub struct Stalls {
    watching: Vec<(Sender<()>, JoinHandle<Duration>)>,
}

impl Stalls {
    /// Begins to watch.
    pub fn watch() -> Self {
        // The host of a virtual machine can take one of its cores and leave the others.
        let cores = available_parallelism().map_or(1, NonZero::get);
        let watching = (0..cores).map(|_| {
            let (stop, stopped) = channel::<()>();
            let thread = spawn(move || {
                let mut longest = Duration::ZERO;
                loop {
                    let asleep = Instant::now();
                    let woken = stopped.recv_timeout(TICK);
                    longest = longest.max(asleep.elapsed().saturating_sub(TICK));
                    if woken != Err(RecvTimeoutError::Timeout) {
                        return longest;
                    }
                }
            });
            (stop, thread)
        });
        Self {
            watching: watching.collect(),
        }
    }

    /// For how long it stood still at the most, since the watch began.
    pub fn longest(self) -> Duration {
        let longest = self.watching.into_iter().map(|(stop, thread)| {
            drop(stop);
            thread.join().expect("no panic")
        });
        longest.max().unwrap_or_default()
    }
}

/// Whether what was measured is as it should be; if not, what it is.
pub fn check(is_so: bool, measured: String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(measured) }
}

/// Tries until it succeeds; again only if the machine stood still meanwhile, which tells nothing of
/// what was measured.
pub async fn unless_stalled(mut attempt: impl AsyncFnMut() -> Result<(), String>) {
    for attempts_left in (0..ATTEMPTS).rev() {
        let stalls = Stalls::watch();
        let outcome = attempt().await;
        let stalled = stalls.longest();
        let Err(why) = outcome else { return };
        assert!(
            attempts_left > 0 && stalled > TOLERATED,
            "{why}; the machine stood still for {stalled:.0?} at the most"
        );
        println!("tried again, as the machine stood still for {stalled:.0?}: {why}");
    }
}
