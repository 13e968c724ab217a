use super::*;
use crate::judge::capacity;
use crate::sample::{fast, hurt, summary};
use crate::summary::{LoadPhase, Quality, Recovery};

/// A step that asked for so many streams and had so many served.
pub(in crate::judge) fn step(asked: u64, served: u64) -> Step {
    let probes = summary().phases.load.probes;
    let mut streams = StreamFigures {
        started: asked,
        receiving_peak: served,
        waiting: asked - served,
        ..StreamFigures::default()
    };
    streams.ttft_us.p50 = Some(20_000);
    if asked > served {
        (streams.waited_us.p50, streams.waited_us.max) = (Some(2_000_000), Some(3_000_000));
    }
    Step {
        name: asked.to_string(),
        streams: Some(asked),
        action: None,
        load: LoadPhase {
            probes,
            streams,
            ..LoadPhase::default()
        },
        recovery: Recovery::default(),
        served_at_once: served,
        cpu_percent: None,
        core_wait_percent: None,
        host_cpu_percent: Some(99.0),
        upstream_open_after: None,
        quality: Quality::default(),
        diagnosis: plain(Kind::Undecided, Vec::new()),
    }
}

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
        command: None,
        first_look: None,
        upstream_open_before: None,
        capacity: None,
        after_hang_up: None,
    });
    let capacity = capacity::of(&summary);
    if let Some(attach) = &mut summary.attach {
        attach.capacity = capacity;
    }
    summary
}

fn plateau() -> Summary {
    attached(
        [(1, 1), (6, 4), (8, 4), (12, 4)]
            .map(|(n, c)| step(n, c))
            .to_vec(),
    )
}

fn last(summary: &mut Summary) -> &mut Step {
    summary.steps.last_mut().expect("a step")
}

fn kinds(summary: &Summary) -> (Kind, Vec<Kind>) {
    let diagnosis = diagnose(summary);
    let candidates = diagnosis.candidates.iter().map(|one| one.kind);
    (diagnosis.kind, candidates.collect())
}

#[test]
fn sync_health_tells_a_pool_from_a_limit() {
    let mut summary = plateau();
    last(&mut summary)
        .load
        .probes
        .insert("health_sync".into(), hurt());
    let diagnosis = diagnose(&summary);
    assert_eq!(diagnosis.kind, Kind::BlockingPoolExhausted);
    assert_eq!(diagnosis.inferred_capacity, Some(4));
    last(&mut summary)
        .load
        .probes
        .insert("health_sync".into(), fast());
    let (kind, candidates) = kinds(&summary);
    assert_eq!(kind, Kind::Undecided);
    assert!(
        !candidates.contains(&Kind::BlockingPoolExhausted),
        "{candidates:?}"
    );
    last(&mut summary).load.probes.remove("health_sync");
    let (kind, candidates) = kinds(&summary);
    assert_eq!(kind, Kind::Undecided);
    assert!(
        candidates.contains(&Kind::BlockingPoolExhausted),
        "{candidates:?}"
    );
}

/// A check whose 95th and 99th percentiles are so many microseconds.
fn taking(p95: u64, p99: u64) -> Probe {
    let mut probe = fast();
    let response = &mut probe.response_us;
    (response.p95, response.p99) = (Some(p95), Some(p99));
    probe
}

fn with_health(sync: Probe, on_loop: Probe) -> Summary {
    let mut summary = plateau();
    let probes = &mut last(&mut summary).load.probes;
    probes.insert("health_sync".into(), sync);
    probes.insert("health_async".into(), on_loop);
    summary
}

#[test]
fn what_slows_both_checks_is_no_full_pool() {
    // Sync health is just above what hurts, async health just below.
    let summary = with_health(taking(130_000, 130_000), taking(95_000, 95_000));
    let loop_or_cpu = vec![Kind::EventLoopBlocked, Kind::CpuSaturated];
    assert_eq!(kinds(&summary), (Kind::Undecided, loop_or_cpu));
    // A loop that is a little slow beside a pool that is full.
    let summary = with_health(taking(5_000_000, 5_000_000), taking(40_000, 40_000));
    assert_eq!(kinds(&summary).0, Kind::BlockingPoolExhausted);
    // What hurts are one in fifty, and those that do not are alike.
    let summary = with_health(taking(3_000, 400_000), taking(2_000, 4_000));
    assert_eq!(kinds(&summary).0, Kind::BlockingPoolExhausted);
}

#[test]
fn streams_that_wait_beside_health_that_is_not_flat_may_wait_for_the_loop() {
    let summary = with_health(taking(95_000, 95_000), taking(90_000, 90_000));
    let (kind, candidates) = kinds(&summary);
    assert_eq!(kind, Kind::Undecided);
    for kind in [Kind::EventLoopBlocked, Kind::UpstreamLimit] {
        assert!(candidates.contains(&kind), "{candidates:?}");
    }
    // Where the upstream was seen to stay at its limit, that is what they wait for.
    let mut summary = summary;
    last(&mut summary).load.streams.served_peak = Some(4);
    assert_eq!(kinds(&summary), (Kind::UpstreamLimit, Vec::new()));
}

#[test]
fn the_upstream_tells_a_limit_from_a_bulkhead_and_from_itself() {
    let mut summary = plateau();
    for (open, kind) in [
        (4, Kind::UpstreamLimit),
        (0, Kind::BulkheadFull),
        (12, Kind::UpstreamSlow),
    ] {
        last(&mut summary).load.streams.served_peak = Some(open);
        assert_eq!(kinds(&summary), (kind, Vec::new()), "{open}");
    }
}

#[test]
fn the_machine_that_attaches_is_not_the_server_unless_its_process_is_known() {
    let mut summary = plateau();
    last(&mut summary)
        .load
        .probes
        .insert("health_async".into(), hurt());
    let (kind, candidates) = kinds(&summary);
    assert_eq!(kind, Kind::Undecided);
    assert_eq!(candidates, [Kind::EventLoopBlocked, Kind::CpuSaturated]);
    last(&mut summary).cpu_percent = Some(120.0);
    assert_eq!(kinds(&summary).0, Kind::CpuSaturated);
    last(&mut summary).host_cpu_percent = Some(60.0);
    assert_eq!(kinds(&summary).0, Kind::EventLoopBlocked);
    // Others make the machine busy, and the server has its core all the same, or has not.
    last(&mut summary).host_cpu_percent = Some(100.0);
    last(&mut summary).core_wait_percent = Some(12.0);
    assert_eq!(kinds(&summary).0, Kind::EventLoopBlocked);
    last(&mut summary).core_wait_percent = Some(75.0);
    assert_eq!(kinds(&summary).0, Kind::CpuSaturated);
}

#[test]
fn streams_of_others_at_the_upstream_are_not_counted() {
    let mut summary = plateau();
    let attach = summary.attach.as_mut().expect("attached");
    attach.upstream_open_before = Some(10);
    last(&mut summary).load.streams.served_peak = Some(14);
    assert_eq!(kinds(&summary), (Kind::UpstreamLimit, Vec::new()));
}

#[test]
fn what_has_just_begun_or_was_refused_afresh_is_no_leak() {
    let mut summary = attached([1, 8].map(|n| step(n, n)).to_vec());
    let mut afresh = step(8, 4);
    afresh.recovery.duration_us = 1;
    afresh.load.streams.waited_us.max = Some(30_000);
    summary.attach.as_mut().expect("attached").after_hang_up = Some(afresh.clone());
    assert_eq!(kinds(&summary), (Kind::Healthy, Vec::new()));
    afresh.load.streams.waiting = 0;
    afresh.load.streams.refused = 4;
    afresh.load.streams.statuses = [("429".to_owned(), 4)].into();
    summary.attach.as_mut().expect("attached").after_hang_up = Some(afresh);
    let (kind, candidates) = kinds(&summary);
    assert_eq!(kind, Kind::Undecided);
    assert!(candidates.contains(&Kind::UpstreamLimit), "{candidates:?}");
}

#[test]
fn a_service_that_only_refuses_is_not_healthy() {
    let mut summary = attached(vec![step(1, 1), step(8, 0)]);
    let streams = &mut last(&mut summary).load.streams;
    (streams.waiting, streams.refused) = (0, 60);
    streams.statuses = [("429".to_owned(), 60)].into();
    assert_eq!(kinds(&summary).0, Kind::Undecided);
}

#[test]
fn what_is_not_served_afresh_is_a_leak_and_the_upstream_proves_one() {
    let mut summary = plateau();
    let attach = summary.attach.as_mut().expect("attached");
    let mut afresh = step(4, 0);
    afresh.recovery.duration_us = 1;
    attach.after_hang_up = Some(afresh);
    assert_eq!(kinds(&summary), (Kind::ConnectionLeak, Vec::new()));
    // All are served again, but the upstream still has those of before.
    let attach = summary.attach.as_mut().expect("attached");
    let mut afresh = step(4, 4);
    afresh.recovery.duration_us = 1;
    afresh.upstream_open_after = Some(14);
    attach.after_hang_up = Some(afresh);
    attach.upstream_open_before = Some(2);
    let diagnosis = diagnose(&summary);
    assert_eq!(diagnosis.kind, Kind::ConnectionLeak);
    assert!(
        diagnosis.evidence[0].starts_with("12 streams are open"),
        "{diagnosis:?}"
    );
}

#[test]
fn all_served_and_all_fast_is_healthy_and_so_is_load_that_is_shed() {
    let summary = attached([1, 8, 64].map(|n| step(n, n)).to_vec());
    assert_eq!(kinds(&summary), (Kind::Healthy, Vec::new()));
    let mut shedding = plateau();
    for step in &mut shedding.steps {
        step.load.streams.waiting = 0;
        step.load.streams.refused = 9;
        step.load.streams.statuses = [("503".to_owned(), 9)].into();
    }
    assert_eq!(kinds(&shedding), (Kind::Healthy, Vec::new()));
}
