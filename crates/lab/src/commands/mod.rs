//! What a person types, one file each.

mod attach;
mod compare;
mod forecast;
mod guard;
mod list;
mod metrics;
mod run;
mod scenarios;
mod schema;
mod stop;
mod up;
mod watch;

use std::process::ExitCode;

/// The commands.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Run a scenario and print what was expected, measured and concluded
    Run(run::Args),
    /// Drive a service that is already running, by its URLs, and name its failure
    Attach(Box<attach::Args>),
    /// Compare the newest run of each variant, or the runs that are named
    Compare(compare::Args),
    /// Print what theory predicts for a scenario, without running it
    Forecast(forecast::Args),
    /// Run every scenario in its short form and print one table of all of them
    Scenarios(scenarios::Args),
    /// List the scenarios
    List,
    /// List the metrics: what [[expect]] and --fail-if may name, with unit and meaning
    Metrics(metrics::Args),
    /// Print the JSON Schema of summary.json
    Schema,
    /// Start the upstream and a server in the foreground, to try by hand
    Up(up::Args),
    /// Watch two health URLs of any service, and say what is wrong when it begins
    ///
    /// Both URLs are asked once in each interval, the async one half an interval after the sync one,
    /// each on a fresh connection. A check is due by the plan, whatever became of those before it; one
    /// that is not answered in time is shown with the timeout as its lower bound.
    ///
    /// An alert fires when two of the last three checks of a URL failed or took longer than
    /// --alert-above. Ctrl-C and --for end the watch: exit code 1 if an alert fired, else 0.
    Watch(watch::Args),
    /// End what a crashed run left behind
    Stop(stop::Args),
    /// Runs a command and ends it with the lab that started it
    #[command(hide = true)]
    Guard(guard::Args),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever ended it; [`crate::exit::code_of`] knows the code.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => run::run(args),
            Self::Attach(args) => attach::run(&args),
            Self::Guard(args) => guard::run(&args),
            Self::Compare(args) => compare::run(&args),
            Self::Forecast(args) => forecast::run(&args),
            Self::Scenarios(args) => scenarios::run(&args),
            Self::List => list::run(),
            Self::Metrics(args) => Ok(metrics::run(&args)),
            Self::Schema => schema::run(),
            Self::Up(args) => up::run(args),
            Self::Watch(args) => watch::run(args),
            Self::Stop(args) => stop::run(&args),
        }
    }
}

/// The runtime of the commands that start processes. It waits more than it works.
/// Name and value of a header as `--header` takes it.
fn header(text: &str) -> Result<(String, String), crate::exit::Usage> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| crate::exit::Usage("--header is a name, a colon and a value".to_owned()))?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

/// Prints to standard output. A reader that goes away early, such as `head`, is no error.
fn print(text: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}
