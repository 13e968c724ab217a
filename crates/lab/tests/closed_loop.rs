//! The closed loop of users against a target whose latency is known: what it measures must be what
//! the closed formulas say of such a target.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::load::{RunningLoad, Start};
use lab::measure::{CellClock, Results};
use testkit::{Alone, check, unless_stalled};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use verdict::load::requests::{ClassRecorder, RequestEvent, RequestSpec};
use verdict::load::{self, LoadEvent};
use verdict::record::{Event, Tick, Window};

/// What the target takes for a request.
const SERVICE: Duration = Duration::from_millis(50);

/// How long the load is, and how long its hold: the first second is for coming into step.
const LOAD: Duration = Duration::from_secs(5);
const HOLD: Duration = Duration::from_secs(4);

/// A target that works on `at_once` requests at a time, first come, first served.
async fn target(at_once: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let places = Arc::new(Semaphore::new(at_once));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let places = Arc::clone(&places);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let place = places.acquire().await;
                tokio::time::sleep(SERVICE).await;
                drop(place);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    format!("http://{address}")
}

fn users(count: u32) -> RequestSpec {
    let text = format!(
        "path = \"/\"\nusers = {count}\ntimeout = \"10s\"\nthink = {{ min = \"50ms\", max = \"150ms\" }}"
    );
    toml::from_str(&text).expect("a class")
}

/// Lets `spec` ask `base` and returns what was recorded.
async fn load(spec: &RequestSpec, base: &str, seed: u64) -> Vec<RequestEvent> {
    let (results, received) = Results::new();
    let clock = CellClock::new(Instant::now() + Duration::from_millis(50));
    let asked = load::Load {
        requests: [("users".to_owned(), spec.clone())].into(),
        ..load::Load::default()
    };
    let start = Start {
        server: base.to_owned(),
        upstreams: Vec::new(),
        seed,
        at: Duration::ZERO,
        first_stream: 0,
        clock: clock.clone(),
        results,
    };
    let mut load = RunningLoad::start(&asked, &start).expect("starts");
    tokio::time::sleep_until((clock.origin() + LOAD).into()).await;
    tokio::task::spawn_blocking(move || load.end())
        .await
        .expect("ended");
    let requests = received.try_iter().map(|event| match event {
        Event::Load(LoadEvent::Requests(event)) => event,
        other => panic!("{other:?}"),
    });
    requests.collect()
}

/// X and R over the hold, and by how much they miss Little's law.
async fn measure(count: u32, at_once: usize) -> (f64, f64, f64) {
    let spec = users(count);
    let us = |time: Duration| u64::try_from(time.as_micros()).expect("in range");
    let window = Window {
        start_us: 0,
        hold_us: us(LOAD - HOLD),
        end_us: us(LOAD),
    };
    let mut recorder = ClassRecorder::new(&spec);
    for event in load(&spec, &target(at_once).await, 1).await {
        recorder.add(&event, window);
    }
    let figures = recorder.figures(&spec, window);
    assert_eq!(
        figures.outcomes.due,
        figures.outcomes.ok + figures.unanswered,
        "{figures:?}"
    );
    let little = figures.little.expect("answers");
    (
        little.throughput_per_second,
        little.response_us as f64 / 1e6,
        little.error_percent,
    )
}

/// What a timer that is late makes of a figure: nothing to what a loop that counts wrongly would, in
/// which nobody thinks, or everybody waits for one place.
const TOLERANCE: f64 = 0.25;

/// What so many users measure of a target that works on `at_once` at a time: X and R as they should be,
/// and Little's law, unless the machine stood still.
async fn assert_measures(at_once: usize, throughput: f64, response: f64) {
    let _alone = Alone::wait();
    unless_stalled(async || {
        let (x, r, little) = measure(20, at_once).await;
        let is_near = |measured: f64, expected: f64| (measured / expected - 1.0).abs() <= TOLERANCE;
        let is_so = is_near(x, throughput) && is_near(r, response) && little.abs() < 10.0;
        check(
            is_so,
            format!(
                "X {x}, not {throughput}, or R {r}, not {response}, or Little's law by {little} %"
            ),
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_target_with_room_for_all_wait_for_its_service_only() {
    // X = N/(S + Z), R = S; the timers of both sides round up to a millisecond.
    assert_measures(1_000, 20.0 / 0.150, 0.050).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_target_that_is_full_wait_for_each_other() {
    // X = c/S, R = N/X − Z.
    assert_measures(4, 4.0 / 0.050, 20.0 / 80.0 - 0.100).await;
}

/// A target that answers 503 as soon as it is asked.
async fn refusing_target() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let answer = b"HTTP/1.1 503 Full\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn users_who_do_not_think_do_not_hammer_a_target_that_refuses_them() {
    let text = "path = \"/\"\nusers = 4\ntimeout = \"10s\"";
    let spec: RequestSpec = toml::from_str(text).expect("a class");
    let events = load(&spec, &refusing_target().await, 1).await;
    let is_start = |event: &&RequestEvent| matches!(event, RequestEvent::Started { .. });
    let sent = events.iter().filter(is_start).count();
    // Each of the four once in 100 ms, and once at the start.
    let most = 4 * (1 + LOAD.as_millis() as usize / 100);
    assert!((most / 2..=most).contains(&sent), "{sent} of {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_thinks_as_long_as_the_forecast_has_it() {
    let spec = users(1);
    let seed = 7;
    let events = load(&spec, &target(1).await, seed).await;
    let ended: Vec<Tick> = events
        .into_iter()
        .filter_map(|event| match event {
            RequestEvent::Ended(tick) => Some(tick),
            RequestEvent::Started { .. } => None,
        })
        .collect();
    assert!(ended.len() > 20, "{}", ended.len());
    for (n, pair) in ended.windows(2).enumerate() {
        let thought = Duration::from_micros(pair[1].due_us - pair[0].done_us);
        let planned = spec.think.nth(seed, 0, n as u64);
        assert!(
            thought.abs_diff(planned) < Duration::from_micros(5),
            "{thought:?} after request {n}, not {planned:?}"
        );
    }
}
