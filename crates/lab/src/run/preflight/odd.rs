use reqwest::StatusCode;
use reqwest::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER, UPGRADE};

use super::reading::Read;
use super::target;
use crate::load::{Chunk, Reading};
use crate::stage::StageError;
use verdict::redact;
use verdict::scenario::{Method, Target};

/// What is said of gRPC.
pub(super) const GRPC: &str =
    "gRPC, which cannot be measured: give a URL that streams over plain HTTP";

/// Most of a body that is shown, in bytes.
const SHOWN: usize = 200;

/// A shorter value of a header may stand in a body by chance.
const SECRET_LENGTH: usize = 4;

/// Names what is odd about the answer to a target's stream.
pub(super) struct Odd<'a> {
    target: &'a Target,
    url: String,
    /// Values that must not be shown.
    secrets: Vec<String>,
}

impl<'a> Odd<'a> {
    /// # Errors
    /// If the token cannot be read.
    pub(super) fn new(target: &'a Target) -> Result<Self, StageError> {
        Ok(Self {
            target,
            url: redact::url(&target.stream),
            secrets: secrets(target)?,
        })
    }

    /// What is wrong with an answer, and what to do, in a sentence; `None` if it can be measured.
    pub(super) fn problem(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        read: &Read,
    ) -> Option<String> {
        let (url, body) = (&self.url, self.shown(&read.begins));
        let says = match body.as_str() {
            "" => String::new(),
            body => format!(", \"{body}\""),
        };
        let answered = format!("{url} is answered with {status}");
        if is_grpc(headers) {
            return Some(format!("{answered} and {GRPC}"));
        }
        if !status.is_success() {
            let details = self.details(headers);
            let remedy = self.remedy(status, headers, &body);
            return Some(format!("{answered}{details}{says}: {remedy}"));
        }
        if self.is_page(headers, &read.begins) {
            return Some(format!(
                "{answered} and an HTML page{says}: give the URL of a stream, or the token or cookie \
                 that the page asks for (--bearer-env, --header); if it is the page that you want to \
                 measure, add --header 'Accept: text/html'"
            ));
        }
        let is_json_error = read.ended.is_some()
            && is_kind(headers, "application/json")
            && Reading::Any.read(&read.begins) == Chunk::Error;
        if read.has_error || is_json_error {
            return Some(format!(
                "{answered}, but all that it sends is an error{says}: mend the request or the service"
            ));
        }
        if read.content > 0 {
            return None;
        }
        if read.has_only_pings() {
            return Some(format!(
                "{answered}, but sends nothing but pings or comments{says}: give a request that is \
                 answered with content"
            ));
        }
        read.ended.map(|_| match body.as_str() {
            "" => format!("{answered} and nothing else: there is no body to measure"),
            _ => format!(
                "{answered}, and ends without a piece of content{says}: give a request that is \
                 answered with content"
            ),
        })
    }

    /// Headers of an error that say what to do.
    fn details(&self, headers: &HeaderMap) -> String {
        let told = |name: HeaderName| headers.get(name)?.to_str().ok();
        let mut text = String::new();
        if let Some(location) = told(LOCATION) {
            text += &format!(" to {}", self.location(location));
        }
        for name in [ALLOW, RETRY_AFTER] {
            if let Some(value) = told(name.clone()) {
                let name = if name == ALLOW {
                    "Allow"
                } else {
                    "Retry-After"
                };
                text += &format!(", {name}: {value}");
            }
        }
        text
    }

    /// Where a redirect leads, without secrets.
    fn location(&self, location: &str) -> String {
        let base = self.target.stream.parse::<reqwest::Url>().ok();
        let whole = base.and_then(|base| base.join(location).ok());
        redact::url(whole.as_ref().map_or(location, reqwest::Url::as_str))
    }

    fn remedy(&self, status: StatusCode, headers: &HeaderMap, body: &str) -> String {
        let told = |name: HeaderName| headers.get(name)?.to_str().ok();
        let upgrade = told(UPGRADE).unwrap_or_default().to_ascii_lowercase();
        let is_web_socket = upgrade.contains("websocket")
            || headers.contains_key("sec-websocket-version")
            || headers.contains_key("sec-websocket-accept")
            || matches!(status.as_u16(), 400 | 426) && body.to_lowercase().contains("websocket");
        let target = self.target;
        match status.as_u16() {
            _ if is_web_socket => {
                "it is a WebSocket, which cannot be measured: give a URL that streams over plain HTTP"
                    .to_owned()
            }
            101 | 426 if upgrade.contains("h2c") => "add --http2".to_owned(),
            300..=399 => "redirects are not followed: give the URL that it leads to, or the token or \
                          cookie that it asks for (--bearer-env, --header)"
                .to_owned(),
            401 | 403 => "give a token that is allowed, by --bearer-env or --header".to_owned(),
            404 | 410 => "there is nothing at this path: give the URL of a stream".to_owned(),
            405 => {
                let allowed = told(ALLOW).unwrap_or("POST, GET").to_ascii_uppercase();
                let is_allowed = |method: &Method| {
                    let mut names = allowed.split(',').map(str::trim);
                    *method != target.method && names.any(|name| name == method.name())
                };
                let mut others = [Method::Post, Method::Get].into_iter().chain(Method::ALL);
                match others.find(is_allowed) {
                    Some(method) => format!("try --method {}", method.name()),
                    None => "try another --method".to_owned(),
                }
            }
            400 | 411 | 415 | 422 => match (&target.body, &target.openai, &target.anthropic) {
                (None, None, None) => "if it asks for a body, give --body FILE with --method POST, or \
                                       --openai MODEL or --anthropic MODEL for a chat"
                    .to_owned(),
                (Some(_), ..) => {
                    "it does not accept the body: mend it, or its content-type by --header".to_owned()
                }
                _ => "it does not accept the chat: check the model and the format".to_owned(),
            },
            429 | 503 => "it is full or over a quota before anything was asked of it: wait, or give it \
                          more room"
                .to_owned(),
            502 | 504 => "a proxy gets no answer from the service behind it: is it running?".to_owned(),
            _ => "nothing of it can be measured".to_owned(),
        }
    }

    /// Whether it is a page, and none was asked for. Some frameworks call anything HTML, so the body decides.
    fn is_page(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let accept = self.target.headers.get("accept");
        let is_wanted = accept.is_some_and(|accept| accept.contains("text/html"));
        let begins = body.trim_ascii_start();
        let begins = begins[..begins.len().min(14)].to_ascii_lowercase();
        let is_html = begins.starts_with(b"<!doctype html") || begins.starts_with(b"<html");
        !is_wanted && is_html && is_kind(headers, "text/html")
    }

    /// The beginning of a body in one line, without secrets.
    fn shown(&self, body: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(body).into_owned();
        for secret in &self.secrets {
            text = text.replace(secret, "REDACTED");
        }
        let is_seen = |c: &char| {
            let is_direction = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
            !is_direction && !matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        let seen = text.chars().filter(is_seen);
        let plain: String = seen.map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        let end = line.floor_char_boundary(SHOWN);
        match &line[..end] {
            all if end == line.len() => all.to_owned(),
            part => format!("{part}…"),
        }
    }
}

/// Whether an answer is one of gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    is_kind(headers, "application/grpc")
}

fn is_kind(headers: &HeaderMap, kind: &str) -> bool {
    let given = headers.get(CONTENT_TYPE);
    given.is_some_and(|value| {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .starts_with(kind.as_bytes())
    })
}

/// What of a target's headers and URL a service might repeat and nobody may see.
fn secrets(target: &Target) -> Result<Vec<String>, StageError> {
    let mut found = Vec::new();
    let headers = target::with_token(target);
    for (name, value) in headers.map_err(|error| StageError::Target(format!("{error:#}")))? {
        if !redact::is_plain_header(&name) {
            found.extend(value.split_whitespace().map(str::to_owned));
        }
    }
    if let Ok(url) = target.stream.parse::<reqwest::Url>() {
        found.extend(url.password().map(str::to_owned));
        let shown = redact::url(&target.stream).parse::<reqwest::Url>();
        let shown = shown.as_ref().unwrap_or(&url).query_pairs();
        let hidden = url.query_pairs().zip(shown);
        for (given, shown) in hidden {
            let name = (given.0 != shown.0).then_some(given.0);
            let value = (given.1 != shown.1).then_some(given.1);
            found.extend(
                name.into_iter()
                    .chain(value)
                    .map(std::borrow::Cow::into_owned),
            );
        }
    }
    found.retain(|secret| secret.len() >= SECRET_LENGTH && secret != "Bearer");
    // A secret that holds another one is replaced first.
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    Ok(found)
}
