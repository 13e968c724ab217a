use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

use super::*;
use crate::dice::Dice;
use crate::distribution::Distribution;
use crate::gate::Load;
use crate::ledger::{Kind, Ledger, Opening, Phase};
use crate::schedule::Schedule;

const TTFT: Duration = Duration::from_millis(200);
const INTERVAL: Duration = Duration::from_micros(100_300);

/// A script of bare numbers.
struct Numbers;

impl Script for Numbers {
    fn opening(&self) -> Option<Bytes> {
        None
    }

    fn token(&self, k: u64) -> Bytes {
        k.to_string().into()
    }

    fn closing(&self) -> Bytes {
        "end".into()
    }

    fn error(&self, kind: &str) -> Bytes {
        kind.to_owned().into()
    }
}

fn stream(ledger: &Arc<Ledger>, lateness: &Arc<Times>, chunks: u64) -> TokenStream<Plot<Numbers>> {
    let schedule = Schedule::new(
        Dice::new(0, "test"),
        Distribution::Constant(TTFT),
        Distribution::Constant(INTERVAL),
    );
    let opening = Opening {
        kind: Kind::SlowStream,
        request_id: "test".into(),
        started_us: 1,
        retry: 0,
        peer: None,
    };
    TokenStream::new(
        Plot::new(Numbers, chunks, None),
        Pace::new(Instant::now(), schedule, Load::default()),
        Slices::new(None),
        Arc::clone(lateness),
        ledger.open(opening, Phase::Headers),
    )
}

#[tokio::test(start_paused = true)]
async fn lateness_does_not_accumulate() {
    let (ledger, lateness) = (Ledger::new(1), Arc::default());
    let start = Instant::now();
    let mut stream = stream(&ledger, &lateness, 51);
    for k in 0_u32..51 {
        assert_eq!(stream.next().await.unwrap().unwrap(), k.to_string());
        let due = TTFT + k * INTERVAL;
        let late = start
            .elapsed()
            .checked_sub(due)
            .expect("a token came before its time");
        // The timer rounds each target up to a whole millisecond: a sum of waits would be 35 ms off.
        let held_up = (11..=13).contains(&k);
        assert!(
            held_up || late <= Duration::from_millis(1),
            "token {k} is {late:?} late"
        );
        // Once the reader is busy for two intervals; the grid must not move.
        sleep(if k == 10 {
            5 * INTERVAL / 2
        } else {
            INTERVAL / 3
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_token_that_is_asked_for_too_late_is_held_against_the_mock() {
    let (ledger, lateness) = (Ledger::new(1), Arc::default());
    let mut stream = stream(&ledger, &lateness, 2);
    sleep(TTFT + Duration::from_millis(70)).await;
    let _ = stream.next().await;
    assert!(
        (70_000..=72_000).contains(&lateness.summary().max),
        "{:?}",
        lateness.summary()
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_not_held_against_the_mock() {
    let (ledger, lateness) = (Ledger::new(1), Arc::default());
    let mut stream = stream(&ledger, &lateness, 50);
    let _ = stream.next().await;
    sleep(Duration::from_secs(3)).await;
    while stream.next().await.is_some() {}
    let summary = lateness.summary();
    assert_eq!(summary.count, 50);
    assert!(summary.max < 2_000, "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_runtime_is_held_against_the_mock() {
    let (ledger, lateness) = (Ledger::new(1), Arc::default());
    let mut stream = stream(&ledger, &lateness, 50);
    let _ = stream.next().await;
    // The stream waits for its timer, and whoever runs it comes 500 ms late.
    let waiting = futures_util::future::poll_immediate(stream.next()).await;
    assert_eq!(waiting, None);
    tokio::time::advance(Duration::from_millis(600)).await;
    while stream.next().await.is_some() {}
    let summary = lateness.summary();
    assert!((498_000..=502_000).contains(&summary.max), "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn the_account_follows_the_stream_and_ends_with_it() {
    let (ledger, lateness) = (Ledger::new(1), Arc::default());
    let mut stream = stream(&ledger, &lateness, 2);
    let _ = stream.next().await;
    assert_eq!(ledger.open_streams()[0].chunks, 1);
    while stream.next().await.is_some() {}
    assert_eq!(ledger.tally().open, 1, "the account is closed by the drop");
    drop(stream);
    assert_eq!(ledger.tally().by_cause[&Cause::Completed], 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_with_the_end_of_the_body_unasked_for_it_is_closed_after_last_content() {
    let (ledger, lateness) = (Ledger::new(1), Arc::default());
    let mut stream = stream(&ledger, &lateness, 2);
    while stream.next().await.unwrap().unwrap() != "end" {}
    drop(stream);
    assert_eq!(ledger.tally().by_cause[&Cause::ClosedAfterLastContent], 1);
    assert_eq!(ledger.tally().completed, 1);
}
