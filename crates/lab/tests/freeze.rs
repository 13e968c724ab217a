//! The acceptance test of the instrument: a server that is frozen for a known time must be measured
//! as frozen for that time, by exactly the share of the checks that fell into it.
#![cfg(unix)]

use std::time::{Duration, Instant};

use lab::measure::{CellClock, Endpoint, Manner, Prober, Results};
use testkit::{Alone, Signal, check, eventually, mock_llm, unless_stalled};
use verdict::record::{Event, Tick};

const RUN: Duration = Duration::from_secs(12);
const FREEZE: Duration = Duration::from_secs(2);
const RATE: f64 = 200.0;

/// Runs the probe against a server that is frozen once; returns the checks and the freeze as it was.
async fn measure(timeout: Duration) -> (Vec<Tick>, Duration) {
    let (server, address) = mock_llm();
    let (results, received) = Results::new();
    let clock = CellClock::new(Instant::now() + Duration::from_millis(100));
    let endpoint = Endpoint {
        name: "health".to_owned(),
        url: format!("http://{address}/health").into(),
        headers: reqwest::header::HeaderMap::new(),
    };
    let mut prober = Prober::start(
        lab::http::client(false).expect("a client"),
        vec![endpoint],
        Manner {
            rate: RATE,
            timeout,
            keep_alive: false,
            is_guest: false,
        },
        clock.clone(),
        results,
    )
    .expect("starts");

    tokio::time::sleep_until((clock.origin() + Duration::from_secs(4)).into()).await;
    server.signal(Signal::STOP);
    let frozen = Instant::now();
    tokio::time::sleep(FREEZE).await;
    server.signal(Signal::CONT);
    let freeze = frozen.elapsed();
    tokio::time::sleep_until((clock.origin() + RUN).into()).await;
    let end_us = u64::try_from(RUN.as_micros()).expect("in range");
    let end_us = prober.stop_at(end_us);
    eventually("every check has its outcome", async || prober.is_done()).await;

    let ticks: Vec<_> = received
        .try_iter()
        .map(|event| match event {
            Event::Tick(tick) => tick,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        ticks.len() as u64,
        prober.plan().due_between(0, 0, end_us),
        "a check was dropped"
    );
    (ticks, freeze)
}

/// P(latency > x) for checks spread evenly over `run`, a freeze of `freeze` and no other delay.
fn expected_share(x: Duration, freeze: Duration) -> f64 {
    freeze.saturating_sub(x).as_secs_f64() / RUN.as_secs_f64()
}

fn sup_distance(ticks: &[Tick], timeout: Duration, freeze: Duration, until: Duration) -> f64 {
    let timeout_us = u64::try_from(timeout.as_micros()).expect("in range");
    // Below 50 ms a check's own time counts; above, only the freeze does.
    (50..until.as_millis() as u64)
        .step_by(10)
        .map(|ms| {
            let x = Duration::from_millis(ms);
            let above = ticks
                .iter()
                .filter(|tick| u128::from(tick.response_us(timeout_us)) > x.as_micros())
                .count();
            (above as f64 / ticks.len() as f64 - expected_share(x, freeze)).abs()
        })
        .fold(0.0, f64::max)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_is_measured_as_long_and_as_often_as_it_was() {
    let _alone = Alone::wait();
    let timeout = Duration::from_secs(5);
    unless_stalled(async || {
        let (ticks, freeze) = measure(timeout).await;
        let distance = sup_distance(&ticks, timeout, freeze, FREEZE + Duration::from_secs(1));
        let timeout_us = u64::try_from(timeout.as_micros()).expect("in range");
        let max = ticks
            .iter()
            .map(|tick| tick.response_us(timeout_us))
            .max()
            .expect("ticks");
        let max_error = (max as f64 / 1e6 / freeze.as_secs_f64() - 1.0).abs();
        let measured = format!(
            "sup distance {distance:.4}, maximum off by {:.2} %",
            100.0 * max_error
        );
        println!("{measured}");
        check(distance <= 0.01 && max_error <= 0.05, measured)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_beyond_the_timeout_is_not_dropped() {
    let _alone = Alone::wait();
    let timeout = Duration::from_millis(500);
    unless_stalled(async || {
        let (ticks, freeze) = measure(timeout).await;
        // Up to the timeout the distribution is known; what lies above stands there as "at least".
        let distance = sup_distance(&ticks, timeout, freeze, Duration::from_millis(490));
        let measured = format!("sup distance below the timeout {distance:.4}");
        println!("{measured}");
        check(distance <= 0.01, measured)
    })
    .await;
}
