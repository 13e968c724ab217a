//! When health came back.

use crate::record::{Outcome, Tick};

/// Share of the checks in a window that must be answered within the bound. It is below 1, so that one slow
/// check on a shared machine does not undo a recovery.
const SHARE: f64 = 0.95;

/// Time from `load_end_us` to the start of the first second in which 95 % of the checks of one endpoint
/// were answered within `bound_us`. It is 0 for the very first second, and `None` if there is none yet.
///
/// `ticks` are the endpoint's checks in any order. A check without an outcome breaks the window.
#[must_use]
pub fn time_to_recover_us(
    ticks: &[Tick],
    rate: f64,
    bound_us: u64,
    load_end_us: u64,
) -> Option<u64> {
    let mut after: Vec<_> = ticks
        .iter()
        .filter(|tick| tick.due_us >= load_end_us)
        .collect();
    after.sort_unstable_by_key(|tick| tick.due_us);
    let length = (rate.ceil() as usize).max(3);
    let longest_us = ((length as f64 - 0.5) / rate * 1e6) as u64;
    let is_good = |tick: &Tick| {
        tick.outcome == Outcome::Ok && tick.done_us.saturating_sub(tick.due_us) <= bound_us
    };
    after
        .windows(length)
        .find(|window| {
            let has_all = window[length - 1].due_us - window[0].due_us <= longest_us;
            let good = window.iter().filter(|tick| is_good(tick)).count();
            has_all && is_good(window[0]) && good as f64 >= SHARE * length as f64
        })
        .map(|window| match window[0].due_us {
            // No check after the load was slow: there was nothing to recover from.
            first if first == after[0].due_us => 0,
            later => later - load_end_us,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(due_us: u64, took_us: u64) -> Tick {
        Tick {
            endpoint: 0,
            due_us,
            sent_us: due_us,
            done_us: due_us + took_us,
            outcome: Outcome::Ok,
            status: None,
        }
    }

    #[test]
    fn recovery_starts_with_the_first_good_second() {
        // The load ends at 1 s, answers wait for 3 s, then are quick.
        let ticks: Vec<_> = (0..300_u64)
            .map(|n| n * 20_000)
            .map(|due| tick(due, 3_000_000_u64.saturating_sub(due).max(500)))
            .collect();
        let time = time_to_recover_us(&ticks, 50.0, 10_000, 1_000_000).expect("recovers");
        assert!((1_980_000..=2_000_000).contains(&time), "{time}");
    }

    #[test]
    fn five_checks_a_second_tell_a_recovery_within_a_second() {
        let every_us = 200_000;
        let load_end_us = 1_000_000;
        for (due_us, took_us, recovers) in [(800_000, 900, true), (800_000, 2_000_000, false)] {
            let last = load_end_us + due_us;
            let checks = (0..=last / every_us).map(|n| n * every_us);
            let ticks =
                checks.map(|due_us| tick(due_us, if due_us == last { took_us } else { 900 }));
            let ticks: Vec<_> = ticks.collect();
            let told = time_to_recover_us(&ticks, 5.0, 10_000, load_end_us);
            assert_eq!(told, recovers.then_some(0));
        }
        let mut withheld = tick(1_600_000, 0);
        withheld.outcome = Outcome::Withheld;
        let mut ticks: Vec<_> = (5..14).map(|n| tick(n * every_us, 900)).collect();
        ticks[3] = withheld;
        let told = time_to_recover_us(&ticks, 5.0, 10_000, load_end_us);
        assert_eq!(told, Some(800_000), "the first of five after it");
    }

    #[test]
    fn a_check_without_an_outcome_is_not_taken_for_a_good_one() {
        let mut ticks: Vec<_> = (0..60_u64).map(|n| tick(n * 20_000, 500)).collect();
        assert_eq!(time_to_recover_us(&ticks, 50.0, 10_000, 0), Some(0));
        ticks.drain(20..40);
        assert_eq!(time_to_recover_us(&ticks, 50.0, 10_000, 0), None);
    }
}
