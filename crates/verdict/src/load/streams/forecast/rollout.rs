//! A rollout under way. Health is back when the blocking path has fewer streams than threads. The seed
//! makes the keys, and the keys decide how many streams these are. It is not chance.

use super::super::{Assignment, StreamSpec};
use crate::forecast::row::{number, stays_flat, unanswered};
use crate::scenario::Cell;
use crate::summary::Forecast;

/// One step, whose streams have keys and a percentage.
pub(crate) fn rollout(cell: &Cell, streams: &StreamSpec, seed: u64) -> Option<Vec<Forecast>> {
    let assignment = streams.assignment.clone()?.seeded(seed);
    let split = Split::of(&assignment, streams.count, cell.server.pool_threads);
    Some(in_step(split))
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

fn in_step(split: Split) -> Vec<Forecast> {
    let Split {
        percentage,
        streams,
        threads,
        blocking,
        ..
    } = split;
    let is_starved = split.is_starved();
    let served = blocking.min(threads);
    let unserved = blocking.saturating_sub(threads);
    let mut rows = vec![
        unanswered("health_sync", if is_starved { 100.0 } else { 0.0 }).why(split.why()),
        number("async", "cohort.async.served", streams - blocking).why(format!(
            "keys whose bucket is below {percentage}: none of them waits"
        )),
        number("blocking", "cohort.blocking.served", served)
            .why(format!("min(b, c) = min({blocking}, {threads})")),
        number("unserved", "streams.unserved", unserved)
            .why(format!("max(b − c, 0) with b = {blocking}, c = {threads}")),
    ];
    if !is_starved {
        rows.push(
            stays_flat("health_sync")
                .why("no job is queued: a sync check finds a thread, and stays flat"),
        );
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::{Question, forecast};
    use crate::scenario::{self, Scenario, Step};

    fn of_scenario() -> Scenario {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/rollout.toml");
        scenario::load(path, &[]).expect("valid")
    }

    /// What is forecast of the variant that is rolled out.
    fn rows_of(scenario: &Scenario, cell: &Cell) -> Vec<Forecast> {
        let is_rolled_out = |one: &&scenario::Variant| one.model.name() == "rollout";
        let variant = scenario.variants.iter().find(is_rolled_out);
        let question = Question {
            cell,
            seed: scenario.seed,
            parse: None,
        };
        forecast(variant.expect("there"), question)
    }

    fn assignment(cell: &Cell, step: &Step) -> Assignment {
        let streams = cell.load_of(step).streams.expect("streams");
        streams.assignment.expect("keys")
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
            let rows = rows_of(&scenario, cell);
            let share = |step: &Step| {
                let name = format!("{}.health_sync_unanswered", step.name);
                predicted(&rows, &name)
            };
            let percentage = |step: &Step| assignment(cell, step).percentage;
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
            let assignment = assignment(cell, &cell.steps[0]).seeded(scenario.seed);
            let threads = cell.server.pool_threads;
            let split = Split::of(&assignment, streams, threads);
            // The number is binomial: the knee of a seed lies near that of the law.
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
        let rows = rows_of(&scenario, cell);
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
        let rows = rows_of(&scenario, &scenario.cells[0]);
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
