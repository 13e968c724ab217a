use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::drive::{Pace, StreamPlan, StreamRequest};
use crate::http::{Reach, root_cause};
use crate::measure::Endpoint;
use crate::reach::redacted_url;
use crate::scenario::Target;
use crate::stage::{Guarded, StageError};
use crate::summary::{Attach, probe_rank};

/// A health check that is not answered in this time before anything is asked of the service is not
/// there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stream that is silent for so long when it is cut counts as stalled.
const STALL_AFTER: Duration = Duration::from_secs(10);

/// Waits until every health check answers: a service that was just started may take a while.
pub(super) async fn first_look(
    target: &Target,
    reach: &Reach,
    guarded: &mut Option<Guarded>,
) -> Result<(), StageError> {
    let client = reach
        .client(false)
        .map_err(|error| StageError::Target(format!("{error:#}")))?;
    let ready_by = Instant::now() + target.ready_within;
    for url in target.endpoints().into_values() {
        loop {
            let answer = client.get(&url).timeout(PATIENCE).send().await;
            let problem = match answer {
                Ok(answer) if answer.status().as_u16() < 400 => break,
                Ok(answer) => format!(
                    "{} is answered with {}",
                    redacted_url(&url),
                    answer.status()
                ),
                Err(error) => {
                    let why = root_cause(&error.without_url());
                    format!("cannot reach {}: {why}", redacted_url(&url))
                }
            };
            if let Some(status) = guarded.as_mut().and_then(Guarded::exited) {
                return Err(StageError::Target(format!(
                    "the command of the target ended before it was ready: {status}; see server.log"
                )));
            }
            if guarded.is_none() || Instant::now() >= ready_by {
                return Err(StageError::Target(problem));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// The health checks of a target, in the order in which they are shown.
pub(super) fn endpoints(target: &Target) -> Vec<Endpoint> {
    let mut endpoints: Vec<_> = target
        .endpoints()
        .into_iter()
        .map(|(name, url)| Endpoint { name, url })
        .collect();
    endpoints.sort_by_key(|endpoint| probe_rank(&endpoint.name));
    endpoints
}

/// The plan of all slots of a target; each step takes some of them.
///
/// # Errors
/// If the body or the token cannot be read, or a URL or a header is none.
pub(super) fn plan(target: &Target, reach: &Reach) -> Result<StreamPlan, StageError> {
    let make = || {
        let mut headers = target.headers.clone();
        if let Some(name) = &target.bearer_env {
            let token = std::env::var(name)
                .map_err(|_| anyhow::anyhow!("the environment variable {name} holds no token"))?;
            headers.insert("authorization".to_owned(), format!("Bearer {token}"));
        }
        let body = match &target.body {
            None => None,
            Some(path) => {
                let body = std::fs::read(path).map_err(|error| {
                    anyhow::anyhow!("cannot read the body {}: {error}", path.display())
                })?;
                headers
                    .entry("content-type".to_owned())
                    .or_insert_with(|| "application/json".to_owned());
                Some(Bytes::from(body))
            }
        };
        anyhow::Ok(StreamPlan {
            client: reach.client(false)?,
            request: StreamRequest::new(target.method, &target.stream, &headers, body)?,
            numbers: 0..0,
            spacing: Duration::ZERO,
            stall_after: STALL_AFTER,
            cohort_header: None,
            assignment: None,
            needs_marker: false,
            slots: Some(Pace::new(target.max_rate)),
        })
    };
    make().map_err(|error| StageError::Target(format!("{error:#}")))
}

/// What is told of a target in the summary.
pub(super) fn told(target: &Target, has_pid: bool) -> Attach {
    let health = target.endpoints().into_iter();
    Attach {
        stream: redacted_url(&target.stream),
        method: target.method.name().to_owned(),
        health: health
            .map(|(name, url)| (name, redacted_url(&url)))
            .collect(),
        upstream_stats: target
            .upstream()
            .map(|(url, pointer)| format!("{}#{pointer}", redacted_url(&url))),
        has_pid,
        command: target.command.clone(),
        upstream_open_before: None,
        capacity: None,
        after_hang_up: None,
    }
}
