//! Made-up summaries, for tests of what is concluded from one (in this crate) and of how it is shown (in
//! the lab). Both take this file in as a module, so nothing of it is in what is built.

use std::collections::BTreeMap;
use std::path::Path;

use verdict::judge::comparison::CellRuns;
use verdict::scenario::{Scenario, ScenarioError, parse_with};
use verdict::summary::{
    Diagnosis, Distribution, Host, Kind, Ledger, LoadPhase, Loop, Phase, Phases, Pool, Probe,
    Process, Quality, RequestFigures, State, StreamFigures, Summary, Timing, Upstream,
};

/// A scenario of a file.
///
/// # Errors
/// [`ScenarioError`], with the line.
#[allow(
    clippy::disallowed_methods,
    reason = "a test reads the files that it is about"
)]
pub fn load(path: &str, settings: &[String]) -> Result<Scenario, ScenarioError> {
    let text = std::fs::read_to_string(path).expect("a published scenario");
    parse_with(Path::new(path), &text, settings)
}

fn distribution(p99: u64, censored: bool) -> Distribution {
    Distribution {
        count: 600,
        p50: Some(p99),
        p95: Some(p99),
        p99: Some(p99),
        max: Some(p99),
        p50_censored: censored,
        p95_censored: censored,
        p99_censored: censored,
        max_censored: censored,
        ..Distribution::default()
    }
}

/// 600 checks, all answered, p99 1 ms.
#[must_use]
pub fn fast() -> Probe {
    Probe {
        due: 600,
        ok: 600,
        timeout_us: 5_000_000,
        response_us: distribution(1_000, false),
        ..Probe::default()
    }
}

/// 600 checks, none answered within 5 s.
#[must_use]
pub fn hurt() -> Probe {
    Probe {
        due: 600,
        timeout: 600,
        timeout_us: 5_000_000,
        response_us: distribution(5_000_000, true),
        ..Probe::default()
    }
}

/// A healthy cell of 100 streams.
#[must_use]
pub fn summary() -> Summary {
    let probes: BTreeMap<_, _> = ["health_sync", "health_async"]
        .map(|name| (name.to_owned(), fast()))
        .into();
    Summary {
        schema: 1,
        scenario: "sample".into(),
        variant: "fixed".into(),
        cell: "only".into(),
        repeat: 1,
        state: State::Complete,
        failure: None,
        parameters: [("streams", 100), ("ttft_us", 100_000), ("pool_threads", 4)]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        started_at: "2026-01-01T00:00:00Z".into(),
        lab_version: "0".into(),
        git_commit: "0".into(),
        host: Host {
            os: "Linux".into(),
            cpu: None,
            cores: 2,
            memory_bytes: None,
            open_files_limit: 20_000,
        },
        command: "lab".into(),
        phases: Phases {
            baseline: Phase {
                probes: probes.clone(),
                ..Phase::default()
            },
            load: LoadPhase {
                probes,
                streams: StreamFigures {
                    started: 100,
                    cancelled: 100,
                    open_peak: 100,
                    served_peak: Some(100),
                    ttft_us: distribution(102_000, false),
                    gap_us: distribution(251_000, false),
                    ..StreamFigures::default()
                },
                ..LoadPhase::default()
            },
            ..Phases::default()
        },
        steps: Vec::new(),
        closed_loop: BTreeMap::new(),
        server: Process {
            cpu_percent: Some(3.0),
            pool: Some(Pool {
                capacity: 4,
                busy_peak: 1,
                ..Pool::default()
            }),
            ..Process::default()
        },
        upstream: Upstream {
            ledger: Some(Ledger::default()),
            ..Upstream::default()
        },
        attach: None,
        leftovers: None,
        kubelet: None,
        forecast: Vec::new(),
        quality: Quality {
            host_cpu_percent: Some(10.0),
            ..Quality::default()
        },
        diagnosis: Diagnosis {
            kind: Kind::Healthy,
            ..Diagnosis::undecided()
        },
        expectations: Vec::new(),
        claims: Vec::new(),
    }
}

/// 500 requests of an open loop, all answered, with figures as wide as they get.
#[must_use]
pub fn class() -> RequestFigures {
    let response_us = Distribution {
        count: 500,
        min: Some(300),
        mean: Some(20_000),
        p50: Some(1_300),
        p90: Some(80_000),
        p95: Some(120_000),
        p99: Some(200_000),
        max: Some(10_000_000),
        max_censored: true,
        ..Distribution::default()
    };
    RequestFigures {
        outcomes: Probe {
            due: 500,
            ok: 500,
            response_us,
            ..Probe::default()
        },
        unanswered: 0,
        path: "/ping".to_owned(),
        arrivals: Loop::Open,
        users: None,
        offered_per_second: Some(50.0),
        think_us: 0,
        statuses: [].into(),
        completed: 500,
        throughput_per_second: None,
        completed_by_second: Vec::new(),
        little: None,
    }
}

fn run(cell: &str, path: &str, p99: u64) -> Summary {
    let mut run = summary();
    cell.clone_into(&mut run.cell);
    run.quality.valid = true;
    let classes = [("large", 499), ("small", 500)];
    let of_class = |(name, ok): (&str, u64)| {
        let mut class = class();
        path.clone_into(&mut class.path);
        class.outcomes.ok = ok;
        class.outcomes.response_us.p99 = Some(p99);
        (name.to_owned(), class)
    };
    run.phases.load.requests = classes.map(of_class).into();
    let timed = |count| Timing {
        count,
        mean_us: 210_000,
        p50_us: 200_000,
        p99_us: 400_000,
        max_us: 400_000,
    };
    run.server.timings = [
        ("json_parsing", 12),
        ("read_chunks", 12),
        ("ping_read", 0),
        ("anything_else", 1),
    ]
    .map(|(name, count)| (name.to_owned(), timed(count)))
    .into();
    run
}

/// Six cells of two routes, in two variants, with figures as wide as they get.
#[must_use]
pub fn cells() -> Vec<CellRuns> {
    let names = [
        ("ping-1", "/ping"),
        ("pong-1", "/pong"),
        ("ping-4-closed", "/ping"),
        ("pong-4", "/pong"),
        ("ping-mt4", "/ping"),
        ("ping-1-logged", "/ping"),
    ];
    names
        .map(|(cell, path)| CellRuns {
            scenario: "large-body".to_owned(),
            cell: cell.to_owned(),
            runs: ["broken", "fixed"]
                .map(|variant| {
                    let runs = [100_000, 300_000, 200_000].map(|p99| run(cell, path, p99));
                    (variant.to_owned(), runs.into())
                })
                .into(),
        })
        .into()
}
