//! Made-up steps of a target, for tests of what is concluded from them.

use crate::sample::{fast, summary};
use crate::summary::{
    Attach, Diagnosis, FirstLook, LoadPhase, Probe, Quality, Recovery, Step, StreamFigures, Summary,
};

/// A step that asked for so many streams and had so many served, each with a chunk every 100 ms. The others
/// have waited for two seconds.
pub(in crate::judge) fn step(asked: u64, served: u64) -> Step {
    let mut streams = StreamFigures {
        started: asked,
        receiving_peak: served,
        waiting: asked - served,
        ..StreamFigures::default()
    };
    (streams.ttft_us.count, streams.ttft_us.p50) = (served, Some(20_000));
    streams.first_chunk_us = streams.ttft_us.clone();
    let gap = &mut streams.gap_us;
    (gap.count, gap.mean, gap.max) = (20 * served, Some(100_000), Some(105_000));
    if asked > served {
        (streams.waited_us.p50, streams.waited_us.max) = (Some(2_000_000), Some(3_000_000));
    }
    Step {
        name: asked.to_string(),
        streams: Some(asked),
        action: None,
        load: LoadPhase {
            probes: summary().phases.load.probes,
            streams,
            hold_us: 2_000_000,
            ..LoadPhase::default()
        },
        recovery: Recovery::default(),
        served_at_once: served,
        receiving_us: 2_000_000 * served,
        cpu_percent: None,
        core_wait_percent: None,
        threads_peak: None,
        host_cpu_percent: Some(99.0),
        upstream_open_after: None,
        quality: Quality::default(),
        diagnosis: Diagnosis::undecided(),
    }
}

/// A target that was asked in these steps, with sync and async health.
pub(in crate::judge) fn attached(steps: Vec<Step>) -> Summary {
    let mut summary = summary();
    summary.steps = steps;
    summary.server.pool = None;
    summary.upstream.ledger = None;
    summary.attach = Some(Attach {
        stream: "http://127.0.0.1/".into(),
        method: "GET".into(),
        health: Default::default(),
        upstream_stats: None,
        has_pid: false,
        framework: None,
        command: None,
        first_look: Some(FirstLook::default()),
        upstream_open_before: None,
        checks_percent: None,
        capacity: None,
        after_hang_up: None,
    });
    summary
}

/// The same steps with this check in place of `name` from the step of `from` streams on.
pub(in crate::judge) fn with_check(
    mut steps: Vec<Step>,
    name: &str,
    from: u64,
    check: &Probe,
) -> Vec<Step> {
    for step in steps.iter_mut().filter(|step| step.streams >= Some(from)) {
        step.load.probes.insert(name.to_owned(), check.clone());
    }
    steps
}

/// The same steps without this check.
pub(in crate::judge) fn without(mut summary: Summary, name: &str) -> Summary {
    for step in &mut summary.steps {
        step.load.probes.remove(name);
    }
    summary.phases.baseline.probes.remove(name);
    summary
}

/// A check that was always answered, after so long.
pub(in crate::judge) fn taking(us: u64) -> Probe {
    let mut probe = fast();
    let response = &mut probe.response_us;
    (response.p50, response.p90) = (Some(us), Some(us));
    (response.p99, response.max) = (Some(us), Some(us));
    probe
}
