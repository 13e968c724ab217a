//! One line when exhaustion begins and one when it ends. A file of its own: the watchdog logs from
//! its own thread, so the subscriber has to be the process's.

use std::io::{self, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use axum::Router;
use testkit::eventually;
use vitals::{BlockingPool, Vitals};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone())
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    async fn wait_for_lines(&self, count: usize) {
        let what = format!("{count} lines are written");
        eventually(&what, async || self.lines().len() >= count).await;
    }
}

#[test]
fn exhaustion_is_logged_once_when_it_begins_and_once_when_it_ends() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let pool = BlockingPool::new(2);
        let vitals = Vitals::new(pool.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _watchdog = vitals.watchdog(listener, Router::new()).unwrap();
        let mut release = Vec::new();
        for _ in 0..5 {
            let (sender, released) = mpsc::channel::<()>();
            release.push(sender);
            drop(pool.spawn(move || {
                let _ = released.recv();
            }));
        }
        log.wait_for_lines(1).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(log.lines().len(), 1, "{:?}", log.lines());
        let released = Instant::now();
        drop(release);
        log.wait_for_lines(2).await;
        assert!(released.elapsed() > Duration::from_secs(3), "too early");

        // The same by a library that calls Tokio's own function: the canary is the only witness.
        let mut release = Vec::new();
        for _ in 0..2 {
            let (sender, released) = mpsc::channel::<()>();
            release.push(sender);
            drop(tokio::task::spawn_blocking(move || released.recv()));
        }
        log.wait_for_lines(3).await;
        drop(release);
        log.wait_for_lines(4).await;
    });
    let lines = log.lines();
    assert!(
        lines[0].contains("WARN") && lines[0].contains("busy=2 capacity=2 "),
        "{lines:?}"
    );
    // Three jobs, and the canary if the watchdog was so late that it is there already.
    let queued = ["queued=3 ", "queued=4 "];
    assert!(
        queued.iter().any(|count| lines[0].contains(count)),
        "{lines:?}"
    );
    assert!(
        lines[1].contains("INFO") && lines[1].contains("queued_peak="),
        "{lines:?}"
    );
    assert!(lines[1].contains("lasted_ms="), "{lines:?}");
    assert!(
        lines[2].contains("busy=0 capacity=2 queued=1 uncounted=2"),
        "{lines:?}"
    );
    assert!(lines[3].contains("no longer exhausted"), "{lines:?}");
}
