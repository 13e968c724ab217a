//! Large bodies: what a stall of known length does to requests that come by a plan.

use std::time::Duration;

use super::super::{Arrivals, RequestSpec};
use crate::forecast::row::{micros, stays_flat};
use crate::scenario::{Cell, Runtime};
use crate::summary::Forecast;

/// A body is parsed on the worker, and nothing else on that worker moves meanwhile. `parse` is how long
/// the lab itself took to parse such a body. A request that asks for more work takes that long instead.
/// There is no forecast if several bodies may come at once, or if writing the log takes time too.
pub(crate) fn on_worker(cell: &Cell, parse: Duration) -> Vec<Forecast> {
    let Some((small, spec, large)) = classes(cell) else {
        return Vec::new();
    };
    if large.arrivals() != Arrivals::Users(1) || cell.server.flag("--log-bodies").is_some() {
        // The worker that parses a body writes it to the log as well.
        return Vec::new();
    }
    let (stall, how) = match large.query_time("work") {
        Some(work) => (work.as_secs_f64(), "asked for"),
        None => (parse.as_secs_f64(), "parsed by the lab beforehand"),
    };
    let workers = cell.server.worker_threads.unwrap_or(1);
    let is_one_runtime = cell.server.runtime != Some(Runtime::SingleThreaded);
    if workers > 1 && (is_one_runtime || spec.keep_alive) {
        // The scheduler decides which worker holds the I/O driver when one blocks. The client decides
        // which of its connections it uses next.
        return Vec::new();
    }
    // One client that sends the next body after the answer to the last and a pause.
    let busy = stall / (stall + large.think.mean().as_secs_f64());
    let share = busy / f64::from(workers);
    if share <= 0.02 {
        return Vec::new();
    }
    // A request that comes in a stall waits for the rest of it: P(wait > x) = u·(B − x)/B. The
    // percentile must lie well inside the stalls. There, neither a few percent of u nor the longest of
    // a few stalls decides it.
    let (field, above) = if share > 0.12 {
        ("p95", 0.05)
    } else {
        ("p99", 0.01)
    };
    let name = format!("{small}_{field}");
    let metric = format!("requests.{small}.{field}");
    let forecast = micros(&name, &metric, stall * (1.0 - above / share) * 1e6).why(format!(
        "B·(1 − {above}/u): a stall of B = {:.0} ms, {how}, keeps a worker busy u = {:.0} % of the \
         time",
        stall * 1e3,
        100.0 * share
    ));
    if workers == 1 {
        return vec![forecast];
    }
    // A new connection that comes while a worker is blocked goes to a free worker.
    vec![forecast.at_most()]
}

/// Large bodies are parsed elsewhere: small requests and health never wait for them.
pub(crate) fn on_cpu_pool(cell: &Cell) -> Vec<Forecast> {
    let is_asked = cell.probe.endpoints.contains_key("health_async");
    let flat = stays_flat("health_async").why("no body is parsed on a worker: the loop is free");
    is_asked.then_some(flat).into_iter().collect()
}

/// The class that comes by a plan, and the one with the largest body.
fn classes(cell: &Cell) -> Option<(&str, &RequestSpec, &RequestSpec)> {
    let classes = &cell.load.requests;
    let (small, spec) = classes.iter().find(|(_, class)| class.rate.is_some())?;
    let large = classes.values().max_by_key(|class| class.body_bytes)?;
    Some((small, spec, large))
}

/// The class with the largest JSON body of a cell. The lab parses such a body, to know how long that takes
/// on this machine.
#[must_use]
pub fn largest_body(cell: &Cell) -> Option<&RequestSpec> {
    let classes = cell.load.requests.values();
    classes
        .filter(|class| class.body_bytes.is_some())
        .max_by_key(|class| class.body_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Bound;

    const PARSE: Duration = Duration::from_millis(200);

    /// A large body every second or so, on a `runtime` with so many workers.
    fn cell(runtime: &str, workers: u32, small: &str, large: &str) -> Cell {
        let text = format!(
            r#"
            name = "x"
            server = {{ pool_threads = 4, worker_threads = {workers}, runtime = "{runtime}" }}
            probe = {{ rate = 50, timeout = "5s", endpoints = {{ health_async = "/" }} }}
            phases = {{ baseline = "1s", hold = "1s", recovery = "1s" }}
            [load.requests.small]
            path = "/ping"
            body_bytes = 512
            rate = 50
            timeout = "1s"
            {small}
            [load.requests.large]
            path = "/ping"
            body_bytes = 25000000
            users = 1
            timeout = "1s"
            {large}
            "#
        );
        toml::from_str(&text).expect("a cell")
    }

    const PAUSE: &str = r#"think = { min = "700ms", max = "900ms" }"#;

    #[test]
    fn a_fifth_of_the_time_stalled_is_a_p95_of_three_quarters_of_a_stall() {
        let rows = on_worker(&cell("single-threaded", 1, "", PAUSE), PARSE);
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!(
            (row.metric.as_str(), row.bound),
            ("requests.small.p95", Bound::Exact)
        );
        assert!((row.predicted - 150_000.0).abs() < 1.0, "{row:?}");
    }

    #[test]
    fn there_is_no_law_for_several_clients_nor_for_bodies_that_are_logged() {
        let alone = cell("single-threaded", 1, "", PAUSE);
        assert_eq!(on_worker(&alone, PARSE).len(), 1);
        let large = |change: fn(&mut RequestSpec)| {
            let mut cell = alone.clone();
            change(cell.load.requests.get_mut("large").expect("the class"));
            on_worker(&cell, PARSE)
        };
        assert!(large(|class| class.users = Some(16)).is_empty());
        assert!(large(|class| (class.users, class.rate) = (None, Some(1.0))).is_empty());
        for flags in [
            &["--log-bodies", "/dev/null"][..],
            &["--log-bodies=/dev/null"],
        ] {
            let mut logged = alone.clone();
            logged.server.args = flags.iter().map(|&flag| flag.to_owned()).collect();
            assert!(on_worker(&logged, PARSE).is_empty(), "{flags:?}");
        }
    }

    #[test]
    fn a_body_that_is_asked_to_cost_more_stalls_for_that_long() {
        let costly = format!("{PAUSE}\nquery = {{ work = \"800ms\" }}");
        let rows = on_worker(&cell("single-threaded", 1, "", &costly), PARSE);
        assert!((rows[0].predicted - 720_000.0).abs() < 1.0, "{rows:?}");
    }

    #[test]
    fn several_runtimes_bound_it_and_luck_is_not_forecast() {
        let rows = on_worker(&cell("single-threaded", 4, "", PAUSE), PARSE);
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!(
            (row.metric.as_str(), row.bound),
            ("requests.small.p99", Bound::AtMost)
        );
        assert!((row.predicted - 160_000.0).abs() < 1.0, "{row:?}");
        for lucky in [
            cell("multi-thread", 4, "", PAUSE),
            cell("single-threaded", 4, "keep_alive = true", PAUSE),
        ] {
            assert!(on_worker(&lucky, PARSE).is_empty());
        }
    }
}
