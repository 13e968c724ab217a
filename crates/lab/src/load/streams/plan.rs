use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use reqwest::header::{HeaderName, HeaderValue};

use super::pace::Pace;
use crate::load::Reading;
use verdict::load::streams::{Assignment, StreamSpec, with_number, with_seed};
use verdict::redact::Address;
use verdict::scenario::Method;

/// Which streams are asked for, when, and how.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// With what. It decides whether connections are kept and who is trusted.
    pub client: reqwest::Client,
    /// The request.
    pub request: StreamRequest,
    /// Numbers of the streams; the first one is due at once.
    pub numbers: Range<u64>,
    /// Time from one to the next.
    pub spacing: Duration,
    /// A stream that is silent for longer when it is cut counts as stalled.
    pub stall_after: Duration,
    /// Header of the answer that names the stream's cohort.
    pub cohort_header: Option<String>,
    /// The cohorts of streams that got no answer, if the header would have been of a rollout.
    pub assignment: Option<Assignment>,
    /// How strictly the streams are read.
    pub reading: Reading,
    /// Of slots: the pace at which they begin, and begin again when a stream has ended. Numbers are
    /// then given in the order of beginning.
    pub slots: Option<Pace>,
}

/// How a stream is asked for.
#[derive(Clone, Debug)]
pub struct StreamRequest {
    method: reqwest::Method,
    url: reqwest::Url,
    headers: Vec<(HeaderName, String)>,
    body: Option<Bytes>,
}

impl StreamRequest {
    /// A request with these headers; `{n}` and `{k}` in a value stand for the number of the stream.
    ///
    /// # Errors
    /// If the URL or a header is none.
    pub fn new(
        method: Method,
        url: &str,
        headers: &BTreeMap<String, String>,
        body: Option<Bytes>,
    ) -> anyhow::Result<Self> {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let name: HeaderName = name
                    .parse()
                    .with_context(|| format!("`{name}` is not the name of a header"))?;
                let numbered = with_number(&value.replace("{n}", "0"), 0);
                // The value may be a secret: it is not shown.
                HeaderValue::from_str(&numbered)
                    .with_context(|| format!("what `{name}` is given is not a header's value"))?;
                Ok((name, value.clone()))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            method: method.name().parse().context("not a method")?,
            url: url
                .parse()
                .with_context(|| format!("`{}` is no URL", Address::from(url)))?,
            headers,
            body,
        })
    }

    /// The request of stream `n`, which is number `k` of its step, to be sent by `client`.
    #[must_use]
    pub fn build(&self, client: &reqwest::Client, n: u64, k: u64) -> reqwest::RequestBuilder {
        let mut request = client.request(self.method.clone(), self.url.clone());
        for (name, value) in &self.headers {
            request = request.header(name, with_number(&value.replace("{n}", &n.to_string()), k));
        }
        match &self.body {
            Some(body) => request.body(body.clone()),
            None => request,
        }
    }
}

impl StreamPlan {
    /// The streams of a scenario of this seed, numbered from `first` on, each on a connection of its
    /// own.
    ///
    /// # Errors
    /// If the client cannot be made, or the URL or a header is none.
    pub fn of(spec: &StreamSpec, base: &str, seed: u64, first: u64) -> anyhow::Result<Self> {
        let url = format!("{base}{}", spec.path_and_query());
        let headers = spec.headers.iter();
        let headers = headers
            .map(|(name, value)| (name.clone(), with_seed(value, seed)))
            .collect();
        Ok(Self {
            client: crate::http::client(false).context("cannot make the load's HTTP client")?,
            request: StreamRequest::new(Method::Get, &url, &headers, None)?,
            numbers: first..first + u64::from(spec.count),
            spacing: spec.ramp / spec.count,
            stall_after: spec.stall_after,
            cohort_header: spec.cohort_header.clone(),
            assignment: spec.assignment.clone().map(|one| one.seeded(seed)),
            reading: Reading::Numbered,
            slots: None,
        })
    }
}
