use std::process::ExitCode;

use crate::{EnvironmentError, UnknownVariant};

/// Prints the chain of an error in one line and picks the exit code: 0 for success, 2 for a variant
/// that does not exist, 4 when the environment failed ([`EnvironmentError`] anywhere in the chain),
/// 1 otherwise.
#[must_use]
pub fn exit(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error:#}");
    if error.is::<UnknownVariant>() {
        ExitCode::from(2)
    } else if error
        .chain()
        .any(<dyn std::error::Error>::is::<EnvironmentError>)
    {
        ExitCode::from(4)
    } else {
        ExitCode::FAILURE
    }
}
