use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;

use crate::http::{Reach, bearer, headers};
use crate::load::{Pace, Reading, StreamPlan, StreamRequest};
use crate::measure::{Count, Endpoint, command_line};
use crate::stage::StageError;
use verdict::frameworks;
use verdict::redact::arguments;
use verdict::scenario::Target;
use verdict::summary::{Attach, FirstLook, probe_rank};

/// A stream counts as stalled if it has been silent for this long when it is cut.
const STALL_AFTER: Duration = Duration::from_secs(10);

/// Whether two URLs have scheme, host and port in common.
pub(super) fn is_of_one_origin(one: &str, other: &str) -> bool {
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
///
/// # Errors
/// If the token cannot be read.
pub(super) fn with_token(target: &Target) -> anyhow::Result<BTreeMap<String, String>> {
    let mut headers = target.headers.clone();
    if let Some(name) = &target.bearer_env {
        let token = bearer(name)?;
        if let (Some(_), Some(key)) = (&target.anthropic, token.strip_prefix("Bearer ")) {
            // Anthropic's own API asks for it so, and what imitates it for either.
            headers.insert("x-api-key".to_owned(), key.to_owned());
        }
        headers.insert("authorization".to_owned(), token);
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
        let mut default = |name: &str, value: &str| {
            let header = headers.entry(name.to_owned());
            header.or_insert_with(|| value.to_owned());
        };
        let body = match (
            &target.body,
            target.openai.as_ref().or(target.anthropic.as_ref()),
        ) {
            (Some(path), _) => Some(std::fs::read(path).map_err(|error| {
                anyhow::anyhow!("cannot read the body {}: {error}", path.display())
            })?),
            (None, Some(model)) => Some(chat(model)),
            (None, None) => None,
        };
        if body.is_some() {
            default("content-type", "application/json");
        }
        if target.anthropic.is_some() {
            default("anthropic-version", "2023-06-01");
        }
        anyhow::Ok(StreamPlan {
            client: reach.client(false)?,
            request: StreamRequest::new(
                target.method,
                &target.stream,
                &headers,
                body.map(Bytes::from),
            )?,
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

/// A small streaming chat, the same in both formats.
fn chat(model: &str) -> Vec<u8> {
    let body = serde_json::json!({
        "model": model,
        "stream": true,
        "max_tokens": 200,
        "messages": [{ "role": "user", "content": "Count from 1 to 200." }],
    });
    body.to_string().into_bytes()
}

/// What the summary says about a target.
pub(super) fn told(target: &Target, pid: Option<u32>, first_look: Option<FirstLook>) -> Attach {
    let health = target.endpoints().into_iter();
    Attach {
        stream: target.stream.to_string(),
        method: target.method.name().to_owned(),
        health: health.map(|(name, url)| (name, url.to_string())).collect(),
        upstream_stats: target
            .upstream()
            .map(|(url, pointer)| format!("{url}#{pointer}")),
        has_pid: pid.is_some(),
        framework: pid
            .and_then(command_line)
            .and_then(|line| frameworks::by_process(&line))
            .map(|framework| framework.name.to_owned()),
        command: target
            .command
            .as_ref()
            .map(|command| arguments(command.iter().map(String::as_str))),
        first_look,
        upstream_open_before: None,
        checks_percent: None,
        capacity: None,
        after_hang_up: None,
    }
}
