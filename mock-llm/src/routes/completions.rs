use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;

use crate::Mock;
use crate::call::Call;
use crate::dice::mix;
use crate::plan::Plan;
use crate::refusal::Refusal;
use crate::wire::answer::Answer;
use crate::wire::request::{CompletionRequest, Endpoint};

/// What a request for a completion asks for, all of it understood.
pub struct Asked {
    /// What to answer.
    pub answer: Answer,
    /// How, the request's limit observed.
    pub plan: Plan,
    /// Whether as a stream.
    pub streamed: bool,
}

impl Asked {
    /// Reads a request; the id of the answer begins with `prefix`.
    ///
    /// # Errors
    /// What to tell a client whose request is not one.
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
        // Two requests may share a request id, as a retry does; their answers are still two.
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
