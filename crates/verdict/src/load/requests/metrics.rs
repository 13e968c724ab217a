use crate::metrics::metric::Read::{Count, Figures, PerSecond, Percent, TimeOrBound, Word};
use crate::metrics::metric::{Group, Names, metric};
use crate::summary::{Little, RequestFigures, Summary};

/// Without a request every count is 0, which would satisfy most expectations.
fn class<'a>(run: &'a Summary, at: &[&str]) -> Option<&'a RequestFigures> {
    let class = run.phases.load.requests.get(*at.first()?)?;
    (class.outcomes.due > 0).then_some(class)
}

fn little<'a>(run: &'a Summary, at: &[&str]) -> Option<&'a Little> {
    class(run, at)?.little.as_ref()
}

/// A share of those that were due, in percent.
fn share(class: &RequestFigures, count: u64) -> f64 {
    100.0 * count as f64 / class.outcomes.due as f64
}

fn failed(class: &RequestFigures) -> u64 {
    class.outcomes.due - class.outcomes.ok.min(class.outcomes.due) - class.unanswered
}

/// Requests that the server was not there for, or not until their end.
fn cut_off(class: &RequestFigures) -> u64 {
    class.outcomes.connect_failure + class.outcomes.aborted
}

/// What is measured of requests.
#[rustfmt::skip]
pub const METRICS: Group = Group {
    title: "RequestFigures, by class: those that were due in ramp and hold",
    needs: "[load.requests.<class>]",
    names: |asked| Names::Of(asked.cell.load.requests.keys().cloned().collect()),
    metrics: &[
        metric("requests.<class>.<figure>", "from when a request was due to its answer, all outcomes", Figures(|run, at| Some(&class(run, at)?.outcomes.response_us))),
        metric("requests.<class>.ok_<figure>", "the same of those that were answered with success", Figures(|run, at| Some(&class(run, at)?.outcomes.response_ok_us))),
        metric("requests.<class>.min", "the shortest such time; a lower bound if none was answered with success", TimeOrBound(|run, at| { let outcomes = &class(run, at)?.outcomes; Some((outcomes.response_us.min?, outcomes.ok == 0)) })),
        metric("requests.<class>.due", "requests that were due", Count(|run, at| Some(class(run, at)?.outcomes.due))),
        metric("requests.<class>.ok", "answered with success", Count(|run, at| Some(class(run, at)?.outcomes.ok))),
        metric("requests.<class>.bad_status", "answered with another status", Count(|run, at| Some(class(run, at)?.outcomes.bad_status))),
        metric("requests.<class>.status.<code>", "answered with this status, such as 413", Count(|run, at| Some(class(run, at)?.statuses.get(*at.get(1)?).copied().unwrap_or(0)))),
        metric("requests.<class>.timeout", "not answered within the timeout", Count(|run, at| Some(class(run, at)?.outcomes.timeout))),
        metric("requests.<class>.cut_off", "no connection, or it ended before the answer: what a kill costs", Count(|run, at| Some(cut_off(class(run, at)?)))),
        metric("requests.<class>.lost", "timed out or cut off", Count(|run, at| Some(class(run, at)?.outcomes.timeout + cut_off(class(run, at)?)))),
        metric("requests.<class>.failed", "share that ended without success", Percent(|run, at| class(run, at).map(|class| share(class, failed(class))))),
        metric("requests.<class>.unanswered", "share that was in flight when the load ended", Percent(|run, at| class(run, at).map(|class| share(class, class.unanswered)))),
        metric("requests.<class>.completed", "answered with success in ramp and hold, whenever they were due", Count(|run, at| Some(class(run, at)?.completed))),
        metric("requests.<class>.throughput", "the same a second", PerSecond(|run, at| class(run, at)?.throughput_per_second)),
        metric("requests.<class>.little", "whether a closed loop meets Little's law, or is transient or censored", Word(|run, at| Some(if little(run, at)?.is_missed() { "transient or censored" } else { "met" }))),
        metric("requests.<class>.little_off", "by how much it misses the law, with its sign", Percent(|run, at| Some(little(run, at)?.error_percent))),
        metric("requests.<class>.little_error", "the same without its sign", Percent(|run, at| Some(little(run, at)?.error_percent.abs()))),
        metric("requests.<class>.busy", "share of the users of a closed loop that wait, on the average over the hold", Percent(|run, at| little(run, at).map(|little| 100.0 * little.waiting / little.users as f64))),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Measured, measured};
    use crate::sample;
    use crate::scenario::Value;

    /// Of a class of seven requests of two users.
    fn of_class(field: &str, change: impl FnOnce(&mut RequestFigures)) -> Option<Value> {
        let mut class = sample::class();
        class.outcomes.due = 7;
        change(&mut class);
        let mut run = sample::summary();
        run.phases.load.requests = [("large".to_owned(), class)].into();
        let measured = measured(&format!("requests.large.{field}"), &run);
        measured.map(|Measured { value, .. }| value)
    }

    #[test]
    fn answers_are_counted_by_status_and_one_is_not_another() {
        let count = |code: &str| {
            of_class(&format!("status.{code}"), |class| {
                class.statuses = [("413".to_owned(), 5), ("500".to_owned(), 2)].into();
            })
        };
        for (code, answers) in [("413", 5.0), ("500", 2.0), ("200", 0.0)] {
            assert_eq!(count(code), Some(Value::Number(answers)), "{code}");
        }
    }

    #[test]
    fn of_no_request_nothing_is_said() {
        for field in ["status.413", "cut_off", "failed", "p50"] {
            let measured = of_class(field, |class| class.outcomes.due = 0);
            assert_eq!(measured, None, "{field}");
        }
    }

    #[test]
    fn who_waits_in_vain_is_lost_and_not_cut_off() {
        let count = |field, cut: (u64, u64)| {
            of_class(field, |class| {
                let outcomes = &mut class.outcomes;
                outcomes.timeout = 4;
                (outcomes.connect_failure, outcomes.aborted) = cut;
            })
        };
        assert_eq!(count("lost", (2, 1)), Some(Value::Number(7.0)));
        assert_eq!(count("cut_off", (2, 1)), Some(Value::Number(3.0)));
        assert_eq!(count("cut_off", (0, 0)), Some(Value::Number(0.0)));
    }

    #[test]
    fn of_two_users_one_of_whom_always_waits_half_are_busy() {
        let half = of_class("busy", |class| {
            class.little = Some(Little {
                throughput_per_second: 1.0,
                response_us: 1_000_000,
                think_us: 1_000_000,
                users: 2,
                product: 2.0,
                error_percent: 0.0,
                waiting: 1.0,
                whole_response_us: 1_000_000,
                whole_error_percent: 0.0,
            });
        });
        assert_eq!(half, Some(Value::Percent(50.0)));
    }
}
