use super::*;
use crate::judge::signs::steps_of_target;
use crate::judge::test_steps::{attached, step, with_check};
use crate::sample::hurt;
use crate::summary::Step;

fn capacity(steps: Vec<Step>) -> Option<(u64, u64, u64)> {
    let summary = attached(steps);
    of_steps(&steps_of_target(&summary)).map(|one| (one.streams, one.seen_in, one.of))
}

fn steps(all: &[(u64, u64)]) -> Vec<Step> {
    all.iter()
        .map(|&(asked, served)| step(asked, served))
        .collect()
}

#[test]
fn a_plateau_is_the_capacity_and_steps_below_it_say_nothing() {
    let plateau = steps(&[(1, 1), (4, 4), (6, 4), (8, 4), (12, 4)]);
    assert_eq!(capacity(plateau), Some((4, 3, 3)));
    assert_eq!(capacity(steps(&[(1, 1), (8, 8), (64, 64)])), None);
}

#[test]
fn a_step_that_disagrees_is_told_and_a_pool_that_grows_has_no_capacity_yet() {
    let summary = attached(steps(&[(1, 1), (12, 10), (16, 10), (24, 9)]));
    let capacity_of = of_steps(&steps_of_target(&summary)).expect("a plateau");
    assert!(
        capacity_of
            .confidence
            .starts_with("10, seen in 2 of 3 steps")
    );
    assert_eq!(
        capacity(steps(&[(1, 1), (16, 9), (24, 14), (36, 22)])),
        None
    );
}

/// Three were seen to be served, but with three health is still fast, and with four it waits.
#[test]
fn health_that_waits_in_the_same_line_tells_the_number_exactly() {
    let plateau = steps(&[(1, 1), (2, 2), (3, 3), (4, 4), (6, 3), (8, 3)]);
    let starved = with_check(plateau, "health_sync", 4, &hurt());
    assert_eq!(capacity(starved).map(|one| one.0), Some(4));
}

#[test]
fn refusals_tell_a_capacity_only_if_all_others_were_turned_away_for_want_of_room() {
    let refusing = |status: &str, times: u64| {
        let mut step = step(16, 4);
        let streams = &mut step.load.streams;
        (streams.waiting, streams.refused) = (0, times);
        streams.statuses = [(status.to_owned(), times)].into();
        vec![self::step(1, 1), step]
    };
    assert_eq!(capacity(refusing("503", 12)), Some((4, 1, 1)));
    assert_eq!(capacity(refusing("503", 1)), None);
    assert_eq!(capacity(refusing("500", 40)), None);
}

/// Every stream gets a greeting at once; of the eight and twelve only four get more.
#[test]
fn a_greeting_is_not_service() {
    let greeting = |asked: u64, flowing: u64| {
        let mut step = step(asked, asked);
        step.load.streams.gap_us.count = 20 * flowing;
        step
    };
    let steps = [(1, 1), (4, 4), (6, 4), (8, 4), (12, 4)];
    let steps = steps.map(|(asked, flowing)| greeting(asked, flowing));
    assert_eq!(capacity(steps.to_vec()), Some((4, 3, 3)));
    // Twelve that share what four could have are slower, all of them.
    let mut slower = greeting(12, 4);
    slower.load.streams.gap_us.mean = Some(300_000);
    assert_eq!(capacity(vec![greeting(1, 1), slower]), None);
}

/// A second each, on four threads.
#[test]
fn short_answers_tell_by_how_many_are_worked_on_while_others_wait() {
    let short = |asked: u64, served: u64, took_us: u64| {
        let mut step = step(asked, served);
        let streams = &mut step.load.streams;
        streams.complete = 16;
        streams.took_us.p50 = Some(took_us);
        streams.ttft_us.p50 = Some(took_us);
        streams.first_chunk_us.p50 = Some(took_us);
        (streams.gap_us.count, streams.waiting) = (0, 0);
        step
    };
    let steps = vec![
        short(1, 1, 1_002_000),
        short(4, 4, 1_003_000),
        short(6, 4, 1_500_000),
        short(8, 4, 2_000_000),
    ];
    assert_eq!(capacity(steps), Some((4, 2, 2)));
}
