use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use super::completions::AskedCompletion;
use crate::answering::{document, stream};
use crate::call::Call;
use crate::ledger::Kind;
use crate::mock::Mock;
use crate::refusal::Refusal;
use crate::wire::anthropic::{MessageScript, whole};
use crate::wire::dialect::Dialect;
use crate::wire::request::Endpoint;

/// Anthropic's name for the request id.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// `POST /v1/messages`.
pub async fn messages(
    State(mock): State<Mock>,
    Extension(call): Extension<Call>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let mut response = match answer(&mock, &call, &headers, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.respond(Dialect::Anthropic),
    };
    if let Ok(id) = HeaderValue::from_str(&call.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn answer(
    mock: &Mock,
    call: &Call,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let asked = AskedCompletion::read(mock, call, Endpoint::Messages, "msg_", headers, body)?;
    if asked.streamed {
        let script = MessageScript::new(asked.answer);
        stream(mock, call, Kind::MessageStream, asked.plan, script).await
    } else {
        document(mock, call, Kind::Message, asked.plan, whole(&asked.answer)).await
    }
}
