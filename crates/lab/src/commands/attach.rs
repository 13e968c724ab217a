use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::command_line::command_line;
use super::conclusion::{conclude, drive};
use super::keys::told_in_flags;
use super::planning::{check_metrics, reach_of};
use super::stdout::print;
use crate::exit::Usage;
use crate::http::header;
use crate::run::{Calibration, Finished, Plan};
use crate::show;
use verdict::redact::Address;
use verdict::scenario::{self, Expectation, Method, Scenario, Variant};
use verdict::summary::{Outcome, State};

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct AttachArgs {
    /// URL that is asked for a stream, or for a short answer, over and over
    #[arg(long, value_name = "URL")]
    stream: Address,
    /// How it is asked
    #[arg(long, value_name = "METHOD", default_value = "GET", value_parser = method)]
    method: Method,
    /// File that is sent as the body
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Model that is asked for a small streaming chat in OpenAI's format, by POST; a URL without a path
    /// gets /v1/chat/completions
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["anthropic", "body", "method"])]
    openai: Option<String>,
    /// The same in Anthropic's format, at /v1/messages
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["body", "method"])]
    anthropic: Option<String>,
    // Clap breaks the line at an n in braces, unless a style stands between.
    #[arg(
        long,
        short = 'H',
        value_name = "KEY: VALUE",
        help = "Header of each request to the stream's host and port, its value saved nowhere; \
                {\u{1b}[0mn} in it stands for the number of the stream"
    )]
    header: Vec<String>,
    /// Environment variable that holds a bearer token, sent to the stream's host and port, printed and
    /// saved nowhere
    #[arg(long, value_name = "NAME")]
    bearer_env: Option<String>,
    /// URL of the health check
    #[arg(long, value_name = "URL", required_unless_present_any = ["sync_health", "async_health"])]
    health: Option<Address>,
    /// URL of a health check that needs a thread of the blocking pool
    #[arg(long, value_name = "URL")]
    sync_health: Option<Address>,
    /// URL of a health check that the event loop answers
    #[arg(long, value_name = "URL")]
    async_health: Option<Address>,
    /// Streams at once, step by step, each step run whatever is seen; one stream alone comes first [default:
    /// twice as many from step to step, up to 128, until it is certain what changes]
    #[arg(
        long,
        value_name = "N,N…",
        value_delimiter = ',',
        conflicts_with = "find_capacity"
    )]
    streams: Vec<u32>,
    /// Ask for ever more streams until it is certain how many are served at once
    #[arg(long)]
    find_capacity: bool,
    /// How long each step holds its streams, at least four times what one alone takes to its first byte; an
    /// upper limit where a step ends as soon as its signs are certain
    #[arg(long = "for", value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    hold: Duration,
    /// Hold every step for its whole time, whatever is certain before
    #[arg(long)]
    thorough: bool,
    /// Number of the service's process on this machine; its worker processes are counted with it
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// URL of a JSON document of the upstream; after # a JSON pointer to its number of open streams
    #[arg(long, value_name = "URL#/POINTER")]
    upstream_stats: Option<Address>,
    /// Look once more after all clients have hung up: the default
    #[arg(long, overrides_with = "no_hang_up")]
    hang_up: bool,
    /// Do not
    #[arg(long)]
    no_hang_up: bool,
    /// How long what hung up may take to be gone
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = humantime::parse_duration)]
    settle: Duration,
    /// Exit with 1 if this holds, for instance 'health.p99 > 50ms'; may be given several times
    #[arg(long, value_name = "EXPR")]
    fail_if: Vec<Expectation>,
    /// PEM file of a certificate that is trusted beside those of the system
    #[arg(long, value_name = "FILE")]
    ca_certificate: Option<PathBuf>,
    /// Accept any certificate
    #[arg(long)]
    insecure: bool,
    /// Speak HTTP/2 without TLS, and nothing older with it
    #[arg(long)]
    http2: bool,
    /// The service is mine: ask it though its address is a public one
    #[arg(long)]
    i_own_this_service: bool,
    /// Streams at once, at most
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_streams: u32,
    /// Streams begun a second, at most
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    max_rate: u32,
    /// From the first stream to the end of the last one, at most; 2h is the limit
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = humantime::parse_duration)]
    max_time: Duration,
    /// How long health is measured before the load
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    baseline: Duration,
    /// A health check that is not answered in this time has failed
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Checks of each health URL in a second; at most 3 of them are in flight at once
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    check_rate: u32,
    /// Name of the run, for instance `before` and `after`
    #[arg(long, value_name = "NAME", default_value = "target")]
    name: String,
    /// Where the folder of the run goes
    #[arg(long, value_name = "DIR", default_value = "results/runs")]
    out: PathBuf,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

fn method(text: &str) -> Result<Method, String> {
    let known = Method::ALL.into_iter();
    let mut found = known.filter(|method| method.name().eq_ignore_ascii_case(text));
    found
        .next()
        .ok_or_else(|| format!("one of {}", Method::ALL.map(Method::name).join(", ")))
}

pub(super) fn run(args: &AttachArgs) -> anyhow::Result<ExitCode> {
    attach(args).map_err(told_in_flags)
}

fn attach(args: &AttachArgs) -> anyhow::Result<ExitCode> {
    let (scenario, variant) = scenario(args)?;
    let cells = scenario.cells.clone();
    let say = |text: &str| {
        if args.json {
            let _ = write!(std::io::stderr(), "{text}");
        } else {
            print(text);
        }
    };
    let plan = Plan {
        reach: reach_of(&cells, say)?,
        variants: vec![variant],
        cells,
        repeats: 1,
        retries: 0,
        calibration: Calibration::default(),
        out: args.out.clone(),
        command: command_line(),
        scenario,
    };
    let finished = drive(&plan)?;
    report(finished, args.json)
}

fn report(finished: Finished, is_json: bool) -> anyhow::Result<ExitCode> {
    for summary in &finished.summaries {
        if is_json {
            // Its keys are strings, so it always serializes.
            print(&(serde_json::to_string_pretty(summary).unwrap_or_default() + "\n"));
            for outcome in summary.expectations.iter().filter(|outcome| !outcome.held) {
                let Outcome {
                    name,
                    expected,
                    measured,
                    ..
                } = outcome;
                let line = format!("FAILED {name} {expected} — measured {measured}");
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        } else {
            print(&show::attach::render(summary));
            print(&show::summary::render(summary));
            print(&show::attach::next_steps(summary));
        }
    }
    if !is_json && finished.state != State::Failed {
        for folder in &finished.folders {
            print(&format!("Saved in {}\n", folder.display()));
        }
    }
    conclude(finished)
}

/// The scenario that the flags describe.
fn scenario(args: &AttachArgs) -> anyhow::Result<(Scenario, Variant)> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if args.name.is_empty() || !args.name.chars().all(is_name) {
        return Err(Usage("--name becomes a folder's name: use a-z, 0-9 and -".to_owned()).into());
    }
    let mut scenario = scenario::parse(Path::new("the command line"), &text(args)?)?;
    let mut variant = Variant::of_target(&args.name);
    for condition in &args.fail_if {
        variant.fail_if(condition);
    }
    scenario.variants = vec![variant.clone()];
    check_metrics(&scenario)?;
    Ok((scenario, variant))
}

/// A scenario file of the flags.
fn text(args: &AttachArgs) -> Result<String, Usage> {
    let headers = args.header.iter().map(|text| header(text));
    let headers = headers.collect::<Result<BTreeMap<_, _>, _>>()?;
    let time = |time: Duration| quoted(&humantime::format_duration(time).to_string());
    let mut steps = args.streams.clone();
    if steps.is_empty() && !args.find_capacity && !args.fail_if.is_empty() {
        // A gate looks at the same steps each time.
        steps = vec![8, 32, 128];
        steps.retain(|&count| count <= args.max_streams);
    }
    let steps: Vec<_> = steps
        .iter()
        .map(|count| format!("{{ name = \"{count}\", streams = {count} }}"))
        .collect();
    let conditions: Vec<_> = args
        .fail_if
        .iter()
        .map(|one| quoted(&one.to_string()))
        .collect();
    let mut text = format!(
        "schema = 1\nname = \"attach\"\ntitle = \"A service, from outside\"\nfail_if = [{}]\n\n\
         [[cell]]\nname = \"attach\"\nsteps = [{}]\n\n\
         [probe]\nrate = {}\ntimeout = {}\n\n\
         [phases]\nbaseline = {}\nhold = {}\nrecovery = {}\n\n[target]\n",
        conditions.join(", "),
        steps.join(", "),
        args.check_rate,
        time(args.timeout),
        time(args.baseline),
        time(args.hold),
        time(args.settle),
    );
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {value}");
        }
    };
    let url = |url: &Option<Address>| url.as_ref().map(|url| quoted(url));
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| quoted(&path.to_string_lossy()));
    line("stream", Some(quoted(&args.stream)));
    line("method", Some(quoted(args.method.name())));
    line("body", path(&args.body));
    line("openai", args.openai.as_deref().map(quoted));
    line("anthropic", args.anthropic.as_deref().map(quoted));
    line("bearer_env", args.bearer_env.as_deref().map(quoted));
    line("health", url(&args.health));
    line("sync_health", url(&args.sync_health));
    line("async_health", url(&args.async_health));
    line("pid", args.pid.map(|pid| pid.to_string()));
    line("upstream_stats", url(&args.upstream_stats));
    line("ca_certificate", path(&args.ca_certificate));
    line("insecure", Some(args.insecure.to_string()));
    line("http2", Some(args.http2.to_string()));
    line(
        "i_own_this_service",
        Some(args.i_own_this_service.to_string()),
    );
    line("find_capacity", Some(args.find_capacity.to_string()));
    line("thorough", Some(args.thorough.to_string()));
    line("hang_up", Some((!args.no_hang_up).to_string()));
    line("settle", Some(time(args.settle)));
    line("max_streams", Some(args.max_streams.to_string()));
    line("max_rate", Some(args.max_rate.to_string()));
    line("max_time", Some(time(args.max_time)));
    for (name, value) in &headers {
        line(&format!("headers.{}", quoted(name)), Some(quoted(value)));
    }
    Ok(text)
}

/// As TOML has a string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
