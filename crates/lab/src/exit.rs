//! The exit codes, by what the error chain holds.

use std::process::ExitCode;

use crate::stage::StageError;
use verdict::scenario::ScenarioError;

/// An expectation failed.
pub const EXPECTATION: u8 = 1;
/// Bad usage or scenario.
pub const USAGE: u8 = 2;
/// The measurement is invalid.
pub const INVALID: u8 = 3;
/// The environment failed.
pub const ENVIRONMENT: u8 = 4;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;

/// The code for an error: 2 for what the user gave, 130 for a stop, 4 for everything else, since what
/// is neither a mistake of the user nor of the server is one of the surroundings.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> ExitCode {
    let code = if error
        .chain()
        .any(|cause| cause.is::<ScenarioError>() || cause.is::<Usage>())
    {
        USAGE
    } else if matches!(error.downcast_ref(), Some(StageError::Interrupted)) {
        INTERRUPTED
    } else {
        ENVIRONMENT
    };
    ExitCode::from(code)
}

/// A mistake in the command line that only its meaning shows.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
