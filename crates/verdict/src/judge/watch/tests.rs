use super::*;
use crate::record::{InFlight, Outcome};
use crate::summary::{Family, Kind};

const LIMIT: u64 = 100_000;
const FAST: u64 = 300;
const SLOW: u64 = 2_000_000;
const SECOND: u64 = 1_000_000;
const TIMEOUT: u64 = 5 * SECOND;
const NAMES: [&str; 3] = ["health_sync", "health_async", "health"];

fn look(outcome: Option<Outcome>, us: u64) -> Look {
    Look {
        due_us: 0,
        outcome,
        us,
        status: (outcome == Some(Outcome::BadStatus)).then_some(404),
    }
}

fn ok(us: u64) -> Look {
    look(Some(Outcome::Ok), us)
}

/// The checks of a URL, due once a second.
fn at(offset_us: u64, looks: &[Look]) -> Vec<Look> {
    let due = (0..).map(|n| n * SECOND + offset_us);
    due.zip(looks)
        .map(|(due_us, look)| Look { due_us, ..*look })
        .collect()
}

/// The verdict on a sync URL and an async one, half a second apart.
fn of_two(sync: &[Look], asynchronous: &[Look]) -> Option<Verdict> {
    let (sync, asynchronous) = (at(0, sync), at(SECOND / 2, asynchronous));
    verdict(
        &[("health_sync", &sync), ("health_async", &asynchronous)],
        LIMIT,
    )
}

fn family(sync: &[Look], asynchronous: &[Look]) -> Option<(Family, bool)> {
    of_two(sync, asynchronous).map(|verdict| (verdict.diagnosis.family, verdict.alert))
}

const HEALTHY: Option<(Family, bool)> = Some((Family::Healthy, false));
const SHARED: Option<(Family, bool)> = Some((Family::LimitSharedWithHealth, true));
const OPEN: Option<(Family, bool)> = Some((Family::Undecided, true));

#[test]
fn the_urls_decide_together() {
    let (fast, slow) = ([ok(FAST); 3], [ok(SLOW); 3]);
    assert_eq!(family(&fast, &fast), HEALTHY);
    assert_eq!(family(&slow, &fast), SHARED);
    let shared = of_two(&slow, &fast).expect("known").diagnosis;
    assert_eq!(shared.kind, Kind::Undecided, "any limit looks like that");
    assert_eq!(shared.candidates[0].kind, Kind::BlockingPoolExhausted);
    let both = of_two(&slow, &slow).expect("known");
    let of_both: Vec<_> = both
        .diagnosis
        .candidates
        .iter()
        .map(|one| one.family)
        .collect();
    assert_eq!(
        of_both,
        [
            Family::LoopBlocked,
            Family::CpuSaturated,
            Family::LimitSharedWithHealth
        ]
    );
    assert!(both.alert);
}

#[test]
fn one_url_says_what_it_can_tell() {
    let of = |name: &str, one: Look| {
        let looks = at(0, &[one; 3]);
        let verdict = verdict(&[(name, &looks)], LIMIT).expect("known");
        assert_eq!(verdict.alert, verdict.diagnosis.family != Family::Healthy);
        verdict.diagnosis
    };
    for name in NAMES {
        assert_eq!(of(name, ok(FAST)).family, Family::Healthy);
        let slow = of(name, ok(SLOW));
        assert_eq!(slow.family, Family::Undecided);
        assert!(slow.candidates.len() >= 2, "{slow:?}");
        let asks_for_it = slow
            .candidates
            .iter()
            .any(|one| one.decided_by.contains("--async-health"));
        assert_eq!(asks_for_it, name != "health_async", "{slow:?}");
        let down = of(name, look(Some(Outcome::ConnectFailure), FAST));
        assert!(down.evidence[0].contains("is down"), "{down:?}");
        let refused = of(name, look(Some(Outcome::BadStatus), FAST));
        assert!(
            refused.evidence[0].contains("404: a wrong URL"),
            "{refused:?}"
        );
        assert!(refused.evidence[1].contains("404, 404, 404"), "{refused:?}");
    }
}

#[test]
fn one_slow_check_is_no_verdict_and_two_are() {
    let fast = [ok(FAST); 4];
    assert_eq!(
        family(&[ok(FAST), ok(SLOW), ok(FAST), ok(FAST)], &fast),
        HEALTHY
    );
    assert_eq!(
        family(&[ok(FAST), ok(SLOW), ok(FAST), ok(SLOW)], &fast),
        SHARED
    );
    let recovered = [ok(SLOW), ok(SLOW), ok(FAST), ok(FAST)];
    assert_eq!(family(&recovered, &fast), HEALTHY);
    assert_eq!(family(&recovered[..3], &fast), None, "between bad and fast");
    assert_eq!(family(&[ok(SLOW)], &fast), None, "too few");
}

#[test]
fn a_check_in_flight_counts_once_it_is_older_than_the_limit() {
    let fast = [ok(FAST); 4];
    let waits = |us| look(None, us);
    let open = [ok(FAST), ok(FAST), waits(SLOW), waits(LIMIT)];
    assert_eq!(family(&open, &fast), None);
    let known = [ok(FAST), ok(FAST), waits(SLOW), waits(LIMIT + 1)];
    assert_eq!(family(&known, &fast), SHARED);
}

#[test]
fn urls_that_come_and_go_in_turn_are_an_alert() {
    let turns: Vec<_> = (0..7).map(|n| ok([FAST, SLOW][n % 2])).collect();
    assert_eq!(family(&turns[..6], &turns[1..]), OPEN);
    assert_eq!(family(&turns, &[ok(FAST); 7]), SHARED);
}

#[test]
fn only_waiting_is_blamed_on_a_limit() {
    let fast = [ok(FAST); 3];
    let late = look(Some(Outcome::Timeout), SLOW);
    for failure in [
        Outcome::BadStatus,
        Outcome::ConnectFailure,
        Outcome::Aborted,
    ] {
        for us in [FAST, SLOW] {
            let failed = look(Some(failure), us);
            for sync in [
                [failed, failed, failed],
                [failed, ok(FAST), failed],
                [late, ok(FAST), failed],
                [failed, failed, late],
            ] {
                assert_eq!(family(&sync, &fast), OPEN, "{sync:?}");
            }
            assert_eq!(family(&[late, failed, look(None, SLOW)], &fast), SHARED);
        }
    }
    let unsent = [look(Some(Outcome::NotSent), SLOW); 3];
    let generator = Some((Family::GeneratorLimited, true));
    assert_eq!(family(&unsent, &fast), generator);
}

#[test]
fn a_service_that_ends_and_is_there_again_was_restarted() {
    let down = look(Some(Outcome::ConnectFailure), FAST);
    let ends = [ok(FAST), ok(FAST), down, down];
    assert_eq!(family(&ends, &ends), OPEN);
    let is_back = [&ends[..], &[ok(FAST), ok(FAST)]].concat();
    assert_eq!(family(&is_back, &is_back), Some((Family::Restarts, false)));
    let again = [&is_back[..], &[down, down]].concat();
    assert_eq!(family(&again, &again), Some((Family::Restarts, true)));
    let other = [ok(FAST); 6];
    assert_eq!(family(&is_back, &other), HEALTHY, "the other never went");
}

/// A service, by what a check of it meets that is sent at a time: when it is answered, and how.
type Service<'a> = &'a dyn Fn(usize, u64) -> (u64, Outcome);

/// One URL whose checks are due every `every_us` from `offset_us` on: what a monitor knows at each moment.
struct Url {
    offset_us: u64,
    every_us: u64,
    checks: Vec<(u64, u64, Outcome)>,
}

impl Url {
    /// Asked until `end_us` as a guest asks.
    fn asked(
        url: usize,
        (offset_us, every_us): (u64, u64),
        end_us: u64,
        service: Service<'_>,
    ) -> Self {
        let mut in_flight = InFlight::new(1);
        let mut checks: Vec<(u64, u64, Outcome)> = Vec::new();
        let mut waiting: Vec<(u64, u64)> = Vec::new();
        for due_us in (offset_us..end_us).step_by(every_us as usize) {
            waiting.retain(|&(began_us, ends_us)| {
                let waits = ends_us > due_us;
                if !waits {
                    in_flight.end(0, began_us);
                }
                waits
            });
            let (done_us, outcome) = match in_flight.begin(0, due_us) {
                // Its time is the age of the oldest that waits.
                Err(oldest_us) => (2 * due_us - oldest_us, Outcome::Withheld),
                Ok(()) => {
                    let (done_us, outcome) = service(url, due_us);
                    waiting.push((due_us, done_us.min(due_us + 3 * TIMEOUT)));
                    match done_us > due_us + TIMEOUT {
                        true => (due_us + TIMEOUT, Outcome::Timeout),
                        false => (done_us, outcome),
                    }
                }
            };
            checks.push((due_us, done_us, outcome));
        }
        Self {
            offset_us,
            every_us,
            checks,
        }
    }

    /// The latest twenty checks and those in flight, as they are known at `now_us`.
    fn at(&self, now_us: u64) -> Vec<Look> {
        let due = (now_us + self.every_us).saturating_sub(self.offset_us) / self.every_us;
        let due = (due as usize).min(self.checks.len());
        let looks = self.checks[due.saturating_sub(20)..due].iter();
        looks
            .map(|&(due_us, done_us, outcome)| {
                let is_known = done_us <= now_us || outcome == Outcome::Withheld;
                let us = if is_known { done_us } else { now_us } - due_us;
                Look {
                    due_us,
                    outcome: is_known.then_some(outcome),
                    us,
                    status: None,
                }
            })
            .collect()
    }
}

/// What a monitor of URLs at these offsets says, by when: each change of its verdict.
fn said(
    every_us: u64,
    offsets_us: &[u64],
    end_us: u64,
    service: Service<'_>,
) -> Vec<(u64, Verdict)> {
    let urls: Vec<_> = offsets_us
        .iter()
        .enumerate()
        .map(|(url, &offset_us)| Url::asked(url, (offset_us, every_us), end_us, service))
        .collect();
    let mut said: Vec<(u64, Verdict)> = Vec::new();
    for now_us in (0..end_us).step_by(20_000) {
        let looks: Vec<_> = urls.iter().map(|url| url.at(now_us)).collect();
        let named: Vec<_> = NAMES
            .into_iter()
            .zip(looks.iter().map(Vec::as_slice))
            .collect();
        let Some(verdict) = verdict(&named, LIMIT) else {
            continue;
        };
        if said.last().is_none_or(|(_, last)| !last.is_same(&verdict)) {
            said.push((now_us, verdict));
        }
    }
    said
}

fn families(said: &[(u64, Verdict)]) -> Vec<Family> {
    said.iter()
        .map(|(_, verdict)| verdict.diagnosis.family)
        .collect()
}

/// Offsets of two or three URLs: those of the plan, and every other of the second one.
fn offsets(every_us: u64) -> Vec<Vec<u64>> {
    let of_two = (0..20).map(|n| vec![0, n * every_us / 20]);
    let of_plan = [vec![0], vec![0, every_us / 3, 2 * every_us / 3]];
    of_two.chain(of_plan).collect()
}

#[test]
fn a_process_that_is_frozen_is_never_said_to_be_anything_else_at_whatever_offset() {
    for every_us in [20_000, 200_000, SECOND] {
        for offsets_us in offsets(every_us) {
            for phase in 0..20 {
                let from_us = 6 * SECOND + phase * every_us / 20;
                let until_us = from_us + 4 * every_us + SECOND;
                let service = |_: usize, due_us: u64| {
                    let done_us = due_us + FAST;
                    let is_before = done_us <= from_us || due_us >= until_us;
                    (
                        if is_before { done_us } else { until_us + FAST },
                        Outcome::Ok,
                    )
                };
                let said = said(every_us, &offsets_us, until_us + 5 * SECOND, &service);
                let why = || {
                    format!(
                        "every {every_us}, offsets {offsets_us:?}, frozen at {from_us}: {said:#?}"
                    )
                };
                let expected = [Family::Healthy, Family::Undecided, Family::Healthy];
                assert_eq!(families(&said), expected, "{}", why());
                assert!(
                    said[1].1.alert && said[1].1.diagnosis.candidates.len() >= 2,
                    "{}",
                    why()
                );
                let after_us = said[1].0 - from_us;
                assert!(after_us <= 3 * every_us + LIMIT + 40_000, "{}", why());
            }
        }
    }
}

#[test]
fn a_process_that_stands_still_now_and_then_is_never_said_to_have_a_limit() {
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % below
    };
    for every_us in [20_000, 200_000, SECOND] {
        for offsets_us in offsets(every_us) {
            for _ in 0..10 {
                let mut stalls: Vec<(u64, u64)> = Vec::new();
                let mut at_us = SECOND;
                while at_us < SECOND + 60 * every_us {
                    at_us += 4 * every_us + next(4 * every_us);
                    let until_us = at_us + next(4 * every_us + 200_000);
                    stalls.push((at_us, until_us));
                    at_us = until_us;
                }
                let service = |_: usize, due_us: u64| {
                    let mut done_us = due_us + FAST;
                    for &(from_us, until_us) in &stalls {
                        if done_us > from_us && due_us < until_us {
                            done_us = until_us + FAST;
                        }
                    }
                    (done_us, Outcome::Ok)
                };
                let said = said(every_us, &offsets_us, SECOND + 70 * every_us, &service);
                assert!(
                    !families(&said).contains(&Family::LimitSharedWithHealth),
                    "every {every_us}, offsets {offsets_us:?}, {stalls:?}: {said:#?}"
                );
            }
        }
    }
}

#[test]
fn a_process_that_ends_is_down_and_then_restarted_at_whatever_offset() {
    for every_us in [200_000, SECOND] {
        for offsets_us in offsets(every_us) {
            for phase in 0..20 {
                let from_us = 6 * SECOND + phase * every_us / 20;
                let until_us = from_us + 4 * every_us;
                // Some refusals take longer to be noticed than others.
                let service = |url: usize, due_us: u64| {
                    let done_us = due_us + FAST + 30_000 * url as u64;
                    match (from_us..until_us).contains(&due_us) {
                        true => (done_us, Outcome::ConnectFailure),
                        false => (done_us, Outcome::Ok),
                    }
                };
                let said = said(every_us, &offsets_us, until_us + 3 * every_us, &service);
                let expected = [Family::Healthy, Family::Undecided, Family::Restarts];
                assert_eq!(
                    families(&said),
                    expected,
                    "{offsets_us:?}, {from_us}: {said:#?}"
                );
                assert!(said[1].1.alert && !said[2].1.alert);
            }
        }
    }
}

#[test]
fn a_pool_that_fills_is_named_once_and_soon_at_whatever_offset() {
    for every_us in [20_000, 200_000, SECOND] {
        for offsets_us in offsets(every_us).into_iter().filter(|urls| urls.len() > 1) {
            for phase in 0..20 {
                let from_us = 6 * SECOND + phase * every_us / 20;
                let until_us = from_us + 4 * every_us + SECOND;
                let service = |url: usize, due_us: u64| {
                    let is_held = url == 0 && (from_us..until_us).contains(&due_us);
                    (if is_held { until_us } else { due_us } + FAST, Outcome::Ok)
                };
                let said = said(every_us, &offsets_us, until_us + 5 * SECOND, &service);
                let why = || {
                    format!(
                        "every {every_us}, offsets {offsets_us:?}, full at {from_us}: {said:#?}"
                    )
                };
                let expected = [
                    Family::Healthy,
                    Family::LimitSharedWithHealth,
                    Family::Healthy,
                ];
                assert_eq!(families(&said), expected, "{}", why());
                let after_us = said[1].0 - from_us;
                assert!(after_us <= 3 * every_us + LIMIT + 40_000, "{}", why());
            }
        }
    }
}
