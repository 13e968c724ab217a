use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::http::{Reach, bearer, headers, root_cause};
use crate::load::{Pace, Reading, StreamPlan, StreamRequest};
use crate::measure::{Count, Endpoint};
use crate::reach::redacted_url;
use crate::stage::{Guarded, StageError};
use verdict::scenario::Target;
use verdict::summary::{Attach, probe_rank};

/// If a health check does not answer within this time before the load, it counts as missing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stream counts as stalled if it has been silent for this long when it is cut.
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
    for Endpoint { url, headers, .. } in endpoints(target)? {
        loop {
            let request = client.get(&url).headers(headers.clone());
            let answer = request.timeout(PATIENCE).send().await;
            let problem = match answer {
                Ok(answer) if answer.status().as_u16() < 400 => break,
                Ok(answer) => refused(target, &url, answer.status()),
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
    if let Some(count) = count(target)? {
        // Check this now. Otherwise the verdict would silently leave out what cannot be read.
        count.ask(&client).await.map_err(|problem| {
            StageError::Target(format!("--upstream-stats: {problem}; give URL#/POINTER"))
        })?;
    }
    Ok(())
}

fn refused(target: &Target, url: &str, status: StatusCode) -> String {
    let answered = format!("{} is answered with {status}", redacted_url(url));
    if !matches!(status.as_u16(), 401 | 403) {
        return answered;
    }
    if is_of_one_origin(url, &target.stream) {
        return format!("{answered}: give a token that is allowed, by --bearer-env or --header");
    }
    format!(
        "{answered}: headers and token are sent to the stream's host and port only; give a health \
         URL of these, or one that asks for no token"
    )
}

/// Whether two URLs have scheme, host and port in common.
fn is_of_one_origin(one: &str, other: &str) -> bool {
    let parsed = |text: &str| text.parse::<reqwest::Url>().ok();
    parsed(one)
        .zip(parsed(other))
        .is_some_and(|(one, other)| one.origin() == other.origin())
}

/// The health checks of a target, in the order in which they are shown.
///
/// # Errors
/// If the token cannot be read, or a header is invalid.
pub(super) fn endpoints(target: &Target) -> Result<Vec<Endpoint>, StageError> {
    let mut endpoints = Vec::new();
    for (name, url) in target.endpoints() {
        let headers = headers_for(target, &url)?;
        endpoints.push(Endpoint { name, url, headers });
    }
    endpoints.sort_by_key(|endpoint| probe_rank(&endpoint.name));
    Ok(endpoints)
}

/// Where the upstream of a target says how many streams it has open.
///
/// # Errors
/// As [`endpoints`].
pub(super) fn count(target: &Target) -> Result<Option<Count>, StageError> {
    let Some((url, pointer)) = target.upstream() else {
        return Ok(None);
    };
    let headers = headers_for(target, &url)?;
    Ok(Some(Count {
        url,
        pointer,
        headers,
    }))
}

/// The headers of a request to a URL. Only a URL of the streams' origin gets the target's headers, because
/// they may be secrets.
fn headers_for(target: &Target, url: &str) -> Result<HeaderMap, StageError> {
    if !is_of_one_origin(url, &target.stream) {
        return Ok(HeaderMap::new());
    }
    let numbered = |(name, value): (String, String)| (name, value.replace("{n}", "0"));
    let make = || {
        let given = with_token(target)?.into_iter().map(numbered);
        headers(&given.collect::<BTreeMap<_, _>>())
    };
    make().map_err(|error: anyhow::Error| StageError::Target(format!("{error:#}")))
}

/// The headers of a target, the bearer token among them.
fn with_token(target: &Target) -> anyhow::Result<BTreeMap<String, String>> {
    let mut headers = target.headers.clone();
    if let Some(name) = &target.bearer_env {
        headers.insert("authorization".to_owned(), bearer(name)?);
    }
    Ok(headers)
}

/// The plan of all slots of a target; each step takes some of them.
///
/// # Errors
/// If the body or the token cannot be read, or a URL or a header is invalid.
pub(super) fn plan(target: &Target, reach: &Reach) -> Result<StreamPlan, StageError> {
    let make = || {
        let mut headers = with_token(target)?;
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
            reading: Reading::Any,
            slots: Some(Pace::new(target.max_rate)),
        })
    };
    make().map_err(|error| StageError::Target(format!("{error:#}")))
}

/// What the summary says about a target.
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
        first_look: None,
        upstream_open_before: None,
        capacity: None,
        after_hang_up: None,
    }
}
