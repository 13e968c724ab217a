/// The environment does not allow the server to run: a busy port, no files, no threads.
///
/// [`exit`](crate::exit) turns it into exit code 4, as the lab's own contract has it.
#[derive(Debug)]
pub struct EnvironmentError(pub String);

impl std::fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EnvironmentError {}
