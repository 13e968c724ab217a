use std::time::Duration;

use super::times::LEAST_RECOVERY;
use verdict::load::Load;
use verdict::scenario::Cell;

/// Starting the processes of a cell and ending them.
const STAGE: Duration = Duration::from_millis(800);

/// How long the cells of a run take, as an estimate: what happens in a tail or a recovery decides when it
/// ends.
#[derive(Debug)]
pub struct Schedule {
    spans: Vec<Span>,
    begun: usize,
    /// Time beyond the least that ended cells could have taken. `taken` is what they took of it.
    possible: Duration,
    taken: Duration,
}

/// How long a cell takes.
#[derive(Clone, Copy, Debug)]
struct Span {
    least: Duration,
    most: Duration,
}

impl Span {
    fn of(cell: &Cell) -> Self {
        let phases = &cell.phases;
        let recovery = phases.recovery.min(LEAST_RECOVERY);
        let of_load = |load: &Load| load.ramp() + phases.hold + recovery;
        let loads = if cell.steps.is_empty() {
            vec![of_load(&cell.load)]
        } else {
            let steps = cell.steps.iter();
            steps.map(|step| of_load(&cell.load_of(step))).collect()
        };
        let least = STAGE + phases.baseline + loads.iter().sum::<Duration>();
        let more = cell.probe.timeout + phases.recovery - recovery;
        Self {
            least,
            most: least + more * loads.len() as u32,
        }
    }
}

impl Schedule {
    /// A run of these cells, in order.
    pub fn new<'a>(cells: impl Iterator<Item = &'a Cell>) -> Self {
        Self {
            spans: cells.map(Span::of).collect(),
            begun: 0,
            possible: Duration::ZERO,
            taken: Duration::ZERO,
        }
    }

    /// The next cell begins. Returns its number, from 1, and how many there are.
    pub fn begin(&mut self) -> (usize, usize) {
        self.begun += 1;
        (self.begun, self.spans.len())
    }

    /// About how long the cell that has begun takes, and those after it.
    #[must_use]
    pub fn left(&self) -> Duration {
        let share = if self.possible.is_zero() {
            0.5
        } else {
            self.taken.as_secs_f64() / self.possible.as_secs_f64()
        };
        let spans = self.spans.iter().skip(self.begun.saturating_sub(1));
        spans
            .map(|span| span.least + (span.most - span.least).mul_f64(share))
            .sum()
    }

    /// The cell that has begun ended after `took`.
    pub fn end(&mut self, took: Duration) {
        let Some(span) = self.begun.checked_sub(1).and_then(|at| self.spans.get(at)) else {
            return;
        };
        let possible = span.most - span.least;
        self.possible += possible;
        self.taken += took.saturating_sub(span.least).min(possible);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_it_took() {
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let mut cell = crate::scenario_files::load(stream, &[])
            .expect("valid")
            .cells
            .remove(0);
        cell.phases.recovery = Duration::from_secs(62);
        cell.probe.timeout = Duration::from_secs(1);
        let cells = [cell.clone(), cell.clone(), cell];
        let mut schedule = Schedule::new(cells.iter());
        let least = schedule.spans[0].least;
        assert_eq!(schedule.begin(), (1, 3));
        // No cell has ended: half of the possible time is the guess.
        let half = Duration::from_millis(30_500);
        assert_eq!(schedule.left(), (least + half) * 3);
        // Its recovery was short, so the others are expected to be short too.
        schedule.end(least);
        assert_eq!(schedule.begin(), (2, 3));
        assert_eq!(schedule.left(), least * 2);
        schedule.end(least + Duration::from_secs(100));
        schedule.begin();
        assert_eq!(schedule.left(), least + half);
    }
}
