//! From signs to a verdict: one ordered list of rules. Each looks at one step of the load and says what it
//! is, or nothing. The first rule that applies decides, and the first step that hurts before later ones:
//! what fails first is the cause, what fails later may be its consequence.

use super::signs::{
    AtUpstream, Cpu, Health, HealthState, Pace, Signs, StepSigns, TOGETHER, candidate,
};
use crate::summary::{Diagnosis, Family, Kind, Member};
use crate::units::time;

mod finding;
mod watched;

use finding::{Finding, Rule, limit_of, loop_or_cpu, shared, shared_or_loop};

/// Parts of the number of streams at which something is at its limit. There a loop is busy, and a pool has
/// room.
const BELOW_KNEE: (f64, f64) = (0.3, 0.9);

/// What has a loop to itself for a shorter time, in microseconds, delays no check so that it is seen.
const SEEN_BELOW_KNEE_US: f64 = 3_000.0;

/// In the order in which they decide. What names the cause of everything else comes first. [`restarts`] comes
/// before all of them, in whatever step it shows.
const RULES: [Rule; 13] = [
    sheds_load_and_health,
    stops_all_at_once,
    shared_beside_a_fast_check,
    flows_on_while_health_waits,
    health_reports_the_limit,
    slows_all,
    delays_first_bytes_and_health,
    cores_are_busy,
    health_waits_for_answers,
    held_for_nobody,
    limit_beside_health,
    sheds_load,
    all_slow,
];

/// The verdict on what was seen.
pub(super) fn verdict(signs: &Signs) -> Diagnosis {
    let finding = find(signs);
    let capacity = finding.streams;
    let mut evidence = vec![finding.reason];
    evidence.extend(signs.evidence.iter().cloned());
    Diagnosis {
        kind: finding.kind,
        family: finding.family,
        member: finding.member,
        candidates: finding.candidates,
        evidence,
        inferred_capacity: capacity,
    }
}

fn find(signs: &Signs) -> Finding {
    if let Some(reason) = &signs.generator {
        return Finding::of(
            Family::GeneratorLimited,
            Kind::GeneratorLimited,
            reason.clone(),
        );
    }
    if signs.known.watched.is_some() {
        return watched::find(signs);
    }
    if signs.steps.is_empty() {
        return Finding::open("nothing was asked of it".to_owned(), Vec::new());
    }
    // A process that ends takes everything with it, in whatever step that shows.
    if let Some(found) = signs.steps.iter().find_map(restarts) {
        return found;
    }
    let hurting = signs.steps.iter().skip_while(|step| !step.hurts());
    let decided = hurting
        .filter(|step| step.hurts())
        .find_map(|step| RULES.iter().find_map(|rule| rule(signs, step)));
    decided
        .or_else(|| leak_without_a_step(signs))
        .or_else(|| still_open(signs))
        .unwrap_or_else(|| healthy(signs))
}

/// All streams broke off, and connections were refused meanwhile or health was down.
fn restarts(step: &StepSigns) -> Option<Finding> {
    let is_down = step.has(HealthState::Down) || step.turned_away > 0;
    // One stream alone is not too much: what refused it was not there.
    let refuses_one = step.asked == 1 && step.served == 0 && step.has(HealthState::Down);
    (step.was_down || refuses_one || (step.all_broke && is_down)).then(|| {
        let reason = format!(
            "with {} {}: the process ended and was started again",
            step.load,
            match step.all_broke {
                true => "nearly all streams broke off and connections were refused meanwhile",
                false => "connections were refused, and before and afterwards they were not",
            }
        );
        Finding::of(Family::Restarts, Kind::Undecided, reason)
    })
}

/// Streams are refused at once, and health with them.
fn sheds_load_and_health(_: &Signs, step: &StepSigns) -> Option<Finding> {
    let refused = step
        .health
        .iter()
        .find(|one| matches!(one.state, HealthState::Refuses | HealthState::Down))?;
    let streams_too = step.turned_away > 0 || step.failing.is_some();
    (streams_too || refused.state == HealthState::Down).then(|| Finding {
        streams: step.limit.as_ref().and_then(|limit| limit.streams),
        ..Finding::of(
            Family::ShedsLoad,
            Kind::Undecided,
            format!(
                "with {} what is too much is refused at once, and {} with it: whoever restarts what fails \
                 its health check restarts a service that works",
                step.load, refused.name
            ),
        )
    })
}

/// A check waits while no stream gets anything: both wait for the same moment.
fn stops_all_at_once(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let (late, silence_us) = (step.stopped_with()?, step.silence_us?);
    let reason = format!(
        "with {} no stream got anything for {}, and {} waited up to {} meanwhile: what runs all of them \
         stood still",
        step.load,
        time(silence_us as f64),
        late.name,
        time(late.longest_us as f64)
    );
    Some(loop_or_cpu(signs, step, reason, true))
}

/// One health URL waits and another does not. So it is something that only the first one needs.
fn shared_beside_a_fast_check(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let waits = step
        .health_that(HealthState::Waits)
        .max_by_key(|one| one.takes_us)?;
    // A check that was never late may have been lucky, unless the other one is late nearly always.
    let is_fast = |one: &&Health| {
        let is_ever_late = one.longest_us * 4 > waits.takes_us && !signs.known.is_own;
        matches!(one.state, HealthState::Fast | HealthState::Slower) && !is_ever_late
    };
    let fast = step.health.iter().find(is_fast)?;
    if signs.known.is_own && fast.name == "health_sync" {
        return None;
    }
    let reason = format!(
        "with {} {} waits and {} does not, so the service runs and {} stands in one line with the streams",
        step.load, waits.name, fast.name, waits.name
    );
    Some(shared(signs, step, reason))
}

/// Streams flow at the pace of one alone while health waits. A blocked loop would stop all of them, and a
/// busy CPU would slow all of them.
fn flows_on_while_health_waits(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let waits = step.health_that(HealthState::Waits).next()?;
    let at_once = limit_of(signs, step).unwrap_or(step.asked);
    if step.pace != Pace::Kept || at_once < 2 {
        return None;
    }
    let longest_us = step.gap_grown_us.map_or(0, |(_, longest_us)| longest_us);
    if longest_us as f64 >= TOGETHER * waits.longest_us as f64 && !waits.is_starved {
        let reason = format!(
            "with {} streams stop for {} now and then, and {} waits as long: what runs all of them stands \
             still",
            step.load,
            time(longest_us as f64),
            waits.name
        );
        return Some(loop_or_cpu(signs, step, reason, true));
    }
    let reason = format!(
        "with {} {} waits while the streams that are served keep the pace of one alone: whatever it asks \
         for, it waits in one line with the streams",
        step.load, waits.name
    );
    Some(shared(signs, step, reason))
}

/// Some are served and the others wait, and health is answered with an error status: it waits for the same
/// with less patience, or says itself that it is full.
fn health_reports_the_limit(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let refused = step.health_that(HealthState::Refuses).next()?;
    step.limit.as_ref().filter(|_| step.turned_away == 0)?;
    let reason = format!(
        "with {} streams wait, and {} is answered with an error status meanwhile",
        step.load, refused.name
    );
    Some(shared(signs, step, reason))
}

/// Streams are slower and health with them: a loop, the CPU, or a pool that each chunk needs.
fn slows_all(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let Pace::Slower(times) = step.pace else {
        return None;
    };
    let with_them = step.health.iter().find(|one| slows_with_streams(step, one));
    let waits = step.health_that(HealthState::Waits).next();
    let is_busy = matches!(step.cpu, Cpu::Short(_) | Cpu::OneCore(_));
    let health = match waits.or(with_them) {
        Some(health) => format!("and {} takes {}", health.name, time(health.takes_us as f64)),
        None if is_busy => "and the CPU is busy".to_owned(),
        None => return None,
    };
    let reason = format!(
        "with {} every stream is {times:.1} times slower than one alone, {health}",
        step.load
    );
    let is_flat = |one: &&Health| one.state == HealthState::Fast && !slows_with_streams(step, one);
    if let (Some(slow), Some(flat)) = (with_them, step.health.iter().find(is_flat)) {
        let reason = format!(
            "{reason}; {} does not: each chunk needs what {} needs",
            flat.name, slow.name
        );
        return Some(shared(signs, step, reason));
    }
    if is_busy || step.named("health_async").is_some() {
        return Some(loop_or_cpu(signs, step, reason, false));
    }
    let with_them = with_them?;
    // A loop is busy before it is at its limit, and a check that comes then may wait a little. A pool has free
    // threads until it is full.
    let knee = step.asked as f64 / times;
    let is_below = |one: &&StepSigns| {
        let part = one.asked as f64 / knee;
        (BELOW_KNEE.0..BELOW_KNEE.1).contains(&part)
    };
    let raised: Vec<_> = signs
        .steps
        .iter()
        .filter(is_below)
        .filter_map(|one| Some(one.named(&with_them.name)?.is_raised))
        .collect();
    let grown_us = step.gap_grown_us.map_or(0, |(mean_us, _)| mean_us) as f64;
    // How long one chunk has what is short, if it is one thread that all chunks need.
    let each_us = grown_us / (times - 1.0) / knee;
    let is_seen = each_us >= SEEN_BELOW_KNEE_US && !raised.is_empty();
    Some(if is_seen && raised.iter().all(|one| *one) {
        loop_or_cpu(signs, step, reason, true)
    } else if is_seen && !raised.contains(&true) {
        let told = "with fewer it was as fast as ever: each chunk needs what is full";
        shared(signs, step, format!("{reason}; {told}"))
    } else {
        loop_or_cpu(signs, step, reason, false)
    })
}

/// Whether a check waits about as long as a chunk is late: both stand in the same line.
fn slows_with_streams(step: &StepSigns, check: &Health) -> bool {
    let late_us = step.gap_grown_us.map_or(u64::MAX, |(mean_us, _)| mean_us);
    check.state != HealthState::Unknown
        && check.is_raised
        && check.takes_us as f64 >= TOGETHER * late_us as f64
}

/// First bytes are late, and now and then a check is late by as much: each request has what both need to
/// itself for a while.
fn delays_first_bytes_and_health(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let late = step
        .late_first_byte
        .as_ref()
        .filter(|_| step.limit.is_none())?;
    let delayed = step.health.iter().max_by_key(|one| one.longest_us)?;
    let is_delayed = delayed.is_raised && delayed.longest_us as f64 >= TOGETHER * late.by_us as f64;
    (is_delayed && !signs.known.is_own).then(|| {
        let reason = format!(
            "{}, and {} takes up to {} then",
            late.told,
            delayed.name,
            time(delayed.longest_us as f64)
        );
        loop_or_cpu(signs, step, reason, true)
    })
}

/// No core is free, and what is asked for waits, though not in a way that shows a pace.
fn cores_are_busy(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let waits =
        step.limit.is_some() || step.late_first_byte.is_some() || step.has(HealthState::Waits);
    let is_short = matches!(step.cpu, Cpu::Short(_)) && step.pace != Pace::Kept;
    (waits && is_short && !signs.known.is_own).then(|| {
        let reason = format!("with {} answers take longer than one alone", step.load);
        loop_or_cpu(signs, step, reason, false)
    })
}

/// Health waits, and answers come at their end, so that no pace can be seen.
fn health_waits_for_answers(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let waits = step.health_that(HealthState::Waits).next()?;
    let at_once = limit_of(signs, step);
    if signs.known.is_own {
        let async_waits = step
            .named("health_async")
            .map(|one| one.state == HealthState::Waits);
        let reason = format!("{} hurts", waits.name);
        return Some(match async_waits {
            Some(true) => loop_or_cpu(
                signs,
                step,
                "async health hurts, so the loop does not run".to_owned(),
                false,
            ),
            _ => Finding::open(reason, shared_or_loop()),
        });
    }
    let is_loop = signs.known.framework.and_then(|one| one.is_event_loop);
    // A loop that is blocked by each chunk answers between two of them.
    let answers = !waits.is_starved || step.pace == Pace::Unknown && step.silence_us.is_none();
    // A URL that the loop answers is late: either it waits too, or it was late now and then.
    let on_loop = step.named("health_async");
    let by_name = (on_loop.is_some_and(|one| !one.is_clean) && answers).then_some(true);
    let reason = |why: &str| format!("with {} {} waits{why}", step.load, waits.name);
    match (at_once, is_loop.or(by_name), &step.cpu) {
        (_, _, Cpu::Short(_)) => Some(loop_or_cpu(signs, step, reason(""), false)),
        (Some(streams), _, _) if streams > 1 => Some(shared(
            signs,
            step,
            reason(&format!(
                " while {streams} are worked on at once: it stands in one line with them"
            )),
        )),
        (_, Some(true), _) | (None, None, Cpu::OneCore(_)) => Some(loop_or_cpu(
            signs,
            step,
            reason(", and what answers does one thing after the other"),
            false,
        )),
        (Some(_), _, _) => Some(shared(
            signs,
            step,
            reason(" behind one request at a time: it stands in one line with them"),
        )),
        _ => None,
    }
}

/// Clients that are gone still have what others wait for.
fn held_for_nobody(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let is_clean = step.health.iter().all(|one| one.is_clean);
    is_clean.then(|| leak_without_a_step(signs)).flatten()
}

fn leak_without_a_step(signs: &Signs) -> Option<Finding> {
    let held = signs.held.as_ref()?;
    Some(Finding {
        streams: held.streams,
        ..Finding::of(
            Family::HeldForNobody,
            Kind::ConnectionLeak,
            format!("{}: something is held for clients that are gone", held.told),
        )
    })
}

/// Some are served and the others wait, and health does not wait with them.
fn limit_beside_health(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let limit = step.limit.as_ref()?;
    // Of several worker processes one may be full before the others. Then more are served at once later, and
    // health waits with the rest.
    let waits_later = |one: &Health| {
        let later = signs.steps.iter().filter(|later| later.asked > step.asked);
        let mut waits = later.filter(|later| later.named(&one.name).is_some_and(Health::is_bad));
        let more = |later: &StepSigns| {
            let served = |step: &StepSigns| step.limit.as_ref().and_then(|limit| limit.streams);
            served(later) > served(step) && later.pace == Pace::Kept
        };
        waits.any(|later| !one.is_clean || more(later))
    };
    if step.health.iter().any(waits_later) {
        return None;
    }
    if step.health.iter().any(Health::is_bad) || (step.turned_away > 0 && !signs.known.is_own) {
        return None;
    }
    let beside = |kind, member| Finding {
        member,
        streams: limit_of(signs, step),
        ..Finding::of(
            Family::LimitBesideHealth,
            kind,
            format!(
                "with {} {}, and no health check waits with the others",
                step.load, limit.told
            ),
        )
    };
    let sync_seen = step.named("health_sync").is_some();
    let upstream =
        "the upstream's own count of open streams (--upstream-stats): it stays at the limit";
    let none_there =
        "the upstream's own count of open streams (--upstream-stats): it has none of them";
    let sync_fast = "a sync health URL (--sync-health): it stays fast";
    let sync_slow = "a health URL that needs a thread (--sync-health): it is slow as well";
    Some(match (limit.upstream, limit.member) {
        (AtUpstream::All, _) => Finding::of(
            Family::AllSlow,
            Kind::UpstreamSlow,
            format!(
                "with {} {}; all of them are at the upstream",
                step.load, limit.told
            ),
        ),
        (_, Some(member)) => beside(Kind::BulkheadFull, Some(member)),
        (AtUpstream::Nothing, _) if sync_seen => beside(Kind::BulkheadFull, None),
        (AtUpstream::Some(_), _) if sync_seen => beside(Kind::UpstreamLimit, None),
        (at_upstream, _) => {
            let mut candidates = Vec::new();
            if !sync_seen {
                let shared = Family::LimitSharedWithHealth;
                candidates.push(candidate(Kind::BlockingPoolExhausted, shared, sync_slow));
            }
            let is_open = at_upstream == AtUpstream::Unknown;
            if at_upstream != AtUpstream::Nothing {
                let by = if is_open { upstream } else { sync_fast };
                candidates.push(candidate(
                    Kind::UpstreamLimit,
                    Family::LimitBesideHealth,
                    by,
                ));
            }
            if !matches!(at_upstream, AtUpstream::Some(_)) {
                let by = if is_open { none_there } else { sync_fast };
                candidates.push(candidate(Kind::BulkheadFull, Family::LimitBesideHealth, by));
            }
            Finding {
                candidates,
                ..beside(Kind::Undecided, None)
            }
        }
    })
}

/// What is too much is refused at once, and nothing waits.
fn sheds_load(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    if step.turned_away == 0 || step.health.iter().any(Health::is_bad) || signs.known.is_own {
        return None;
    }
    let served = step.limit.as_ref().and_then(|limit| limit.streams);
    if served.is_none() && !step.is_all_served {
        return None;
    }
    Some(Finding {
        streams: served,
        ..Finding::of(
            Family::ShedsLoad,
            Kind::Undecided,
            format!(
                "with {} {} requests were refused at once, and what was served kept its time",
                step.load, step.turned_away
            ),
        )
    })
}

/// Every stream is slow or stands still, and health is fast.
fn all_slow(signs: &Signs, step: &StepSigns) -> Option<Finding> {
    let is_beside = |step: &StepSigns, one: &Health| {
        one.state == HealthState::Fast
            || (one.state == HealthState::Slower && !slows_with_streams(step, one))
    };
    let is_fast = |step: &StepSigns| step.health.iter().all(|one| is_beside(step, one));
    // Where health grows with the load as well, it is not the streams alone.
    let mut later = signs.steps.iter().filter(|one| one.asked >= step.asked);
    if !later.all(is_fast) || step.limit.is_some() {
        return None;
    }
    let told = match (step.pace, &step.late_first_byte) {
        (Pace::StandsStill, _) => format!("with {} no stream gets anything any more", step.load),
        (Pace::Slower(times), _) => {
            format!(
                "with {} every stream is {times:.1} times slower than one alone",
                step.load
            )
        }
        (_, Some(late)) => late.told.clone(),
        _ => return None,
    };
    let reason = format!("{told}, while health is fast: what makes the answers is slow");
    let own = signs.known.is_own;
    Some(Finding {
        member: own.then_some(Member::Upstream),
        candidates: match own {
            true => Vec::new(),
            false => vec![candidate(
                Kind::UpstreamSlow,
                Family::AllSlow,
                "the upstream's own count of open streams (--upstream-stats): it has all of them",
            )],
        },
        ..Finding::of(
            Family::AllSlow,
            if own {
                Kind::UpstreamSlow
            } else {
                Kind::Undecided
            },
            reason,
        )
    })
}

/// What hurts and no rule knows.
fn still_open(signs: &Signs) -> Option<Finding> {
    if let Some(open) = &signs.open {
        return Some(Finding::open(open.reason.clone(), open.candidates.clone()));
    }
    let step = signs.steps.iter().find(|step| step.hurts())?;
    let ledger = "the upstream's own log: how it ended these streams";
    if let Some(waits) = step.health.iter().find(|one| one.is_bad()) {
        let reason = match waits.state {
            HealthState::Waits => format!("with {} {} waits", step.load, waits.name),
            HealthState::Refuses => format!(
                "with {} {} is answered with an error status: it says itself that something is wrong, or \
                 it is asked too often",
                step.load, waits.name
            ),
            _ => format!("with {} {} gets no connection", step.load, waits.name),
        };
        return Some(Finding::open(reason, shared_or_loop()));
    }
    if let Some(failing) = &step.failing {
        let of_them = candidate(Kind::UpstreamSlow, Family::AllSlow, ledger);
        return Some(Finding::open(
            format!("with {} {failing}", step.load),
            vec![of_them],
        ));
    }
    let reason = step
        .restless
        .clone()
        .or_else(|| Some(step.late_first_byte.as_ref()?.told.clone()))
        .unwrap_or_else(|| match step.pace {
            Pace::Slower(times) => {
                format!(
                    "with {} every stream is {times:.1} times slower than one alone",
                    step.load
                )
            }
            _ => format!("with {} not everything kept its time", step.load),
        });
    let candidates = if step.restless.is_some() {
        Vec::new()
    } else {
        vec![
            candidate(
                Kind::UpstreamSlow,
                Family::AllSlow,
                "more streams: health stays fast then",
            ),
            candidate(
                Kind::EventLoopBlocked,
                Family::LoopBlocked,
                "more streams: health waits then",
            ),
        ]
    };
    Some(Finding::open(reason, candidates))
}

/// Nothing hurts. A sign that was not seen, or a check that failed now and then, refuses it.
fn healthy(signs: &Signs) -> Finding {
    let unseen = signs.steps.iter().find_map(|step| {
        let unknown = step.health_that(HealthState::Unknown).next();
        let spotty = step.health.iter().find(|one| one.is_spotty);
        match (unknown, spotty, &step.failing) {
            (Some(one), _, _) => Some(format!(
                "with {} too few checks of {} were made",
                step.load, one.name
            )),
            (_, Some(one), _) => Some(format!(
                "with {} some checks failed: {}",
                step.load, one.told
            )),
            (_, _, Some(failing)) => Some(format!("with {} {failing}", step.load)),
            _ => None,
        }
    });
    if let Some(reason) = unseen {
        return Finding::open(reason, Vec::new());
    }
    let most = signs.steps.iter().max_by_key(|step| step.asked);
    let up_to = most
        .filter(|step| step.asked > 0)
        .map_or(String::new(), |step| format!(" up to {}", step.load));
    Finding::of(
        Family::Healthy,
        Kind::Healthy,
        format!("every health check and every stream kept its time{up_to}"),
    )
}
