//! Makes the runs that a command has planned, and what its exit code says of them.

use std::process::ExitCode;

use super::runtime::runtime;
use crate::exit;
use crate::run::{Finished, Interrupt, Plan};
use crate::show::progress::Progress;
use verdict::summary::State;

/// Makes the run, to its end or to Ctrl-C.
pub(super) fn drive(plan: &Plan) -> anyhow::Result<Finished> {
    runtime()?.block_on(async {
        let interrupt = Interrupt::listen()?;
        anyhow::Ok(crate::run::run(plan, &Progress::default(), &interrupt).await?)
    })
}

/// What became of it, as an exit code or as the error that ended it.
pub(super) fn conclude(finished: Finished) -> anyhow::Result<ExitCode> {
    let code = code(&finished);
    match finished.error {
        Some(error) => Err(error.into()),
        None => Ok(ExitCode::from(code)),
    }
}

/// The worse of two exit codes; the order is interrupted, failed, invalid, an expectation, none.
pub(super) fn worse(a: u8, b: u8) -> u8 {
    const ORDER: [u8; 4] = [
        exit::INTERRUPTED,
        exit::ENVIRONMENT,
        exit::INVALID,
        exit::EXPECTATION,
    ];
    let rank = |code: u8| ORDER.iter().position(|&one| one == code);
    std::cmp::min_by_key(a, b, |&code| rank(code).unwrap_or(ORDER.len()))
}

/// The exit code of a run.
pub(super) fn code(finished: &Finished) -> u8 {
    match finished.state {
        State::Interrupted => return exit::INTERRUPTED,
        State::Failed => return exit::ENVIRONMENT,
        State::Complete | State::Running => {}
    }
    let mut summaries = finished.summaries.iter();
    if summaries.any(|summary| !summary.quality.valid) {
        return exit::INVALID;
    }
    let outcomes = finished.summaries.iter().flat_map(|one| &one.expectations);
    if outcomes.into_iter().any(|outcome| !outcome.held) {
        exit::EXPECTATION
    } else {
        0
    }
}
