//! What a person types, one file each, and what these files share.

mod attach;
mod command_line;
mod compare;
mod conclusion;
mod forecast;
mod forecast_text;
mod frameworks;
mod guard;
mod keys;
mod list;
mod metrics;
mod planning;
mod run;
mod runtime;
mod scenarios;
mod schema;
mod stdout;
mod stop;
mod up;
mod watch;

use std::process::ExitCode;

/// The commands.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Run a scenario and print what was expected, measured and concluded
    Run(run::RunArgs),
    /// Drive a service that is already running, by its URLs, and name its failure
    Attach(Box<attach::AttachArgs>),
    /// Compare the newest run of each variant, or the runs that are named
    Compare(compare::CompareArgs),
    /// Print what theory predicts for a scenario, without running it
    Forecast(forecast::ForecastArgs),
    /// Run every scenario in its short form and print one table of all of them
    Scenarios(scenarios::ScenariosArgs),
    /// List the scenarios
    List,
    /// List the metrics: what an expectation and --fail-if may name, with unit and meaning
    Metrics(metrics::MetricsArgs),
    /// List the limits of common frameworks: what to look for after a verdict
    Frameworks(frameworks::FrameworksArgs),
    /// Print the JSON Schema of summary.json
    Schema,
    /// Start the upstream and a server in the foreground, to try by hand
    Up(up::UpArgs),
    /// Watch health URLs of any service, and say what is wrong when it begins
    ///
    /// One URL is enough; a sync and an async one say most. Each is asked once in each interval, no two at
    /// the same instant, each on a fresh connection. A check is due by the plan, whatever became of those
    /// before it; one that is not answered in time is shown with the timeout as its lower bound.
    ///
    /// An alert fires when two of the last three checks of a URL failed or took longer than
    /// --alert-above. Ctrl-C and --for end the watch: exit code 1 if an alert fired, else 0.
    Watch(watch::WatchArgs),
    /// End what a crashed run left behind
    Stop(stop::StopArgs),
    /// Runs a command and ends it with the lab that started it
    #[command(hide = true)]
    Guard(guard::GuardArgs),
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
            Self::Frameworks(args) => Ok(frameworks::run(&args)),
            Self::Schema => schema::run(),
            Self::Up(args) => up::run(args),
            Self::Watch(args) => watch::run(args),
            Self::Stop(args) => stop::run(&args),
        }
    }
}
