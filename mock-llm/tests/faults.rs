//! Each fault as a client sees it, over a real socket, and as the ledger has it.

use crate::support;

use std::time::{Duration, Instant};

use mock_llm::ledger::{Cause, Phase, StreamRecord};
use support::{Rest, Served, chat_body, payloads, raw_chat, raw_get, served};

/// A plain stream of 5 chunks with a fault, read to its end.
async fn plain(served: &Served, fault: &str) -> (Rest, StreamRecord) {
    let answer = raw_get(served.address, &format!("/slow_stream?fault={fault}"))
        .await
        .rest()
        .await;
    let record = served.ended().await.pop().unwrap();
    (answer, record)
}

/// How many numbered chunks are in an answer.
fn chunks(answer: &Rest) -> usize {
    answer.text.matches("\"of\":5").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_comes_before_the_stream_with_retry_after() {
    let served = served().await;
    let response = served.chat(chat_body(true), "status=429,2500ms").await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "3");
    assert_eq!(response.headers()["retry-after-ms"], "2500");
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("\"type\":\"rate_limit_error\"")
    );
    let record = served.ended().await.pop().unwrap();
    assert_eq!(
        (record.cause, record.phase),
        (Some(Cause::StatusSent), Phase::Headers)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_headers_delay_the_head_and_the_tokens_without_counting_as_lateness() {
    let served = served().await;
    let start = Instant::now();
    let response = served.get("/slow_stream?fault=slow-headers%3D300ms").await;
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(payloads(&response.text().await.unwrap()).len(), 6);
    assert!(served.stats().await.lateness_us.max < 200_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_is_silence_after_the_head_or_after_k_tokens() {
    let served = served().await;
    for (fault, expected) in [
        ("stall@0", Phase::BeforeFirstToken),
        ("stall@2", Phase::Decoding),
    ] {
        let mut response = served.get(&format!("/slow_stream?fault={fault}")).await;
        let mut text = String::new();
        while let Ok(chunk) =
            tokio::time::timeout(Duration::from_millis(300), response.chunk()).await
        {
            text += &String::from_utf8_lossy(&chunk.unwrap().expect("the stream ended"));
        }
        let tokens = if expected == Phase::Decoding { 2 } else { 0 };
        assert_eq!(payloads(&text).len(), tokens);
        drop(response);
        let record = served.ended().await.pop().unwrap();
        assert_eq!((record.phase, record.chunks), (expected, tokens as u64));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_event_ends_the_stream_cleanly() {
    let served = served().await;
    let response = served
        .chat(chat_body(true), "error@2,overloaded_error")
        .await;
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    let payloads = payloads(&text);
    assert_eq!(payloads.len(), 1 + 2 + 1, "{text}");
    assert!(payloads[3].starts_with("{\"error\":{") && payloads[3].contains("overloaded_error"));
    let record = served.ended().await.pop().unwrap();
    assert_eq!((record.cause, record.chunks), (Some(Cause::ErrorSent), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eof_is_a_clean_end_without_the_terminal_event() {
    let served = served().await;
    let (answer, record) = plain(&served, "eof@2").await;
    assert!(
        answer.is_terminated() && !answer.reset && !answer.text.contains("[DONE]"),
        "{answer:?}"
    );
    assert_eq!(
        (chunks(&answer), record.chunks, record.cause),
        (2, 2, Some(Cause::Eof))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_closes_without_the_end_of_the_body_and_loses_nothing_before_it() {
    let served = served().await;
    for fault in ["cut@3", "cut@3&interval=0s&ttft=0s"] {
        let (answer, record) = plain(&served, fault).await;
        assert!(!answer.is_terminated() && !answer.reset, "{answer:?}");
        assert_eq!(
            (chunks(&answer), record.chunks, record.cause),
            (3, 3, Some(Cause::Cut))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_a_reset() {
    let served = served().await;
    for (fault, tokens) in [("reset@3", 3), ("reset@0", 0)] {
        let (answer, record) = plain(&served, fault).await;
        assert!(answer.reset && !answer.is_terminated(), "{answer:?}");
        assert_eq!(
            (chunks(&answer), record.cause),
            (tokens, Some(Cause::Reset))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_event_is_the_only_one_that_cannot_be_read() {
    let served = served().await;
    let text = served
        .chat(chat_body(true), "malformed@1")
        .await
        .text()
        .await
        .unwrap();
    let readable: Vec<bool> = payloads(&text)
        .iter()
        .map(|json| *json == "[DONE]" || serde_json::from_str::<serde_json::Value>(json).is_ok())
        .collect();
    assert_eq!(readable, [true, true, false, true, true, true, true, true]);
    assert_eq!(
        served.ended().await.pop().unwrap().cause,
        Some(Cause::Completed)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_end_within_a_character_and_add_up() {
    let served = served().await;
    let mut response = served.chat(chat_body(true), "slice=2").await;
    let (mut pieces, mut all) = (Vec::new(), Vec::new());
    while let Some(piece) = response.chunk().await.unwrap() {
        all.extend_from_slice(&piece);
        pieces.push(piece);
    }
    let text = String::from_utf8(all).unwrap();
    assert!(text.contains("tok0€ ") && text.contains("tok4€ "), "{text}");
    assert!(
        pieces.iter().all(|piece| piece.len() <= 2),
        "a piece is too long"
    );
    assert!(
        pieces
            .iter()
            .any(|piece| std::str::from_utf8(piece).is_err()),
        "no piece ends within a character"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_leave_in_packets_of_their_own() {
    let served = served().await;
    let (answer, _) = plain(&served, "slice%3D5").await;
    // Each event takes at least six pieces; a busy reader may find a few of them at once.
    assert!(answer.pieces.len() > 6 * 4, "{} reads", answer.pieces.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_is_not_streamed_fails_in_the_same_ways() {
    let served = served().await;
    let body = chat_body(false).to_string();
    let ask = |fault: &str| {
        let (address, body, fault) = (served.address, body.clone(), fault.to_owned());
        async move {
            let header = ("x-mock-fault", fault.as_str());
            raw_chat(address, header, &body).await.rest().await
        }
    };
    let cut = ask("cut@1").await;
    assert!(
        !cut.is_terminated() && cut.text.contains("chat.completion"),
        "{cut:?}"
    );
    let reset = ask("reset@1").await;
    assert!(reset.reset, "{reset:?}");
    let error = ask("error@1").await;
    assert!(
        error.text.starts_with("HTTP/1.1 500") && error.text.contains("server_error"),
        "{error:?}"
    );
    let eof = ask("eof@1").await;
    assert!(
        eof.is_terminated() && !eof.body().contains("usage"),
        "{eof:?}"
    );
    let causes: Vec<_> = served
        .ended()
        .await
        .iter()
        .map(|record| record.cause.unwrap())
        .collect();
    assert_eq!(
        causes,
        [Cause::Cut, Cause::Reset, Cause::ErrorSent, Cause::Eof]
    );
}
