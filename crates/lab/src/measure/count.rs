use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::http::root_cause;
use verdict::redact::Address;

/// A document that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most of a document's beginning that is shown.
const SHOWN: usize = 60;

/// A JSON document of another's in which a number of open streams stands.
#[derive(Clone, Debug)]
pub struct Count {
    /// Its URL.
    pub url: Address,
    /// JSON pointer (RFC 6901) to the number.
    pub pointer: String,
    /// Sent with each request; values may be secrets.
    pub headers: HeaderMap,
}

impl Count {
    /// The number now.
    ///
    /// # Errors
    /// A sentence that says what is there instead.
    ///
    /// # Cancel safety
    /// Safe: dropping the future closes the connection or gives it back.
    pub async fn ask(&self, client: &reqwest::Client) -> Result<u64, String> {
        let url = &self.url;
        let request = client.get(&*self.url).headers(self.headers.clone());
        let no_answer = |error: reqwest::Error| {
            let why = root_cause(&error.without_url());
            format!("cannot read {url}: {why}")
        };
        let answer = request.timeout(PATIENCE).send().await.map_err(no_answer)?;
        if !answer.status().is_success() {
            return Err(format!("{url} is answered with {}", answer.status()));
        }
        let bytes = answer.bytes().await.map_err(no_answer)?;
        let document: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| format!("what {url} answers is no JSON document: {error}"))?;
        let pointer = &self.pointer;
        let found = document.pointer(pointer).ok_or_else(|| {
            let beginning: String = document.to_string().chars().take(SHOWN).collect();
            format!("there is nothing at {pointer} of {url}, which begins {beginning}")
        })?;
        found.as_u64().ok_or_else(|| {
            let beginning: String = found.to_string().chars().take(SHOWN).collect();
            format!("at {pointer} of {url} stands {beginning}, which is no number of open streams")
        })
    }
}
