//! What `lab watch` prints: a line for each tick, changes of the verdict, and a summary. At most 80
//! columns.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use verdict::judge::watch::Verdict;
use verdict::record::{Figures, Look, Outcome, Row};
use verdict::redact::Address;
use verdict::summary::{Diagnosis, Distribution, Kind};
use verdict::units::{time, time_or_bound, us, wrapped};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// An answer with an error status.
const ERROR: char = '!';

/// No connection, or none that lasted until the answer.
const NO_CONNECTION: char = '×';

/// A URL that is watched.
#[derive(Clone, Debug)]
pub struct WatchedUrl {
    /// As a diagnosis knows it: `health`, `health_sync` or `health_async`.
    pub name: &'static str,
    /// As people read it, and the key of its checks in JSON.
    pub column: &'static str,
    /// Where.
    pub url: Address,
}

/// What does not change while it watches.
#[derive(Clone, Debug)]
pub struct Watched {
    /// From one to three, in the order in which they are shown.
    pub urls: Vec<WatchedUrl>,
    /// From one tick to the next.
    pub every: Duration,
    /// Slower is slow.
    pub alert_above: Duration,
    /// Later is unanswered.
    pub timeout: Duration,
    /// When it began.
    pub began: SystemTime,
    /// Whether programs read it: then each tick and each change is a line of JSON.
    pub json: bool,
}

impl Watched {
    /// What stands above the lines.
    #[must_use]
    pub fn head(&self) -> String {
        if self.json {
            return String::new();
        }
        let [every, alert, timeout] =
            [self.every, self.alert_above, self.timeout].map(|one| time(us(one) as f64));
        let mut head = format!(
            "Every {every}, alert above {alert}, unanswered after {timeout}. Ctrl-C ends it.\n\
             Bars grow with the time. {ERROR} is an error status, {NO_CONNECTION} no connection, █ no answer.\n"
        );
        for WatchedUrl { column, url, .. } in &self.urls {
            head += &format!("{column:<6} {url}\n");
        }
        head += &format!("\n{:<9}", "UTC");
        let sparks = self.sparks();
        for WatchedUrl { column, .. } in &self.urls {
            head += &format!(" {column:>9} {:sparks$}", "");
        }
        head + " verdict\n"
    }

    /// A tick. `recent` are the latest checks of each URL up to this tick.
    #[must_use]
    pub fn tick(&self, row: &Row, recent: &[Vec<Look>], verdict: Option<&Verdict>) -> String {
        let due_us = row.looks.first().map_or(0, |look| look.due_us);
        if self.json {
            let columns = self.urls.iter().map(|url| url.column);
            return json_line(&JsonLine {
                tick: row.tick,
                due: self.timestamp(due_us),
                looks: columns.zip(row.looks.iter().map(JsonLook::from)).collect(),
                verdict: verdict.map(|verdict| &verdict.diagnosis),
                alert: verdict.is_some_and(|verdict| verdict.alert),
            });
        }
        let mut line = self.clock(due_us);
        for (look, recent) in row.looks.iter().zip(recent) {
            line += &format!(" {:>9} {}", look.shown(), self.sparkline(recent));
        }
        let word = verdict.map_or("not yet", |verdict| verdict.diagnosis.family.name());
        format!("{line} {word}\n")
    }

    /// The verdict has changed; an alert that was raised by that has its own word. Told in JSON as well: it may
    /// change back before the next tick has its line.
    #[must_use]
    pub fn change(&self, at_us: u64, verdict: &Verdict, is_raised: bool) -> String {
        if self.json {
            return json_line(&JsonChange {
                changed: self.timestamp(at_us),
                verdict: &verdict.diagnosis,
                alert: verdict.alert,
            });
        }
        let what = if is_raised { "ALERT" } else { "now" };
        let diagnosis = &verdict.diagnosis;
        let first = format!("{} {what}:", self.clock(at_us));
        let reasons = if verdict.alert { usize::MAX } else { 1 };
        let because: Vec<_> = diagnosis.evidence.iter().take(reasons).cloned().collect();
        let told = format!(" {}: {}", diagnosis.family.name(), because.join("; "));
        let mut text = wrapped(&first, "          ", &told);
        for candidate in &diagnosis.candidates {
            let name = match candidate.kind {
                Kind::Undecided => candidate.family.name(),
                kind => kind.name(),
            };
            let told = format!(" {name}? Look at {}", candidate.decided_by);
            text += &wrapped("         ", "             ", &told);
        }
        text
    }

    /// What is in flight, for the last line of a terminal; empty if nothing is late.
    #[must_use]
    pub fn status(&self, in_flight: &[(usize, u64)]) -> String {
        let limit = us(self.alert_above);
        let urls = self.urls.iter().zip(in_flight);
        let late =
            urls.filter(|(_, (_, oldest))| *oldest > limit)
                .map(|(url, &(count, oldest))| {
                    format!(
                        "{}: {count} waiting for {}",
                        url.column,
                        time(oldest as f64)
                    )
                });
        late.collect::<Vec<_>>().join("   ")
    }

    /// The summary at the end.
    #[must_use]
    pub fn summary(&self, ticks: u64, figures: &[Figures], alerts: u64) -> String {
        let counted = |count: u64, what: &str| {
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} {what}{plural}")
        };
        let mut text = format!(
            "\n{}, {}\n",
            counted(ticks, "tick"),
            counted(alerts, "alert")
        );
        for (url, figures) in self.urls.iter().zip(figures) {
            let response = figures.response();
            let mut most = response.p99_or_max();
            if response.count >= Distribution::LEAST_FOR_P99 {
                let max = time_or_bound(response.max, response.max_censored);
                most += &format!(", max {max}");
            }
            let p50 = time_or_bound(response.p50, response.p50_censored);
            let times = match response.count {
                0 => String::new(),
                _ => format!("p50 {p50}, {most}: "),
            };
            let outcomes: Vec<_> = figures
                .outcomes
                .iter()
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            text += &wrapped(
                &format!("{:<6}", url.column),
                "      ",
                &(times + &outcomes.join(", ")),
            );
        }
        text
    }

    fn timestamp(&self, at_us: u64) -> String {
        let at = self.began + Duration::from_micros(at_us);
        humantime::format_rfc3339_millis(at).to_string()
    }

    /// The time of day in UTC.
    fn clock(&self, at_us: u64) -> String {
        let at = self.began + Duration::from_micros(at_us);
        let text = humantime::format_rfc3339_seconds(at).to_string();
        text.split_once('T')
            .map_or(text.clone(), |(_, time)| time.to_owned())
    }

    /// Checks that a sparkline shows. Three URLs leave less room.
    fn sparks(&self) -> usize {
        if self.urls.len() > 2 { 4 } else { 10 }
    }

    /// The latest checks as bars on a logarithmic scale, from 1 ms to the timeout.
    fn sparkline(&self, looks: &[Look]) -> String {
        let sparks = self.sparks();
        let from = looks.len().saturating_sub(sparks);
        let bars = looks[from..].iter().map(|look| self.bar(look));
        let line: String = bars.collect();
        format!("{line:>sparks$}")
    }

    fn bar(&self, look: &Look) -> char {
        let (lowest, highest) = (1e3_f64, us(self.timeout).max(1_001) as f64);
        match look.outcome {
            Some(Outcome::BadStatus) => return ERROR,
            Some(Outcome::ConnectFailure | Outcome::Aborted) => return NO_CONNECTION,
            _ => {}
        }
        if look.is_bound() {
            return BARS[BARS.len() - 1];
        }
        let share = (look.us.max(1) as f64 / lowest).ln() / (highest / lowest).ln();
        // The highest bar is of what was not answered.
        let level = (share * (BARS.len() - 1) as f64).clamp(0.0, (BARS.len() - 2) as f64);
        BARS[level as usize]
    }
}

#[derive(Serialize)]
struct JsonLine<'a> {
    tick: u64,
    due: String,
    /// By columns.
    #[serde(flatten)]
    looks: BTreeMap<&'a str, JsonLook>,
    verdict: Option<&'a Diagnosis>,
    alert: bool,
}

/// Told from a tick by its first key.
#[derive(Serialize)]
struct JsonChange<'a> {
    changed: String,
    verdict: &'a Diagnosis,
    alert: bool,
}

fn json_line(line: &impl Serialize) -> String {
    // Its keys are strings, so it always serializes.
    serde_json::to_string(line).unwrap_or_default() + "\n"
}

#[derive(Serialize)]
struct JsonLook {
    outcome: &'static str,
    status: Option<u16>,
    us: u64,
    is_lower_bound: bool,
}

impl From<&Look> for JsonLook {
    fn from(look: &Look) -> Self {
        Self {
            outcome: look.outcome.map_or("in_flight", |outcome| outcome.name()),
            status: look.status,
            us: look.us,
            is_lower_bound: look.is_bound(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::judge::watch::verdict;

    fn watched(urls: usize) -> Watched {
        let all = [
            ("health_sync", "sync"),
            ("health_async", "async"),
            ("health", "health"),
        ];
        let urls = all.into_iter().take(urls).map(|(name, column)| WatchedUrl {
            name,
            column,
            url: Address::from("http://h/health"),
        });
        Watched {
            urls: urls.collect(),
            every: Duration::from_secs(1),
            alert_above: Duration::from_millis(100),
            timeout: Duration::from_secs(5),
            began: SystemTime::UNIX_EPOCH,
            json: false,
        }
    }

    fn look(outcome: Outcome, us: u64) -> Look {
        Look {
            due_us: 61_000_000,
            outcome: Some(outcome),
            us,
            status: (outcome == Outcome::BadStatus).then_some(404),
        }
    }

    /// Its line, and all that it may say of the first URL that has `first` and of others that are fast.
    fn told(urls: usize, first: Look) -> (String, String) {
        let watched = watched(urls);
        let mut recent = vec![vec![look(Outcome::Ok, 999); 12]; urls];
        recent[0] = vec![first; 12];
        let named = watched.urls.iter().zip(&recent);
        let named: Vec<_> = named.map(|(url, looks)| (url.name, &looks[..])).collect();
        let verdict = verdict(&named, 100_000).expect("known");
        let row = Row {
            tick: 61,
            looks: recent.iter().map(|looks| looks[0]).collect(),
        };
        let line = watched.tick(&row, &recent, Some(&verdict));
        let changes = [true, false].map(|raised| watched.change(0, &verdict, raised));
        (line, watched.head() + &changes.concat())
    }

    #[test]
    fn every_line_fits_in_80_columns_however_long_its_parts() {
        let outcomes = [
            (Outcome::Timeout, "≥ 99.4 s"),
            (Outcome::Withheld, "≥ 99.4 s"),
            (Outcome::BadStatus, "404"),
            (Outcome::ConnectFailure, "refused"),
            (Outcome::Aborted, "cut off"),
            (Outcome::NotSent, "not sent"),
        ];
        for urls in 1..=3 {
            for (outcome, shown) in outcomes {
                let (line, rest) = told(urls, look(outcome, 99_400_000));
                assert!(line.starts_with("00:01:01Z"), "{line}");
                assert!(line.contains(&format!(" {shown} ")), "{line}");
                let lines = line.lines().chain(rest.lines());
                for line in lines {
                    assert!(line.chars().count() <= 80, "{line}");
                }
                assert_eq!(rest.matches("ALERT: ").count(), 1, "{rest}");
                assert_eq!(rest.matches("now: ").count(), 1, "{rest}");
            }
        }
        let (line, _) = told(2, look(Outcome::Timeout, 99_400_000));
        assert!(line.contains("≥ 99.4 s ██████████"), "{line}");
        let fast = "999 µs ▁▁▁▁▁▁▁▁▁▁ limit_shared_with_health";
        assert!(line.contains(fast), "{line}");
    }

    #[test]
    fn bars_grow_with_the_time_and_what_failed_has_a_mark_of_its_own() {
        let watched = watched(2);
        let bars: String = [500, 5_000, 50_000, 500_000, 4_999_999]
            .map(|us| watched.bar(&look(Outcome::Ok, us)))
            .into_iter()
            .collect();
        let mut sorted: Vec<char> = bars.chars().collect();
        sorted.dedup();
        assert_eq!(sorted.len(), 5, "{bars}");
        assert!(sorted.is_sorted(), "{bars}");
        assert!(!bars.contains('█'), "{bars}");
        assert_eq!(watched.bar(&look(Outcome::Timeout, 5_000_000)), '█');
        assert_eq!(watched.bar(&look(Outcome::BadStatus, 900)), '!');
        assert_eq!(watched.bar(&look(Outcome::ConnectFailure, 900)), '×');
    }
}
