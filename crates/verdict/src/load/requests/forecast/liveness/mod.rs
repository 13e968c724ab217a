//! Predictions compete with the liveness probe, whose failure kills their server.

mod setting;
mod simulation;

use crate::forecast::row::{micros, number, per_second, percent, stays_flat};
use crate::load::kubelet::{KubeletSpec, ProbeRules};
use crate::scenario::Cell;
use crate::summary::{Bound, Forecast};
use crate::units::time;
use setting::STOP;
pub(crate) use setting::Setting;
use simulation::{Simulated, simulate};

/// Predictions and the liveness probe wait for the same threads, first in first out.
pub(crate) fn shared_pool(setting: &Setting<'_>) -> Vec<Forecast> {
    let run = simulate(setting);
    let mut rows = kills(setting, &run);
    if !run.kills.is_empty() {
        let longest = run.longest_wait * 1e6;
        rows.push(
            micros("queue_wait_max", "pool.queue_wait_max", longest)
                .why("longest wait in the pool's queue until the process is ended"),
        );
    }
    rows.push(throughput(setting, &run).why(format!(
        "of the c/S = {:.0}/s that the pool makes, those whose client still waits",
        f64::from(setting.threads) / setting.service
    )));
    rows
}

/// Predictions run on the loop, one at a time, and nothing else runs meanwhile. Even SIGTERM may wait until
/// SIGKILL. So only a minimum is known for the number of further kills.
pub(crate) fn on_loop(setting: &Setting<'_>) -> Vec<Forecast> {
    let kubelet = setting.cell.kubelet.as_ref();
    let alone = Setting {
        threads: 1,
        stop: kubelet.map_or(STOP, KubeletSpec::grace).as_secs_f64(),
        ..setting.clone()
    };
    let mut rows = kills(&alone, &simulate(&alone));
    for row in rows.iter_mut().filter(|row| row.name == "kills") {
        row.bound = Bound::AtLeast;
    }
    let throughput = setting.per_second("throughput", "throughput", 1.0 / setting.service);
    rows.push(throughput.why("the loop makes 1/S").at_most());
    rows
}

/// Predictions have one thread and a queue without a bound; the probe is answered on the loop.
pub(crate) fn dedicated_thread(setting: &Setting<'_>) -> Vec<Forecast> {
    dedicated(setting, 1)
}

/// Predictions have as many threads of their own as the shared pool has, and a queue without a bound; the
/// probe is answered on the loop.
pub(crate) fn dedicated_pool(setting: &Setting<'_>) -> Vec<Forecast> {
    dedicated(setting, setting.threads)
}

fn dedicated(setting: &Setting<'_>, threads: u32) -> Vec<Forecast> {
    let alone = Setting {
        threads,
        livez_waits: false,
        ..setting.clone()
    };
    let capacity = f64::from(threads) / setting.service;
    let offered = setting.offered();
    let growth = (offered - capacity).max(0.0);
    let run = simulate(&alone);
    let mut rows = never_killed(setting);
    rows.extend([
        per_second("predictions", "bulkhead.throughput", capacity.min(offered)).why(format!(
            "min(λ, c/S) with c = {threads}, whoever still waits for them"
        )),
        throughput(setting, &run).why("those of them whose client still waits"),
    ]);
    if growth > 0.0 {
        let longest = setting.load() * (1.0 - capacity / offered) * 1e6;
        rows.extend([
            per_second("queue_growth", "bulkhead.queue_growth", growth)
                .why(format!("λ − c/S = {offered:.1} − {capacity:.1}")),
            micros("queue_wait_max", "bulkhead.queue_wait_max", longest)
                .why("t·(1 − c/(λS)) at the end of the hold"),
        ]);
    }
    rows
}

/// Predictions have threads and a bounded queue of their own; the probe is answered on the loop.
pub(crate) fn bulkhead(setting: &Setting<'_>) -> Vec<Forecast> {
    let capacity = f64::from(setting.threads) / setting.service;
    let (rate, service, threads) = (setting.rate, setting.service, setting.threads);
    let is_full = rate > capacity;
    let queue = f64::from(queue(setting.cell));
    let wait = if is_full { queue / capacity } else { 0.0 };
    let longest = format!("Q·S/c with Q = {queue}");
    let refused = 100.0 * (1.0 - capacity / rate).max(0.0);
    let answer = (wait + service) * 1e6;
    let mut rows = never_killed(setting);
    rows.extend([
        setting
            .per_second("throughput", "throughput", rate.min(capacity))
            .why(format!("min(λ, c/S) = min({rate}, {threads}/{service})")),
        percent("refused", &setting.metric("failed"), refused)
            .why("1 − c/(λS): what no thread is left for is refused at once"),
        micros("answer_p99", &setting.metric("ok_p99"), answer).why(if is_full {
            format!("{longest}, + S")
        } else {
            "S: none waits".to_owned()
        }),
    ]);
    if is_full {
        rows.push(micros("queue_wait_max", "bulkhead.queue_wait_max", wait * 1e6).why(longest));
    }
    rows
}

/// Places in the queue of the bulkhead: as many as it has threads, unless the cell says otherwise.
fn queue(cell: &Cell) -> u32 {
    let given = cell.server.flag("--queue");
    let given = given.and_then(|value| value.parse().ok());
    given.unwrap_or(cell.server.pool_threads)
}

/// The rows of a server whose probe never waits.
fn never_killed(setting: &Setting<'_>) -> Vec<Forecast> {
    let mut rows = Vec::new();
    if liveness(setting).is_some() {
        let never = "the probe waits for no prediction";
        rows.extend([
            no_restarts().why(never),
            number("liveness_failed", "kubelet.liveness_failed", 0.0).why(never),
        ]);
    }
    if setting.cell.probe.endpoints.contains_key("health_sync") {
        rows.push(
            stays_flat("health_sync")
                .why("the pool is free: a sync check finds a thread, and stays flat"),
        );
    }
    rows
}

/// Predictions a second that were made while their client still waited.
fn throughput(setting: &Setting<'_>, run: &Simulated) -> Forecast {
    let throughput = run.in_time as f64 / setting.load();
    setting.per_second("throughput", "throughput", throughput)
}

fn no_restarts() -> Forecast {
    number("restarts", "kubelet.restarts", 0.0)
}

/// The rows of a server whose probe waits behind predictions.
fn kills(setting: &Setting<'_>, run: &Simulated) -> Vec<Forecast> {
    let Some(rules) = liveness(setting) else {
        return Vec::new();
    };
    let offered = setting.offered();
    let load = offered * setting.service / f64::from(setting.threads);
    let timeout = rules.timeout.as_secs_f64();
    let shown = |seconds: f64| time(seconds * 1e6);
    let wait = format!("wait t·(λS/c − 1), λS/c = {load:.3}");
    let Some(&first) = run.kills.first() else {
        let why = if load <= 1.0 {
            "never: the queue does not grow".to_owned()
        } else {
            format!("{wait}: too slow for this load")
        };
        return vec![no_restarts().why(why)];
    };
    let first_us = (first - setting.load_start) * 1e6;
    let crossed = shown(timeout / (load - 1.0));
    vec![
        micros("first_kill", "kubelet.first_kill", first_us).why(format!(
            "{wait}: over the timeout of {} from {crossed} on; killed after {} failures in a row",
            shown(timeout),
            rules.failure_threshold
        )),
        number("kills", "kubelet.kills", run.kills.len() as f64)
            .why("the same again after each restart, by the end of the hold"),
    ]
}

fn liveness(setting: &Setting<'_>) -> Option<ProbeRules> {
    setting.cell.kubelet.as_ref()?.liveness()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FILE: &str = r#"
        name = "x"
        server = { pool_threads = 40 }
        probe = { rate = 50, timeout = "5s", endpoints = { health_async = "/" } }
        phases = { baseline = "5s", hold = "600s", recovery = "2s" }
        [load.requests.predict]
        method = "POST"
        path = "/predict?work=1s"
        rate = 50
        timeout = "10s"
        [kubelet.livenessProbe]
        path = "/livez"
        timeoutSeconds = 5
    "#;

    fn cell(rate: f64, baseline: f64) -> Cell {
        let mut cell: Cell = toml::from_str(FILE).expect("a cell");
        cell.phases.baseline = Duration::from_secs_f64(baseline);
        cell.load.requests.get_mut("predict").expect("there").rate = Some(rate);
        cell
    }

    fn predicted(rows: &[Forecast], name: &str) -> Option<f64> {
        let row = rows.iter().find(|row| row.name == name)?;
        Some(row.predicted)
    }

    fn first_kill(cell: &Cell, model: fn(&Setting<'_>) -> Vec<Forecast>) -> Option<f64> {
        let rows = model(&Setting::of(cell).expect("predictions"));
        predicted(&rows, "first_kill").map(|us| us / 1e6)
    }

    /// The start of the load, at each point of the probe's period.
    fn phases() -> impl Iterator<Item = f64> {
        (0..40).map(|n| 10.0 + f64::from(n) * 0.25)
    }

    #[test]
    fn the_time_to_the_first_kill_is_that_of_the_closed_form_in_every_phase() {
        for (rate, earliest, latest) in
            [(42.0, 125.0, 135.0), (50.0, 45.0, 55.0), (80.0, 30.0, 40.0)]
        {
            let mut seen = Vec::new();
            for baseline in phases() {
                let kill = first_kill(&cell(rate, baseline), shared_pool).expect("killed");
                assert!(
                    (earliest - 0.1..=latest + 0.1).contains(&kill),
                    "λ = {rate}, {baseline}: {kill}"
                );
                seen.push(kill);
            }
            let spread = seen.iter().copied().fold(0.0, f64::max)
                - seen.iter().copied().fold(f64::MAX, f64::min);
            assert!(spread > 9.0, "the phase makes up to a period: {spread}");
        }
    }

    #[test]
    fn below_capacity_nothing_is_killed_in_ten_minutes() {
        for baseline in phases() {
            let cell = cell(39.0, baseline);
            let rows = shared_pool(&Setting::of(&cell).expect("predictions"));
            assert_eq!(predicted(&rows, "first_kill"), None);
            assert_eq!(predicted(&rows, "restarts"), Some(0.0));
            let throughput = predicted(&rows, "throughput").expect("forecast");
            assert!((throughput - 39.0).abs() < 0.2, "{throughput}");
        }
    }

    #[test]
    fn a_tenth_of_all_times_is_killed_after_a_tenth_of_the_time() {
        let full = first_kill(&cell(50.0, 5.0), shared_pool).expect("killed");
        let mut scaled = cell(500.0, 0.5);
        scaled.kubelet.as_mut().expect("a kubelet").time_scale = 0.1;
        let class = scaled.load.requests.get_mut("predict").expect("there");
        class.path = "/predict".to_owned();
        class.query.insert("work".to_owned(), "100ms".to_owned());
        let scaled = first_kill(&scaled, shared_pool).expect("killed");
        assert!((full - 10.0 * scaled).abs() < 0.1, "{full} {scaled}");
    }

    #[test]
    fn predictions_of_the_readiness_probe_count_as_well() {
        // λ = 42 crosses the timeout after 100 s; one prediction more each 2 s, after 80 s.
        let mut cell = cell(42.0, 5.0);
        let without = first_kill(&cell, shared_pool).expect("killed");
        cell.kubelet.as_mut().expect("a kubelet").readiness_probe =
            Some(toml::from_str("path = \"/readyz?work=1s\"\nperiodSeconds = 2").expect("a probe"));
        let with = first_kill(&cell, shared_pool).expect("killed");
        assert!((without - with - 20.0).abs() < 1.0, "{without} {with}");
    }

    #[test]
    fn a_loop_that_works_itself_fails_its_first_probe_under_load() {
        for baseline in phases() {
            let kill = first_kill(&cell(50.0, baseline), on_loop).expect("killed");
            assert!((25.0..=35.1).contains(&kill), "{baseline}: {kill}");
        }
    }

    #[test]
    fn the_laws_of_the_two_cures() {
        let mut cell = cell(50.0, 5.0);
        cell.phases.hold = Duration::from_secs(90);
        let setting = Setting::of(&cell).expect("predictions");
        let rows = dedicated_thread(&setting);
        assert_eq!(predicted(&rows, "restarts"), Some(0.0));
        assert_eq!(predicted(&rows, "predictions"), Some(1.0));
        assert_eq!(predicted(&rows, "queue_growth"), Some(49.0));
        assert_eq!(predicted(&rows, "queue_wait_max"), Some(88.2e6));
        // Ten clients are answered before the eleventh has waited for 10 s.
        let throughput = predicted(&rows, "throughput").expect("forecast");
        assert!((throughput - 10.0 / 90.0).abs() < 0.02, "{throughput}");

        let rows = bulkhead(&setting);
        assert_eq!(predicted(&rows, "restarts"), Some(0.0));
        assert_eq!(predicted(&rows, "throughput"), Some(40.0));
        assert!((predicted(&rows, "refused").expect("forecast") - 20.0).abs() < 1e-9);
        assert_eq!(predicted(&rows, "answer_p99"), Some(2e6));
        assert_eq!(predicted(&rows, "queue_wait_max"), Some(1e6));
        cell.server.args = vec!["--queue".to_owned(), "8".to_owned()];
        let rows = bulkhead(&Setting::of(&cell).expect("predictions"));
        assert_eq!(predicted(&rows, "answer_p99"), Some(1.2e6));
    }

    #[test]
    fn no_published_cell_starts_where_milliseconds_decide_between_two_kills() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/liveness.toml");
        let scenario = crate::scenario::load(path, &[]).expect("valid");
        let mut killed = 0;
        for cell in &scenario.cells {
            let setting = Setting::of(cell).expect("predictions");
            let capacity = f64::from(setting.threads) / setting.service;
            let kill = |wrong: f64| {
                let rate = setting.rate + wrong * (setting.offered() - capacity);
                let other = Setting {
                    rate,
                    ..setting.clone()
                };
                predicted(&shared_pool(&other), "first_kill")
            };
            let Some(forecast) = kill(0.0) else {
                continue;
            };
            killed += 1;
            // Waits that are wrong by 4 % fail the same probes.
            for wrong in [-0.04, 0.04] {
                let other = kill(wrong).expect("killed");
                assert!((other - forecast).abs() < 1e4, "{}: {other}", cell.name);
            }
        }
        assert!(killed >= 4, "{killed}");
    }

    #[test]
    fn a_restarted_server_is_killed_again() {
        let mut cell = cell(50.0, 5.0);
        cell.phases.hold = Duration::from_secs(170);
        let setting = Setting::of(&cell).expect("predictions");
        let rows = shared_pool(&setting);
        // After 50 s, immediately up again, and after a back-off of 10 s once more.
        assert_eq!(predicted(&rows, "kills"), Some(3.0));
        let wait = predicted(&rows, "queue_wait_max").expect("forecast");
        assert!((9e6..=12e6).contains(&wait), "{wait}");
    }
}
