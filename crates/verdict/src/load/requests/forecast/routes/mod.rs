//! A closed loop of users on one of the seven routes. It is simulated, because no route reaches its steady
//! state in a run of seconds. The closed formulas add what happens in the long run.

mod backlog;
mod route;
mod simulation;
mod threads;

use std::time::Duration;

use route::{Holds, Pools, Route};
use simulation::{Outlook, simulate};

use super::super::RequestSpec;
use crate::forecast::Question;
use crate::forecast::row::{micros, number, per_second, percent, stays_flat, unanswered};
use crate::judge::flat;
use crate::record::{LATER, LEAST_WATCH};
use crate::scenario::Cell;
use crate::summary::Forecast;
use crate::units::{count, us};

/// Below this share, in percent, unanswered requests were merely in flight when the load ended.
const IN_FLIGHT_PERCENT: f64 = 5.0;

/// Below this number, only a maximum is forecast. Milliseconds decide which users think when the load
/// ends, and one of so few users would be 5 % or more.
const LEAST_UNANSWERED: u64 = 20;

/// The broken server: one pool for everything that blocks, and two routes that block the loop.
pub(crate) fn broken(question: Question<'_>) -> Vec<Forecast> {
    forecast(question, Route::broken)
}

/// The fixed server: each kind of blocking work has a bulkhead.
pub(crate) fn cured(question: Question<'_>) -> Vec<Forecast> {
    forecast(question, Route::cured)
}

/// Empty unless the load is one closed loop on one of the routes, and nothing else.
fn forecast(
    Question { cell, seed, .. }: Question<'_>,
    route: fn(&RequestSpec, &Cell) -> Option<Route>,
) -> Vec<Forecast> {
    let mut classes = cell.load.requests.iter();
    let (Some((name, class)), None, None) = (classes.next(), classes.next(), &cell.load.streams)
    else {
        return Vec::new();
    };
    let rows = route(class, cell).and_then(|route| {
        let holds_loop = [route.inner, route.background].contains(&Holds::Loop);
        if holds_loop && cell.server.worker_threads != Some(1) {
            // A blocked loop is then one of several, and the simulation has only one.
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
    fn of(class: &RequestSpec, route: &Route) -> Option<Self> {
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
    class: &RequestSpec,
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
    class: &RequestSpec,
    outlook: &Outlook,
    limit: &Limit,
) -> Vec<Forecast> {
    let figures = &outlook.requests;
    let metric = |field: &str| format!("requests.{name}.{field}");
    let seconds = (cell.load.ramp() + cell.phases.hold).as_secs_f64();
    let mut rows = Vec::new();
    if let Some(throughput) = figures.throughput_per_second {
        let row = per_second("throughput", &metric("throughput"), throughput);
        let why = format!("simulated over {seconds:.1} s; {}", limit.formula);
        rows.push(row.with_limit(limit.throughput).why(why));
    }
    let response = limit.response * 1e6;
    let median = &figures.outcomes.response_us;
    rows.extend(median.p50.map(|p50| {
        micros("response_p50", &metric("p50"), p50 as f64)
            .why("simulated; those without an answer enter at their age")
            .at_least_if(median.p50_censored)
            .with_limit(response)
    }));
    rows.extend(figures.outcomes.response_ok_us.mean.map(|mean| {
        micros("response_mean", &metric("ok_mean"), mean as f64)
            .why("simulated; of those that were answered")
            .with_limit(response)
    }));
    rows.extend(in_vain(&metric("unanswered"), class, outlook));
    rows
}

fn in_vain(metric: &str, class: &RequestSpec, outlook: &Outlook) -> Option<Forecast> {
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
        return Some(percent("unanswered", metric, share).why(formula));
    }
    let users = class.users?;
    let most = 100.0 * f64::from(users) / due as f64;
    let formula =
        format!("no more than N = {users} of some {due} are in flight when the load ends");
    Some(percent("unanswered", metric, most).why(formula).at_most())
}

fn backlog(cell: &Cell, outlook: &Outlook) -> Vec<Forecast> {
    let (backlog, end) = (&outlook.backlog, outlook.load_end);
    let later = LATER.min(cell.phases.recovery);
    let pending = |at: u64| backlog.pending(at) as f64;
    let drain = backlog.drained_at().saturating_sub(end);
    let mut rows = vec![
        number("pending_end", "background.pending_end", pending(end))
            .why("simulated: background tasks that were accepted and have not ended"),
    ];
    // Tasks end in waves, so a short look at them proves nothing.
    if cell.phases.recovery >= LEAST_WATCH {
        let left = pending(end + us(later));
        if left > 0.0 {
            rows.push(
                number("pending_later", "background.pending_later", left).why(format!(
                    "simulated: {} s after the load",
                    count(later.as_secs_f64())
                )),
            );
        }
        rows.push(
            micros("drain", "background.drain", drain as f64)
                .why("simulated: until the last of them ends; on c threads about B·S/c"),
        );
    }
    if backlog.refused > 0 {
        rows.push(
            number("refused", "background.refused", backlog.refused as f64)
                .why("simulated: background tasks that there is no room for"),
        );
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
    let lost = waits.iter().filter(|wait| wait.is_none()).count();
    let mut rows = vec![
        unanswered(name, 100.0 * lost as f64 / waits.len() as f64)
            .why("simulated: share of the hold in which a check waits beyond its timeout"),
    ];
    rows.push(if longest <= flat::FLOOR_US {
        stays_flat(name).why("nothing that it waits for is held: it stays flat")
    } else {
        let median_us = median.min(us(timeout)) as f64;
        micros(&format!("{name}_p50"), &format!("{name}.p50"), median_us)
            .why("simulated, cut at the timeout")
            .at_least_if(median == u64::MAX)
    });
    rows
}

#[cfg(test)]
mod tests;
