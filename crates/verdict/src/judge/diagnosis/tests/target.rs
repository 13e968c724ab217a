//! What is concluded of a service from outside.

use crate::judge::diagnosis::diagnose;
use crate::judge::test_steps::{attached, step, taking, with_check, without};
use crate::sample::{fast, hurt};
use crate::summary::{Family, Kind, Probe, Step, Summary};

fn steps(all: &[(u64, u64)]) -> Vec<Step> {
    all.iter()
        .map(|&(asked, served)| step(asked, served))
        .collect()
}

fn plateau() -> Vec<Step> {
    steps(&[(1, 1), (2, 2), (4, 4), (8, 4), (12, 4)])
}

fn family(summary: &Summary) -> Family {
    diagnose(summary).family
}

/// The steps with every stream so many times slower from the step of `from` streams on.
fn slower(mut steps: Vec<Step>, from: u64, times: u64) -> Vec<Step> {
    for step in steps.iter_mut().filter(|step| step.streams >= Some(from)) {
        let gap = &mut step.load.streams.gap_us;
        (gap.count, gap.mean) = (gap.count / times, Some(100_000 * times));
    }
    steps
}

fn with_cpu(mut steps: Vec<Step>, percent: f64) -> Vec<Step> {
    for step in &mut steps {
        (step.cpu_percent, step.core_wait_percent) = (Some(percent), Some(0.0));
    }
    steps
}

fn last(steps: &mut [Step]) -> &mut Step {
    steps.last_mut().expect("a step")
}

#[test]
fn a_limit_is_shared_with_the_health_that_waits_for_it_and_beside_the_one_that_does_not() {
    let beside = diagnose(&attached(plateau()));
    assert_eq!(
        (beside.family, beside.inferred_capacity),
        (Family::LimitBesideHealth, Some(4))
    );
    for name in ["health_sync", "health_async"] {
        let shared = attached(with_check(plateau(), name, 4, &hurt()));
        let diagnosis = diagnose(&shared);
        assert_eq!(
            (diagnosis.family, diagnosis.inferred_capacity),
            (Family::LimitSharedWithHealth, Some(4))
        );
    }
    // With one URL alone the pace of the streams decides: a blocked loop would stop them.
    let one = without(
        attached(with_check(plateau(), "health_sync", 4, &hurt())),
        "health_async",
    );
    assert_eq!(family(&one), Family::LimitSharedWithHealth);
}

#[test]
fn the_first_step_that_hurts_decides_and_later_ones_may_only_add() {
    let sync = with_check(
        steps(&[(1, 1), (4, 4), (48, 4), (256, 4)]),
        "health_sync",
        4,
        &hurt(),
    );
    let both = with_check(sync, "health_async", 256, &taking(259_000));
    assert_eq!(family(&attached(both)), Family::LimitSharedWithHealth);
}

#[test]
fn a_freeze_with_one_stream_is_not_forgiven_for_a_good_last_step() {
    let mut frozen = steps(&[(1, 1), (8, 8), (32, 32)]);
    for name in ["health_sync", "health_async"] {
        frozen[0]
            .load
            .probes
            .insert(name.to_owned(), taking(1_900_000));
    }
    frozen[0].load.streams.silence_us = 1_900_000;
    assert_eq!(family(&attached(frozen)), Family::LoopBlocked);
}

#[test]
fn silence_in_all_streams_while_health_waits_is_a_blocked_loop() {
    let mut silent = with_check(
        steps(&[(1, 1), (8, 8)]),
        "health_sync",
        8,
        &taking(2_000_000),
    );
    silent = with_check(silent, "health_async", 8, &taking(1_800_000));
    last(&mut silent).load.streams.silence_us = 2_100_000;
    assert_eq!(family(&attached(silent.clone())), Family::LoopBlocked);
    // Where no core is free, it is the CPU.
    assert_eq!(
        family(&attached(with_cpu(silent, 199.0))),
        Family::CpuSaturated
    );
}

#[test]
fn streams_and_health_that_slow_down_together_are_the_loop_or_the_cpu_by_the_process() {
    let slow = slower(steps(&[(1, 1), (8, 8), (32, 32)]), 8, 4);
    let slow = with_check(slow, "health_async", 8, &taking(700_000));
    let slow = with_check(slow, "health_sync", 8, &taking(700_000));
    let open = diagnose(&attached(slow.clone()));
    assert_eq!(open.family, Family::Undecided);
    let families: Vec<_> = open.candidates.iter().map(|one| one.family).collect();
    assert_eq!(families, [Family::LoopBlocked, Family::CpuSaturated]);
    assert_eq!(
        family(&attached(with_cpu(slow.clone(), 12.0))),
        Family::LoopBlocked
    );
    assert_eq!(
        family(&attached(with_cpu(slow, 195.0))),
        Family::CpuSaturated
    );
}

#[test]
fn a_thread_for_each_chunk_slows_streams_and_sync_health_and_not_the_loop() {
    let slow = slower(steps(&[(1, 1), (32, 32), (128, 128)]), 128, 3);
    let slow = with_check(slow, "health_sync", 128, &taking(440_000));
    assert_eq!(family(&attached(slow)), Family::LimitSharedWithHealth);
}

#[test]
fn slow_or_silent_streams_beside_fast_health_are_no_longer_healthy() {
    let slow = slower(steps(&[(1, 1), (8, 8), (32, 32)]), 8, 3);
    assert_eq!(family(&attached(slow)), Family::AllSlow);
    let mut still = steps(&[(1, 1), (8, 8)]);
    let streams = &mut last(&mut still).load.streams;
    (streams.gap_us.count, streams.gap_us.mean) = (0, None);
    streams.silence_us = 2_000_000;
    assert_eq!(family(&attached(still)), Family::AllSlow);
    let mut late = steps(&[(1, 1), (8, 8)]);
    let ttft = &mut last(&mut late).load.streams.ttft_us;
    (ttft.count, ttft.p50) = (8, Some(900_000));
    assert_eq!(family(&attached(late)), Family::AllSlow);
}

/// A check of which so many of 100 ended in another way.
fn failing(times: u64, set: fn(&mut Probe, u64)) -> Probe {
    let mut probe = Probe {
        due: 100,
        ok: 100 - times,
        ..fast()
    };
    set(&mut probe, times);
    probe
}

#[test]
fn healthy_is_earned() {
    assert_eq!(
        family(&attached(steps(&[(1, 1), (8, 8), (64, 64)]))),
        Family::Healthy
    );
    let ways: [fn(&mut Probe, u64); 5] = [
        |probe, times| probe.bad_status = times,
        |probe, times| probe.timeout = times,
        |probe, times| probe.withheld = times,
        |probe, times| probe.connect_failure = times,
        |probe, times| probe.aborted = times,
    ];
    for set in ways {
        for times in [2, 5, 20, 60, 100] {
            for at in [1, 8, 64] {
                let mut steps = steps(&[(1, 1), (8, 8), (64, 64)]);
                let step = steps
                    .iter_mut()
                    .find(|step| step.streams == Some(at))
                    .expect("there");
                step.load
                    .probes
                    .insert("health_sync".into(), failing(times, set));
                let diagnosis = diagnose(&attached(steps));
                assert_ne!(
                    diagnosis.kind,
                    Kind::Healthy,
                    "{times} of 100 with {at} streams"
                );
                assert_ne!(diagnosis.family, Family::Healthy);
            }
        }
    }
}

#[test]
fn refusals_at_once_shed_load_and_whether_health_is_among_them_is_told() {
    let shedding = |health: &Probe| {
        let mut steps = plateau();
        for step in &mut steps[3..] {
            let streams = &mut step.load.streams;
            (streams.waiting, streams.refused) = (0, 30);
            streams.statuses = [("503".to_owned(), 30)].into();
        }
        with_check(steps, "health_sync", 8, health)
    };
    let without_health = diagnose(&attached(shedding(&fast())));
    assert_eq!(
        (without_health.family, without_health.inferred_capacity),
        (Family::ShedsLoad, Some(4))
    );
    let refused = failing(60, |probe, times| probe.bad_status = times);
    assert_eq!(family(&attached(shedding(&refused))), Family::ShedsLoad);
}

#[test]
fn streams_that_all_break_off_while_connections_are_refused_are_a_restart() {
    let mut steps = steps(&[(1, 1), (8, 8), (32, 32)]);
    let step = &mut steps[1];
    step.load.streams.truncated = 8;
    let down = failing(20, |probe, times| probe.connect_failure = times);
    step.load.probes.insert("health_sync".into(), down);
    assert_eq!(family(&attached(steps)), Family::Restarts);
}

#[test]
fn what_does_not_come_back_after_the_hang_up_is_held_and_all_that_was_ever_served_is_counted() {
    let mut summary = attached(steps(&[(1, 1), (2, 2), (4, 3), (6, 3)]));
    let attach = summary.attach.as_mut().expect("attached");
    attach.first_look.as_mut().expect("looked").held = true;
    let mut afresh = step(3, 0);
    afresh.recovery.duration_us = 1;
    attach.after_hang_up = Some(afresh);
    let diagnosis = diagnose(&summary);
    assert_eq!(
        (diagnosis.family, diagnosis.inferred_capacity),
        (Family::HeldForNobody, Some(4))
    );
    // A quota of requests in a time refuses what comes afresh as well.
    let attach = summary.attach.as_mut().expect("attached");
    let streams = &mut attach.after_hang_up.as_mut().expect("afresh").load.streams;
    (streams.waiting, streams.refused, streams.quota) = (0, 3, 3);
    streams.waited_us = Default::default();
    assert_ne!(family(&summary), Family::HeldForNobody);
}

#[test]
fn the_upstream_tells_a_limit_from_a_bulkhead_and_from_itself() {
    for (open, kind, family) in [
        (4, Kind::UpstreamLimit, Family::LimitBesideHealth),
        (0, Kind::BulkheadFull, Family::LimitBesideHealth),
        (8, Kind::UpstreamSlow, Family::AllSlow),
    ] {
        let mut steps = plateau();
        for step in &mut steps {
            step.load.streams.served_peak = Some(open);
        }
        let diagnosis = diagnose(&attached(steps));
        assert_eq!((diagnosis.kind, diagnosis.family), (kind, family), "{open}");
    }
}

/// More evidence never turns a right family into a wrong one.
#[test]
fn what_else_is_given_may_turn_beside_into_shared_and_nothing_else() {
    let all = with_check(plateau(), "health_sync", 4, &hurt());
    let shared = attached(all.clone());
    assert_eq!(
        family(&without(shared.clone(), "health_sync")),
        Family::LimitBesideHealth
    );
    let more: [fn(&mut Step); 4] = [
        |step| (step.cpu_percent, step.core_wait_percent) = (Some(4.0), Some(1.0)),
        |step| step.load.streams.served_peak = Some(4),
        |step| step.threads_peak = Some(12),
        |step| {
            step.load.probes.insert("health".to_owned(), fast());
        },
    ];
    for add in more {
        let mut summary = shared.clone();
        summary
            .phases
            .baseline
            .probes
            .insert("health".to_owned(), fast());
        summary.steps.iter_mut().for_each(add);
        assert_eq!(family(&summary), Family::LimitSharedWithHealth);
    }
}

#[test]
fn a_step_repeated_changes_nothing() {
    for all in [
        plateau(),
        with_check(plateau(), "health_sync", 4, &hurt()),
        slower(steps(&[(1, 1), (8, 8), (32, 32)]), 8, 3),
        steps(&[(1, 1), (8, 8)]),
    ] {
        let once = diagnose(&attached(all.clone()));
        for n in 0..all.len() {
            let mut twice = all.clone();
            twice.insert(n, all[n].clone());
            let again = diagnose(&attached(twice));
            assert_eq!(
                (again.family, again.inferred_capacity),
                (once.family, once.inferred_capacity)
            );
        }
    }
}

/// Two workers of four threads: with eight streams one has six of them and the other two, and health asks the
/// other.
#[test]
fn one_full_worker_of_two_is_not_yet_the_limit() {
    let workers = steps(&[(1, 1), (2, 2), (4, 4), (8, 6), (12, 8), (18, 8)]);
    let one = attached(with_check(workers, "health_sync", 12, &hurt()));
    let diagnosis = diagnose(&without(one, "health_async"));
    assert_eq!(
        (diagnosis.family, diagnosis.inferred_capacity),
        (Family::LimitSharedWithHealth, Some(8))
    );
}

#[test]
fn health_that_says_itself_that_it_is_full_shares_the_limit() {
    let refused = failing(100, |probe, times| probe.bad_status = times);
    let full = attached(with_check(plateau(), "health_sync", 4, &refused));
    let diagnosis = diagnose(&full);
    assert_eq!(
        (diagnosis.family, diagnosis.inferred_capacity),
        (Family::LimitSharedWithHealth, Some(4))
    );
}
