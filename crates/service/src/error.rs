use std::process::ExitCode;

use crate::UnknownVariant;

/// The environment does not allow the server to run: a busy port, no files, no threads.
///
/// [`exit`] turns it into exit code 4, as the lab's own contract has it.
#[derive(Debug)]
pub struct EnvironmentError(pub String);

impl std::fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EnvironmentError {}

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
