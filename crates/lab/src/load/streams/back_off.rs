use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// A slot whose stream was refused waits at least so long before it asks again.
const LEAST: Duration = Duration::from_millis(250);

/// Without a word from the service, it waits no longer than this.
const MOST: Duration = Duration::from_secs(2);

/// No run lasts longer.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long a slot waits after refusals.
#[derive(Debug)]
pub(super) struct BackOff {
    next: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { next: LEAST }
    }
}

impl BackOff {
    /// After a refusal: as long as the service asks for, or twice as long as the last time.
    pub(super) fn after_refusal(&mut self, asked_for: Option<Duration>) -> Duration {
        let own = self.next;
        self.next = MOST.min(own * 2);
        asked_for.map_or(own, |asked_for| asked_for.clamp(LEAST, DAY))
    }
}

/// How long an answer asks to be left alone: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

/// Whether an answer tells of a quota, such as requests per minute.
pub(super) fn has_quota(headers: &HeaderMap) -> bool {
    let mut names = headers.keys().map(|name| name.as_str());
    names.any(|name| name.starts_with("ratelimit") || name.starts_with("x-ratelimit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_left_alone_for_as_long_as_it_asks() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let said = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a value"))]);
            retry_after(&headers, now)
        };
        assert_eq!(said("30"), Some(Duration::from_secs(30)));
        let date = said("Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(date, Some(Duration::from_secs(30)));
        assert_eq!(said("Sun, 06 Nov 1994 08:49:07 GMT"), Some(Duration::ZERO));
        assert_eq!(said("soon"), None);

        let mut back_off = BackOff::default();
        let waits = |back_off: &mut BackOff, said: &str| {
            let wait = back_off.after_refusal(said.parse().ok().map(Duration::from_secs));
            u64::try_from(wait.as_millis()).expect("short")
        };
        let own = [(); 5].map(|()| waits(&mut back_off, ""));
        assert_eq!(own, [250, 500, 1_000, 2_000, 2_000]);
        let asked_for = ["30", "0", "18446744073709551615"].map(|said| waits(&mut back_off, said));
        assert_eq!(asked_for, [30_000, 250, 86_400_000]);
    }
}
