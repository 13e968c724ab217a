//! A closed loop of users on one of the seven routes: simulated, because in a run of seconds none of
//! them comes to its steady state, with what the closed formulas say of the long run beside it.

mod backlog;
mod route;
mod simulation;
mod threads;

use std::time::Duration;

use route::{Holds, Pools, Route};
use simulation::{Outlook, simulate};

use crate::forecast::{Question, bounded, row};
use crate::judge::flat;
use crate::record::{LATER, LEAST_WATCH};
use crate::scenario::{Cell, Requests};
use crate::summary::{Bound, Forecast, Unit};
use crate::units::{count, us};

/// Below this share, in percent, what is unanswered is merely what was in flight when the load ended.
const IN_FLIGHT_PERCENT: f64 = 5.0;

/// Nor is a number below this one forecast, but how many there can be: which of a handful of users
/// happens to think when the load ends is a matter of milliseconds, and each would be 5 % or more.
const LEAST_UNANSWERED: u64 = 20;

/// The broken server: one pool for everything that blocks, and two routes that block the loop.
pub(crate) fn broken(question: Question<'_>) -> Vec<Forecast> {
    forecast(question, Route::broken)
}

/// The fixed server: what blocks does so on a bulkhead of its kind.
pub(crate) fn cured(question: Question<'_>) -> Vec<Forecast> {
    forecast(question, Route::cured)
}

/// Empty unless the load is one closed loop on one of the routes, and nothing else.
fn forecast(
    Question { cell, seed, .. }: Question<'_>,
    route: fn(&Requests, &Cell) -> Option<Route>,
) -> Vec<Forecast> {
    let mut classes = cell.load.requests.iter();
    let (Some((name, class)), None, None) = (classes.next(), classes.next(), &cell.load.streams)
    else {
        return Vec::new();
    };
    let rows = route(class, cell).and_then(|route| {
        let holds_loop = [route.inner, route.background].contains(&Holds::Loop);
        if holds_loop && cell.server.worker_threads != Some(1) {
            // What is held then is one of several.
            return None;
        }
        let limit = Limit::of(class, &route)?;
        let outlook = simulate(cell, class, route, seed)?;
        Some(rows(cell, name, class, &outlook, &limit))
    });
    rows.unwrap_or_default()
}

/// The steady state, by the closed formulas.
struct Limit {
    /// X, a second.
    throughput: f64,
    /// R, in seconds.
    response: f64,
    formula: String,
}

impl Limit {
    /// X = min(N/(S+Z), capacity), R = N/X − Z.
    fn of(class: &Requests, route: &Route) -> Option<Self> {
        let users = f64::from(class.users?);
        let (s, b) = (
            route.inner_time.as_secs_f64(),
            route.background_time.as_secs_f64(),
        );
        let z = class.think.mean().as_secs_f64();
        let unhindered = users / (s + z);
        let (capacity, law) = match (route.inner, route.background, route.pools) {
            (Holds::Thread, Holds::Thread, Pools::Shared { threads }) => (
                f64::from(threads) / (s + b),
                format!("{threads}/({s} + {b})"),
            ),
            (Holds::Thread, _, Pools::Shared { threads } | Pools::Apart { inner: threads, .. }) => {
                (f64::from(threads) / s, format!("{threads}/{s}"))
            }
            (Holds::Loop, ..) => (1.0 / s, format!("1/{s}")),
            (_, Holds::Loop, _) => (1.0 / b, format!("1/{b}")),
            _ => (f64::INFINITY, "∞".to_owned()),
        };
        let throughput = unhindered.min(capacity);
        let response = users / throughput - z;
        Some(Self {
            throughput,
            response,
            formula: format!(
                "in the long run X = min(N/(S+Z), capacity) = min({users}/({s} + {z}), {law}) = {throughput:.2} /s, \
                 R = N/X − Z = {response:.2} s"
            ),
        })
    }
}

fn rows(
    cell: &Cell,
    name: &str,
    class: &Requests,
    outlook: &Outlook,
    limit: &Limit,
) -> Vec<Forecast> {
    let mut rows = Vec::new();
    if !outlook.hangs_on_a_millisecond {
        rows.extend(users(cell, name, class, outlook, limit));
        rows.extend(backlog(cell, outlook));
    }
    let is_understood = |name: &str| matches!(name, "health_sync" | "health_async");
    let checks = outlook.checks.iter();
    for (endpoint, waits) in checks.filter(|(name, _)| is_understood(name)) {
        rows.extend(health(endpoint, waits, cell.probe.timeout));
    }
    rows
}

/// What users see.
fn users(
    cell: &Cell,
    name: &str,
    class: &Requests,
    outlook: &Outlook,
    limit: &Limit,
) -> Vec<Forecast> {
    let figures = &outlook.requests;
    let metric = |field: &str| format!("requests.{name}.{field}");
    let seconds = (cell.load.ramp() + cell.phases.hold).as_secs_f64();
    let mut rows = Vec::new();
    if let Some(throughput) = figures.throughput_per_second {
        let formula = format!("simulated over {seconds:.1} s; {}", limit.formula);
        rows.push(Forecast {
            limit: Some(limit.throughput),
            ..row(
                "throughput",
                &metric("throughput"),
                Unit::PerSecond,
                throughput,
                formula,
            )
        });
    }
    let response = limit.response * 1e6;
    let median = &figures.outcomes.response_us;
    let formula = "simulated; those without an answer enter at their age";
    rows.extend(median.p50.map(|p50| {
        let row = row(
            "response_p50",
            &metric("p50"),
            Unit::Us,
            p50 as f64,
            formula.to_owned(),
        );
        let bound = if median.p50_censored {
            Bound::AtLeast
        } else {
            Bound::Exact
        };
        bounded(
            bound,
            Forecast {
                limit: Some(response),
                ..row
            },
        )
    }));
    rows.extend(figures.outcomes.response_ok_us.mean.map(|mean| Forecast {
        limit: Some(response),
        ..row(
            "response_mean",
            &metric("ok_mean"),
            Unit::Us,
            mean as f64,
            "simulated; of those that were answered".to_owned(),
        )
    }));
    rows.extend(unanswered(&metric("unanswered"), class, outlook));
    rows
}

fn unanswered(metric: &str, class: &Requests, outlook: &Outlook) -> Option<Forecast> {
    let figures = &outlook.requests;
    let due = figures.outcomes.due;
    if due == 0 {
        return None;
    }
    let share = 100.0 * figures.unanswered as f64 / due as f64;
    if share >= IN_FLIGHT_PERCENT && figures.unanswered >= LEAST_UNANSWERED {
        let formula = format!(
            "simulated: {} of {due} wait when the load ends",
            figures.unanswered
        );
        return Some(row("unanswered", metric, Unit::Percent, share, formula));
    }
    let users = class.users?;
    let most = 100.0 * f64::from(users) / due as f64;
    let formula =
        format!("no more than N = {users} of some {due} are in flight when the load ends");
    Some(bounded(
        Bound::AtMost,
        row("unanswered", metric, Unit::Percent, most, formula),
    ))
}

fn backlog(cell: &Cell, outlook: &Outlook) -> Vec<Forecast> {
    let (backlog, end) = (&outlook.backlog, outlook.load_end);
    let later = LATER.min(cell.phases.recovery);
    let pending = |at: u64| backlog.pending(at) as f64;
    let drain = backlog.drained_at().saturating_sub(end);
    let mut rows = vec![row(
        "pending_end",
        "background.pending_end",
        Unit::Count,
        pending(end),
        "simulated: background tasks that were accepted and have not ended".to_owned(),
    )];
    // Tasks end in waves: a short look back at them proves nothing.
    if cell.phases.recovery >= LEAST_WATCH {
        let left = pending(end + us(later));
        if left > 0.0 {
            rows.push(row(
                "pending_later",
                "background.pending_later",
                Unit::Count,
                left,
                format!("simulated: {} s after the load", count(later.as_secs_f64())),
            ));
        }
        rows.push(row(
            "drain",
            "background.drain",
            Unit::Us,
            drain as f64,
            "simulated: until the last of them ends; on c threads about B·S/c".to_owned(),
        ));
    }
    if backlog.refused > 0 {
        rows.push(row(
            "refused",
            "background.refused",
            Unit::Count,
            backlog.refused as f64,
            "simulated: background tasks that there is no room for".to_owned(),
        ));
    }
    rows
}

/// What a check waits: for a thread behind what is queued, or for the loop.
fn health(name: &str, waits: &[Option<u64>], timeout: Duration) -> Vec<Forecast> {
    let mut sorted: Vec<_> = waits.iter().map(|wait| wait.unwrap_or(u64::MAX)).collect();
    sorted.sort_unstable();
    let (Some(&median), Some(&longest)) = (sorted.get(sorted.len() / 2), sorted.last()) else {
        return Vec::new();
    };
    let unanswered = waits.iter().filter(|wait| wait.is_none()).count();
    let mut rows = vec![row(
        &format!("{name}_unanswered"),
        &format!("{name}.unanswered"),
        Unit::Percent,
        100.0 * unanswered as f64 / waits.len() as f64,
        "simulated: share of the hold in which a check waits beyond its timeout".to_owned(),
    )];
    if longest <= flat::FLOOR_US {
        rows.push(bounded(
            Bound::AtMost,
            row(
                &format!("{name}_p99"),
                &format!("{name}.p99"),
                Unit::Us,
                flat::FLOOR_US as f64,
                "nothing that it waits for is held: it stays flat".to_owned(),
            ),
        ));
        return rows;
    }
    let bound = if median == u64::MAX {
        Bound::AtLeast
    } else {
        Bound::Exact
    };
    rows.push(bounded(
        bound,
        row(
            &format!("{name}_p50"),
            &format!("{name}.p50"),
            Unit::Us,
            median.min(us(timeout)) as f64,
            "simulated, cut at the timeout".to_owned(),
        ),
    ));
    rows
}

#[cfg(test)]
mod tests;
