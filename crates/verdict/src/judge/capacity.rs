//! How many streams a service serves at once. It is seen from outside, while more and more are asked for.

use super::signs::{Health, HealthState, StepSigns};
use crate::summary::Capacity;

/// Two steps disagree if one served more than this share more than the other.
const GROWS: f64 = 1.2;

/// The capacity, if more streams were asked for than were served, and if the number stands still.
#[must_use]
pub fn of_steps(steps: &[StepSigns]) -> Option<Capacity> {
    let seen: Vec<u64> = steps
        .iter()
        .filter_map(|step| step.limit.as_ref()?.streams)
        .collect();
    let agreeing = |one: u64| seen.iter().filter(|&&other| other == one).count() as u64;
    // The number that most steps agree on. If two are as frequent, the later one.
    let most = *seen.iter().max_by_key(|&&one| agreeing(one))?;
    let grows = seen.is_sorted_by(|a, b| *b as f64 > *a as f64 * GROWS);
    if seen.len() > 1 && grows {
        // It serves more and more: what was seen is no limit yet.
        return None;
    }
    let streams = between_fast_and_starved(steps, most);
    let seen_in = agreeing(most);
    let of = steps.iter().filter(|step| step.asked > streams).count() as u64;
    let starves = steps.iter().any(|step| step.has(HealthState::Waits));
    let health = if starves {
        "; from there on health waits"
    } else {
        ""
    };
    Some(Capacity {
        streams,
        seen_in,
        of,
        confidence: format!(
            "{streams}, seen in {seen_in} of {of} steps that asked for more{health}"
        ),
    })
}

/// Where health waits in one line with the streams, it is fast while a place is free. So the capacity is more
/// than every number of streams with fast health, and no more than the first one with health that waits.
fn between_fast_and_starved(steps: &[StepSigns], seen: u64) -> u64 {
    let Some(starved) = steps.iter().position(|step| step.has(HealthState::Waits)) else {
        return seen;
    };
    let waits: Vec<_> = steps[starved].health_that(HealthState::Waits).collect();
    let is_fast = |step: &&StepSigns| {
        let fast = |one: &&Health| {
            step.named(&one.name)
                .is_some_and(|now| now.state == HealthState::Fast && now.is_clean)
        };
        // Where some wait already, one of several worker processes is full, and health asks another.
        step.limit.is_none() && waits.iter().all(fast)
    };
    let fast = steps[..starved]
        .iter()
        .rfind(is_fast)
        .map_or(0, |step| step.asked);
    seen.clamp(fast + 1, steps[starved].asked.max(fast + 1))
}

#[cfg(test)]
mod tests;
