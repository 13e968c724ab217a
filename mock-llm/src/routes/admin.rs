use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::ledger::StreamRecord;
use crate::mock::Mock;
use crate::refusal::Refusal;
use crate::shape::BadParameter;
use crate::stats::Stats;

/// Most open streams that `/admin/quiesce` names.
const OFFENDERS: usize = 100;

/// `GET /health`.
pub async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "ok" }))
}

/// `GET /stats`.
pub async fn stats(State(mock): State<Mock>) -> Json<Stats> {
    Json(mock.stats())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamsQuery {
    #[serde(default)]
    ended: bool,
    since: Option<u64>,
}

/// `GET /streams`, `GET /streams?ended=true`, `GET /streams?ended=true&since=<ended_us>`.
///
/// A reader who polls passes the last `ended_us` that it has seen as `since`. That stream comes again, and
/// so do others that ended in the same microsecond.
pub async fn streams(
    State(mock): State<Mock>,
    query: Result<Query<StreamsQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query?;
    if query.since.is_some() && !query.ended {
        return Err(BadParameter {
            name: "since".into(),
            reason: "is a time of ending, so it goes with ended=true".into(),
        }
        .into());
    }
    Ok(if query.ended {
        let ended = mock.ledger().ended_streams(query.since.unwrap_or(0));
        let records: Vec<&StreamRecord> = ended.iter().map(|record| &**record).collect();
        Json(records).into_response()
    } else {
        Json(mock.ledger().open_streams()).into_response()
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuiesceQuery {
    #[serde(default)]
    within_ms: u64,
}

/// The streams that are still open.
#[derive(Serialize)]
struct Offenders {
    open: usize,
    offenders: Vec<StreamRecord>,
}

/// `POST /admin/quiesce?within_ms=`: 200 once no stream is open, 409 if that takes longer.
pub async fn quiesce(
    State(mock): State<Mock>,
    query: Result<Query<QuiesceQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(QuiesceQuery { within_ms }) = query?;
    let within = Duration::from_millis(within_ms);
    let quiet = tokio::time::timeout(within, mock.ledger().quiesced())
        .await
        .is_ok();
    let mut offenders = if quiet {
        Vec::new()
    } else {
        mock.ledger().open_streams()
    };
    let open = offenders.len();
    offenders.truncate(OFFENDERS);
    // The last stream may have ended just after the time was over.
    let status = if open == 0 {
        StatusCode::OK
    } else {
        StatusCode::CONFLICT
    };
    Ok((status, Json(Offenders { open, offenders })).into_response())
}
