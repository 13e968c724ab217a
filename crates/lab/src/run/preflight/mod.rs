//! What a target is like, before anything is measured: whether its URLs answer, and whether the answer to a
//! stream is one. This also warms the service up.

mod odd;
mod reading;

use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, SERVER};
use reqwest::{Client, Response, StatusCode};

use super::target;
use crate::http::{Reach, root_cause};
use crate::measure::Endpoint;
use crate::stage::{Guarded, StageError};
use crate::tls;
use odd::Odd;
use reading::Read;
use verdict::redact;
use verdict::scenario::Target;
use verdict::summary::FirstLook;
use verdict::units::us;

/// If a health check does not answer within this time before the load, it counts as missing.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the first stream of all may take until its first byte.
const FIRST_BYTE_WITHIN: Duration = Duration::from_secs(30);

/// How long a service that did not answer in one protocol may take to answer in another.
const OTHER_PROTOCOL_WITHIN: Duration = Duration::from_secs(1);

/// Most of a `Server` header that is kept.
const SERVER_LENGTH: usize = 80;

/// How long one stream alone may take until its first byte. There must be time left for what follows.
pub(super) fn first_byte_within(target: &Target, probe_timeout: Duration) -> Duration {
    let after = target.time_after_steps(probe_timeout);
    FIRST_BYTE_WITHIN.min(target.max_time.saturating_sub(after))
}

/// Waits until every health check answers, because a service that was just started may take a while. Then
/// it asks for one stream.
///
/// # Errors
/// [`StageError::Target`] with what is wrong and what to do, if nothing of this target can be measured.
pub(super) async fn look(
    target: &Target,
    (reach, probe_timeout): (&Reach, Duration),
    guarded: &mut Option<Guarded>,
) -> Result<FirstLook, StageError> {
    let failed = |error: anyhow::Error| StageError::Target(format!("{error:#}"));
    let client = reach.client(false).map_err(failed)?;
    let health_server = health(target, (reach, &client), guarded).await?;
    if let Some(count) = target::count(target)? {
        // Check this now. Otherwise the verdict would silently leave out what cannot be read.
        count.ask(&client).await.map_err(|problem| {
            StageError::Target(format!("--upstream-stats: {problem}; give URL#/POINTER"))
        })?;
    }
    let within = first_byte_within(target, probe_timeout);
    let looked = stream(target, reach, within).await?;
    Ok(FirstLook {
        health_server,
        ..looked
    })
}

/// The `Server` header of the first health URL, when all have answered.
async fn health(
    target: &Target,
    (reach, client): (&Reach, &Client),
    guarded: &mut Option<Guarded>,
) -> Result<Option<String>, StageError> {
    let ready_by = Instant::now() + target.ready_within;
    let mut server = None;
    for Endpoint { url, headers, .. } in target::endpoints(target)? {
        loop {
            let request = client.get(&*url).headers(headers.clone());
            let answer = request.timeout(PATIENCE).send().await;
            if let Ok(answer) = &answer
                && answer.status().as_u16() < 400
            {
                server = server.or_else(|| server_of(answer.headers()));
                break;
            }
            if let Some(status) = guarded.as_mut().and_then(Guarded::exited) {
                return Err(StageError::Target(format!(
                    "the command of the target ended before it was ready: {status}; see server.log"
                )));
            }
            if guarded.is_none() || Instant::now() >= ready_by {
                return Err(StageError::Target(match answer {
                    Ok(answer) => refused(target, &url, answer.status()),
                    Err(error) => unreachable(&url, error, reach).await,
                }));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(server)
}

fn refused(target: &Target, url: &str, status: StatusCode) -> String {
    let answered = format!("{} is answered with {status}", redact::url(url));
    if !matches!(status.as_u16(), 401 | 403) {
        return answered;
    }
    if target::is_of_one_origin(url, &target.stream) {
        return format!("{answered}: give a token that is allowed, by --bearer-env or --header");
    }
    format!(
        "{answered}: headers and token are sent to the stream's host and port only; give a health \
         URL of these, or one that asks for no token"
    )
}

/// Asks for one stream, and hangs up when it is seen to flow.
async fn stream(target: &Target, reach: &Reach, within: Duration) -> Result<FirstLook, StageError> {
    let plan = target::plan(target, reach)?;
    let odd = Odd::new(target)?;
    let begun = Instant::now();
    let nothing = || {
        StageError::Target(format!(
            "{} has sent no content in {} s, with one client: it hangs already",
            redact::url(&target.stream),
            within.as_secs()
        ))
    };
    let request = plan.request.build(&plan.client, 0, 0).send();
    let answer = match tokio::time::timeout(within, request).await {
        Err(_) => return Err(nothing()),
        Ok(Err(error)) => {
            return Err(StageError::Target(
                unreachable(&target.stream, error, reach).await,
            ));
        }
        Ok(Ok(answer)) => answer,
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let read = Read::of(answer, begun, begun + within).await;
    if let Some(problem) = odd.problem(status, &headers, &read) {
        return Err(StageError::Target(problem));
    }
    let Some(first) = read.first else {
        return Err(nothing());
    };
    Ok(FirstLook {
        ttft_us: us(first - begun),
        took_us: read.ended.map(|ended| us(ended - begun)),
        chunks: read.content,
        held: read.ended.is_none(),
        buffered: read.is_buffered(),
        server: server_of(&headers),
        health_server: None,
    })
}

/// Why nothing of a URL came, and what to do. A service that cannot be understood is asked again in other
/// protocols.
async fn unreachable(url: &str, error: reqwest::Error, reach: &Reach) -> String {
    let (shown, error) = (redact::url(url), error.without_url());
    let cause = root_cause(&error);
    if let Some(remedy) = tls::remedy(&error) {
        return format!("cannot reach {shown}: {cause}: {remedy}");
    }
    if error.is_connect() || error.is_timeout() {
        return format!("cannot reach {shown}: {cause}");
    }
    let other = Reach {
        http2: !reach.http2,
        ..reach.clone()
    };
    // Where there is TLS, it negotiates what is spoken.
    let may_speak_other = reach.http2 || url.starts_with("http://");
    if may_speak_other && let Some(answer) = ask_once(url, &other).await {
        return if odd::is_grpc(answer.headers()) {
            format!("{shown} speaks {}", odd::GRPC)
        } else if reach.http2 {
            format!("{shown} speaks HTTP/1.1: leave out --http2")
        } else {
            format!("{shown} speaks HTTP/2 without TLS: add --http2, if it is not gRPC")
        };
    }
    let secure = Reach {
        insecure: true,
        http2: false,
        ..reach.clone()
    };
    if let Some(rest) = url.strip_prefix("http://")
        && ask_once(&format!("https://{rest}"), &secure)
            .await
            .is_some()
    {
        return format!("{shown} speaks TLS: write https://");
    }
    format!("cannot reach {shown}: {cause}; it ends the connection, or does not speak HTTP")
}

/// Whatever a URL answers; no header of the user's is sent.
async fn ask_once(url: &str, reach: &Reach) -> Option<Response> {
    let request = reach.client(false).ok()?.get(url);
    request.timeout(OTHER_PROTOCOL_WITHIN).send().await.ok()
}

fn server_of(headers: &HeaderMap) -> Option<String> {
    let server = headers.get(SERVER)?.to_str().ok()?;
    Some(server.chars().take(SERVER_LENGTH).collect())
}
