//! The rules for health URLs that are watched while nobody knows the load. No reason has a figure: a reason
//! that changes is told as news.

use super::finding::{Finding, Rule, shared, shared_or_loop};
use crate::judge::signs::{Health, HealthState, Signs, StepSigns, candidate, in_words};
use crate::summary::{Candidate, Family, Kind};

/// In the order in which they decide.
const RULES: [Rule; 5] = [
    comes_back,
    is_down,
    is_refused,
    waits_beside_an_answer,
    all_wait,
];

/// The verdict on URLs that can be compared.
pub(super) fn find(signs: &Signs) -> Finding {
    let steps = signs.steps.iter();
    let mut found = steps.flat_map(|step| RULES.iter().filter_map(|rule| rule(signs, step)));
    found.next().unwrap_or_else(|| {
        let reason = "every check is answered in time".to_owned();
        Finding::of(Family::Healthy, Kind::Healthy, reason)
    })
}

/// Connections were refused, and answered later.
fn comes_back(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let came_back = signs.known.watched.is_some_and(|watched| watched.came_back);
    let is_up_or_down = |one: &Health| matches!(one.state, HealthState::Fast | HealthState::Down);
    (came_back && step.health.iter().all(is_up_or_down)).then(|| {
        let reason = if step.has(HealthState::Down) {
            "connections are refused again after it had come back: the process ends and is started again"
        } else {
            "connections were refused, and now it answers: the process ended and was started again"
        };
        Finding::of(Family::Restarts, Kind::Undecided, reason.to_owned())
    })
}

/// There is no connection.
fn is_down(_: &Signs, step: &StepSigns) -> Option<Finding> {
    let down = names(step, HealthState::Down)?;
    let is_all = step.health.iter().all(|one| one.state == HealthState::Down);
    let (reason, candidates) = if is_all {
        let by = "what follows: it answers again soon";
        (
            "no connection, or none that lasts until the answer: the service is down, or out of reach"
                .to_owned(),
            vec![candidate(Kind::Undecided, Family::Restarts, by)],
        )
    } else {
        (
            format!(
                "only {down} gets no connection that lasts until the answer: another process answers it, \
                 or something in between cuts it off"
            ),
            Vec::new(),
        )
    };
    Some(Finding::open(reason, candidates))
}

/// A URL is answered with an error status. What is answered does not wait, so it tells nothing of threads.
fn is_refused(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let refused = names(step, HealthState::Refuses)?;
    let status = signs.known.watched.and_then(|watched| watched.status);
    let sheds = "what its other clients get: they are refused as well";
    let (why, candidates) = match status {
        Some(401 | 403) => (
            "the watch has no right to it (--header, --bearer-env)",
            vec![],
        ),
        Some(404 | 405) => ("a wrong URL", vec![]),
        Some(429 | 503) => (
            "the service says that it has too much to do, or is not ready",
            vec![candidate(Kind::Undecided, Family::ShedsLoad, sheds)],
        ),
        _ => ("the service says itself that something is wrong", vec![]),
    };
    let status = status.map_or("an error status".to_owned(), |status| status.to_string());
    let waits = names(step, HealthState::Waits)
        .map_or(String::new(), |waits| format!("; {}", with(&waits, "wait")));
    let reason = format!("{refused} answers {status}: {why}{waits}");
    Some(Finding::open(reason, candidates))
}

/// One URL waits and another does not. So it is something that only the first one needs.
fn waits_beside_an_answer(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let waits = names(step, HealthState::Waits)?;
    let fast = names(step, HealthState::Fast)?;
    let reason = format!(
        "{} and {fast} does not: the service runs, and what {waits} needs is used up",
        with(&waits, "wait")
    );
    Some(shared(signs, step, reason))
}

/// Everything that is asked waits.
fn all_wait(_: &Signs, step: &StepSigns) -> Option<Finding> {
    let waits = names(step, HealthState::Waits)?;
    let (why, candidates) = if step.named("health_async").is_some() {
        (
            "its loop does not run, no core is free, or a limit stands before all of it",
            loop_or_cpu_or_limit(),
        )
    } else {
        (
            "what that needs is used up, or nothing in the process runs",
            shared_or_loop(),
        )
    };
    let reason = format!("{}: {why}", with(&waits, "wait"));
    Some(Finding::open(reason, candidates))
}

/// What it may be if a check waits that only the loop answers.
fn loop_or_cpu_or_limit() -> Vec<Candidate> {
    vec![
        candidate(
            Kind::EventLoopBlocked,
            Family::LoopBlocked,
            "the CPU of the process: it is low while something blocks the loop",
        ),
        candidate(
            Kind::CpuSaturated,
            Family::CpuSaturated,
            "the CPU of the process: it is at the limit of its cores",
        ),
        candidate(
            Kind::BulkheadFull,
            Family::LimitSharedWithHealth,
            "what it serves meanwhile: streams that were begun go on at their pace",
        ),
    ]
}

/// The checks in this state, as people say it.
fn names(step: &StepSigns, state: HealthState) -> Option<String> {
    let names: Vec<_> = step
        .health_that(state)
        .map(|one| in_words(&one.name))
        .collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

/// One waits, two wait.
fn with(names: &str, verb: &str) -> String {
    let ending = if names.contains(" and ") { "" } else { "s" };
    format!("{names} {verb}{ending}")
}
