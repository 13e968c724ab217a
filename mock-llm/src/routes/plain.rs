use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;

use crate::answering::stream;
use crate::call::Call;
use crate::ledger::Kind;
use crate::mock::Mock;
use crate::plan::Plan;
use crate::refusal::Refusal;
use crate::wire::plain::PlainScript;

/// `GET /slow_stream?chunks=&interval=&bytes=&ttft=&fault=`.
///
/// The query is read as pairs, so that an unknown key is not passed over.
pub async fn slow_stream(
    State(mock): State<Mock>,
    Extension(call): Extension<Call>,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(pairs) = query?;
    let plan = Plan::new(&mock, &call, &headers, &pairs)?;
    let script = PlainScript::new(plan.chunks, plan.bytes, plan.is_wide());
    stream(&mock, &call, Kind::SlowStream, plan, script).await
}
