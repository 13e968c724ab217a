//! The life of a run. Every repeat, cell and variant gets fresh processes, its phases and a summary. The
//! variants take turns within each cell.

mod calibration;
mod cell;
mod climb;
mod commit;
mod directory;
mod interrupt;
mod preflight;
mod processes;
mod schedule;
mod server;
mod steps;
mod target;
mod task;
mod times;

use std::path::PathBuf;
use std::time::Instant;

use crate::http::Reach;
use crate::show::progress::{Place, Progress};
use crate::stage::{Records, StageError, provide_open_files};
use verdict::forecast::{Question, forecast};
use verdict::scenario::{Cell, Scenario, Variant};
use verdict::summary::{State, Summary};

pub use calibration::Calibration;
pub use directory::{Run, RunDirectory, newest};
pub use interrupt::Interrupt;
use schedule::Schedule;
use task::Task;

/// What is to be run, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario.
    pub scenario: Scenario,
    /// Which of its variants.
    pub variants: Vec<Variant>,
    /// Which of its cells.
    pub cells: Vec<Cell>,
    /// How often.
    pub repeats: u32,
    /// How often a cell that turns out invalid is measured again.
    pub retries: u32,
    /// What forecasts need to know of this machine.
    pub calibration: Calibration,
    /// How targets are reached, after [`crate::reach::reach`] has allowed it.
    pub reach: Reach,
    /// Where the runs' folders go.
    pub out: PathBuf,
    /// The command line, for the record.
    pub command: String,
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// The folders, one for each variant.
    pub folders: Vec<PathBuf>,
    /// Every cell that was begun.
    pub summaries: Vec<Summary>,
    /// How far it came.
    pub state: State,
    /// What the environment denied, if that ended the run.
    pub error: Option<StageError>,
}

/// Runs a plan to its end, or to Ctrl-C.
///
/// # Errors
/// [`StageError`] if the environment does not allow it to begin.
///
/// # Cancel safety
/// Dropping the future ends all processes; what was measured since the last second is lost.
pub async fn run(
    plan: &Plan,
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<Finished, StageError> {
    provide_open_files(open_files_needed(&plan.cells))?;
    let single_cell = plan.cells.len() == 1 && plan.repeats == 1;
    let mut directories = plan
        .variants
        .iter()
        .map(|variant| {
            RunDirectory::create(
                &plan.out,
                &plan.scenario.name,
                &plan.scenario.text,
                &variant.name,
                single_cell,
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    let records = Records::below(&plan.out);
    let mut summaries = Vec::new();
    let mut state = State::Complete;
    let mut error = None;
    let mut schedule = Schedule::new(turns(plan).map(|turn| turn.cell));
    for turn in turns(plan) {
        let (number, of) = schedule.begin();
        let begun = Instant::now();
        let (variant, directory) = (&plan.variants[turn.variant], &mut directories[turn.variant]);
        let task = Task {
            scenario: &plan.scenario,
            variant,
            cell: turn.cell,
            repeat: turn.repeat,
            repeats: plan.repeats,
            command: &plan.command,
            forecast: forecast(
                variant,
                Question {
                    cell: turn.cell,
                    seed: plan.scenario.seed,
                    parse: plan.calibration.parse(turn.cell),
                },
            ),
            place: Place {
                number,
                of,
                run_ends: begun + schedule.left(),
            },
            interrupt,
            reach: match &turn.cell.target {
                Some(target) => plan.reach.of(target),
                None => plan.reach.clone(),
            },
        };
        match measure(task, plan.retries, directory, &records, progress).await {
            Ok(summary) => {
                state = summary.state;
                summaries.push(summary);
            }
            Err(StageError::Interrupted) => state = State::Interrupted,
            Err(failed) => {
                state = State::Failed;
                error = Some(failed);
            }
        }
        if state != State::Complete {
            break;
        }
        schedule.end(begun.elapsed());
    }
    for directory in &mut directories {
        let finished = directory.finish(state);
        error = error.or(finished.err());
    }
    Ok(Finished {
        folders: directories
            .iter()
            .map(|directory| directory.path().to_owned())
            .collect(),
        summaries,
        state,
        error,
    })
}

/// Runs a cell, and again while it is invalid. An invalid run does not count, but it is reported, and its
/// measurements are kept.
async fn measure(
    task: Task<'_>,
    retries: u32,
    directory: &mut RunDirectory,
    records: &Records,
    progress: &Progress,
) -> Result<Summary, StageError> {
    let mut discarded = Vec::new();
    loop {
        let mut summary = cell::run(&task, directory, records, progress).await?;
        let is_over = summary.quality.valid || summary.state != State::Complete;
        if is_over || discarded.len() == retries as usize {
            if !discarded.is_empty() {
                summary.quality.remarks.extend(discarded);
                directory.record(&task.folder(), &summary)?;
            }
            return Ok(summary);
        }
        let why = summary.quality.reasons.join("; ");
        discarded.push(format!("measured again, because it was invalid: {why}"));
        directory.discard(&task.folder(), discarded.len())?;
    }
}

/// One cell of one variant, once.
struct Turn<'a> {
    repeat: u32,
    cell: &'a Cell,
    variant: usize,
}

/// The order of a run. The variants take turns within each cell, so that a disturbance of the machine
/// affects all of them.
fn turns(plan: &Plan) -> impl Iterator<Item = Turn<'_>> {
    (1..=plan.repeats).flat_map(move |repeat| {
        plan.cells.iter().flat_map(move |cell| {
            let concerned = move |&variant: &usize| cell.has_variant(&plan.variants[variant].name);
            (0..plan.variants.len())
                .filter(concerned)
                .map(move |variant| Turn {
                    repeat,
                    cell,
                    variant,
                })
        })
    })
}

/// The most open files that a process of any cell needs. A relay has two for each stream.
fn open_files_needed(cells: &[Cell]) -> u64 {
    const SPARE: u64 = 100;
    cells
        .iter()
        .map(|cell| {
            let checks = cell.probe.rate
                * cell.probe.timeout.as_secs_f64()
                * cell.probe.endpoints.len() as f64;
            2 * cell.at_once() + checks.ceil() as u64 + SPARE
        })
        .max()
        .unwrap_or(SPARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_take_turns() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let scenario = crate::scenario_files::load(path, &[]).expect("valid");
        // These two variants run in every cell.
        let named = |name: &str| {
            let mut all = scenario.variants.iter();
            all.find(|one| one.name == name).cloned().expect("there")
        };
        let plan = Plan {
            variants: vec![named("broken"), named("fixed")],
            cells: scenario.cells[..2].to_vec(),
            repeats: 2,
            retries: 0,
            scenario,
            calibration: Calibration::default(),
            reach: Reach::default(),
            out: PathBuf::new(),
            command: String::new(),
        };
        let order: Vec<_> = turns(&plan)
            .map(|turn| (turn.repeat, turn.cell.name.as_str(), turn.variant))
            .collect();
        let once = |repeat| {
            [
                (repeat, "8", 0),
                (repeat, "8", 1),
                (repeat, "100", 0),
                (repeat, "100", 1),
            ]
        };
        assert_eq!(order, [once(1), once(2)].concat());
    }
}
