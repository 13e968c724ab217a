use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Expectation, Time, Value, file};
use crate::units::us;

/// A validated scenario: every cell has every value, and every name that is used exists.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name, as in the file.
    pub name: String,
    /// One line.
    pub title: String,
    /// Of everything random: the same seed makes the same run, as far as the machine lets it.
    pub seed: u64,
    /// The file's text, or its text with `--set` applied: what the run directory keeps.
    pub text: String,
    /// In the order of the file, which is the order of interleaving.
    pub variants: Vec<Variant>,
    /// In the order of the file.
    pub cells: Vec<Cell>,
}

/// One server, or one way to run it.
#[derive(Clone, Debug)]
pub struct Variant {
    /// `broken`, `fixed`, or a name prefixed with one of them.
    pub name: String,
    /// Name of the binary.
    pub server: String,
    /// Further flags.
    pub args: Vec<String>,
    /// What holds a stream, for the forecast.
    pub model: Model,
    expectations: Vec<(Option<BTreeSet<String>>, Expectation)>,
}

impl Variant {
    /// What must hold in the cell of this name.
    #[must_use]
    pub fn expectations(&self, cell: &str) -> Vec<Expectation> {
        self.expectations
            .iter()
            .filter(|(cells, _)| cells.as_ref().is_none_or(|cells| cells.contains(cell)))
            .map(|(_, expectation)| expectation.clone())
            .collect()
    }
}

/// What holds a stream while it lasts, which decides the forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// A thread of the blocking pool, for the whole stream.
    ThreadPerStream,
    /// Nothing: a task on the event loop.
    Async,
}

/// One setting of the experiment.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Name, as in the file.
    pub name: String,
    /// Whether it is what `--quick` runs.
    pub quick: bool,
    /// Flags of the server.
    pub server: ServerParameters,
    /// What is asked of it.
    pub load: Load,
    /// The health checks.
    pub probe: Probe,
    /// How long each phase takes.
    pub phases: Phases,
}

/// Flags of the server under test.
#[derive(Clone, Copy, Debug)]
pub struct ServerParameters {
    /// Threads of the blocking pool.
    pub pool_threads: u32,
    /// Workers of the event loop; the server's own default if absent.
    pub worker_threads: Option<u32>,
}

/// What is asked of the server.
#[derive(Clone, Debug)]
pub struct Load {
    /// Slow streams.
    pub streams: Streams,
}

/// A load of slow streams, all of one length.
#[derive(Clone, Debug)]
pub struct Streams {
    /// How many, each on a connection of its own.
    pub count: u32,
    /// Route that is asked for a stream.
    pub path: String,
    /// Over how long a time they start, evenly spread.
    pub ramp: Duration,
    /// From the upstream's receiving a request to the first chunk.
    pub ttft: Duration,
    /// Between two chunks.
    pub interval: Duration,
    /// From the first chunk to the last.
    pub length: Duration,
    /// Padding in each chunk.
    pub bytes: u32,
    /// A stream that is silent for longer at the end of the load counts as stalled.
    pub stall_after: Duration,
}

impl Streams {
    /// The number of chunks in one stream: at least one.
    #[must_use]
    pub fn chunks(&self) -> u32 {
        let steps = self.length.as_secs_f64() / self.interval.as_secs_f64();
        // In range: validated to be at most a million.
        steps.round() as u32 + 1
    }

    /// How long one stream holds its server when nothing is in its way.
    #[must_use]
    pub fn service_time(&self) -> Duration {
        self.ttft + self.interval * (self.chunks() - 1)
    }

    /// Path and query that ask for one such stream.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        format!(
            "{}?chunks={}&interval={}us&ttft={}us&bytes={}",
            self.path,
            self.chunks(),
            self.interval.as_micros(),
            self.ttft.as_micros(),
            self.bytes
        )
    }
}

/// The health checks, open loop.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Checks a second, for each endpoint.
    pub rate: f64,
    /// Counted from the instant a check was due.
    pub timeout: Duration,
    /// Whether checks use kept connections instead of a fresh one each, as a kubelet's are.
    pub keep_alive: bool,
    /// Name to path.
    pub endpoints: BTreeMap<String, String>,
}

/// How long each phase takes.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// Probe only.
    pub baseline: Duration,
    /// All streams started.
    pub hold: Duration,
    /// At most.
    pub recovery: Duration,
}

impl Cell {
    /// The parameters by name: what expectations may refer to and what the summary lists.
    #[must_use]
    pub fn parameters(&self) -> BTreeMap<String, u64> {
        let mut parameters = BTreeMap::from([
            (
                "pool_threads".to_owned(),
                u64::from(self.server.pool_threads),
            ),
            ("streams".to_owned(), u64::from(self.load.streams.count)),
            ("ramp_us".to_owned(), us(self.load.streams.ramp)),
            ("ttft_us".to_owned(), us(self.load.streams.ttft)),
            ("interval_us".to_owned(), us(self.load.streams.interval)),
            ("stream_us".to_owned(), us(self.load.streams.service_time())),
            ("probe_timeout_us".to_owned(), us(self.probe.timeout)),
            ("baseline_us".to_owned(), us(self.phases.baseline)),
            ("hold_us".to_owned(), us(self.phases.hold)),
            ("bytes".to_owned(), u64::from(self.load.streams.bytes)),
            (
                "stall_after_us".to_owned(),
                us(self.load.streams.stall_after),
            ),
            (
                "probe_interval_us".to_owned(),
                (1e6 / self.probe.rate).round() as u64,
            ),
        ]);
        if let Some(workers) = self.server.worker_threads {
            parameters.insert("worker_threads".to_owned(), u64::from(workers));
        }
        parameters
    }
}

/// What is wrong with a file that has the right shape, and near which text it is.
pub(super) struct Invalid {
    pub message: String,
    /// Pieces of the file's text to look for, the best first, so that the line can be named.
    pub near: Vec<String>,
}

fn invalid<T>(near: impl Into<String>, message: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid {
        near: vec![near.into()],
        message: message.into(),
    })
}

/// Fills in what cells inherit and checks every name and range.
pub(super) fn resolve(file: file::File, text: String) -> Result<Scenario, Invalid> {
    if file.schema != 1 {
        return invalid(
            "schema",
            format!(
                "schema {} is not known; this lab reads schema 1",
                file.schema
            ),
        );
    }
    unique("scenario", std::iter::once(&file.name))?;
    let cells = file
        .cell
        .iter()
        .map(|cell| resolve_cell(&file, cell))
        .collect::<Result<Vec<_>, _>>()?;
    if cells.is_empty() {
        return invalid("cell", "there is no [[cell]]: nothing would be run");
    }
    unique("cell", cells.iter().map(|cell| &cell.name))?;
    let variants = resolve_variants(&file, &cells)?;
    Ok(Scenario {
        name: file.name,
        title: file.title,
        seed: file.seed,
        text,
        variants,
        cells,
    })
}

fn resolve_variants(file: &file::File, cells: &[Cell]) -> Result<Vec<Variant>, Invalid> {
    if file.variant.is_empty() {
        return invalid("variant", "there is no [[variant]]: nothing would be run");
    }
    unique("variant", file.variant.iter().map(|variant| &variant.name))?;
    let mut variants = Vec::new();
    for variant in &file.variant {
        if !["broken", "fixed"]
            .iter()
            .any(|prefix| variant.name.starts_with(prefix))
        {
            return invalid(
                format!("\"{}\"", variant.name),
                format!(
                    "variant \"{}\" must be named broken…, or fixed…",
                    variant.name
                ),
            );
        }
        variants.push(Variant {
            name: variant.name.clone(),
            server: variant.server.clone(),
            args: variant.args.clone(),
            model: variant.model,
            expectations: Vec::new(),
        });
    }
    for expect in &file.expect {
        let quoted = format!("\"{}\"", expect.variant);
        let Some(variant) = variants
            .iter_mut()
            .find(|variant| variant.name == expect.variant)
        else {
            return invalid(
                &quoted,
                format!("[[expect]] names a variant {quoted} that is not in the file"),
            );
        };
        let names = expect
            .cells
            .as_ref()
            .map(|names| names.iter().cloned().collect::<BTreeSet<_>>());
        for name in names.iter().flatten() {
            if !cells.iter().any(|cell| &cell.name == name) {
                return invalid(
                    format!("\"{name}\""),
                    format!("[[expect]] names a cell \"{name}\" that is not in the file"),
                );
            }
        }
        for expectation in &expect.that {
            check_words(expectation, cells)?;
            variant
                .expectations
                .push((names.clone(), expectation.clone()));
        }
    }
    Ok(variants)
}

/// A word is a diagnosis, which `judge` knows, or a parameter: a misspelt one would never hold.
fn check_words(expectation: &Expectation, cells: &[Cell]) -> Result<(), Invalid> {
    let Value::Word(word) = &expectation.value else {
        return Ok(());
    };
    if expectation.metric == "diagnosis" {
        return Ok(());
    }
    if cells
        .iter()
        .all(|cell| cell.parameters().contains_key(word))
    {
        return Ok(());
    }
    let known = cells[0]
        .parameters()
        .into_keys()
        .collect::<Vec<_>>()
        .join(", ");
    invalid(
        expectation.metric.clone(),
        format!("\"{word}\" in \"{expectation}\" is no parameter; there are {known}"),
    )
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for name in names {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(fits) {
            return invalid(
                format!("\"{name}\""),
                format!("{what} \"{name}\" becomes a folder's name: use a-z, 0-9 and -"),
            );
        }
        if !seen.insert(name) {
            return invalid(
                format!("\"{name}\""),
                format!("there are two of {what} \"{name}\""),
            );
        }
    }
    Ok(())
}

fn resolve_cell(file: &file::File, cell: &file::Cell) -> Result<Cell, Invalid> {
    let of_cell = cell.load.streams.clone().unwrap_or_default();
    let of_file = file.load.streams.clone().unwrap_or_default();
    let near = format!("\"{}\"", cell.name);
    let missing = |key: &str| Invalid {
        near: vec![near.clone()],
        message: format!("cell {near} has no `{key}`, neither of its own nor from the file"),
    };
    let time = |own: Option<Time>, common: Option<Time>, key: &str| {
        own.or(common)
            .map(|time| time.0)
            .ok_or_else(|| missing(key))
    };
    let streams = Streams {
        count: of_cell
            .count
            .or(of_file.count)
            .ok_or_else(|| missing("load.streams.count"))?,
        path: of_cell
            .path
            .or(of_file.path)
            .ok_or_else(|| missing("load.streams.path"))?,
        ramp: time(of_cell.ramp, of_file.ramp, "load.streams.ramp")?,
        ttft: time(of_cell.ttft, of_file.ttft, "load.streams.ttft")?,
        interval: time(of_cell.interval, of_file.interval, "load.streams.interval")?,
        length: time(of_cell.length, of_file.length, "load.streams.length")?,
        bytes: of_cell.bytes.or(of_file.bytes).unwrap_or(0),
        stall_after: time(
            of_cell.stall_after,
            of_file.stall_after,
            "load.streams.stall_after",
        )?,
    };
    let probe = Probe {
        rate: cell
            .probe
            .rate
            .or(file.probe.rate)
            .ok_or_else(|| missing("probe.rate"))?,
        timeout: time(cell.probe.timeout, file.probe.timeout, "probe.timeout")?,
        keep_alive: cell
            .probe
            .keep_alive
            .or(file.probe.keep_alive)
            .unwrap_or(false),
        endpoints: cell
            .probe
            .endpoints
            .clone()
            .or_else(|| file.probe.endpoints.clone())
            .ok_or_else(|| missing("probe.endpoints"))?,
    };
    let phases = Phases {
        baseline: time(
            cell.phases.baseline,
            file.phases.baseline,
            "phases.baseline",
        )?,
        hold: time(cell.phases.hold, file.phases.hold, "phases.hold")?,
        recovery: time(
            cell.phases.recovery,
            file.phases.recovery,
            "phases.recovery",
        )?,
    };
    let server = ServerParameters {
        pool_threads: cell
            .server
            .pool_threads
            .or(file.server.pool_threads)
            .ok_or_else(|| missing("server.pool_threads"))?,
        worker_threads: cell.server.worker_threads.or(file.server.worker_threads),
    };
    check_ranges(&near, &server, &streams, &probe, &phases)?;
    Ok(Cell {
        name: cell.name.clone(),
        quick: cell.quick,
        server,
        load: Load { streams },
        probe,
        phases,
    })
}

/// Names of endpoints become tags of the interval log and columns of the timeline.
fn is_endpoint_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.chars().all(fits)
}

/// Loads are bounded in count and in time, whatever a file says.
fn check_ranges(
    near: &str,
    server: &ServerParameters,
    streams: &Streams,
    probe: &Probe,
    phases: &Phases,
) -> Result<(), Invalid> {
    let hour = Duration::from_secs(3600);
    let in_range = [
        (
            "server.pool_threads",
            (1..=10_000).contains(&server.pool_threads),
            "1 to 10000",
        ),
        (
            "server.worker_threads",
            server
                .worker_threads
                .is_none_or(|workers| (1..=1024).contains(&workers)),
            "1 to 1024",
        ),
        ("load.streams.ttft", streams.ttft <= hour, "at most 1h"),
        (
            "load.streams.stall_after",
            streams.stall_after <= hour,
            "at most 1h",
        ),
        (
            "load.streams.count",
            (1..=20_000).contains(&streams.count),
            "1 to 20000",
        ),
        (
            "load.streams.path",
            streams.path.starts_with('/'),
            "a path that starts with /",
        ),
        ("load.streams.ramp", streams.ramp <= hour, "at most 1h"),
        (
            "load.streams.interval",
            (Duration::from_millis(1)..=hour).contains(&streams.interval),
            "1ms to 1h",
        ),
        (
            "load.streams.length",
            streams.length <= 24 * hour
                && streams.length.as_secs_f64() / streams.interval.as_secs_f64() <= 1e6,
            "at most 24h and a million chunks",
        ),
        (
            "load.streams.bytes",
            streams.bytes <= 1 << 20,
            "at most 1048576",
        ),
        (
            "probe.rate",
            (0.1..=1000.0).contains(&probe.rate),
            "0.1 to 1000",
        ),
        (
            "probe.timeout",
            (Duration::from_millis(10)..=Duration::from_secs(120)).contains(&probe.timeout),
            "10ms to 2m",
        ),
        (
            "probe.endpoints",
            !probe.endpoints.is_empty()
                && probe.endpoints.values().all(|path| path.starts_with('/'))
                && probe.endpoints.keys().all(|name| is_endpoint_name(name)),
            "at least one, each a name of a-z, 0-9 and _ and a path that starts with /",
        ),
        (
            "phases.baseline",
            (Duration::from_millis(500)..=hour).contains(&phases.baseline),
            "500ms to 1h",
        ),
        (
            "phases.hold",
            (Duration::from_millis(500)..=hour).contains(&phases.hold),
            "500ms to 1h",
        ),
        ("phases.recovery", phases.recovery <= hour, "at most 1h"),
    ];
    for (key, fits, range) in in_range {
        if !fits {
            let key_itself = key.rsplit('.').next().unwrap_or(key);
            return Err(Invalid {
                near: vec![format!("{key_itself} = "), near.to_owned()],
                message: format!("`{key}` of cell {near} is out of range: {range}"),
            });
        }
    }
    Ok(())
}
