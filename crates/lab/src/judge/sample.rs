//! A healthy cell of 100 streams, for the tests of what is concluded from one.

use std::collections::BTreeMap;

use crate::summary::{
    Diagnosis, Distribution, Host, Kind, Ledger, LoadPhase, Phase, Phases, Pool, Probe, Process,
    Quality, State, Streams, Summary, Upstream,
};

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
pub(super) fn fast() -> Probe {
    Probe {
        due: 600,
        ok: 600,
        timeout_us: 5_000_000,
        response_us: distribution(1_000, false),
        ..Probe::default()
    }
}

/// 600 checks, none answered within 5 s.
pub(super) fn hurt() -> Probe {
    Probe {
        due: 600,
        timeout: 600,
        timeout_us: 5_000_000,
        response_us: distribution(5_000_000, true),
        ..Probe::default()
    }
}

pub(crate) fn summary() -> Summary {
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
                streams: Streams {
                    started: 100,
                    cancelled: 100,
                    open_peak: 100,
                    served_peak: Some(100),
                    ttft_us: distribution(102_000, false),
                    gap_us: distribution(251_000, false),
                    ..Streams::default()
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
            candidates: Vec::new(),
            evidence: Vec::new(),
            inferred_capacity: None,
        },
        expectations: Vec::new(),
        claims: Vec::new(),
    }
}
