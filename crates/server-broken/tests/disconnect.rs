//! What each mechanism keeps when its client hangs up, and for how long: two permits, two hang-ups,
//! and the third request hangs or does not.

use std::time::Duration;

use crate::SERVER;
use futures_util::future::join_all;
use mock_llm::ledger::Cause;
use testkit::{FLOWS, Flow, MOMENTS, Moment, PATIENCE, Request, STUCK, Stand, eventually};

/// More than hyper reads at once.
const LARGE: usize = 200_000;

fn get() -> Request {
    Request::get("/disconnect/stream")
}

fn start(variant: &str, flags: &[&str]) -> Stand {
    let flags = [&["--variant", variant], flags].concat();
    Stand::start(SERVER, &flags)
}

/// All permits are taken and stay so: another request hangs.
async fn assert_stuck(stand: &Stand, permits: u64, what: &str) {
    let mut next = stand.ask().await;
    assert!(next.hears_nothing_for(STUCK).await, "{what}: it is served");
    assert_eq!(stand.permits().await, permits, "{what}");
    assert_eq!(stand.figure("permits_waiting").await, 1, "{what}");
}

/// Nothing is kept: another request is served.
async fn assert_released(stand: &Stand, what: &str) {
    eventually(what, async || stand.permits().await == 0).await;
    eventually(what, async || stand.open() == 0).await;
    stand.ask().await.is_served().await;
}

/// Two clients of two permits hang up at each stage, each in a process of its own.
async fn hang_ups_keep_permits(variant: &str, request: Request, is_kept: fn(Moment, Flow) -> bool) {
    let cases = FLOWS.map(|flow| MOMENTS.map(|moment| (moment, flow)));
    let cases = cases.into_iter().flatten().map(async |(moment, flow)| {
        let what = format!("{variant}, {moment:?}, {flow:?}");
        let stand = start(variant, &["--max-upstream", "2"]);
        stand.hang_ups(2, moment, flow, &request).await;
        if is_kept(moment, flow) {
            assert_stuck(&stand, 2, &what).await;
        } else {
            assert_released(&stand, &what).await;
        }
    });
    join_all(cases).await;
}

/// Two whole streams, then a third.
async fn whole_streams(variant: &str) -> Stand {
    let stand = start(variant, &["--max-upstream", "2"]);
    for _ in 0..2 {
        stand.ask().await.is_served().await;
    }
    stand
}

fn unless_the_upstream_ends(moment: Moment, flow: Flow) -> bool {
    (moment, flow) != (Moment::AfterLastContent, Flow::Streams)
}

fn while_the_upstream_is_silent(_: Moment, flow: Flow) -> bool {
    flow == Flow::Silent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_pump_keeps_its_permit_as_long_as_the_upstream_streams_or_is_silent() {
    hang_ups_keep_permits("detached-pump", get(), unless_the_upstream_ends).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_zombie_keeps_its_permit_as_long_as_the_upstream_streams_or_is_silent() {
    hang_ups_keep_permits("blocking-zombie", get(), unless_the_upstream_ends).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_op_close_keeps_its_permit_from_the_head_on_whatever_the_upstream_does() {
    let once_there_is_a_body = |moment, _| moment != Moment::BeforeHead;
    hang_ups_keep_permits("no-op-close", get(), once_there_is_a_body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_disconnect_keeps_its_permit_while_the_upstream_is_silent() {
    hang_ups_keep_permits("missed-disconnect", get(), while_the_upstream_is_silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_large_body_hides_the_hang_up_while_the_upstream_is_silent() {
    let request = Request::chat(LARGE);
    hang_ups_keep_permits("unread-body", request, while_the_upstream_is_silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_small_body_hides_nothing() {
    hang_ups_keep_permits("unread-body", Request::chat(5), |_, _| false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_timeouts_a_hang_up_still_releases_everything() {
    hang_ups_keep_permits("no-timeout", get(), |_, _| false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_timeouts_clients_that_wait_for_a_silent_upstream_keep_their_permits() {
    let flags = ["--max-upstream", "2", "--idle-timeout", "300ms"];
    let stand = start("no-timeout", &flags);
    let silent = get().with(&Moment::MidStream.shape(Flow::Silent));
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut client = stand.send(&silent).await;
        Moment::MidStream.reach(&mut client, 0).await;
        waiting.push(client);
    }
    assert_stuck(&stand, 2, "far beyond the idle timeout").await;
    assert_eq!(stand.figure("held").await, 0, "each has a client");
    drop(waiting);
    assert_released(&stand, "their clients give up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_whole_streams_only_the_no_op_close_has_kept_its_permits() {
    for variant in [
        "detached-pump",
        "missed-disconnect",
        "unread-body",
        "blocking-zombie",
        "no-timeout",
    ] {
        assert_released(&whole_streams(variant).await, variant).await;
    }
    let stand = whole_streams("no-op-close").await;
    eventually("the upstream is through", async || stand.open() == 0).await;
    assert_stuck(&stand, 2, "no-op-close").await;
    assert_eq!(stand.figure("held").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_permits_the_fifty_first_request_is_the_first_to_hang() {
    // The zombies need a thread each: with fewer of them than permits, those are the limit.
    let flags = ["--max-upstream", "50", "--pool-threads", "60"];
    for variant in ["detached-pump", "no-op-close", "blocking-zombie"] {
        let stand = start(variant, &flags);
        stand
            .hang_ups(49, Moment::MidStream, Flow::Streams, &get())
            .await;
        stand.ask().await.is_served().await;
        if variant != "no-op-close" {
            eventually("the 50th is through", async || stand.permits().await == 49).await;
            let mid = Moment::MidStream;
            stand.hang_ups(1, mid, Flow::Streams, &get()).await;
        }
        assert_stuck(&stand, 50, variant).await;
        assert_eq!(stand.figure("held").await, 50, "{variant}");
    }
}

/// A stream of two seconds whose client leaves early.
async fn leave_early(stand: &Stand) {
    let shape = [("x-mock-ttft", "10ms"), ("x-mock-interval", "100ms")];
    let request = get().with(&shape).with(&[("x-mock-chunks", "20")]);
    let mut client = stand.send(&request).await;
    Moment::MidStream.reach(&mut client, 0).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pump_drains_the_upstream_to_its_end_for_nobody() {
    for variant in ["detached-pump", "blocking-zombie"] {
        let stand = start(variant, &["--max-upstream", "1"]);
        leave_early(&stand).await;
        assert_eq!(stand.figure("held").await, 1, "{variant}");
        let busy = stand.server.gauges().await["pool"]["busy"]
            .as_u64()
            .unwrap();
        assert_eq!(busy, u64::from(variant == "blocking-zombie"), "{variant}");
        assert_released(&stand, variant).await;
        let ended = stand.mock.ledger().ended_streams(0);
        assert_eq!(ended[0].cause, Some(Cause::Completed), "{variant}");
        assert_eq!(ended[0].chunks, 20, "{variant}");
        let busy = &stand.server.gauges().await["pool"]["busy"];
        assert_eq!(busy, 0, "{variant}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_hang_up_is_noticed_when_something_is_written() {
    for (variant, request) in [
        ("missed-disconnect", get()),
        ("unread-body", Request::chat(LARGE)),
    ] {
        let stand = start(variant, &["--max-upstream", "1"]);
        let shape = [("x-mock-ttft", "2s"), ("x-mock-interval", "50ms")];
        let mut client = stand.send(&request.with(&shape)).await;
        Moment::BeforeFirstToken.reach(&mut client, 0).await;
        drop(client);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(stand.permits().await, 1, "{variant}");
        assert_eq!(
            stand.figure("held").await,
            0,
            "{variant}: it cannot know that"
        );
        assert_released(&stand, variant).await;
        let ended = stand.mock.ledger().ended_streams(0);
        assert_eq!(
            ended[0].cause.map(Cause::class),
            Some(Cause::ClientFin.class())
        );
        assert!(ended[0].chunks < 20, "{variant}: {}", ended[0].chunks);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_not_read_is_read_again_after_its_response() {
    let stand = start("missed-disconnect", &[]);
    let mut client = stand.ask().await;
    client.is_served().await;
    client.send(&get().with(&[("x-mock-chunks", "1")])).await;
    client.is_served().await;
    assert_eq!(stand.server.gauges().await["connections"], 1);
    drop(client);
    eventually("the idle connection is closed", async || {
        stand.server.gauges().await["connections"] == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_idle_timeout_ends_every_leak_but_the_no_op_closes() {
    let flags = ["--max-upstream", "1", "--idle-timeout", "2s"];
    let cases = [
        ("detached-pump", get()),
        ("blocking-zombie", get()),
        ("missed-disconnect", get()),
        ("unread-body", Request::chat(LARGE)),
        ("no-op-close", get()),
    ];
    let cases = cases.map(async |(variant, request)| {
        let stand = start(variant, &flags);
        let mid = Moment::MidStream;
        stand.hang_ups(1, mid, Flow::Silent, &request).await;
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(stand.permits().await, 1, "{variant}");
        if variant == "no-op-close" {
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_stuck(&stand, 1, variant).await;
        } else {
            assert_released(&stand, variant).await;
        }
    });
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_form_is_the_detached_pump() {
    let stand = Stand::start(SERVER, &["--max-upstream", "2"]);
    stand
        .hang_ups(2, Moment::MidStream, Flow::Streams, &get())
        .await;
    assert_stuck(&stand, 2, "plain").await;
    assert_eq!(stand.figure("held").await, 2);
    assert_eq!(stand.open(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_stays_fast_while_everything_hangs() {
    let stand = start("detached-pump", &["--max-upstream", "2"]);
    stand
        .hang_ups(2, Moment::MidStream, Flow::Silent, &get())
        .await;
    for path in ["/debug/health-async", "/debug/health-sync"] {
        let answer = tokio::time::timeout(PATIENCE / 10, stand.server.get(path)).await;
        assert_eq!(answer.expect("fast").status, 200, "{path}");
    }
}
