//! Clients that hang up on the fixed server, at any stage, leave nothing behind, in either form.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::SERVER;
use mock_llm::clock::unix_us;
use testkit::{
    FLOWS, Flow, MOMENTS, Moment, PATIENCE, Request, STUCK, Stand, check, eventually,
    unless_stalled,
};

/// With no task, and with one that is aborted.
const FORMS: [&[&str]; 2] = [&[], &["--variant", "aborted-pump"]];

/// More than hyper reads at once.
const LARGE: usize = 200_000;

fn get() -> Request {
    Request::get("/disconnect/stream")
}

fn start(form: &[&str], flags: &[&str]) -> Stand {
    Stand::start(SERVER, &[form, flags].concat())
}

/// What must be back where it was.
async fn levels(stand: &Stand) -> Vec<(&'static str, u64)> {
    // Before the gauges, whose own connection is a file as well.
    let folder = format!("/proc/{}/fd", stand.server.process.pid());
    let files = std::fs::read_dir(folder).map_or(0, |files| files.count() as u64);
    let gauges = stand.server.gauges().await;
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    let mut levels: Vec<_> = [
        "permits_in_use",
        "permits_waiting",
        "awaiting_head",
        "streams_open",
    ]
    .into_iter()
    .map(|name| (name, number(&gauges["disconnect"][name])))
    .collect();
    levels.extend(["connections", "tasks_alive"].map(|name| (name, number(&gauges[name]))));
    levels.extend([("upstream", stand.open()), ("files", files)]);
    levels
}

/// After a whole stream exactly one connection to the upstream is kept for later.
async fn settled(stand: &Stand) -> Vec<(&'static str, u64)> {
    stand.ask().await.is_served().await;
    let mut last = levels(stand).await;
    eventually("everything has settled", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = levels(stand).await;
        std::mem::replace(&mut last, now.clone()) == now
    })
    .await;
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn hang_ups_at_every_stage_leave_nothing_behind() {
    for form in FORMS {
        let stand = start(form, &["--max-upstream", "10"]);
        stand
            .hang_ups(1, Moment::MidStream, Flow::Silent, &get())
            .await;
        let before = settled(&stand).await;
        for request in [get(), Request::chat(5), Request::chat(LARGE)] {
            for moment in MOMENTS {
                for flow in FLOWS {
                    // Streams that end by themselves one by one, as each may leave a connection.
                    let is_over = (moment, flow) == (Moment::AfterLastContent, Flow::Streams);
                    let (times, at_once) = if is_over { (10, 1) } else { (1, 10) };
                    for _ in 0..times {
                        stand.hang_ups(at_once, moment, flow, &request).await;
                    }
                    let what = format!("{form:?}, {moment:?}, {flow:?}");
                    eventually(&what, async || {
                        levels(&stand).await[..4]
                            .iter()
                            .all(|(_, level)| *level == 0)
                            && stand.open() == 0
                    })
                    .await;
                }
            }
        }
        let after = settled(&stand).await;
        assert_eq!(after, before, "{form:?}");
    }
}

/// How long after the clients left the upstream noticed, in milliseconds, sorted.
async fn releases(stand: &Stand, flow: Flow, clients: usize) -> Vec<f64> {
    let mut held = Vec::new();
    for n in 0..clients {
        let shape = Moment::MidStream.shape(flow);
        let id = format!("{flow:?}-{n}");
        let request = get().with(&shape).with(&[("x-request-id", &id)]);
        held.push((id, stand.send(&request).await));
    }
    let mut left = BTreeMap::new();
    for (id, mut client) in held {
        Moment::MidStream.reach(&mut client, 0).await;
        left.insert(id, unix_us());
        drop(client);
    }
    eventually("all released", async || stand.open() == 0).await;
    let ended = stand.mock.ledger().ended_streams(0);
    let releases = ended.iter().filter_map(|stream| {
        let left = left.get(&stream.request_id)?;
        Some(stream.ended_us?.saturating_sub(*left) as f64 / 1e3)
    });
    let mut releases: Vec<_> = releases.collect();
    releases.sort_by(f64::total_cmp);
    releases
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_is_released_at_once_whether_it_streams_or_is_silent() {
    for (form, flow) in FORMS
        .into_iter()
        .flat_map(|form| FLOWS.map(|flow| (form, flow)))
    {
        unless_stalled(async || {
            let stand = start(form, &[]);
            let releases = releases(&stand, flow, 200).await;
            assert_eq!(releases.len(), 200, "the ledger lacks some");
            let [p50, p99, max] = [99, 197, 199].map(|n: usize| releases[n]);
            println!("{form:?}, {flow:?}: p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms");
            check(p99 < 100.0, format!("{form:?}, {flow:?}: p99 {p99} ms"))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_as_many_hang_ups_as_permits_the_next_request_is_served_at_once() {
    for form in FORMS {
        for (moment, flow) in MOMENTS
            .into_iter()
            .flat_map(|moment| FLOWS.map(|flow| (moment, flow)))
        {
            let stand = start(form, &["--max-upstream", "2"]);
            stand.hang_ups(2, moment, flow, &get()).await;
            let asked = async { stand.ask().await.is_served().await };
            let served = tokio::time::timeout(STUCK, asked).await;
            assert!(served.is_ok(), "{form:?}, {moment:?}, {flow:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_stalls_or_resets_keeps_nothing_though_its_client_stays() {
    for form in FORMS {
        let flags = ["--max-upstream", "1", "--idle-timeout", "300ms"];
        let stand = start(form, &flags);
        for fault in ["stall@0", "stall@3", "reset@1", "reset@3", "cut@3", "eof@3"] {
            let shape = [("x-mock-fault", fault), ("x-mock-ttft", "10ms")];
            let request = get().with(&shape).with(&[("x-mock-interval", "10ms")]);
            let mut client = stand.send(&request).await;
            client.is_served().await;
            let text = client.seen();
            assert!(text.contains("\"error\""), "{form:?}, {fault}: {text}");
            eventually(fault, async || {
                stand.permits().await == 0 && stand.open() == 0
            })
            .await;
        }
        let endings = &stand.server.gauges().await["disconnect"]["endings"];
        let count = |ending| endings[ending].as_u64().expect("a count");
        assert_eq!(count("idle_timeout"), 2, "{endings}");
        assert_eq!(count("upstream_failed"), 3, "{endings}");
        assert_eq!(count("truncated"), 1, "{endings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_limit_a_request_waits_a_bounded_time_for_its_turn() {
    for form in FORMS {
        let flags = ["--max-upstream", "1", "--connect-timeout", "1s"];
        let stand = start(form, &flags);
        let streaming = get().with(&Moment::MidStream.shape(Flow::Streams));
        let mut first = stand.send(&streaming).await;
        Moment::MidStream.reach(&mut first, 0).await;

        let mut refused = stand.ask().await;
        assert!(refused.hears_nothing_for(Duration::from_millis(300)).await);
        assert_eq!(stand.figure("permits_waiting").await, 1);
        let head = refused.read_until(|seen| seen.contains("\r\n\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert!(head.contains("retry-after: "), "{head}");

        let gone = stand.ask().await;
        let mut served = stand.ask().await;
        eventually("both wait", async || {
            stand.figure("permits_waiting").await == 2
        })
        .await;
        drop(gone);
        eventually("one has left the queue", async || {
            stand.figure("permits_waiting").await == 1
        })
        .await;
        drop(first);
        served.is_served().await;
        eventually("nothing is left", async || stand.permits().await == 0).await;
        assert_eq!(stand.figure("refused").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_forms_relay_the_whole_stream() {
    for form in FORMS {
        let stand = start(form, &[]);
        let numbered = Request::get("/disconnect/stream?chunks=50&interval=1ms&ttft=1ms");
        let mut client = stand.send(&numbered).await;
        client.is_served().await;
        let text = client.seen();
        for n in 0..50 {
            assert!(text.contains(&format!("\"chunk\":{n}")), "{n}: {text}");
        }
        assert!(text.contains("data: [DONE]"), "{text}");
        let quick = [("x-mock-chunks", "5"), ("x-mock-interval", "1ms")];
        let mut chat = stand.send(&Request::chat(5).with(&quick)).await;
        let text = chat.read_until(|seen| seen.contains("[DONE]")).await;
        assert!(text.contains("chat.completion.chunk"), "{text}");
        let ended = stand.mock.ledger().ended_streams(0);
        assert_eq!(ended[0].chunks, 50);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_stays_fast_at_the_limit() {
    let stand = start(FORMS[0], &["--max-upstream", "1"]);
    let silent = get().with(&Moment::MidStream.shape(Flow::Silent));
    let mut holder = stand.send(&silent).await;
    Moment::MidStream.reach(&mut holder, 0).await;
    let _waiting = stand.ask().await;
    for path in ["/debug/health-async", "/debug/health-sync"] {
        let answer = tokio::time::timeout(PATIENCE / 10, stand.server.get(path)).await;
        assert_eq!(answer.expect("fast").status, 200, "{path}");
    }
}
