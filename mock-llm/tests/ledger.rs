//! The ledger against real clients: what it says must be what happened.

use crate::support;

use std::time::Duration;

use mock_llm::clock::unix_us;
use mock_llm::ledger::{Cause, Kind, Phase};
use support::{PATIENCE, Served, chat_body, payloads, raw_chat, raw_get, served, served_with};
use testkit::{check, unless_stalled};

/// How soon a hang-up must be noticed.
const NOTICED_US: u64 = 200_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stream_is_accounted_for_when_200_clients_leave_at_random_stages() {
    let served = served_with(|config| config.chunks = 20).await;
    let audit = tokio::spawn({
        let served = served.clone();
        async move {
            loop {
                let tally = served.mock.ledger().tally();
                assert!(tally.is_conserved(), "{tally:?}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let clients: Vec<_> = (0..200)
        .map(|n| tokio::spawn(leave_at_a_stage(served.clone(), n)))
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let ended = served.ended().await;
    assert!(
        !audit.is_finished(),
        "the books did not balance at some instant"
    );
    audit.abort();
    let stats = served.stats().await;
    let tally = &stats.tally;
    assert!(tally.is_conserved(), "{tally:?}");
    assert_eq!((tally.started, tally.open, ended.len()), (200, 0, 200));
    // Every fifth client reads to the end, and every fifth asks for an error.
    assert_eq!(
        (tally.completed, tally.errored, tally.aborted),
        (40, 40, 120)
    );
    assert_eq!(tally.by_cause[&Cause::ClientRst], 40);
    assert_eq!(tally.by_cause[&Cause::ClientFin], 80);
}

/// One of five ways to behave; where a client leaves within the stream varies with its number.
async fn leave_at_a_stage(served: Served, n: u64) {
    let chunk = format!("\"chunk\":{},", n % 17);
    match n % 5 {
        0 => {
            let response = served.get("/slow_stream").await;
            assert_eq!(payloads(&response.text().await.unwrap()).len(), 21);
        }
        1 => {
            let answer = raw_get(served.address, "/slow_stream?fault=cut@3")
                .await
                .rest()
                .await;
            assert!(!answer.is_terminated());
        }
        2 => {
            let mut client = raw_get(served.address, "/slow_stream?interval=20ms").await;
            client.until(&chunk).await;
            client.reset();
        }
        3 => {
            // Silent after this chunk, so that nothing unread turns the close into a reset.
            let path = format!("/slow_stream?fault=stall@{}", n % 17 + 1);
            let mut client = raw_get(served.address, &path).await;
            client.until(&chunk).await;
            drop(client);
        }
        _ => {
            let mut client = raw_get(served.address, "/slow_stream?ttft=30s").await;
            client.until("\r\n\r\n").await;
            drop(client);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_in_a_silent_phase_is_noticed_at_once() {
    let served = served().await;
    let slow_head = ("/slow_stream?fault=slow-headers%3D60s", "", Phase::Headers);
    let no_token = (
        "/slow_stream?fault=stall@0",
        "\r\n\r\n",
        Phase::BeforeFirstToken,
    );
    let stalled = (
        "/slow_stream?fault=stall@2",
        "\"chunk\":1,",
        Phase::Decoding,
    );
    let no_end = (
        "/slow_stream?fault=stall@5",
        "\"chunk\":4,",
        Phase::AfterLastContent,
    );
    for (path, wait_for, phase) in [slow_head, no_token, stalled, no_end] {
        let mut client = raw_get(served.address, path).await;
        client.until(wait_for).await;
        served.until(1, |record| record.phase == phase).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let left_us = unix_us();
        drop(client);
        let record = served.ended().await.pop().unwrap();
        let noticed_us = record.ended_us.unwrap() - left_us;
        assert!(
            noticed_us < NOTICED_US,
            "noticed after {noticed_us} us in {phase:?}"
        );
        assert_eq!(
            (record.phase, record.cause),
            (phase, Some(Cause::ClientFin))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_is_noticed_while_a_whole_answer_is_awaited() {
    let served = served().await;
    let body = chat_body(false).to_string();
    let client = raw_chat(served.address, ("x-mock-ttft", "60s"), &body).await;
    served.until(1, |record| record.kind == Kind::Chat).await;
    let left_us = unix_us();
    drop(client);
    let record = served.ended().await.pop().unwrap();
    assert!(
        record.ended_us.unwrap() - left_us < NOTICED_US,
        "{record:?}"
    );
    assert_eq!(
        (record.phase, record.cause),
        (Phase::Headers, Some(Cause::ClientFin))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_stays_open_until_it_leaves() {
    let served = served().await;
    let path = "/slow_stream?ttft=0s&interval=0s&chunks=1000000&bytes=1000";
    let client = raw_get(served.address, path).await;
    served.until(1, |record| record.chunks > 100).await;
    // All buffers on the way are full once the count stands still.
    let written = || served.mock.ledger().open_streams()[0].chunks;
    let mut before = 0;
    while written() != before {
        before = written();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let left_us = unix_us();
    drop(client);
    let record = served.ended().await.pop().unwrap();
    assert!(
        record.ended_us.unwrap() - left_us < NOTICED_US,
        "{record:?}"
    );
    assert_eq!(
        (record.phase, record.cause),
        (Phase::Decoding, Some(Cause::ClientRst))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fin_and_reset_are_told_apart_in_silence_and_between_tokens() {
    let served = served_with(|config| config.chunks = 10_000).await;
    for path in ["/slow_stream?fault=stall@1", "/slow_stream?interval=50ms"] {
        let mut fin = raw_get(served.address, path).await;
        fin.until("\"chunk\":0,").await;
        drop(fin);
        assert_eq!(
            served.ended().await.pop().unwrap().cause,
            Some(Cause::ClientFin),
            "{path}"
        );
        let mut reset = raw_get(served.address, path).await;
        reset.until("\"chunk\":0,").await;
        reset.reset();
        assert_eq!(
            served.ended().await.pop().unwrap().cause,
            Some(Cause::ClientRst),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_closes_at_done_has_completed() {
    let served = served().await;
    for _ in 0..50 {
        let mut client = raw_get(served.address, "/slow_stream?interval=1ms&ttft=1ms").await;
        client.until("[DONE]").await;
        drop(client);
    }
    served.ended().await;
    let tally = served.stats().await.tally;
    assert_eq!(
        (tally.started, tally.completed, tally.aborted),
        (50, 50, 0),
        "{tally:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_streams_at_once_all_complete_with_every_chunk() {
    const STREAMS: usize = 2_000;
    let served = served().await;
    let path = "/slow_stream?ttft=3s&interval=100ms&chunks=10";
    let clients: Vec<_> = (0..STREAMS)
        .map(|_| {
            let served = served.clone();
            tokio::spawn(async move { served.get(path).await.text().await.unwrap() })
        })
        .collect();
    let mut expected: Vec<String> = (0..10)
        .map(|k| format!("{{\"chunk\":{k},\"of\":10}}"))
        .collect();
    expected.push("[DONE]".into());
    for client in clients {
        assert_eq!(payloads(&client.await.unwrap()), expected);
    }
    let ended = served.ended().await;
    assert!(
        ended
            .iter()
            .all(|record| record.chunks == 10 && record.cause == Some(Cause::Completed))
    );
    let tally = served.stats().await.tally;
    assert_eq!(
        (tally.completed, tally.open_peak),
        (STREAMS as u64, STREAMS as u64)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latencies_follow_the_request_id_and_not_the_order_of_arrival() {
    let ids = ["a", "b", "c", "d"];
    let backwards: Vec<_> = ids.into_iter().rev().collect();
    unless_stalled(async || {
        let (one, two) = (first_tokens(&ids).await, first_tokens(&backwards).await);
        let again = |id: &String| two.iter().find(|(other, _)| other == id).unwrap().1;
        let is_the_same = |(id, ms): &(String, u64)| ms.abs_diff(again(id)) < 25;
        let times = || one.iter().map(|(_, ms)| ms);
        let spread = times().max().unwrap() - times().min().unwrap();
        assert!(spread > 50, "the requests do not differ: {one:?}");
        check(
            one.iter().all(is_the_same),
            format!("{one:?} against {two:?}"),
        )
    })
    .await;
}

/// Time to the first token of each request, sent one after the other, by the ledger.
async fn first_tokens(ids: &[&str]) -> Vec<(String, u64)> {
    let served = served_with(|config| config.seed = 11).await;
    for id in ids {
        let request = served
            .http
            .get(served.url("/slow_stream?chunks=1&ttft=lognormal:100ms,1,cap=600ms"));
        let response = request.header("x-request-id", *id).send().await.unwrap();
        assert_eq!(response.headers()["x-request-id"], *id);
        response.text().await.unwrap();
    }
    let ended = served.ended().await;
    let time = |record: &mock_llm::ledger::StreamRecord| {
        (record.last_write_us.unwrap() - record.started_us) / 1000
    };
    ended
        .iter()
        .map(|record| (record.request_id.clone(), time(record)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiesce_waits_for_the_last_stream_and_names_those_in_the_way() {
    let served = served().await;
    let quiesce = |within: &str| {
        served
            .http
            .post(served.url(&format!("/admin/quiesce?within_ms={within}")))
    };
    assert_eq!(quiesce("0").send().await.unwrap().status(), 200);
    let mut client = raw_get(served.address, "/slow_stream?fault=stall@1").await;
    client.until("\"chunk\":0,").await;
    let refusal = quiesce("50").send().await.unwrap();
    assert_eq!(refusal.status(), 409);
    let refusal: serde_json::Value = serde_json::from_str(&refusal.text().await.unwrap()).unwrap();
    assert_eq!(refusal["open"], 1);
    assert_eq!(refusal["offenders"][0]["phase"], "decoding");
    let waiting = tokio::spawn(quiesce("20000").send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    drop(client);
    let answer = tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_lists_the_open_ones_and_the_ended_ones_apart() {
    let served = served().await;
    served.get("/slow_stream").await.text().await.unwrap();
    let mut client = raw_get(served.address, "/slow_stream?fault=stall@1").await;
    client.until("\"chunk\":0,").await;
    let list = |path: &'static str| {
        let served = served.clone();
        async move {
            let text = served.get(path).await.text().await.unwrap();
            serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap()
        }
    };
    let (open, ended) = (list("/streams").await, list("/streams?ended=true").await);
    assert_eq!((open.len(), ended.len()), (1, 1));
    assert_eq!(
        (&open[0]["cause"], &open[0]["ended_us"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    let mut keys: Vec<&str> = ended[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "admitted_us",
            "cause",
            "chunks",
            "ended_us",
            "hang_up_us",
            "id",
            "kind",
            "last_write_us",
            "peer",
            "phase",
            "request_id",
            "retry",
            "started_us"
        ]
    );
    let metrics = served.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("mock_llm_streams_open 1\n"), "{metrics}");
    assert!(
        metrics.contains("mock_llm_lateness_seconds_bucket{le=\"+Inf\"} 6\n"),
        "{metrics}"
    );
}
