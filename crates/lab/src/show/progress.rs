//! What a person sees while a run is under way: a line that lives on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use verdict::record::{Outcome, Recorded};
use verdict::units::time;

/// Time between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// A check that has been out for longer than this shows as waiting.
const WAITING: Duration = Duration::from_secs(1);

/// Where progress goes.
#[derive(Clone, Debug)]
pub struct Progress {
    is_live: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            is_live: std::io::stderr().is_terminal(),
        }
    }
}

/// Where in a run a cell stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// About when the run ends.
    pub run_ends: Instant,
}

impl Place {
    /// Number and time left of a run of several cells.
    fn shown(&self, now: Instant) -> String {
        if self.of < 2 {
            return String::new();
        }
        let left = roughly(self.run_ends.saturating_duration_since(now));
        format!(" · cell {} of {}, {left} left", self.number, self.of)
    }
}

/// An estimate for people: `~40 s`, `~12 min`, `~1 h 05 min`.
fn roughly(left: Duration) -> String {
    match left.as_secs() {
        seconds @ ..=90 => format!("~{} s", seconds.div_ceil(10) * 10),
        seconds @ ..=3_569 => format!("~{} min", (seconds + 30) / 60),
        seconds => {
            let minutes = (seconds + 30) / 60;
            format!("~{} h {:02} min", minutes / 60, minutes % 60)
        }
    }
}

impl Progress {
    /// The view of one cell of one variant.
    #[must_use]
    pub fn cell(&self, variant: &str, cell: &str, repeat: u32, repeats: u32, place: Place) -> View {
        let title = if repeats > 1 {
            format!("{variant}/{cell} {repeat} of {repeats}")
        } else {
            format!("{variant}/{cell}")
        };
        let bar = if self.is_live {
            // The template is a constant that is known to be valid.
            let style = ProgressStyle::with_template("{spinner} {wide_msg}")
                .unwrap_or(ProgressStyle::default_spinner());
            let bar =
                ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
            bar.enable_steady_tick(Duration::from_millis(120));
            Some(bar)
        } else {
            None
        };
        View {
            title,
            place,
            bar,
            phase: "start".to_owned(),
            end: None,
            next_plain: Instant::now(),
        }
    }
}

/// The view of one cell.
#[derive(Debug)]
pub struct View {
    title: String,
    place: Place,
    bar: Option<ProgressBar>,
    phase: String,
    end: Option<Instant>,
    next_plain: Instant,
}

impl View {
    /// A phase begins; it ends at `end`, at the latest.
    pub fn phase(&mut self, phase: &str, end: Option<Instant>) {
        phase.clone_into(&mut self.phase);
        self.end = end;
        // So that a phase that ends soon is seen as well.
        self.next_plain = Instant::now();
        match (&self.bar, phase) {
            (Some(bar), "finish") => bar.finish_and_clear(),
            (Some(bar), _) => bar.set_message(format!("{} · {phase}", self.heading())),
            (None, "start") => say(&format!("{} · start", self.heading())),
            (None, _) => {}
        }
    }

    /// Shows what has been recorded.
    pub fn update(&mut self, recorded: &Recorded, endpoints: &[String], now_us: u64) {
        let is_plain_due = self.bar.is_none() && Instant::now() >= self.next_plain;
        if self.bar.is_none() && !is_plain_due {
            return;
        }
        let line = self.line(recorded, endpoints, now_us);
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None => {
                say(&line);
                self.next_plain = Instant::now() + PLAIN_EVERY;
            }
        }
    }

    fn heading(&self) -> String {
        format!("{}{}", self.title, self.place.shown(Instant::now()))
    }

    fn line(&self, recorded: &Recorded, endpoints: &[String], now_us: u64) -> String {
        let left = self.end.map_or(String::new(), |end| {
            let left = end
                .saturating_duration_since(Instant::now())
                .as_secs_f64()
                .ceil();
            let most = if self.phase.ends_with("recovery") || self.phase.ends_with("tail") {
                "≤"
            } else {
                ""
            };
            format!(" {most}{left:.0} s")
        });
        let health: Vec<_> = endpoints
            .iter()
            .enumerate()
            .map(|(endpoint, name)| {
                let name = name.strip_prefix("health_").unwrap_or(name);
                format!("{name} {}", health_now(recorded, endpoint, now_us))
            })
            .collect();
        let mut load = recorded.load.now();
        load.push(health.join(" "));
        format!(
            "{} · {}{left} · {}",
            self.heading(),
            self.phase,
            load.join(" · ")
        )
    }
}

/// The time of the last answer, for how long there has been none, or that it failed.
fn health_now(recorded: &Recorded, endpoint: usize, now_us: u64) -> String {
    let Some(tick) = recorded.last_check(endpoint) else {
        return "–".to_owned();
    };
    let silent = Duration::from_micros(now_us.saturating_sub(tick.done_us));
    match tick.outcome {
        Outcome::Ok if silent > WAITING => format!(">{:.0} s", silent.as_secs_f64()),
        Outcome::Ok => time(tick.done_us.saturating_sub(tick.due_us) as f64),
        Outcome::Withheld => format!(">{}", time(tick.response_us(0) as f64)),
        _ => "✗".to_owned(),
    }
}

/// A standard error that nobody reads must not end a run.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_as_coarse_as_it_is_sure() {
        let shown = |seconds| roughly(Duration::from_secs(seconds));
        assert_eq!(shown(34), "~40 s");
        assert_eq!(shown(725), "~12 min");
        assert_eq!(shown(3_900), "~1 h 05 min");
        let place = |of| Place {
            number: 1,
            of,
            run_ends: Instant::now(),
        };
        assert_eq!(place(1).shown(Instant::now()), "");
        assert_eq!(
            place(42).shown(Instant::now()),
            " · cell 1 of 42, ~0 s left"
        );
    }
}
