//! The guarded body by itself, without sockets: what it holds, what it pulls, what it reports.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use prometheus_client::registry::Registry;
use relay::{
    ConfigError, Ending, Framing, GuardedBody, Relay, RelayError, RelaySnapshot, StreamFigures,
    Terminal, Timeouts, Url, register_relays,
};

const SSE: Framing = Framing::sse(Terminal::Required);

fn relay(idle: Duration) -> Relay {
    let upstream = "http://127.0.0.1:9".parse().unwrap();
    Relay::new(
        upstream,
        Timeouts {
            idle,
            ..Timeouts::default()
        },
        2,
    )
    .unwrap()
}

fn chunks(chunks: &[&'static str]) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    stream::iter(chunks.to_vec()).map(|chunk| Ok(Bytes::from(chunk)))
}

fn guard(
    relay: &Relay,
    bytes: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
    framing: Framing,
) -> GuardedBody {
    relay.guard(bytes, relay.permit().unwrap(), framing)
}

async fn collect(body: &mut GuardedBody) -> String {
    let mut text = String::new();
    while let Some(chunk) = body.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    text
}

#[tokio::test]
async fn the_permit_is_back_once_the_stream_ends_though_the_body_lives_on() {
    let relay = relay(Duration::from_secs(60));
    let mut body = guard(&relay, chunks(&["data: [DONE]\n\n"]), SSE);
    assert_eq!(relay.snapshot().permits_in_use, 1);
    assert_eq!(collect(&mut body).await, "data: [DONE]\n\n");
    assert!(body.is_ended());
    let snapshot = relay.snapshot();
    assert_eq!((snapshot.permits_in_use, snapshot.streams_open), (0, 0));
    assert!(body.next().await.is_none(), "and it stays ended");
    drop(body);
    assert_eq!(relay.snapshot().endings["complete"], 1, "once");
}

#[tokio::test]
async fn a_body_of_known_length_is_whole_with_its_last_byte() {
    let relay = relay(Duration::from_secs(60));
    let endless = chunks(&["12345", "67"]).chain(stream::pending());
    let mut body = guard(&relay, endless, Framing::opaque(Some(7)));
    body.next().await.unwrap().unwrap();
    assert!(!body.is_ended());
    body.next().await.unwrap().unwrap();
    assert!(body.is_ended());
    assert_eq!(relay.snapshot().endings["complete"], 1);
}

#[tokio::test]
async fn a_client_that_leaves_early_from_a_body_of_known_length_is_gone() {
    let relay = relay(Duration::from_secs(60));
    let mut body = guard(&relay, chunks(&["12345", "67"]), Framing::opaque(Some(7)));
    body.next().await.unwrap().unwrap();
    drop(body);
    assert_eq!(relay.snapshot().endings["client_gone"], 1);
}

#[tokio::test]
async fn an_empty_chunk_is_not_passed_on() {
    let relay = relay(Duration::from_secs(60));
    let mut body = guard(&relay, chunks(&["a", "", "b"]), Framing::opaque(None));
    let mut passed = Vec::new();
    while let Some(chunk) = body.next().await {
        passed.push(chunk.unwrap());
    }
    assert_eq!(passed, ["a", "b"]);
}

#[tokio::test]
async fn nothing_is_pulled_ahead_of_the_client() {
    let relay = relay(Duration::from_secs(60));
    let pulled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&pulled);
    let bytes = chunks(&["a", "b", "c"]).inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let mut body = pin!(guard(&relay, bytes, Framing::opaque(None)));
    tokio::task::yield_now().await;
    assert_eq!(pulled.load(Ordering::Relaxed), 0);
    body.next().await.unwrap().unwrap();
    tokio::task::yield_now().await;
    assert_eq!(pulled.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn time_that_the_client_takes_is_not_the_upstreams() {
    let idle = Duration::from_millis(400);
    let relay = relay(idle);
    // Each chunk makes the body wait a little, so that the timer runs and stops between pulls.
    let bytes = chunks(&["data: a\n\n", "data: b\n\n", "data: [DONE]\n\n"]).then(async |chunk| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        chunk
    });
    let mut body = guard(&relay, bytes, SSE);
    while let Some(chunk) = body.next().await {
        chunk.unwrap();
        tokio::time::sleep(idle * 2).await;
    }
    assert_eq!(
        relay.snapshot().endings["complete"],
        1,
        "{:?}",
        relay.snapshot()
    );
}

#[tokio::test(start_paused = true)]
async fn the_total_timeout_holds_for_a_body_that_nobody_polls() {
    let upstream = "http://127.0.0.1:9".parse().unwrap();
    let total = Duration::from_secs(600);
    let relay = Relay::new(upstream, Timeouts::default().with_total(total), 2).unwrap();
    let endless = || chunks(&["data: 1\n\n"]).chain(stream::pending());
    let mut body = guard(&relay, endless(), SSE).first_byte().await.unwrap();
    let whole = guard(&relay, chunks(&["data: [DONE]\n\n"]), SSE);
    let whole = whole.first_byte().await.unwrap();
    tokio::time::sleep(total - Duration::from_secs(1)).await;
    assert_eq!(relay.snapshot().permits_in_use, 2);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(body.is_ended() && whole.is_ended());
    let snapshot = relay.snapshot();
    assert_eq!((snapshot.permits_in_use, snapshot.streams_open), (0, 0));
    assert_eq!(snapshot.endings["complete"], 1, "it had all there was");
    let text = collect(&mut body).await;
    assert!(text.starts_with("data: 1\n\ndata: {\"error\""), "{text}");
    assert!(text.contains("deadline_exceeded"), "{text}");
    drop((body, whole));
    assert_eq!(relay.snapshot().endings["deadline_exceeded"], 1, "once");

    // Whoever waits is woken; before the first byte it is an error.
    let timeouts = Timeouts::default().with_idle(Duration::MAX);
    let upstream = "http://127.0.0.1:9".parse().unwrap();
    let relay = Relay::new(upstream, timeouts, 1).unwrap();
    let error = guard(&relay, stream::pending(), SSE).first_byte();
    let error = error.await.unwrap_err();
    assert!(matches!(error, RelayError::Deadline { .. }), "{error:?}");
    assert_eq!(relay.snapshot().endings["deadline_exceeded"], 1);
}

#[tokio::test]
async fn the_callback_gets_each_ending_once_with_its_figures() {
    let relay = relay(Duration::from_millis(50));
    let seen = Arc::new(Mutex::new(Vec::<(Ending, StreamFigures)>::new()));
    let sink = Arc::clone(&seen);
    relay.on_end(move |ending, figures| sink.lock().unwrap().push((ending, figures)));

    drop(guard(&relay, stream::pending(), SSE));
    let refusal = Framing::refusal(429, None);
    collect(&mut guard(&relay, chunks(&["slow ", "down"]), refusal)).await;
    let silent = chunks(&["data: 1\n\n"]).chain(stream::pending());
    let text = collect(&mut guard(&relay, silent, SSE)).await;
    assert!(text.contains("upstream_idle_timeout"), "{text}");

    let seen = seen.lock().unwrap();
    let endings: Vec<_> = seen.iter().map(|(ending, _)| *ending).collect();
    assert_eq!(
        endings,
        [
            Ending::ClientGone,
            Ending::UpstreamStatus(429),
            Ending::IdleTimeout
        ]
    );
    let figures: Vec<_> = seen
        .iter()
        .map(|(_, figures)| (figures.bytes, figures.chunks))
        .collect();
    assert_eq!(
        figures,
        [(0, 0), (9, 2), (9, 1)],
        "the error event is not the upstream's"
    );
    assert!(seen[2].1.duration >= Duration::from_millis(50));
    assert!(seen[0].1.first_byte.is_none(), "nothing came");
    assert!(seen[2].1.first_byte.unwrap() < seen[2].1.duration);
}

#[tokio::test(start_paused = true)]
async fn the_callback_finds_everything_let_go_however_the_stream_ends() {
    let total = Duration::from_secs(600);
    let upstream = "http://127.0.0.1:9".parse().unwrap();
    let relay = Relay::new(upstream, Timeouts::default().with_total(total), 1).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (sink, watched) = (Arc::clone(&seen), relay.clone());
    relay.on_end(move |ending, _| {
        let now = watched.snapshot();
        let counted = now.endings[ending.label()];
        // The only permit, and the next one of the same relay inside the callback.
        let is_free = watched.permit().is_ok();
        let state = (now.permits_in_use, now.streams_open, counted, is_free);
        sink.lock().unwrap().push((ending, state));
    });
    let endless = || chunks(&["data: 1\n\n"]).chain(stream::pending());

    collect(&mut guard(&relay, chunks(&["data: [DONE]\n\n"]), SSE)).await;
    drop(guard(&relay, endless(), SSE));
    let unread = guard(&relay, endless(), SSE);
    tokio::time::sleep(total * 2).await;
    drop(unread);
    drop(guard(&relay, stream::pending(), Framing::opaque(Some(0))));
    let let_go = |counted| (0, 0, counted, true);
    assert_eq!(
        *seen.lock().unwrap(),
        [
            (Ending::Complete, let_go(1)),
            (Ending::ClientGone, let_go(1)),
            (Ending::DeadlineExceeded, let_go(1)),
            (Ending::Complete, let_go(2)),
        ]
    );
}

#[tokio::test]
async fn a_callback_that_panics_takes_nothing_along() {
    let relay = relay(Duration::from_secs(60));
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    relay.on_end(move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        panic!("the app's callback");
    });
    let mut whole = guard(&relay, chunks(&["data: [DONE]\n\n"]), SSE);
    assert_eq!(collect(&mut whole).await, "data: [DONE]\n\n");
    let dropped = guard(&relay, stream::pending(), SSE);
    let unwound = std::panic::catch_unwind(AssertUnwindSafe(move || {
        let _dropped = dropped;
        panic!("the handler's own, in which the body is dropped");
    }));
    assert!(unwound.is_err());
    let now = relay.snapshot();
    assert_eq!((now.permits_in_use, now.streams_open), (0, 0));
    assert_eq!(
        (now.endings["complete"], now.endings["client_gone"]),
        (1, 1)
    );
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    // Of an exchange that ends before its head as well.
    let never = "http://127.0.0.1:9".parse().unwrap();
    let impatient = Timeouts::default().with_total(Duration::ZERO);
    let other = Relay::new(never, impatient, 1).unwrap();
    other.on_end(|_, _| panic!("the app's callback"));
    let response = other.build(http::Method::GET, "/").forward().await;
    assert!(response.status().is_server_error(), "{response:?}");
    let ended: u64 = other.snapshot().endings.values().sum();
    assert_eq!((ended, other.snapshot().awaiting_head), (1, 0));
}

#[test]
fn no_limit_at_all_is_a_limit_that_works() {
    let upstream: Url = "http://127.0.0.1:9".parse().unwrap();
    let relay = Relay::new(upstream.clone(), Timeouts::default(), usize::MAX).unwrap();
    assert!(relay.snapshot().permits_limit > 1 << 28);
    let none = Relay::new(upstream, Timeouts::default(), 0);
    assert!(matches!(none, Err(ConfigError::NoPermits)), "{none:?}");
}

#[tokio::test]
async fn an_upstream_with_a_password_is_refused_and_the_password_is_not_shown() {
    let with_password: Url = "http://user:s3cret@127.0.0.1:9".parse().unwrap();
    let first = Relay::new(with_password.clone(), Timeouts::default(), 1);
    let next = relay(Duration::from_secs(60)).with_fallbacks([with_password]);
    for refused in [first, next] {
        let error = refused.unwrap_err();
        assert!(matches!(error, ConfigError::Upstream { .. }), "{error:?}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("`authorization` header"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn relays_of_one_registry_are_told_apart_and_each_metric_is_described_once() {
    let (chat, images) = (
        relay(Duration::from_secs(60)),
        relay(Duration::from_secs(60)),
    );
    let mut open = guard(&chat, chunks(&["data: [DONE]\n\n"]), SSE);
    collect(&mut open).await;
    let _held = images.permit().unwrap();
    let mut registry = Registry::default();
    register_relays(&mut registry, [("chat", &chat), ("images", &images)]);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "relay_permits_in_use{relay=\"chat\"} 0",
        "relay_permits_in_use{relay=\"images\"} 1",
        "relay_refused_total{relay=\"images\"} 0",
        "relay_endings_total{relay=\"chat\",ending=\"complete\"} 1",
        "relay_endings_total{relay=\"images\",ending=\"complete\"} 0",
        "relay_exchange_duration_seconds_count{relay=\"chat\"} 1",
        "relay_time_to_first_byte_seconds_count{relay=\"images\"} 0",
    ] {
        assert!(text.lines().any(|one| one == line), "no `{line}` in {text}");
    }
    let described: Vec<_> = text
        .lines()
        .filter(|one| one.starts_with("# TYPE"))
        .collect();
    let once: std::collections::HashSet<_> = described.iter().collect();
    assert_eq!(once.len(), described.len(), "{described:#?}");
    assert_eq!(described.len(), 13);
    let series: Vec<_> = text.lines().filter(|one| !one.starts_with('#')).collect();
    let names = series.iter().map(|one| one.rsplit_once(' ').unwrap().0);
    let distinct: std::collections::HashSet<_> = names.collect();
    assert_eq!(distinct.len(), series.len(), "{text}");
}

#[tokio::test]
async fn snapshot_and_metrics_tell_the_same() {
    let relay = relay(Duration::from_secs(60));
    let begun = chunks(&["data: 1\n\n"]).chain(stream::pending());
    let mut open = guard(&relay, begun, SSE);
    open.next().await.unwrap().unwrap();
    let _second = relay.permit().unwrap();
    relay.permit().unwrap_err();

    let snapshot = relay.snapshot();
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(
        json["endings"]["truncated"], 0,
        "every label is there from the start"
    );
    assert_eq!(
        serde_json::from_value::<RelaySnapshot>(json).unwrap(),
        snapshot
    );

    let mut registry = Registry::default();
    relay.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "relay_permits_in_use 2",
        "relay_permits_limit 2",
        "relay_permits_peak 2",
        "relay_permits_waiting 0",
        "relay_bodies_reading 0",
        "relay_body_bytes 0",
        "relay_streams_open 1",
        "relay_refused_total 1",
        "relay_fallbacks_total{reason=\"idle_timeout\"} 0",
        "relay_endings_total{ending=\"client_gone\"} 0",
        "relay_exchange_duration_seconds_count 0",
        "relay_exchange_duration_seconds_bucket{le=\"600.0\"} 0",
        "relay_time_to_first_byte_seconds_count 1",
    ] {
        assert!(
            text.lines().any(|candidate| candidate == line),
            "no `{line}` in {text}"
        );
    }
}
