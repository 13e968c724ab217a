//! What was seen of a cell of the lab's own: one load, with the server's gauges and the upstream's ledger.

use super::health::told;
use super::target::{CPU_SHORT_PERCENT, IDLE_PERCENT};
use super::{
    AtUpstream, Cpu, Health, HealthState, Held, Known, Late, Limit, Open, Signs, StepSigns,
    candidate,
};
use crate::judge::flat;
use crate::summary::{
    Candidate, Family, HangUpFigures, Kind, Leftovers, Loop, RequestFigures, State, StreamFigures,
    Summary,
};
use crate::units::{time, time_or_bound};

/// A TTFT beyond this many times the upstream's own means that streams wait somewhere.
const TTFT_GROWN: u64 = 3;

/// Starting a stream may always take this long, in microseconds.
const TTFT_FLOOR_US: u64 = 200_000;

/// A class waits if more than this share of its requests, in percent, timed out or had no answer at the
/// end. A healthy open loop has far fewer in flight: those that came within one response time.
const WAITING_PERCENT: f64 = 25.0;

const HOW_IT_ENDED: &str = "the upstream's ledger: how it ended these streams";
const STATUS: &str =
    "the status of the refusals: 503 or 429 is a limit, 404 a wrong path, 502 no upstream";

/// The signs of a cell.
pub(in crate::judge) fn of_cell(summary: &Summary) -> Signs {
    let row = summary.phases.load.hang_ups.as_ref();
    let (held, open) = match row {
        Some(row) => left_by_hang_ups(summary, row),
        None => (left_at_upstream(summary), None),
    };
    let pool = summary.server.pool.as_ref();
    Signs {
        generator: generator_limited(summary),
        steps: vec![step(summary, row.is_some())],
        held,
        known: Known {
            is_own: true,
            has_free_thread: pool
                .is_some_and(|pool| pool.busy_peak < pool.capacity || pool.queued_peak == 0),
            ..Known::default()
        },
        open,
        evidence: evidence(summary),
        capacity: None,
    }
}

fn step(summary: &Summary, has_hang_ups: bool) -> StepSigns {
    let phases = &summary.phases;
    let streams = &phases.load.streams;
    let health: Vec<_> = phases
        .load
        .probes
        .iter()
        .filter_map(|(name, hold)| {
            let baseline = phases.baseline.probes.get(name)?;
            let state = match flat::is_hurt(baseline, hold) {
                None => HealthState::Unknown,
                Some(true) => HealthState::Waits,
                Some(false) => HealthState::Fast,
            };
            Some(Health {
                name: name.clone(),
                state,
                takes_us: hold.response_us.p99.unwrap_or(0),
                longest_us: hold.response_us.max.unwrap_or(0),
                is_raised: false,
                is_starved: false,
                is_clean: true,
                is_spotty: false,
                told: told(name, hold, baseline),
            })
        })
        .collect();
    let limit = (!has_hang_ups).then(|| limit(summary)).flatten();
    let is_refusing = streams.refused > 0 && limit.is_none() && !has_hang_ups;
    let lost = streams.truncated + streams.error + streams.stalled;
    let planned = summary.parameters.get("ttft_us").copied().unwrap_or(0);
    let ttft_us = streams.ttft_us.p99.unwrap_or(0);
    let long_us = (TTFT_GROWN * planned).max(planned + TTFT_FLOOR_US);
    let waits = !has_hang_ups && (streams.unserved > 0 || ttft_us > long_us);
    StepSigns {
        load: format!("{} streams", streams.started),
        asked: streams.started,
        late_first_byte: (waits && limit.is_none() && streams.refused == 0).then(|| Late {
            by_us: ttft_us.saturating_sub(planned),
            told: "first chunks came late".to_owned(),
        }),
        failing: if is_refusing {
            let (refused, asked) = (streams.refused, streams.started);
            Some(format!(
                "{refused} of {asked} streams were refused, and none was served"
            ))
        } else {
            (lost > 0 && !has_hang_ups && !waits)
                .then(|| format!("{lost} streams were served and did not end well"))
        },
        cpu: cpu(summary),
        restless: restless(summary),
        limit,
        health,
        ..StepSigns::default()
    }
}

fn generator_limited(summary: &Summary) -> Option<String> {
    let streams = &summary.phases.load.streams;
    let asked = summary.parameters.get("streams").copied().unwrap_or(0);
    if summary.quality.not_sent_percent > crate::load::NOT_SENT_PERCENT {
        return Some(format!(
            "{:.1} % of the checks could not be sent",
            summary.quality.not_sent_percent
        ));
    }
    (streams.started < asked)
        .then(|| format!("only {} of {asked} streams were started", streams.started))
        .filter(|_| summary.state == State::Complete)
}

fn cpu(summary: &Summary) -> Cpu {
    let cores = summary.host.cores as f64;
    let machine = summary.quality.host_cpu_percent;
    let server = summary.server.cpu_percent;
    if server.is_none() && machine.is_none() {
        return Cpu::Unknown;
    }
    let by_server = server.is_some_and(|cpu| cpu > CPU_SHORT_PERCENT * cores);
    let by_machine = machine.is_some_and(|cpu| cpu > CPU_SHORT_PERCENT)
        && server.is_none_or(|cpu| cpu > IDLE_PERCENT);
    let told = server.map_or("the cores are busy".to_owned(), |cpu| {
        format!("the server used {cpu:.0} % of one core of {cores}")
    });
    match by_server || by_machine {
        true => Cpu::Short(told),
        false => Cpu::Free(told),
    }
}

/// The endpoints whose hold was measured well enough and did not stay flat, in words.
fn restless(summary: &Summary) -> Option<String> {
    let phases = &summary.phases;
    let names: Vec<_> = phases
        .load
        .probes
        .iter()
        .filter_map(|(name, hold)| {
            let baseline = phases.baseline.probes.get(name)?;
            (flat::is_flat(baseline, hold, flat::LEAST_CHECKS) == Some(false))
                .then_some(name.as_str())
        })
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} did not stay flat, yet is not slow enough to name a cause",
            names.join(" and ")
        )
    })
}

/// How many are served at once while others wait or are refused.
fn limit(summary: &Summary) -> Option<Limit> {
    if let Some((name, class)) = waiting_class(summary) {
        return Some(bulkhead(summary, name, class));
    }
    let streams = &summary.phases.load.streams;
    if streams.refused > 0 {
        let served = streams.served_peak.filter(|&served| served > 0)?;
        return Some(Limit {
            streams: Some(served),
            told: format!(
                "{} of {} streams were refused while no more than {served} were served at once",
                streams.refused, streams.started
            ),
            member: None,
            upstream: AtUpstream::Some(served),
        });
    }
    plateau(streams)
}

/// How many streams are served at once. If streams wait in some cohorts and not in others, only the
/// waiting cohorts count: the others do not need what is short. `None` if no stream waits, or if the
/// number cannot be known.
fn plateau(streams: &StreamFigures) -> Option<Limit> {
    let (short, free): (Vec<_>, Vec<_>) = streams
        .cohorts
        .iter()
        .partition(|(_, cohort)| cohort.unserved > 0);
    let limit = |served: u64, of: String| Limit {
        streams: Some(served),
        told: format!("no more than {served} of {of} are served at once"),
        member: None,
        upstream: AtUpstream::Some(served),
    };
    if short.is_empty() || free.is_empty() {
        return streams
            .served_peak
            .filter(|&served| served < streams.open_peak)
            .map(|served| limit(served, format!("{} streams", streams.started)));
    }
    let names: Vec<_> = short.iter().map(|(name, _)| name.as_str()).collect();
    let sum =
        |of: fn(&StreamFigures) -> u64| short.iter().map(|(_, cohort)| of(cohort)).sum::<u64>();
    // A stream that ended made room for another. Then more were served in all than at once.
    let have_ended = sum(|cohort| cohort.complete) > 0;
    let served = sum(|cohort| cohort.started - cohort.unserved - cohort.refused);
    (!have_ended && served > 0).then(|| {
        let started = sum(|cohort| cohort.started);
        limit(
            served,
            format!("{started} streams of the cohort {}", names.join(" and ")),
        )
    })
}

/// A class of requests that wait: more than [`WAITING_PERCENT`] timed out or had no answer when the
/// load ended.
fn waiting_class(summary: &Summary) -> Option<(&str, &RequestFigures)> {
    let classes = summary.phases.load.requests.iter();
    classes
        .map(|(name, class)| (name.as_str(), class))
        .find(|(_, class)| {
            let waiting = class.outcomes.timeout + class.unanswered;
            let share = 100.0 * waiting as f64 / class.outcomes.due.max(1) as f64;
            class.arrivals == Loop::Open && share > WAITING_PERCENT
        })
}

/// How many requests a bulkhead works on at once while others queue, by its gauges. Little's law needs the
/// mean time that a request takes, and a client sees that time only together with the wait.
fn bulkhead(summary: &Summary, name: &str, class: &RequestFigures) -> Limit {
    let ledger = summary.upstream.ledger.as_ref();
    let of_bulkhead = summary
        .server
        .bulkhead
        .as_ref()
        .filter(|one| one.queued_peak > 0);
    let (streams, upstream) = match ledger {
        None => (None, AtUpstream::Unknown),
        Some(ledger) if ledger.started > 0 => {
            let served = summary.phases.load.streams.served_peak;
            (served, AtUpstream::Some(served.unwrap_or(0)))
        }
        Some(_) => (of_bulkhead.map(|one| one.busy_peak), AtUpstream::Nothing),
    };
    Limit {
        streams,
        told: format!(
            "{name} waits: {} timed out and {} had no answer at the end, of {} due",
            class.outcomes.timeout, class.unanswered, class.outcomes.due
        ),
        member: None,
        upstream,
    }
}

fn left_at_upstream(summary: &Summary) -> Option<Held> {
    let left = summary
        .upstream
        .ledger
        .as_ref()
        .map_or(0, |ledger| ledger.open);
    (left > 0 && summary.state == State::Complete).then(|| Held {
        told: format!("the upstream still has {left} streams open that no client has"),
        streams: None,
    })
}

/// What clients that hung up left behind, or why that is not known.
fn left_by_hang_ups(summary: &Summary, row: &HangUpFigures) -> (Option<Held>, Option<Open>) {
    let left = summary.leftovers.clone().unwrap_or_default();
    let hangs = row.first_hanging.map_or(String::new(), |first| {
        format!("; request {first} was the first to hang")
    });
    let held = |count: u64, what: String| Held {
        told: format!("{what}{hangs}"),
        streams: row.first_hanging.map(|_| count),
    };
    if let Some(open) = left.upstream_streams.filter(|&open| open > 0) {
        let what = format!("the upstream has {open} streams open and their clients are gone");
        return (Some(held(open, what)), None);
    }
    if let Some(permits) = left.permits.filter(|&permits| permits > 0) {
        let what = format!("{permits} permits are in use for clients that are gone");
        return (Some(held(permits, what)), None);
    }
    let count = |ending: &str| row.endings.get(ending).copied().unwrap_or(0);
    let (refused, failed, broken) = (count("refused"), count("failed"), count("broken"));
    let open = if let Some(first) = row.first_hanging {
        Some(Open {
            reason: format!(
                "request {first} was the first of {} that hung, while health is fast",
                count("hanging")
            ),
            candidates: suspects(row, &left, summary),
        })
    } else if refused + failed > 0 {
        let sent = row.sent;
        Some(Open {
            reason: format!("of {sent} requests {refused} were refused and {failed} got no answer"),
            candidates: vec![candidate(
                Kind::UpstreamLimit,
                Family::LimitBesideHealth,
                STATUS,
            )],
        })
    } else {
        (broken > 0).then(|| Open {
            reason: format!("{broken} answers broke off or ended with an error"),
            candidates: vec![candidate(Kind::UpstreamSlow, Family::AllSlow, HOW_IT_ENDED)],
        })
    };
    (None, open)
}

/// Possible causes if requests hang while health is fast and nothing was seen to be left over.
fn suspects(row: &HangUpFigures, left: &Leftovers, summary: &Summary) -> Vec<Candidate> {
    let mut suspects = Vec::new();
    let leak = |decided_by| candidate(Kind::ConnectionLeak, Family::HeldForNobody, decided_by);
    if left.upstream_streams.is_none() {
        suspects.push(leak(
            "the upstream's own count of open streams: it has more than there are clients",
        ));
    } else if left.permits.is_none() {
        // Possible even without an open stream, because a permit can outlive its stream.
        suspects.push(leak(
            "the server's own count of permits: some are in use and nobody has them",
        ));
    }
    if !never_reached_upstream(row) {
        suspects.push(candidate(
            Kind::UpstreamLimit,
            Family::LimitBesideHealth,
            "the upstream's own count of open streams: it stays at the limit, and each has a client",
        ));
        suspects.push(candidate(
            Kind::UpstreamSlow,
            Family::AllSlow,
            "the upstream's own count of open streams: the requests that hang are among them",
        ));
    }
    if !summary.phases.load.probes.contains_key("health_sync") {
        suspects.push(candidate(
            Kind::BlockingPoolExhausted,
            Family::LimitSharedWithHealth,
            "a sync health URL that is slow",
        ));
    }
    suspects
}

/// True if the upstream's ledger shows that no request that hung reached it: it has at most as many
/// streams as requests were served. With one more, such as a stream of a fallback, this is unknown.
fn never_reached_upstream(row: &HangUpFigures) -> bool {
    let Some(unknown) = row.unknown_to_upstream else {
        return false;
    };
    let served = ["hung_up", "completed", "broken"]
        .iter()
        .filter_map(|ending| row.endings.get(*ending));
    row.by_upstream.iter().sum::<u64>() <= served.sum::<u64>().saturating_sub(unknown)
}

fn evidence(summary: &Summary) -> Vec<String> {
    let phases = &summary.phases;
    let mut evidence = Vec::new();
    for (name, hold) in &phases.load.probes {
        if let Some(baseline) = phases.baseline.probes.get(name) {
            evidence.push(told(name, hold, baseline));
        }
    }
    let streams = &phases.load.streams;
    if streams.started > 0 {
        evidence.push(format!(
            "streams: {} asked for, {} open at once at the upstream, {} unserved",
            streams.started,
            streams
                .served_peak
                .map_or("n/a".to_owned(), |peak| peak.to_string()),
            streams.unserved
        ));
    }
    evidence.extend(phases.load.requests.iter().map(describe_class));
    if let Some(row) = &phases.load.hang_ups {
        evidence.push(describe_hang_ups(row, summary.leftovers.as_ref()));
    }
    if let Some(pool) = &summary.server.pool {
        evidence.push(format!(
            "pool: {} of {} threads busy at most, {} queued at most, longest wait {}",
            pool.busy_peak,
            pool.capacity,
            pool.queued_peak,
            time(pool.oldest_wait_us_peak as f64)
        ));
    }
    evidence.extend(restarts(summary));
    evidence.extend(
        summary
            .server
            .cpu_percent
            .map(|cpu| format!("CPU of the server in the hold: {cpu:.0} % of one core")),
    );
    // Requests that were refused at once are no failure: a service should shed load beyond its capacity.
    evidence.extend(phases.load.requests.iter().filter_map(|(name, class)| {
        let shed = class.outcomes.bad_status;
        (shed > 0).then(|| {
            format!(
                "{shed} of {} requests of {name} were answered with an error status at once: load \
                 beyond capacity is shed",
                class.outcomes.due
            )
        })
    }));
    evidence
}

/// What a kubelet did. [`flat::is_hurt`] ignores the connections that were refused while the process was
/// down.
fn restarts(summary: &Summary) -> Option<String> {
    let kubelet = summary.kubelet.as_ref().filter(|one| one.restarts > 0)?;
    let down = kubelet.kills.iter().filter_map(|kill| kill.down_us);
    Some(format!(
        "kubelet: {} of {} liveness probes failed, the server was started again {} times and down for {}; \
         checks that were refused meanwhile decide nothing",
        kubelet.liveness.failed,
        kubelet.liveness.sent,
        kubelet.restarts,
        time(down.sum::<u64>() as f64)
    ))
}

fn describe_class((name, class): (&String, &RequestFigures)) -> String {
    let outcomes = &class.outcomes;
    let figures = &outcomes.response_us;
    format!(
        "{name}: {} due, {} answered, {} with an error status, {} timed out, {} unanswered at the end, p50 {}, p99 {}",
        outcomes.due,
        outcomes.ok,
        outcomes.bad_status,
        outcomes.timeout,
        class.unanswered,
        time_or_bound(figures.p50, figures.p50_censored),
        time_or_bound(figures.p99, figures.p99_censored)
    )
}

/// The row in a sentence.
fn describe_hang_ups(row: &HangUpFigures, left: Option<&Leftovers>) -> String {
    let shown = |count: Option<u64>| count.map_or("n/a".to_owned(), |count| count.to_string());
    let release = row.release_us.as_ref();
    let release = time_or_bound(
        release.and_then(|release| release.p99),
        release.is_some_and(|release| release.p99_censored),
    );
    let hanging = row.endings.get("hanging").copied().unwrap_or(0);
    let left = left.cloned().unwrap_or_default();
    format!(
        "hang-ups: {} sent, {} reached their stage, {hanging} hung; upstream released p99 {release}; left over: {} upstream \
         streams, {} permits, {} busy threads, {} tasks, {} connections, {} open files",
        row.sent,
        row.reached,
        shown(left.upstream_streams),
        shown(left.permits),
        shown(left.threads_busy),
        shown(left.tasks),
        shown(left.connections),
        shown(left.fds)
    )
}
