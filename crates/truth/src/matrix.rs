//! How often the verdict is right, over many draws.

use std::fmt::Write as _;

use verdict::summary::Family;

use crate::draw::{Draw, Kind};
use crate::driver::{Driven, drive};
use crate::noise::Noise;
use crate::truth::{Off, Rightness, Tally, Truth};

/// What became of one draw.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its number.
    pub number: u64,
    /// What kind of service it is.
    pub kind: Kind,
    /// Whether it is near a border.
    pub is_near: bool,
    /// What is true of it.
    pub truth: Truth,
    /// What was said.
    pub said: Family,
    /// How right that is.
    pub rightness: Rightness,
    /// How far off the capacity is, if there is one.
    pub off: Option<Off>,
    /// The capacity that was said.
    pub said_capacity: Option<u64>,
    /// From the start to the verdict, in microseconds.
    pub took_us: u64,
    /// Its numbers, for people.
    pub numbers: String,
}

impl Judged {
    /// Draws, drives and judges.
    ///
    /// # Errors
    /// As [`drive`].
    pub fn of(seed: u64, number: u64) -> anyhow::Result<(Self, Draw, Driven)> {
        let draw = Draw::of(seed, number);
        let driven = drive(&draw.service, &draw.told, Noise::of(!seed, number))?;
        let truth = draw
            .fault
            .truth(&driven, (draw.told.has_pid, draw.told.has_upstream));
        let diagnosis = &driven.summary.diagnosis;
        let (said, rightness) = truth.judge(diagnosis);
        let capacity = diagnosis.inferred_capacity;
        let judged = Self {
            number,
            kind: draw.kind,
            is_near: draw.is_near,
            off: truth.off(capacity),
            truth,
            said,
            rightness,
            said_capacity: capacity,
            took_us: driven.took_us,
            numbers: draw.numbers.clone(),
        };
        Ok((judged, draw, driven))
    }

    /// Whether it was called healthy and is not.
    #[must_use]
    pub fn is_falsely_healthy(&self) -> bool {
        self.said == Family::Healthy && self.rightness == Rightness::Wrong
    }

    /// How bad the verdict is: the larger, the worse.
    fn badness(&self) -> (u8, u8, u64) {
        let verdict = match self.rightness {
            Rightness::Wrong if self.is_falsely_healthy() => 4,
            Rightness::Wrong => 3,
            Rightness::OpenWithout => 2,
            Rightness::OpenWithTruth => 1,
            Rightness::Right => 0,
        };
        let number = match self.off {
            Some(Off::More) => 3,
            Some(Off::ByOne) => 2,
            Some(Off::NotSaid) => 1,
            Some(Off::Exact) | None => 0,
        };
        (verdict, number, self.took_us)
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        let Self {
            number,
            kind,
            truth,
            said,
            rightness,
            said_capacity,
            took_us,
            numbers,
            ..
        } = self;
        format!(
            "--draw {number}: {kind:?}, {}: said {}, capacity {said_capacity:?}: {rightness:?}, {:.0} s\n    {numbers}",
            truth.shown(),
            said.name(),
            *took_us as f64 / 1e6,
        )
    }
}

/// All draws together.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    judged: Vec<Judged>,
}

impl Matrix {
    /// Adds one.
    pub fn add(&mut self, judged: Judged) {
        self.judged.push(judged);
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: Self) {
        self.judged.extend(other.judged);
    }

    /// Share of the draws for which something holds, in percent.
    #[must_use]
    pub fn percent(&self, holds: impl Fn(&Judged) -> bool) -> f64 {
        let count = self.judged.iter().filter(|one| holds(one)).count();
        100.0 * count as f64 / self.judged.len().max(1) as f64
    }

    /// Share of wrong verdicts, in percent.
    #[must_use]
    pub fn wrong_percent(&self) -> f64 {
        self.percent(|one| one.rightness == Rightness::Wrong)
    }

    /// The worst draws, the worst first.
    #[must_use]
    pub fn worst(&self, count: usize) -> Vec<&Judged> {
        let mut all: Vec<_> = self.judged.iter().collect();
        all.sort_by_key(|one| (std::cmp::Reverse(one.badness()), one.number));
        all.truncate(count);
        all
    }

    /// The whole report.
    #[must_use]
    pub fn render(&self, worst: usize) -> String {
        let mut text = self.table("truth", |one| one.truth.families[0].name().to_owned());
        text += "\n";
        text += &self.table("kind", |one| format!("{:?}", one.kind));
        let share = |rightness: Rightness| self.percent(|one| one.rightness == rightness);
        let near = |one: &Judged| one.is_near && one.rightness == Rightness::Wrong;
        let _ = writeln!(
            text,
            "\n{} draws: right {:.2} %, wrong {:.2} % (near a border {:.2} %), undecided {:.2} % with the \
             truth among its candidates and {:.2} % without; falsely healthy {:.2} %",
            self.judged.len(),
            share(Rightness::Right),
            share(Rightness::Wrong),
            self.percent(near),
            share(Rightness::OpenWithTruth),
            share(Rightness::OpenWithout),
            self.percent(Judged::is_falsely_healthy),
        );
        let mut off = Tally::new();
        for one in self.judged.iter().filter_map(|one| one.off) {
            *off.entry(one).or_default() += 1;
        }
        let of = |which: Off| off.get(&which).copied().unwrap_or(0);
        let _ = writeln!(
            text,
            "capacity, where there is one: exact {}, off by one {}, by more {}, not said {}",
            of(Off::Exact),
            of(Off::ByOne),
            of(Off::More),
            of(Off::NotSaid)
        );
        let mut took: Vec<_> = self.judged.iter().map(|one| one.took_us).collect();
        took.sort_unstable();
        let at = |share: f64| {
            let place = (took.len().saturating_sub(1) as f64 * share) as usize;
            took.get(place).copied().unwrap_or(0) as f64 / 1e6
        };
        let _ = writeln!(
            text,
            "time to the verdict: median {:.1} s, 95 % within {:.1} s, worst {:.1} s",
            at(0.5),
            at(0.95),
            at(1.0)
        );
        for one in self.worst(worst) {
            let _ = writeln!(text, "{}", one.line());
        }
        text
    }

    /// A row for each group, a column for each verdict.
    fn table(&self, head: &str, group: impl Fn(&Judged) -> String) -> String {
        let mut cells = Tally::new();
        let mut columns = Tally::new();
        let mut rows = Tally::new();
        let mut wrong = Tally::new();
        for one in &self.judged {
            *cells.entry((group(one), one.said.name())).or_default() += 1;
            *columns.entry(one.said.name()).or_default() += 1;
            *rows.entry(group(one)).or_default() += 1;
            *wrong.entry(group(one)).or_default() += u64::from(one.rightness == Rightness::Wrong);
        }
        let mut text = format!("{head:26}");
        for said in columns.keys() {
            let _ = write!(text, "{:>12}", short(said));
        }
        let _ = writeln!(text, "{:>8}{:>8}", "all", "wrong");
        for (row, all) in &rows {
            let _ = write!(text, "{row:26}");
            for said in columns.keys() {
                let count = cells.get(&(row.clone(), *said)).copied().unwrap_or(0);
                let shown = if count == 0 {
                    "·".to_owned()
                } else {
                    count.to_string()
                };
                let _ = write!(text, "{shown:>12}");
            }
            let _ = writeln!(text, "{all:>8}{:>8}", wrong[row]);
        }
        text
    }
}

/// The beginning of a name, for the head of a column.
fn short(name: &str) -> &str {
    name.get(..11).unwrap_or(name)
}

/// Draws `numbers` of a series on so many threads.
///
/// # Errors
/// As [`drive`].
pub fn run(seed: u64, numbers: std::ops::Range<u64>, threads: u64) -> anyhow::Result<Matrix> {
    let mut all = Matrix::default();
    std::thread::scope(|scope| {
        let part = |first: u64| {
            let numbers = numbers
                .clone()
                .skip(first as usize)
                .step_by(threads as usize);
            scope.spawn(move || {
                let mut matrix = Matrix::default();
                for number in numbers {
                    matrix.add(Judged::of(seed, number)?.0);
                }
                anyhow::Ok(matrix)
            })
        };
        let parts: Vec<_> = (0..threads).map(part).collect();
        for part in parts {
            match part.join() {
                Ok(matrix) => all.merge(matrix?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}
