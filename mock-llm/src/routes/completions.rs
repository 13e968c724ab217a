use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;

use crate::call::Call;
use crate::dice::mix;
use crate::mock::Mock;
use crate::plan::Plan;
use crate::refusal::Refusal;
use crate::wire::answer::Answer;
use crate::wire::request::{CompletionRequest, Endpoint};

/// A request for a completion, after it was read.
pub struct AskedCompletion {
    /// What to answer.
    pub answer: Answer,
    /// At which pace, with the request's limit.
    pub plan: Plan,
    /// Whether the answer is a stream.
    pub streamed: bool,
}

impl AskedCompletion {
    /// Reads a request; the id of the answer begins with `prefix`.
    ///
    /// # Errors
    /// The refusal of a request that cannot be read.
    pub fn read(
        mock: &Mock,
        call: &Call,
        endpoint: Endpoint,
        prefix: &str,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self, Refusal> {
        let request = CompletionRequest::parse(endpoint, &body?)?;
        let mut plan = Plan::new(mock, call, headers, &[])?;
        let streamed = request.stream;
        // The id of an answer is not made of the request id, because a retry has the same request id.
        let port = u64::from(call.peer.address.port());
        let id = format!("{prefix}{:016x}", mix(call.started_us) ^ mix(port));
        let answer = Answer::new(id, call.started_us / 1_000_000, request, &plan);
        plan.chunks = answer.chunks;
        Ok(Self {
            answer,
            plan,
            streamed,
        })
    }
}
