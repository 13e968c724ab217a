//! A rollout under way: health is back once fewer streams are on the blocking path than it has threads.
//! How many they are is not a share of chance: it is what the seed's own keys come to.

use crate::forecast::{bounded, row};
use crate::judge::flat;
use crate::scenario::{Assignment, Cell, Step};
use crate::summary::{Bound, Forecast, Unit};

/// Every step of the cell.
pub(crate) fn rollout(cell: &Cell, seed: u64) -> Vec<Forecast> {
    let steps = cell.steps.iter().filter_map(|step| {
        let streams = cell.load_of(step).streams?.count;
        let assignment = cell.assignment(step)?.seeded(seed);
        let split = Split::of(&assignment, streams, cell.server.pool_threads);
        Some(in_step(step, split))
    });
    steps.flatten().collect()
}

/// What the streams of one step come to.
#[derive(Clone, Copy, Debug)]
struct Split {
    percentage: u8,
    streams: u32,
    threads: u32,
    blocking: u32,
    /// The lowest percentage at which health recovers.
    knee: u8,
}

impl Split {
    fn of(assignment: &Assignment, streams: u32, threads: u32) -> Self {
        let percentage = assignment.percentage;
        Self {
            percentage,
            streams,
            threads,
            blocking: assignment.blocking(streams, percentage),
            knee: assignment.knee(streams, threads).unwrap_or(100),
        }
    }

    fn is_starved(self) -> bool {
        self.blocking >= self.threads
    }

    /// p* = 1 − c/N, in percent.
    fn expected_knee(self) -> f64 {
        100.0 * (1.0 - f64::from(self.threads) / f64::from(self.streams)).max(0.0)
    }

    fn why(self) -> String {
        let Self {
            percentage,
            streams: n,
            threads: c,
            blocking: b,
            knee,
        } = self;
        let p = self.expected_knee();
        let law = format!("p* = 1 − {c}/{n} = {p:.0} %");
        if self.is_starved() {
            format!(
                "{b} of {n} keys blocking ≥ c = {c}: {percentage} % cannot show recovery, which begins at {knee} % ({law})"
            )
        } else {
            format!(
                "{b} of {n} keys blocking < c = {c}: a thread is free, from {knee} % on ({law})"
            )
        }
    }
}

fn in_step(step: &Step, split: Split) -> Vec<Forecast> {
    let Split {
        percentage,
        streams,
        threads,
        blocking,
        ..
    } = split;
    let named = |name: &str, metric: &str, unit, predicted, formula| {
        let (name, metric) = (
            format!("{}.{name}", step.name),
            format!("steps.{}.{metric}", step.name),
        );
        row(&name, &metric, unit, predicted, formula)
    };
    let starved = split.is_starved();
    let mut rows = vec![
        named(
            "health_sync_unanswered",
            "health_sync.unanswered",
            Unit::Percent,
            if starved { 100.0 } else { 0.0 },
            split.why(),
        ),
        named(
            "async",
            "cohort.async.served",
            Unit::Count,
            f64::from(streams - blocking),
            format!("keys whose bucket is below {percentage}: none of them waits"),
        ),
        named(
            "blocking",
            "cohort.blocking.served",
            Unit::Count,
            f64::from(blocking.min(threads)),
            format!("min(b, c) = min({blocking}, {threads})"),
        ),
        named(
            "unserved",
            "streams.unserved",
            Unit::Count,
            f64::from(blocking.saturating_sub(threads)),
            format!("max(b − c, 0) with b = {blocking}, c = {threads}"),
        ),
    ];
    if !starved {
        rows.push(bounded(
            Bound::AtMost,
            named(
                "health_sync_p99",
                "health_sync.p99",
                Unit::Us,
                flat::FLOOR_US as f64,
                "no job is queued: a sync check finds a thread, and stays flat".to_owned(),
            ),
        ));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{self, Scenario};

    fn of_scenario() -> Scenario {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/rollout.toml");
        scenario::load(path, &[]).expect("valid")
    }

    fn predicted(rows: &[Forecast], name: &str) -> f64 {
        let row = rows.iter().find(|row| row.name == name);
        row.unwrap_or_else(|| panic!("no {name}")).predicted
    }

    #[test]
    fn the_published_steps_stand_on_either_side_of_the_knee() {
        let scenario = of_scenario();
        let cells: Vec<_> = scenario.cells.iter().chain(&scenario.quick_cells).collect();
        assert!(cells.len() >= 4);
        for cell in cells {
            let rows = rollout(cell, scenario.seed);
            let share = |step: &Step| {
                let name = format!("{}.health_sync_unanswered", step.name);
                predicted(&rows, &name)
            };
            let percentage = |step: &Step| cell.assignment(step).expect("keys").percentage;
            let below: Vec<_> = cell.steps.iter().filter(|step| share(step) > 0.0).collect();
            let above: Vec<_> = cell
                .steps
                .iter()
                .filter(|step| share(step) == 0.0)
                .collect();
            let last = below
                .iter()
                .map(|step| percentage(step))
                .max()
                .expect("below");
            let first = above
                .iter()
                .map(|step| percentage(step))
                .min()
                .expect("above");
            assert_eq!(last + 1, first, "{}: a step on either side", cell.name);
            let streams = cell.load.streams.as_ref().expect("streams").count;
            assert!(streams >= 40, "{}", cell.name);
        }
    }

    #[test]
    fn two_choices_of_c_have_two_knees() {
        let scenario = of_scenario();
        let mut knees = Vec::new();
        for cell in &scenario.cells {
            let streams = cell.load.streams.as_ref().expect("streams").count;
            let assignment = cell.assignment(&cell.steps[0]).expect("keys");
            let assignment = assignment.seeded(scenario.seed);
            let threads = cell.server.pool_threads;
            let split = Split::of(&assignment, streams, threads);
            // Binomial: the knee of the seed lies around that of the law.
            let p = split.expected_knee();
            let sigma = 100.0 * (p / 100.0 * (1.0 - p / 100.0) / f64::from(streams)).sqrt();
            assert!((f64::from(split.knee) - p).abs() < 3.0 * sigma, "{split:?}");
            knees.push((threads, split.knee));
        }
        knees.dedup();
        assert_eq!(knees.len(), 2, "{knees:?}");
        assert_ne!(knees[0].1, knees[1].1);
    }

    #[test]
    fn streams_are_served_as_the_pool_and_the_loop_allow() {
        let scenario = of_scenario();
        let cell = &scenario.cells[0];
        let rows = rollout(cell, scenario.seed);
        let threads = f64::from(cell.server.pool_threads);
        for step in &cell.steps {
            let of = |name: &str| predicted(&rows, &format!("{}.{name}", step.name));
            let all = of("async") + of("blocking") + of("unserved");
            assert_eq!(all, 40.0, "{}", step.name);
            assert!(of("blocking") <= threads);
            assert_eq!(of("unserved") > 0.0, of("async") + threads < 40.0);
        }
    }

    #[test]
    fn the_first_steps_are_said_to_show_nothing() {
        let scenario = of_scenario();
        let rows = rollout(&scenario.cells[0], scenario.seed);
        let formula = |step: &str| {
            let name = format!("{step}.health_sync_unanswered");
            let row = rows.iter().find(|row| row.name == name).expect("forecast");
            row.formula.clone()
        };
        for step in ["at-5", "at-20"] {
            assert!(formula(step).contains("cannot show recovery"));
            assert!(
                formula(step).contains("p* = 1 − 4/40 = 90 %"),
                "{}",
                formula(step)
            );
        }
        assert!(!formula("at-91").contains("cannot"), "{}", formula("at-91"));
    }
}
