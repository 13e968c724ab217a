//! What others reported of their systems, judged by this lab's own run of the same row. A report may
//! agree with the run. It may be a value on the way to the steady state. Or it may leave out requests
//! that were not answered, or that a client would have sent during a stall.

use crate::metrics::{Measured, MetricUnit, as_number, measured, number, unit_of};
use crate::scenario::{FieldReport, Value};
use crate::summary::{Claim, ClaimVerdict, RequestFigures, Summary};
use crate::units::{per_second, percent, time};

/// Figures that differ by no more than this agree.
const NEAR: f64 = 0.15;

/// Distributions of two machines are alike if their ratios of percentile to median differ by at most this
/// factor.
const ALIKE: f64 = 3.0;

/// Judges each report.
#[must_use]
pub fn judge(reports: &[FieldReport], summary: &Summary) -> Vec<Claim> {
    reports
        .iter()
        .map(|report| Row::of(report, reports, summary).claim())
        .collect()
}

fn alike(one: f64, other: f64) -> bool {
    (1.0 / ALIKE..=ALIKE).contains(&(one / other))
}

fn near(value: f64, reference: f64) -> bool {
    (value - reference).abs() <= NEAR * reference.abs()
}

/// One report beside what the run has of the same metric.
struct Row<'a> {
    report: &'a FieldReport,
    all: &'a [FieldReport],
    summary: &'a Summary,
    /// Of `requests.<class>.<field>`.
    class: Option<(&'a str, &'a RequestFigures)>,
    field: &'a str,
    /// The value of the metric in the long run.
    limit: Option<f64>,
}

impl<'a> Row<'a> {
    fn of(report: &'a FieldReport, all: &'a [FieldReport], summary: &'a Summary) -> Self {
        let (rest, field) = report.metric.rsplit_once('.').unwrap_or_default();
        let class = rest.strip_prefix("requests.").and_then(|name| {
            let class = summary.phases.load.requests.get(name)?;
            Some((name, class))
        });
        let mut row = Self {
            report,
            summary,
            all,
            class,
            field,
            limit: None,
        };
        // The mean stands for each response. In a steady closed loop the median is close to it.
        row.limit = match class.filter(|_| row.is_response()) {
            Some((name, _)) => row.limit_of(&format!("requests.{name}.ok_mean")),
            None => row.limit_of(&report.metric),
        };
        row
    }

    fn claim(&self) -> Claim {
        let measured = measured(&self.report.metric, self.summary);
        let shown = measured.as_ref().map(|measured| {
            let bound = if measured.censored { "≥ " } else { "" };
            format!("{bound}{}", self.shown(&measured.value))
        });
        let reported = &self.report.reported;
        let (verdict, mut because) = match measured {
            None => (None, "this run has no such figure".to_owned()),
            Some(Measured { value, censored }) => {
                let (verdict, because) = match (as_number(reported), as_number(&value)) {
                    (Some(reported), Some(value)) => self.verdict(reported, value, censored),
                    _ if *reported == value => (ClaimVerdict::Agrees, "the same word".to_owned()),
                    _ => (ClaimVerdict::Disagrees, "another word".to_owned()),
                };
                (Some(verdict), because)
            }
        };
        if let Some(remark) = &self.report.remark {
            because = format!("{because}. {remark}");
        }
        Claim {
            metric: self.report.metric.clone(),
            reported: self.shown(reported),
            measured: shown,
            verdict,
            because,
        }
    }

    fn verdict(&self, reported: f64, measured: f64, censored: bool) -> (ClaimVerdict, String) {
        if let Some(because) = self.leaves_out_stalls(reported, measured) {
            return (ClaimVerdict::Censored, because);
        }
        let is_possible = |limit: f64| reported <= (1.0 + NEAR) * limit;
        let is_above = censored && reported > measured && self.limit.is_none_or(is_possible);
        if near(reported, measured) || is_above {
            return self.fitting(reported, measured, censored);
        }
        if let Some(because) = self.leaves_out(reported, measured) {
            return (ClaimVerdict::Censored, because);
        }
        if let Some(because) = self.on_the_way(reported, measured) {
            return (ClaimVerdict::Transient, because);
        }
        let off = 100.0 * (reported - measured) / measured;
        let bound = if censored { "at least " } else { "" };
        let because = format!(
            "{} is {off:+.0} % off this run's {bound}{}",
            self.number(reported),
            self.number(measured)
        );
        (ClaimVerdict::Disagrees, because)
    }

    /// The figure fits this run. If the run is not in its steady state, both are transients.
    fn fitting(&self, reported: f64, measured: f64, censored: bool) -> (ClaimVerdict, String) {
        let off = 100.0 * (reported - measured) / measured;
        let because = if censored && !near(reported, measured) {
            format!("this run shows at least {}", self.number(measured))
        } else {
            format!("{off:+.1} % off this run's {}", self.number(measured))
        };
        let is_other = |&limit: &f64| !near(reported, limit) && !near(measured, limit);
        match self.limit.filter(is_other) {
            None => (ClaimVerdict::Agrees, because),
            Some(limit) => (
                ClaimVerdict::Transient,
                format!(
                    "{because} after {}, which is no steady state either: {} in the long run",
                    self.length(),
                    self.number(limit)
                ),
            ),
        }
    }

    /// Whether the figure comes from a client that waits for each answer. Such a client has only one
    /// request in each stall. Requests that come by a plan would have been several, so the figure leaves
    /// some out. Machines differ, so each percentile is compared as a multiple of its own median.
    fn leaves_out_stalls(&self, reported: f64, measured: f64) -> Option<String> {
        let waits = self.report.closed_loop.as_deref()?;
        let (name, _) = self.class?;
        let figure = |class: &str, field: &str| {
            let (value, _) = number(&format!("requests.{class}.{field}"), self.summary)?;
            Some(value).filter(|&value| value > 0.0)
        };
        let median = format!("requests.{name}.p50");
        let median = self.all.iter().find(|report| report.metric == median)?;
        let in_medians = reported / as_number(&median.reported)?;
        let by_plan = measured / figure(name, "p50")?;
        let seen = figure(waits, self.field)?;
        let one_by_one = seen / figure(waits, "p50")?;
        if !alike(in_medians, one_by_one) || alike(in_medians, by_plan) {
            return None;
        }
        let others = self.summary.phases.load.requests.keys();
        let others = others.filter(|class| *class != name && *class != waits);
        let busiest = others
            .filter_map(|class| Some((class, figure(class, "busy")?)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        let kept_busy = busiest.map_or(String::new(), |(class, share)| {
            format!(
                "; {class} requests were under way {} of the time",
                percent(share)
            )
        });
        Some(format!(
            "coordinated omission: it is {in_medians:.1} times its median, as for a client here that waits for each \
             answer ({one_by_one:.1} times: {}), and not as for requests that come by a plan ({by_plan:.0} times: \
             {}){kept_busy}",
            self.number(seen),
            self.number(measured)
        ))
    }

    /// Whether the figure fits only if the requests without an answer are left out.
    fn leaves_out(&self, reported: f64, measured: f64) -> Option<String> {
        let (name, class) = self.class.filter(|_| self.is_response())?;
        let answered = number(&format!("requests.{name}.ok_{}", self.field), self.summary);
        if let Some((ok, _)) = answered.filter(|&(ok, _)| near(reported, ok) && ok < measured) {
            return Some(format!(
                "it fits those that were answered ({}); with the {} that were not, it is at least {}",
                self.number(ok),
                class.outcomes.due - class.outcomes.ok,
                self.number(measured)
            ));
        }
        self.breaks_littles_law(reported, name, class)
    }

    /// With throughput X, users wait for N/X − Z. A report of less leaves out users who wait.
    fn breaks_littles_law(
        &self,
        reported: f64,
        name: &str,
        class: &RequestFigures,
    ) -> Option<String> {
        let little = class.little.as_ref()?;
        let metric = format!("requests.{name}.throughput");
        let throughput = self.all.iter().find(|report| report.metric == metric)?;
        let throughput = as_number(&throughput.reported)?;
        let (measured, _) = number(&metric, self.summary)?;
        let is_steady = self
            .limit_of(&metric)
            .is_none_or(|limit| near(throughput, limit));
        let users = little.users as f64;
        let think = little.think_us as f64;
        let product = throughput * (reported + think) / 1e6;
        let is_whole = little.whole_error_percent.abs() <= 100.0 * NEAR;
        if !(near(throughput, measured) && is_steady && is_whole) || product >= (1.0 - NEAR) * users
        {
            return None;
        }
        Some(format!(
            "with {} for N = {} users it breaks Little's law: X·(R + Z) = {product:.0}; R must be N/X − Z = {}, \
             and users of this run did wait {} for each answer, those included who waited in vain",
            per_second(throughput),
            little.users,
            time(users / throughput * 1e6 - think),
            time(little.whole_response_us as f64)
        ))
    }

    /// Whether the figure lies between that of the first seconds and that of the steady state.
    fn on_the_way(&self, reported: f64, measured: f64) -> Option<String> {
        let (_, class) = self.class?;
        if self.limit.is_some_and(|limit| near(reported, limit)) {
            return None;
        }
        let in_the_long_run = self.limit.map_or(String::new(), |limit| {
            format!(", and {} in the long run", self.number(limit))
        });
        let now = format!("{} after {}", self.number(measured), self.length());
        if self.field == "throughput"
            && let Some((second, answered)) = crossed(&class.completed_by_second, reported)
        {
            return Some(format!(
                "it is what this run shows after {second} s ({answered} answers): {now}{in_the_long_run}"
            ));
        }
        let limit = self.limit?;
        let first = if self.is_response() {
            class.outcomes.response_ok_us.min? as f64
        } else if self.field == "throughput" {
            cumulative(&class.completed_by_second)
                .take(3)
                .reduce(f64::max)?
        } else {
            return None;
        };
        let is_between = (first.min(limit)..=first.max(limit)).contains(&reported);
        (is_between && !near(measured, limit)).then(|| {
            format!(
                "it lies between the first answers ({}) and the steady state ({}), as this run does: {now}",
                self.number(first),
                self.number(limit)
            )
        })
    }

    fn is_response(&self) -> bool {
        const FIELDS: [&str; 7] = ["p50", "p90", "p95", "mean", "ok_p50", "ok_mean", "max"];
        self.class.is_some() && FIELDS.contains(&self.field)
    }

    fn limit_of(&self, metric: &str) -> Option<f64> {
        let mut rows = self.summary.forecast.iter();
        rows.find(|row| row.metric == metric)?.limit
    }

    /// How long the load was, without its tail.
    fn length(&self) -> String {
        let load = &self.summary.phases.load;
        time((load.ramp.duration_us + load.hold_us) as f64)
    }

    fn shown(&self, value: &Value) -> String {
        as_number(value).map_or_else(|| value.to_string(), |number| self.number(number))
    }

    /// A number in the unit of the metric.
    fn number(&self, number: f64) -> String {
        let unit = unit_of(&self.report.metric).unwrap_or(MetricUnit::Count);
        unit.shown(number)
    }
}

/// Answers a second from the start to the end of each second.
fn cumulative(by_second: &[u64]) -> impl Iterator<Item = f64> {
    let mut sum = 0;
    by_second
        .iter()
        .zip(1_u32..)
        .map(move |(&answered, second)| {
            sum += answered;
            sum as f64 / f64::from(second)
        })
}

/// The last second at whose end the cumulative throughput was `rate` or passed it, and the answers
/// until then.
fn crossed(by_second: &[u64], rate: f64) -> Option<(usize, u64)> {
    let rates: Vec<_> = cumulative(by_second).collect();
    let passes = |pair: &[f64]| (pair[0].min(pair[1])..=pair[0].max(pair[1])).contains(&rate);
    let at = rates.windows(2).rposition(passes)?;
    let second = if (rates[at] - rate).abs() < (rates[at + 1] - rate).abs() {
        at + 1
    } else {
        at + 2
    };
    Some((second, by_second[..second].iter().sum()))
}

#[cfg(test)]
mod tests;
