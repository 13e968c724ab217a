//! Anthropic's format: the order of the events, their names, and what each holds.

use crate::support;

use serde_json::{Value, json};
use support::{Served, served};

async fn messages(served: &Served, stream: bool, fault: &str) -> reqwest::Response {
    let body = json!({
        "model": "any", "max_tokens": 3, "stream": stream, "messages": [{ "role": "user", "content": "Hello" }]
    });
    let mut request = served
        .http
        .post(served.url("/v1/messages"))
        .body(body.to_string());
    if !fault.is_empty() {
        request = request.header("x-mock-fault", fault);
    }
    request.send().await.unwrap()
}

/// The names and payloads of the events; every event has both, and they agree.
fn events(text: &str) -> Vec<(String, Value)> {
    text.split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').expect("an event has two lines");
            let name = name.strip_prefix("event: ").unwrap().to_owned();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data["type"], name);
            (name, data)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_message_has_every_event_in_order_and_no_done() {
    let served = served().await;
    let response = messages(&served, true, "").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert!(response.headers().contains_key("request-id"));
    let text = response.text().await.unwrap();
    let mut expected = vec![
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "ping" }),
    ];
    for k in 0..3 {
        let delta = json!({ "type": "text_delta", "text": format!("tok{k} ") });
        expected.push(json!({ "type": "content_block_delta", "index": 0, "delta": delta }));
    }
    expected.push(json!({ "type": "content_block_stop", "index": 0 }));
    expected.push(json!({
        "type": "message_delta",
        "delta": { "stop_reason": "max_tokens", "stop_sequence": null },
        "usage": { "output_tokens": 3 }
    }));
    expected.push(json!({ "type": "message_stop" }));
    let events = events(&text);
    let (start, rest) = events.split_first().unwrap();
    let rest: Vec<Value> = rest.iter().map(|(_, data)| data.clone()).collect();
    assert_eq!(rest, expected);
    let message = &start.1["message"];
    assert!(message["id"].as_str().unwrap().starts_with("msg_"));
    let keys: Vec<&str> = message
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let all = [
        "content",
        "id",
        "model",
        "role",
        "stop_reason",
        "stop_sequence",
        "type",
        "usage",
    ];
    assert_eq!(keys, all);
    assert_eq!(
        (&message["content"], &message["stop_reason"]),
        (&json!([]), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_not_streamed_comes_whole() {
    let served = served().await;
    let text = messages(&served, false, "").await.text().await.unwrap();
    let message: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        message["content"],
        json!([{ "type": "text", "text": "tok0 tok1 tok2 " }])
    );
    assert_eq!(
        (&message["role"], &message["stop_reason"]),
        (&json!("assistant"), &json!("max_tokens"))
    );
    assert_eq!(message["usage"]["output_tokens"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_in_anthropics_envelope_before_the_stream_and_in_it() {
    let served = served().await;
    let overloaded = messages(&served, true, "status=529").await;
    assert_eq!(overloaded.status(), 529);
    let body: Value = serde_json::from_str(&overloaded.text().await.unwrap()).unwrap();
    assert_eq!(
        (&body["type"], &body["error"]["type"]),
        (&json!("error"), &json!("overloaded_error"))
    );
    let text = messages(&served, true, "error@1,overloaded_error")
        .await
        .text()
        .await
        .unwrap();
    let (name, data) = events(&text).pop().unwrap();
    assert_eq!(
        (name.as_str(), &data["error"]["type"]),
        ("error", &json!("overloaded_error"))
    );
    let missing = served
        .http
        .post(served.url("/v1/messages"))
        .body(r#"{"model":"m","messages":[{"role":"user"}]}"#);
    let missing = missing.send().await.unwrap();
    assert_eq!(missing.status(), 400);
    let body: Value = serde_json::from_str(&missing.text().await.unwrap()).unwrap();
    assert_eq!(body["error"]["type"], "invalid_request_error");
}
