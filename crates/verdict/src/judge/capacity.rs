//! How many streams a service serves at once. It is seen from outside, while more and more are asked for.

use super::diagnosis::much_longer_than;
use super::flat;
use crate::summary::{Capacity, Step, Summary};

/// A step has a queue if one stream takes this many times as long as it takes alone.
const QUEUED: f64 = 1.25;

/// The time of a shorter request, in microseconds, depends on the machine and not on a limit.
const LEAST_TOOK_US: u64 = 20_000;

/// If this many streams end for each one that was asked for, throughput tells more than first bytes do.
const ENDS_PER_STREAM: u64 = 4;

/// With fewer gaps between chunks, the pace of one stream alone is unknown.
const LEAST_GAPS: u64 = 5;

/// Streams keep the pace of one alone if their median gap is at most so many times its own.
const OWN_PACE: f64 = 1.25;

/// If less than this share of the streams that have begun go on, the others have stopped.
const STOPPED: f64 = 0.75;

/// True if the answer arrives all at once, at its end. Such a stream never shows that it is being
/// served, so its capacity is counted from completions.
#[must_use]
pub fn is_short(summary: &Summary) -> bool {
    let Some(alone) = summary.steps.first().map(|step| &step.load.streams) else {
        return false;
    };
    match (alone.took_us.p50, alone.ttft_us.p50) {
        (Some(took), Some(ttft)) => took.saturating_sub(ttft) <= (took / 10).max(5_000),
        _ => false,
    }
}

/// True if a step must be judged by how many of its streams have ended. Its streams are so short that each
/// was asked for many times. A stream without a byte may just have begun.
#[must_use]
pub fn is_told_by_ends(summary: &Summary, step: &Step) -> bool {
    let asked = step.streams.unwrap_or(0);
    is_short(summary) || step.load.streams.complete >= ENDS_PER_STREAM * asked.max(1)
}

/// The capacity, if more streams were asked for than were served.
#[must_use]
pub fn of(summary: &Summary) -> Option<Capacity> {
    let seen: Vec<u64> = summary
        .steps
        .iter()
        .filter_map(|step| {
            if is_told_by_ends(summary, step) {
                by_throughput(summary, step)
            } else {
                by_plateau(summary, step).or_else(|| by_flow(summary, step))
            }
        })
        .collect();
    // The number that most steps agree on. If two are as frequent, the later one.
    let streams = seen
        .iter()
        .copied()
        .max_by_key(|one| seen.iter().filter(|other| *other == one).count())?;
    let seen_in = seen.iter().filter(|one| **one == streams).count() as u64;
    let asked_more = |step: &&Step| step.streams.is_some_and(|asked| asked > streams);
    let of = summary.steps.iter().filter(asked_more).count() as u64;
    let health = if is_sync_starved(summary) {
        "; from there on sync health starves"
    } else {
        ""
    };
    Some(Capacity {
        streams,
        seen_in,
        of,
        confidence: format!(
            "{streams}, seen in {seen_in} of {of} steps that asked for more; consistent with a \
             blocking pool or limit of {streams}{health}"
        ),
    })
}

/// Median time to the first byte of the streams that were answered. For short answers it is the time to
/// the end.
#[must_use]
pub fn typical_us(summary: &Summary, step: &Step) -> Option<u64> {
    let streams = &step.load.streams;
    if is_short(summary) {
        streams.took_us.p50
    } else {
        streams.ttft_us.p50
    }
}

/// Above this, in microseconds, a first byte takes much longer than for one stream alone.
#[must_use]
pub fn long_us(summary: &Summary) -> Option<u64> {
    typical_us(summary, summary.steps.first()?).map(much_longer_than)
}

/// Requests of a step that were refused because there was no room.
#[must_use]
pub fn turned_away(step: &Step) -> u64 {
    let statuses = &step.load.streams.statuses;
    let of = |status| statuses.get(status).copied().unwrap_or(0);
    of("503") + of("429")
}

/// Some streams are served. Most of the others have waited much longer than one stream alone, or all of
/// them were refused.
fn by_plateau(summary: &Summary, step: &Step) -> Option<u64> {
    let streams = &step.load.streams;
    let asked = step.streams?;
    let served = step.served_at_once;
    let is_long = streams.waited_us.p50 > long_us(summary);
    let waits = is_long && streams.waiting + streams.unserved > 0;
    let is_turned_away = turned_away(step) >= asked.saturating_sub(served);
    (served > 0 && served < asked && (waits || is_turned_away)).then_some(served)
}

/// All streams have begun, but only a few of them go on, each at the pace of one stream alone. The others
/// got what the service sends before it has room for them, such as a greeting. Since then they wait.
///
/// By Little's law, as many go on as chunks arrive in the time between two chunks of one stream alone. If
/// all streams became slower, they share something, and this law does not apply.
fn by_flow(summary: &Summary, step: &Step) -> Option<u64> {
    let alone = &summary.steps.first()?.load.streams;
    let streams = &step.load.streams;
    let has_pace = alone.gap_us.count >= LEAST_GAPS && alone.complete == 0;
    let seconds = step.load.duration_us as f64 / 1e6;
    if !has_pace || streams.complete > 0 || seconds <= 0.0 {
        return None;
    }
    let is_own_pace = streams.gap_us.p50? as f64 <= OWN_PACE * alone.gap_us.p50? as f64;
    let flowing = streams.gap_us.count as f64 / seconds * alone.gap_us.mean? as f64 / 1e6;
    let have_stopped = flowing < STOPPED * step.served_at_once as f64;
    (is_own_pace && have_stopped).then(|| flowing.round().max(1.0) as u64)
}

/// Each stream takes longer than one alone. By Little's law, the number worked on at once is the
/// throughput times the time that one stream alone takes. If sync health starves in a step, the capacity
/// is at most the streams of that step.
fn by_throughput(summary: &Summary, step: &Step) -> Option<u64> {
    let alone = summary.steps.first()?.load.streams.took_us.p50?;
    let asked = step.streams?;
    let streams = &step.load.streams;
    let took = streams.took_us.p50?;
    let seconds = step.load.duration_us as f64 / 1e6;
    if alone < LEAST_TOOK_US || (took as f64) < QUEUED * alone as f64 || seconds <= 0.0 {
        return None;
    }
    let per_second = streams.complete as f64 / seconds;
    let busy = (per_second * alone as f64 / 1e6).round().max(1.0) as u64;
    let starved = summary
        .steps
        .iter()
        .find(|step| starves(summary, step))
        .and_then(|step| step.streams);
    let busy = starved.map_or(busy, |starved| busy.min(starved));
    (busy < asked).then_some(busy)
}

fn is_sync_starved(summary: &Summary) -> bool {
    summary.steps.iter().any(|step| starves(summary, step))
}

fn starves(summary: &Summary, step: &Step) -> bool {
    let baseline = &summary.phases.baseline.probes;
    flat::check_hurts("health_sync", baseline, &step.load.probes) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::outside::tests::{attached, step};

    fn capacity(steps: Vec<Step>) -> Option<(u64, u64, u64)> {
        let summary = attached(steps);
        of(&summary).map(|one| (one.streams, one.seen_in, one.of))
    }

    #[test]
    fn a_plateau_is_the_capacity_and_steps_below_it_say_nothing() {
        let steps = [(1, 1), (4, 4), (6, 4), (8, 4), (12, 4)];
        let steps = steps.map(|(asked, served)| step(asked, served)).to_vec();
        assert_eq!(capacity(steps), Some((4, 3, 3)));
        let all_served = [1, 8, 64].map(|asked| step(asked, asked)).to_vec();
        assert_eq!(capacity(all_served), None);
    }

    #[test]
    fn a_step_that_disagrees_is_told() {
        let steps = [(1, 1), (12, 10), (16, 10), (24, 9)];
        let summary = attached(steps.map(|(asked, served)| step(asked, served)).to_vec());
        let capacity = of(&summary).expect("a plateau");
        assert!(
            capacity.confidence.starts_with("10, seen in 2 of 3 steps"),
            "{}",
            capacity.confidence
        );
    }

    #[test]
    fn a_step_that_served_more_is_counted_against_it() {
        let steps = [(1, 1), (6, 6), (8, 4), (12, 4)];
        let steps = steps.map(|(asked, served)| step(asked, served)).to_vec();
        assert_eq!(capacity(steps), Some((4, 2, 3)));
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

    #[test]
    fn short_answers_tell_by_throughput() {
        let short = |asked: u64, took_us: u64, complete: u64| {
            let mut step = step(asked, 0);
            let streams = &mut step.load.streams;
            (streams.complete, streams.waiting) = (complete, asked);
            streams.took_us.p50 = Some(took_us);
            streams.ttft_us.p50 = Some(took_us);
            step.load.duration_us = 4_000_000;
            step
        };
        // A second each, on four threads.
        let steps = vec![
            short(1, 1_002_000, 4),
            short(4, 1_003_000, 16),
            short(6, 1_500_000, 16),
            short(8, 2_000_000, 16),
        ];
        assert_eq!(capacity(steps), Some((4, 2, 2)));
    }

    /// Eight clients of a stream of 40 ms, half of which is the wait for its first byte: at any time half
    /// of them have none, and nobody waits for another.
    #[test]
    fn a_stream_that_has_just_begun_does_not_wait_for_capacity() {
        let cycling = |asked: u64, complete: u64| {
            let mut step = step(asked, asked.div_ceil(2));
            let streams = &mut step.load.streams;
            streams.complete = complete;
            streams.took_us.p50 = Some(40_000);
            streams.ttft_us.p50 = Some(20_000);
            (streams.waited_us.p50, streams.waited_us.max) = (Some(10_000), Some(300_000));
            step.load.duration_us = 2_000_000;
            step
        };
        assert_eq!(capacity(vec![cycling(1, 50), cycling(8, 400)]), None);
        // The same where the step was too short for as many ends.
        assert_eq!(capacity(vec![cycling(1, 2), cycling(8, 16)]), None);
    }

    /// Every stream gets a greeting at once; of the eight and twelve only four get more.
    #[test]
    fn a_greeting_is_not_service() {
        let greeting = |asked: u64, flowing: u64, gap_us: u64| {
            let mut step = step(asked, asked);
            let gap = &mut step.load.streams.gap_us;
            (gap.count, gap.p50, gap.mean) =
                (flowing * 2_000_000 / gap_us, Some(gap_us), Some(gap_us));
            step.load.duration_us = 2_000_000;
            step
        };
        let pace = 50_000;
        let steps = [(1, 1), (4, 4), (6, 4), (8, 4), (12, 4)];
        let steps = steps
            .map(|(asked, flowing)| greeting(asked, flowing, pace))
            .to_vec();
        assert_eq!(capacity(steps), Some((4, 3, 3)));
        let all_flow = [1, 8, 64]
            .map(|asked| greeting(asked, asked, pace))
            .to_vec();
        assert_eq!(capacity(all_flow), None);
        // Twelve that share what four could have are slower, all of them.
        let slower = vec![greeting(1, 1, pace), greeting(12, 12, 3 * pace)];
        assert_eq!(capacity(slower), None);
    }

    #[test]
    fn streams_that_end_again_and_again_tell_by_throughput() {
        let cycling = |asked: u64, took_us: u64, complete: u64| {
            let mut step = step(asked, 4.min(asked));
            let streams = &mut step.load.streams;
            streams.complete = complete;
            streams.took_us.p50 = Some(took_us);
            step.load.duration_us = 4_000_000;
            step
        };
        // 100 ms each, on four threads.
        let steps = vec![cycling(1, 100_000, 40), cycling(8, 200_000, 160)];
        assert_eq!(capacity(steps), Some((4, 1, 1)));
    }
}
