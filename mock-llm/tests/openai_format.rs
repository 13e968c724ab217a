//! OpenAI's format, read by structs that refuse a field too many and a field too few.

use crate::support;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::{Value, json};
use support::{chat_body, payloads, served};

/// A key that must be there, null or not: serde takes an absent `Option` for null otherwise.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::<T>::deserialize(deserializer)
}

fn null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(()),
        other => Err(D::Error::custom(format!("{other} is not null"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chunk {
    id: String,
    object: String,
    created: u64,
    model: String,
    choices: Vec<Choice>,
    #[serde(deserialize_with = "present")]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChunkWithoutUsage {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "object")]
    _object: String,
    #[serde(rename = "created")]
    _created: u64,
    #[serde(rename = "model")]
    _model: String,
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    index: u32,
    delta: Delta,
    #[serde(deserialize_with = "present")]
    finish_reason: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Delta {
    Role(RoleDelta),
    Content(ContentDelta),
    Empty(EmptyDelta),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleDelta {
    role: String,
    content: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentDelta {
    content: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct EmptyDelta {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chat {
    id: String,
    object: String,
    #[serde(rename = "created")]
    _created: u64,
    model: String,
    choices: [ChatChoice; 1],
    usage: Usage,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChatChoice {
    index: u32,
    message: Message,
    finish_reason: String,
    #[serde(rename = "logprobs", deserialize_with = "null")]
    _logprobs: (),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    role: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    error: Detail,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detail {
    message: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "present")]
    param: Option<String>,
    #[serde(deserialize_with = "present")]
    code: Option<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_chat_is_role_then_tokens_then_finish_then_usage_then_done() {
    let served = served().await;
    let mut body = chat_body(true);
    body["stream_options"] = json!({ "include_usage": true });
    let response = served.chat(body, "").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    assert!(
        response
            .headers()
            .contains_key("x-ratelimit-remaining-requests")
    );
    let text = response.text().await.unwrap();
    let mut payloads = payloads(&text);
    assert_eq!(payloads.pop(), Some("[DONE]"));
    let chunks: Vec<Chunk> = payloads
        .iter()
        .map(|json| serde_json::from_str(json).expect(json))
        .collect();
    assert_eq!(chunks.len(), 1 + 5 + 1 + 1);
    for chunk in &chunks {
        assert_eq!(chunk.id, chunks[0].id);
        assert_eq!(chunk.created, chunks[0].created);
        assert_eq!(
            (chunk.object.as_str(), chunk.model.as_str()),
            ("chat.completion.chunk", "any")
        );
        assert!(chunk.choices.iter().all(|choice| choice.index == 0));
    }
    let (usage, events) = chunks.split_last().unwrap();
    assert!(usage.choices.is_empty());
    let cost = usage.usage.as_ref().unwrap();
    assert_eq!(
        (cost.completion_tokens, cost.total_tokens),
        (5, cost.prompt_tokens + 5)
    );
    assert!(events.iter().all(|chunk| chunk.usage.is_none()));
    let (finish, tokens) = events.split_last().unwrap();
    assert_eq!(finish.choices[0].finish_reason.as_deref(), Some("stop"));
    assert_eq!(finish.choices[0].delta, Delta::Empty(EmptyDelta {}));
    assert!(
        tokens
            .iter()
            .all(|chunk| chunk.choices[0].finish_reason.is_none())
    );
    let role = RoleDelta {
        role: "assistant".into(),
        content: String::new(),
    };
    assert_eq!(tokens[0].choices[0].delta, Delta::Role(role));
    for (k, chunk) in tokens[1..].iter().enumerate() {
        let content = format!("tok{k} ");
        assert_eq!(
            chunk.choices[0].delta,
            Delta::Content(ContentDelta { content })
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_absent_unless_asked_for_and_a_limit_is_a_length() {
    let served = served().await;
    let mut body = chat_body(true);
    body["max_tokens"] = json!(2);
    let text = served.chat(body, "").await.text().await.unwrap();
    let mut payloads = payloads(&text);
    assert_eq!(payloads.pop(), Some("[DONE]"));
    let chunks: Vec<ChunkWithoutUsage> = payloads
        .iter()
        .map(|json| serde_json::from_str(json).expect(json))
        .collect();
    assert_eq!(chunks.len(), 1 + 2 + 1);
    assert_eq!(
        chunks[3].choices[0].finish_reason.as_deref(),
        Some("length")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_is_not_streamed_comes_whole_and_is_in_the_ledger() {
    let served = served().await;
    let response = served.chat(chat_body(false), "").await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let chat: Chat = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert!(chat.id.starts_with("chatcmpl-"));
    assert_eq!(
        (chat.object.as_str(), chat.model.as_str()),
        ("chat.completion", "any")
    );
    let choice = &chat.choices[0];
    assert_eq!((choice.index, choice.finish_reason.as_str()), (0, "stop"));
    assert_eq!(
        (
            choice.message.role.as_str(),
            choice.message.content.as_str()
        ),
        ("assistant", "tok0 tok1 tok2 tok3 tok4 ")
    );
    assert_eq!(
        (chat.usage.completion_tokens, chat.usage.total_tokens),
        (5, chat.usage.prompt_tokens + 5)
    );
    let record = &served.ended().await[0];
    assert_eq!(record.chunks, 5);
    assert!(
        record.ended_us.unwrap() - record.started_us >= 25_000,
        "it was not slow: {record:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_legacy_completion_streams_text() {
    let served = served().await;
    let body = json!({ "model": "any", "prompt": "Hello", "stream": true }).to_string();
    let response = served
        .http
        .post(served.url("/v1/completions"))
        .body(body)
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    let mut payloads = payloads(&text);
    assert_eq!(payloads.pop(), Some("[DONE]"));
    let events: Vec<Value> = payloads
        .iter()
        .map(|json| serde_json::from_str(json).unwrap())
        .collect();
    let said: String = events
        .iter()
        .map(|event| event["choices"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(said, "tok0 tok1 tok2 tok3 tok4 ");
    assert_eq!(events[5]["choices"][0]["finish_reason"], "stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_is_answered_with_all_four_keys_and_leaves_the_ledger_alone() {
    let served = served().await;
    let chat = served.url("/v1/chat/completions");
    let good = chat_body(true).to_string();
    let asks = [
        (served.http.post(&chat).body("{"), 400, None),
        (
            served.http.post(&chat).body(r#"{"model":"m"}"#),
            400,
            Some("messages"),
        ),
        (
            served
                .http
                .post(&chat)
                .header("x-mock-ttft", "soon")
                .body(good),
            400,
            Some("x-mock-ttft"),
        ),
        (
            served.http.get(served.url("/slow_stream?chunk=3")),
            400,
            Some("chunk"),
        ),
        (
            served.http.get(served.url("/slow_stream?interval=3")),
            400,
            Some("interval"),
        ),
        (served.http.get(&chat), 405, None),
        (served.http.get(served.url("/v2")), 404, None),
    ];
    for (ask, status, param) in asks {
        let response = ask.header("x-request-id", "mine").send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["x-request-id"], "mine");
        let failure: Failure = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(failure.error.kind, "invalid_request_error");
        assert_eq!(
            (failure.error.param.as_deref(), failure.error.code),
            (param, None)
        );
        assert!(!failure.error.message.is_empty());
    }
    assert_eq!(served.stats().await.tally.started, 0);
}
