use super::*;
use crate::sample::{class, fast, hurt, summary};
mod target;

use crate::summary::{
    Bulkhead, Distribution, HangUpFigures, Kind, Ledger, Leftovers, Probe, RequestFigures,
    StreamFigures,
};

fn candidates(diagnosis: &Diagnosis) -> Vec<Kind> {
    diagnosis
        .candidates
        .iter()
        .map(|candidate| candidate.kind)
        .collect()
}

#[test]
fn all_fast_and_all_served_is_healthy() {
    assert_eq!(diagnose(&summary()).kind, Kind::Healthy);
}

#[test]
fn slow_sync_beside_fast_async_is_the_pool_and_the_plateau_its_size() {
    let mut summary = summary();
    summary
        .phases
        .load
        .probes
        .insert("health_sync".into(), hurt());
    summary.phases.load.streams.served_peak = Some(7);
    summary.phases.load.streams.unserved = 93;
    summary.server.pool = None;
    let diagnosis = diagnose(&summary);
    assert_eq!(diagnosis.kind, Kind::BlockingPoolExhausted);
    assert_eq!(diagnosis.inferred_capacity, Some(7));
}

/// A rollout: 33 streams need one of four threads, and seven need none.
#[test]
fn streams_that_need_no_thread_are_not_counted_into_the_size_of_the_pool() {
    let mut summary = summary();
    let probes = &mut summary.phases.load.probes;
    probes.insert("health_sync".into(), hurt());
    summary.server.pool = None;
    let cohort = |started, unserved| StreamFigures {
        started,
        unserved,
        ..StreamFigures::default()
    };
    let streams = &mut summary.phases.load.streams;
    (streams.served_peak, streams.unserved) = (Some(11), 29);
    streams.cohorts = [
        ("async".to_owned(), cohort(7, 0)),
        ("blocking".to_owned(), cohort(33, 29)),
    ]
    .into();
    let diagnosis = diagnose(&summary);
    assert_eq!(
        (diagnosis.kind, diagnosis.inferred_capacity),
        (Kind::BlockingPoolExhausted, Some(4))
    );
    let reason = &diagnosis.evidence[0];
    assert!(
        reason.contains("4 of 33 streams of the cohort blocking"),
        "{reason}"
    );
    // All streams need a thread: the peak is that of the pool.
    summary.phases.load.streams.cohorts.remove("async");
    assert_eq!(diagnose(&summary).inferred_capacity, Some(11));
}

#[test]
fn a_server_that_was_down_between_two_restarts_has_no_blocked_loop() {
    let mut summary = summary();
    let down = |ok: u64, timeout: u64| Probe {
        ok,
        timeout,
        connect_failure: 110,
        due: ok + timeout + 110,
        response_ok_us: fast().response_us,
        ..hurt()
    };
    summary.phases.load.probes = [
        ("health_sync".to_owned(), down(470, 120)),
        ("health_async".to_owned(), down(590, 0)),
    ]
    .into();
    summary.server.pool = None;
    summary.kubelet = Some(crate::summary::KubeletFigures {
        restarts: 2,
        ..Default::default()
    });
    let diagnosis = diagnose(&summary);
    assert_eq!(diagnosis.kind, Kind::BlockingPoolExhausted);
    let told = |line: &String| line.contains("was started again 2 times");
    assert!(diagnosis.evidence.iter().any(told), "{diagnosis:?}");
}

#[test]
fn gauges_that_show_a_free_thread_contradict_an_exhausted_pool() {
    let mut summary = summary();
    summary
        .phases
        .load
        .probes
        .insert("health_sync".into(), hurt());
    let diagnosis = diagnose(&summary);
    assert_eq!(diagnosis.kind, Kind::Undecided);
}

#[test]
fn slow_async_is_the_loop_or_the_cpu_by_how_busy_the_cores_are() {
    let mut summary = summary();
    for name in ["health_sync", "health_async"] {
        summary.phases.load.probes.insert(name.into(), hurt());
    }
    summary.server.cpu_percent = Some(5.0);
    summary.quality.host_cpu_percent = Some(10.0);
    assert_eq!(diagnose(&summary).kind, Kind::EventLoopBlocked);
    summary.quality.host_cpu_percent = Some(99.0);
    assert_eq!(diagnose(&summary).kind, Kind::CpuSaturated);
    // Other processes keep the machine busy. The server does not even use its share.
    summary.server.cpu_percent = Some(0.5);
    assert_eq!(diagnose(&summary).kind, Kind::EventLoopBlocked);
    summary.server.cpu_percent = None;
    summary.quality.host_cpu_percent = None;
    let diagnosis = diagnose(&summary);
    assert_eq!(diagnosis.kind, Kind::Undecided);
    assert_eq!(
        candidates(&diagnosis),
        [Kind::EventLoopBlocked, Kind::CpuSaturated]
    );
}

#[test]
fn a_plateau_with_fast_health_is_the_upstream_limit_if_sync_health_was_seen() {
    let mut summary = summary();
    summary.phases.load.streams.served_peak = Some(10);
    summary.phases.load.streams.unserved = 90;
    let diagnosis = diagnose(&summary);
    assert_eq!(
        (diagnosis.kind, diagnosis.inferred_capacity),
        (Kind::UpstreamLimit, Some(10))
    );
    summary.phases.load.probes.remove("health_sync");
    let diagnosis = diagnose(&summary);
    assert_eq!(diagnosis.kind, Kind::Undecided);
    assert_eq!(
        candidates(&diagnosis),
        [Kind::BlockingPoolExhausted, Kind::UpstreamLimit]
    );
}

#[test]
fn streams_that_the_upstream_has_and_no_client_is_a_leak() {
    let mut summary = summary();
    summary.upstream.ledger = Some(Ledger {
        open: 3,
        ..Default::default()
    });
    assert_eq!(diagnose(&summary).kind, Kind::ConnectionLeak);
}

/// Four threads; one request in ten takes a hundredth of the time that the others take.
#[test]
fn the_capacity_of_a_bulkhead_is_not_that_of_its_shortest_job() {
    let mut summary = summary();
    let class = RequestFigures {
        outcomes: Probe {
            due: 1_000,
            timeout: 900,
            response_ok_us: Distribution {
                min: Some(1_000),
                mean: Some(2_000_000),
                ..Distribution::default()
            },
            ..Probe::default()
        },
        throughput_per_second: Some(40.0),
        ..class()
    };
    summary.phases.load.requests = [("predict".to_owned(), class)].into();
    summary.upstream.ledger = Some(Ledger::default());
    let inferred = |summary: &Summary| {
        let diagnosis = diagnose(summary);
        assert_eq!(diagnosis.kind, Kind::BulkheadFull);
        diagnosis.inferred_capacity
    };
    assert_eq!(inferred(&summary), None);
    summary.server.bulkhead = Some(Bulkhead {
        capacity: 8,
        busy_peak: 4,
        queued_peak: 30,
        ..Bulkhead::default()
    });
    assert_eq!(inferred(&summary), Some(4));
}

#[test]
fn late_first_chunks_of_streams_that_all_arrived_are_the_upstream() {
    let mut summary = summary();
    summary.phases.load.streams.ttft_us.p99 = Some(2_000_000);
    assert_eq!(diagnose(&summary).kind, Kind::UpstreamSlow);
}

#[test]
fn streams_that_were_never_started_prove_nothing_about_the_server() {
    let mut summary = summary();
    summary.phases.load.streams.started = 60;
    assert_eq!(diagnose(&summary).kind, Kind::GeneratorLimited);
}

#[test]
fn a_probe_that_is_neither_flat_nor_hurt_is_neither_healthy_nor_a_failure() {
    let mut summary = summary();
    let mut slower = fast();
    slower.response_us.p99 = Some(40_000);
    summary
        .phases
        .load
        .probes
        .insert("health_sync".into(), slower);
    let diagnosis = diagnose(&summary);
    assert_eq!(diagnosis.kind, Kind::Undecided);
    assert!(diagnosis.evidence[0].starts_with("health_sync did not stay flat"));
}

#[test]
fn refusals_are_a_limit_only_if_others_were_served() {
    let mut summary = summary();
    summary.phases.load.streams.refused = 84;
    summary.phases.load.streams.served_peak = Some(16);
    let diagnosis = diagnose(&summary);
    assert_eq!(
        (diagnosis.kind, diagnosis.inferred_capacity),
        (Kind::UpstreamLimit, Some(16))
    );
    summary.phases.load.streams.served_peak = Some(0);
    assert_eq!(diagnose(&summary).kind, Kind::Undecided);
}

/// Two of five requests hung up, and from the third on all hung.
fn leaking() -> Summary {
    let mut summary = summary();
    summary.phases.load.streams = StreamFigures::default();
    summary.parameters.clear();
    summary.phases.load.hang_ups = Some(HangUpFigures {
        planned: 12,
        sent: 5,
        reached: 2,
        is_over: true,
        endings: [("hung_up", 2), ("hanging", 3)]
            .map(|(name, count)| (name.to_owned(), count))
            .into(),
        first_hanging: Some(3),
        ..HangUpFigures::default()
    });
    summary
}

fn with(upstream_streams: Option<u64>, permits: Option<u64>) -> Summary {
    Summary {
        leftovers: Some(Leftovers {
            upstream_streams,
            permits,
            ..Leftovers::default()
        }),
        ..leaking()
    }
}

#[test]
fn streams_without_clients_are_a_leak_and_what_hangs_tells_its_limit() {
    let diagnosis = diagnose(&with(Some(2), Some(2)));
    assert_eq!(
        (diagnosis.kind, diagnosis.inferred_capacity),
        (Kind::ConnectionLeak, Some(2))
    );
    assert!(diagnosis.evidence[0].contains("request 3 was the first to hang"));
}

#[test]
fn a_leak_that_hurts_nobody_yet_has_no_known_limit() {
    let mut summary = with(Some(2), Some(2));
    summary.phases.load.hang_ups = Some(HangUpFigures {
        sent: 2,
        reached: 2,
        ..HangUpFigures::default()
    });
    let diagnosis = diagnose(&summary);
    assert_eq!(
        (diagnosis.kind, diagnosis.inferred_capacity),
        (Kind::ConnectionLeak, None)
    );
}

#[test]
fn permits_that_nobody_uses_are_a_leak_though_the_upstream_is_through() {
    let diagnosis = diagnose(&with(Some(0), Some(2)));
    assert_eq!(
        (diagnosis.kind, diagnosis.inferred_capacity),
        (Kind::ConnectionLeak, Some(2))
    );
}

#[test]
fn from_outside_alone_a_leak_is_one_of_several_candidates() {
    let kinds = |summary: &Summary| {
        let diagnosis = diagnose(summary);
        assert_eq!(diagnosis.kind, Kind::Undecided);
        let all = diagnosis.candidates;
        all.iter().map(|one| one.kind).collect::<Vec<_>>()
    };
    let mut summary = with(None, None);
    summary.upstream.ledger = None;
    let expected = [
        Kind::ConnectionLeak,
        Kind::UpstreamLimit,
        Kind::UpstreamSlow,
    ];
    assert_eq!(kinds(&summary), expected);
    summary.phases.load.probes.remove("health_sync");
    assert!(kinds(&summary).contains(&Kind::BlockingPoolExhausted));
    assert!(!kinds(&with(Some(0), Some(0))).contains(&Kind::ConnectionLeak));
}

#[test]
fn an_upstream_that_saw_nothing_of_what_hangs_is_not_the_cause_and_permits_may_be() {
    let kinds = |summary: &Summary| {
        let all = diagnose(summary).candidates;
        all.iter().map(|one| one.kind).collect::<Vec<_>>()
    };
    let ledger_of = |permits, streams| {
        let mut summary = with(Some(0), permits);
        if let Some(row) = &mut summary.phases.load.hang_ups {
            (row.unknown_to_upstream, row.by_upstream) = (Some(0), vec![streams]);
        }
        summary
    };
    let unseen = ledger_of(None, 2);
    assert_eq!(diagnose(&unseen).kind, Kind::Undecided);
    assert_eq!(kinds(&unseen), [Kind::ConnectionLeak]);
    let all = [
        Kind::ConnectionLeak,
        Kind::UpstreamLimit,
        Kind::UpstreamSlow,
    ];
    assert_eq!(kinds(&ledger_of(None, 5)), all, "the upstream has them");
    assert_eq!(kinds(&with(Some(0), None)), all, "its ledger was not read");
    assert_eq!(kinds(&ledger_of(Some(0), 2)), [], "no permit is in use");
}

#[test]
fn zombies_that_fill_the_pool_are_the_pool_and_their_number_is_its_size() {
    let mut summary = with(Some(4), Some(5));
    let probes = &mut summary.phases.load.probes;
    probes.insert("health_sync".into(), hurt());
    if let Some(pool) = &mut summary.server.pool {
        (pool.capacity, pool.busy_peak, pool.queued_peak) = (4, 4, 9);
    }
    let diagnosis = diagnose(&summary);
    assert_eq!(
        (diagnosis.kind, diagnosis.inferred_capacity),
        (Kind::BlockingPoolExhausted, Some(4))
    );
}

#[test]
fn hang_ups_that_leave_nothing_are_healthy_and_errors_are_not() {
    let mut fine = with(Some(0), Some(0));
    let row = |ending: &str| HangUpFigures {
        sent: 5,
        reached: 5,
        endings: [(ending.to_owned(), 5)].into(),
        ..HangUpFigures::default()
    };
    fine.phases.load.hang_ups = Some(row("hung_up"));
    assert_eq!(diagnose(&fine).kind, Kind::Healthy);
    for ending in ["refused", "failed", "broken"] {
        fine.phases.load.hang_ups = Some(row(ending));
        assert_eq!(diagnose(&fine).kind, Kind::Undecided, "{ending}");
    }
}
