//! OpenAI's wire format is exact, through both servers: every event is parsed into types that refuse
//! an unknown field and miss none.

use serde::Deserialize;
use serde_json::{Value, json};
use testkit::Stage;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chunk {
    id: String,
    object: String,
    created: u64,
    model: String,
    choices: Vec<ChunkChoice>,
    #[serde(deserialize_with = "present")]
    usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChunkChoice {
    index: u64,
    delta: Delta,
    #[serde(deserialize_with = "present")]
    finish_reason: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delta {
    role: Option<String>,
    content: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Completion {
    id: String,
    object: String,
    created: u64,
    model: String,
    choices: Vec<Choice>,
    usage: Usage,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    index: u64,
    message: Message,
    finish_reason: String,
    #[serde(deserialize_with = "present")]
    logprobs: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    role: String,
    content: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Models {
    object: String,
    data: Vec<Model>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    id: String,
    object: String,
    created: u64,
    owned_by: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    error: FailureBody,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureBody {
    message: String,
    r#type: String,
    #[serde(deserialize_with = "present")]
    param: Option<String>,
    #[serde(deserialize_with = "present")]
    code: Option<String>,
}

/// An optional value whose key must be there all the same.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

const SERVERS: [&str; 2] = ["server-broken", "server-fixed"];

fn request(stream: bool, tokens: u64) -> Value {
    let mut request = json!({
        "model": "mock",
        "messages": [{"role": "user", "content": "count"}],
        "max_tokens": tokens,
        "stream": stream,
    });
    if stream {
        request["stream_options"] = json!({"include_usage": true});
    }
    request
}

async fn post(stage: &Stage, body: String) -> reqwest::Response {
    let client = lab::http::client(false).expect("a client");
    client
        .post(stage.url("/v1/chat/completions"))
        .header("content-type", "application/json")
        .header("x-mock-ttft", "5ms")
        .header("x-mock-interval", "5ms")
        .header("x-request-id", "format-1")
        .body(body)
        .send()
        .await
        .expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_stream_is_as_openai_has_it() {
    for server in SERVERS {
        let stage = Stage::start(server, &[]);
        let answer = post(&stage, request(true, 12).to_string()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.headers()["content-type"],
            "text/event-stream",
            "{server}"
        );
        assert_eq!(answer.headers()["cache-control"], "no-cache", "{server}");
        assert_eq!(answer.headers()["x-request-id"], "format-1", "{server}");
        let text = answer.text().await.expect("whole");
        let mut events: Vec<_> = text
            .strip_suffix("\n\n")
            .expect("ends with an empty line")
            .split("\n\n")
            .map(|event| event.strip_prefix("data: ").expect("a data line"))
            .collect();
        assert_eq!(events.pop(), Some("[DONE]"), "{server}");
        let chunks: Vec<Chunk> = events
            .iter()
            .map(|event| {
                serde_json::from_str(event)
                    .unwrap_or_else(|error| panic!("{server}: {error}: {event}"))
            })
            .collect();
        check_chunks(server, &chunks);
    }
}

fn check_chunks(server: &str, chunks: &[Chunk]) {
    let first = &chunks[0];
    for chunk in chunks {
        assert_eq!(
            (&chunk.id, chunk.created, &chunk.model),
            (&first.id, first.created, &first.model)
        );
        assert_eq!(chunk.object, "chat.completion.chunk");
    }
    let (usage, rest) = chunks.split_last().expect("chunks");
    assert!(usage.choices.is_empty(), "{server}: {usage:?}");
    let total = usage.usage.as_ref().expect("the usage chunk");
    assert_eq!(total.completion_tokens, 12);
    assert_eq!(
        total.total_tokens,
        total.prompt_tokens + total.completion_tokens
    );
    for chunk in rest {
        assert!(
            chunk.usage.is_none() && chunk.choices.len() == 1,
            "{server}: {chunk:?}"
        );
        assert_eq!(chunk.choices[0].index, 0);
    }
    let (finish, rest) = rest.split_last().expect("a finish");
    assert_eq!(finish.choices[0].delta, Delta::default());
    assert_eq!(finish.choices[0].finish_reason.as_deref(), Some("length"));
    let (role, tokens) = rest.split_first().expect("a role");
    assert_eq!(role.choices[0].delta.role.as_deref(), Some("assistant"));
    assert_eq!(role.choices[0].delta.content.as_deref(), Some(""));
    assert_eq!(tokens.len(), 12, "{server}");
    for (n, token) in tokens.iter().enumerate() {
        let content = token.choices[0].delta.content.as_deref().expect("content");
        assert!(
            content.starts_with(&format!("tok{n}")),
            "{server}: {content}"
        );
        assert_eq!(token.choices[0].finish_reason, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_answers_models_and_errors_are_as_openai_has_them() {
    for server in SERVERS {
        let stage = Stage::start(server, &[]);
        let text = post(&stage, request(false, 5).to_string())
            .await
            .text()
            .await
            .expect("whole");
        let whole: Completion =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{server}: {error}: {text}"));
        assert_eq!(
            (whole.object.as_str(), whole.model.as_str()),
            ("chat.completion", "mock")
        );
        assert!(!whole.id.is_empty() && whole.created > 0);
        assert_eq!(
            whole.usage.total_tokens,
            whole.usage.prompt_tokens + whole.usage.completion_tokens
        );
        let choice = &whole.choices[0];
        assert_eq!(
            (choice.index, choice.message.role.as_str()),
            (0, "assistant")
        );
        assert_eq!(
            (choice.finish_reason.as_str(), &choice.logprobs),
            ("length", &None)
        );
        assert!(choice.message.content.contains("tok4"), "{text}");

        let models: Models =
            serde_json::from_value(stage.server.get("/v1/models").await.json()).expect("models");
        assert_eq!(models.object, "list");
        let model = &models.data[0];
        assert_eq!(model.object, "model");
        assert!(!model.id.is_empty() && !model.owned_by.is_empty() && model.created > 0);

        let refused = post(&stage, "{\"model\": 1".to_owned()).await;
        assert_eq!(refused.status(), 400);
        let failure: Failure =
            serde_json::from_str(&refused.text().await.expect("whole")).expect("an error object");
        assert_eq!(failure.error.r#type, "invalid_request_error");
        assert!(!failure.error.message.is_empty());
        let _ = (failure.error.param, failure.error.code);
    }
}
