//! What `lab watch` prints: a line for each tick, changes of the verdict, and a summary. At most 80
//! columns.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use verdict::judge::watch::Verdict;
use verdict::record::{Figures, Look, Pair};
use verdict::summary::{Diagnosis, Distribution};
use verdict::units::{time, time_or_bound, us, wrapped};

/// Checks that a sparkline shows.
const SPARKS: usize = 10;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What does not change while it watches.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The sync URL and the async one, without their secrets.
    pub urls: [String; 2],
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
        let [sync, asynchronous] = &self.urls;
        let [every, alert, timeout] =
            [self.every, self.alert_above, self.timeout].map(|one| time(us(one) as f64));
        format!(
            "Every {every}, alert above {alert}, unanswered after {timeout}. Ctrl-C ends it.\n\
             sync   {sync}\nasync  {asynchronous}\n\n{:<9} {:>9} {:<SPARKS$} {:>9} {:<SPARKS$} verdict\n",
            "UTC", "sync", "", "async", ""
        )
    }

    /// A tick. `recent` are the latest checks of both URLs up to this tick.
    #[must_use]
    pub fn tick(&self, pair: &Pair, recent: [&[Look]; 2], verdict: &Verdict) -> String {
        let [sync, asynchronous] = pair.looks;
        if self.json {
            return json_line(&JsonLine {
                tick: pair.tick,
                due: self.timestamp(sync.due_us),
                sync: sync.into(),
                asynchronous: asynchronous.into(),
                verdict: &verdict.diagnosis,
                alert: verdict.alert,
            });
        }
        let [sync_line, async_line] = recent.map(|looks| self.sparkline(looks));
        format!(
            "{} {:>9} {sync_line} {:>9} {async_line} {}\n",
            self.clock(sync.due_us),
            sync.shown(),
            asynchronous.shown(),
            verdict.diagnosis.kind.name()
        )
    }

    /// The verdict has changed. Told in JSON as well: it may change back before the next tick has its
    /// line.
    #[must_use]
    pub fn change(&self, at_us: u64, verdict: &Verdict) -> String {
        if self.json {
            return json_line(&JsonChange {
                changed: self.timestamp(at_us),
                verdict: &verdict.diagnosis,
                alert: verdict.alert,
            });
        }
        let what = if verdict.alert { "ALERT" } else { "now" };
        let diagnosis = &verdict.diagnosis;
        let first = format!("{} {what}:", self.clock(at_us));
        let reasons = if verdict.alert { usize::MAX } else { 1 };
        let because: Vec<_> = diagnosis.evidence.iter().take(reasons).cloned().collect();
        let told = format!(" {}: {}", diagnosis.kind.name(), because.join("; "));
        let mut text = wrapped(&first, "          ", &told);
        for candidate in &diagnosis.candidates {
            let told = format!(
                " {}, if so by {}",
                candidate.kind.name(),
                candidate.decided_by
            );
            text += &wrapped("          or", "             ", &told);
        }
        text
    }

    /// What is in flight, for the last line of a terminal; empty if nothing is late.
    #[must_use]
    pub fn status(&self, in_flight: [(usize, u64); 2]) -> String {
        let limit = us(self.alert_above);
        let late = ["sync", "async"]
            .iter()
            .zip(in_flight)
            .filter(|(_, (_, oldest))| *oldest > limit)
            .map(|(name, (count, oldest))| {
                format!("{name}: {count} unanswered, oldest {}", time(oldest as f64))
            });
        late.collect::<Vec<_>>().join("   ")
    }

    /// The summary at the end.
    #[must_use]
    pub fn summary(&self, ticks: u64, figures: [&Figures; 2], alerts: u64) -> String {
        let counted = |count: u64, what: &str| {
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} {what}{plural}")
        };
        let mut text = format!(
            "\n{}, {}\n",
            counted(ticks, "tick"),
            counted(alerts, "alert")
        );
        for (name, figures) in ["sync", "async"].iter().zip(figures) {
            let response = figures.response();
            let mut most = response.p99_or_max();
            if response.count >= Distribution::LEAST_FOR_P99 {
                let max = time_or_bound(response.max, response.max_censored);
                most += &format!(", max {max}");
            }
            let outcomes: Vec<_> = figures
                .outcomes
                .iter()
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            text += &wrapped(
                &format!("{name:<6}"),
                "      ",
                &format!(
                    "p50 {}, {most}: {}",
                    time_or_bound(response.p50, response.p50_censored),
                    outcomes.join(", ")
                ),
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

    /// The latest checks as bars on a logarithmic scale, from 1 ms to the timeout.
    fn sparkline(&self, looks: &[Look]) -> String {
        let from = looks.len().saturating_sub(SPARKS);
        let bars = looks[from..].iter().map(|look| self.bar(look));
        let line: String = bars.collect();
        format!("{line:>SPARKS$}")
    }

    fn bar(&self, look: &Look) -> char {
        let (lowest, highest) = (1e3_f64, us(self.timeout).max(1_001) as f64);
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
    sync: JsonLook,
    #[serde(rename = "async")]
    asynchronous: JsonLook,
    verdict: &'a Diagnosis,
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
    us: u64,
    is_lower_bound: bool,
}

impl From<Look> for JsonLook {
    fn from(look: Look) -> Self {
        Self {
            outcome: look.outcome.map_or("in_flight", |outcome| outcome.name()),
            us: look.us,
            is_lower_bound: look.is_bound(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::judge::watch::verdict;
    use verdict::record::Outcome;

    fn watched() -> Watched {
        Watched {
            urls: ["http://h/sync".to_owned(), "http://h/async".to_owned()],
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
        }
    }

    #[test]
    fn a_line_fits_in_80_columns_however_long_its_parts() {
        let slow = [look(Outcome::Timeout, 99_400_000); 12];
        let fast = [look(Outcome::Ok, 999); 12];
        let verdict = verdict(&slow, &fast, 100_000);
        let pair = Pair {
            tick: 61,
            looks: [slow[0], fast[0]],
        };
        let line = watched().tick(&pair, [&slow, &fast], &verdict);
        assert!(line.trim_end().chars().count() <= 80, "{line}");
        assert!(line.starts_with("00:01:01Z"), "{line}");
        assert!(line.contains("≥ 99.4 s ██████████"), "{line}");
        assert!(
            line.contains("999 µs ▁▁▁▁▁▁▁▁▁▁ blocking_pool_exhausted"),
            "{line}"
        );
        for text in [watched().change(0, &verdict), watched().head()] {
            assert!(
                text.lines().all(|line| line.chars().count() <= 80),
                "{text}"
            );
        }
    }

    #[test]
    fn bars_grow_with_the_time_and_the_highest_is_no_answer() {
        let watched = watched();
        let bars: String = [500, 5_000, 50_000, 500_000, 4_999_999]
            .map(|us| watched.bar(&look(Outcome::Ok, us)))
            .into_iter()
            .collect();
        let mut sorted: Vec<char> = bars.chars().collect();
        sorted.dedup();
        assert_eq!(sorted.len(), 5, "{bars}");
        assert!(sorted.is_sorted(), "{bars}");
        assert!(!bars.contains('█'), "{bars}");
        assert_eq!(watched.bar(&look(Outcome::BadStatus, 5_000_000)), '█');
    }
}
