use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::completions::AskedCompletion;
use crate::answering::{document, stream};
use crate::call::Call;
use crate::ledger::Kind;
use crate::mock::Mock;
use crate::refusal::Refusal;
use crate::wire::chat::{self, ChatScript};
use crate::wire::completion::{self, CompletionScript};
use crate::wire::openai::{Model, Models};
use crate::wire::request::Endpoint;

/// When the models were made. A constant, so that the list is the same in every run.
const MODELS_CREATED: u64 = 1_735_689_600;

/// The rate limits of a client with a generous contract. They never count down.
const RATE_LIMITS: [(&str, &str); 6] = [
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-reset-requests", "6ms"),
    ("x-ratelimit-limit-tokens", "30000000"),
    ("x-ratelimit-remaining-tokens", "29999000"),
    ("x-ratelimit-reset-tokens", "1s"),
];

/// `GET /v1/models`.
pub async fn models(State(mock): State<Mock>) -> Response {
    let models = mock.config().models.iter();
    let list = Models {
        object: "list",
        data: models
            .map(|id| Model {
                id,
                object: "model",
                created: MODELS_CREATED,
                owned_by: "mock-llm",
            })
            .collect(),
    };
    Json(list).into_response()
}

/// `POST /v1/chat/completions`.
pub async fn chat(
    State(mock): State<Mock>,
    Extension(call): Extension<Call>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let AskedCompletion {
        answer,
        plan,
        streamed,
    } = AskedCompletion::read(&mock, &call, Endpoint::Chat, "chatcmpl-", &headers, body)?;
    let response = if streamed {
        stream(
            &mock,
            &call,
            Kind::ChatStream,
            plan,
            ChatScript::new(answer),
        )
        .await
    } else {
        document(&mock, &call, Kind::Chat, plan, chat::whole(&answer)).await
    };
    response.map(with_rate_limits)
}

/// `POST /v1/completions`.
pub async fn completion(
    State(mock): State<Mock>,
    Extension(call): Extension<Call>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let AskedCompletion {
        answer,
        plan,
        streamed,
    } = AskedCompletion::read(&mock, &call, Endpoint::Completion, "cmpl-", &headers, body)?;
    let response = if streamed {
        let script = CompletionScript::new(answer);
        stream(&mock, &call, Kind::CompletionStream, plan, script).await
    } else {
        document(
            &mock,
            &call,
            Kind::Completion,
            plan,
            completion::whole(&answer),
        )
        .await
    };
    response.map(with_rate_limits)
}

fn with_rate_limits(mut response: Response) -> Response {
    for (name, value) in RATE_LIMITS {
        response.headers_mut().insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}
