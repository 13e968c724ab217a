//! Which failure a service has, seen from outside. The evidence is its health, its streams, and what else
//! the user gave. Failures that look the same are all listed, each with the flag that would decide.

use super::capacity::{self, is_short, is_told_by_ends, typical_us};
use super::diagnosis::{CPU_SATURATED_PERCENT, IDLE_PERCENT, describe};
use super::flat;
use crate::summary::{Attach, Candidate, Diagnosis, Kind, Probe, Step, StreamFigures, Summary};
use crate::units::time;

/// A server is short of CPU if it waits for a core for more than this share, in percent, of the time it
/// wants to run. With twice as many runnable threads as cores the share is 50 %.
const CORE_WAIT_PERCENT: f64 = 40.0;

/// Deciding flags.
const SYNC: &str = "--sync-health: it is slow as well";
const SYNC_FAST: &str =
    "--sync-health, which stays fast, and --upstream-stats: it stays at the limit";
const PID_IDLE: &str = "--pid: its CPU is low while its loop is blocked";
const LOOP_LATER: &str =
    "more streams: async health is slower than alone, and hurts then; and --pid: its CPU";
const PID_BUSY: &str = "--pid: its CPU is at the limit of its cores";

/// The verdict on a target. Expects everything of `summary` but its diagnosis and expectations.
pub(super) fn diagnose(summary: &Summary) -> Diagnosis {
    let (Some(attach), Some(last)) = (&summary.attach, summary.steps.last()) else {
        return plain(Kind::Undecided, vec!["nothing was asked of it".to_owned()]);
    };
    let outside = Outside {
        summary,
        attach,
        last,
    };
    let mut diagnosis = outside.verdict();
    diagnosis.evidence.extend(outside.evidence());
    diagnosis
}

fn plain(kind: Kind, evidence: Vec<String>) -> Diagnosis {
    Diagnosis {
        kind,
        candidates: Vec::new(),
        evidence,
        inferred_capacity: None,
    }
}

fn undecided(reason: String, of: &[(Kind, &str)]) -> Diagnosis {
    Diagnosis {
        candidates: candidates(of).collect(),
        ..plain(Kind::Undecided, vec![reason])
    }
}

fn candidates(of: &[(Kind, &str)]) -> impl Iterator<Item = Candidate> {
    of.iter().map(|&(kind, decided_by)| Candidate {
        kind,
        decided_by: decided_by.to_owned(),
    })
}

struct Outside<'a> {
    summary: &'a Summary,
    attach: &'a Attach,
    /// The step with the most streams.
    last: &'a Step,
}

/// What became of the streams that were asked for after all clients had hung up.
enum Afresh {
    /// As many were served as before, or nobody looked.
    Served,
    /// Fewer were served: some wait.
    Missing(String),
    /// Fewer were served: some were answered with an error.
    Refused(String),
}

impl Outside<'_> {
    fn verdict(&self) -> Diagnosis {
        if self.summary.quality.not_sent_percent > 1.0 {
            let reason = "checks could not be sent".to_owned();
            return plain(Kind::GeneratorLimited, vec![reason]);
        }
        let hurt = |name| self.hurt(name);
        match (hurt("health_sync"), hurt("health_async"), hurt("health")) {
            (_, Some(true), _) => self.loop_or_cpu("async health hurts"),
            (Some(true), Some(false), _) if self.waits_for_the_loop() => {
                self.loop_or_cpu("sync health hurts, and async health takes more than half as long")
            }
            (Some(true), Some(false), _) => self.pool(),
            (Some(true), None, _) => undecided(
                "sync health hurts".to_owned(),
                &[
                    (Kind::BlockingPoolExhausted, "--async-health: it stays fast"),
                    (
                        Kind::EventLoopBlocked,
                        "--async-health, which is slow as well, and --pid: its CPU is low",
                    ),
                    (Kind::CpuSaturated, PID_BUSY),
                ],
            ),
            (None, Some(false), Some(true)) => undecided(
                "health hurts, async health does not".to_owned(),
                &[
                    (Kind::BlockingPoolExhausted, SYNC),
                    (Kind::BulkheadFull, "--sync-health: it stays fast"),
                    (Kind::UpstreamLimit, SYNC_FAST),
                ],
            ),
            (None, None, Some(true)) => undecided(
                "health hurts".to_owned(),
                &[
                    (
                        Kind::BlockingPoolExhausted,
                        "--sync-health, which is slow, and --async-health, which stays fast",
                    ),
                    (
                        Kind::EventLoopBlocked,
                        "--async-health, which is slow, and --pid: its CPU is low",
                    ),
                    (Kind::CpuSaturated, PID_BUSY),
                    (Kind::UpstreamLimit, SYNC_FAST),
                ],
            ),
            (Some(false), _, Some(true)) => undecided(
                "health hurts, sync health does not: what it asks for is short, and not the server"
                    .to_owned(),
                &[
                    (
                        Kind::BulkheadFull,
                        "what the health URL itself waits for: a pool of its own",
                    ),
                    (
                        Kind::UpstreamLimit,
                        "what the health URL itself waits for: the upstream",
                    ),
                ],
            ),
            (sync, _, _) => self.streams(sync.is_some()),
        }
    }

    /// Whether a health check hurts in the step with the most streams.
    fn hurt(&self, name: &str) -> Option<bool> {
        let baseline = &self.summary.phases.baseline.probes;
        flat::check_hurts(name, baseline, &self.last.load.probes)
    }

    /// A check before the load, and its deciding response time under load, in microseconds.
    fn deciding(&self, name: &str) -> Option<(&Probe, u64)> {
        let baseline = self.summary.phases.baseline.probes.get(name)?;
        let hold = self.last.load.probes.get(name)?;
        Some((baseline, flat::deciding_us(hold)?))
    }

    /// Whether async health is no longer flat, though it does not hurt yet.
    fn is_async_slower(&self) -> bool {
        self.deciding("health_async")
            .is_some_and(|(baseline, us)| us > flat::bound_us(baseline))
    }

    /// True if sync health waits mostly for the event loop, so that async health waits too. A full pool
    /// would delay only sync health.
    fn waits_for_the_loop(&self) -> bool {
        let on_loop = self.deciding("health_async");
        let on_thread = self.deciding("health_sync");
        let is_most = on_loop
            .zip(on_thread)
            .is_some_and(|((_, on_loop), (_, on_thread))| on_loop > on_thread / 2);
        is_most && self.is_async_slower()
    }

    /// Async health is slow. Either the CPU is short or something blocks the loop.
    fn loop_or_cpu(&self, reason: &str) -> Diagnosis {
        let Some(cpu) = self.last.cpu_percent else {
            return undecided(
                reason.to_owned(),
                &[
                    (Kind::EventLoopBlocked, PID_IDLE),
                    (Kind::CpuSaturated, PID_BUSY),
                ],
            );
        };
        let cores = self.summary.host.cores as f64;
        let machine = self.last.host_cpu_percent.unwrap_or(0.0);
        let core_wait = self.last.core_wait_percent;
        let wants_to_run = cpu > IDLE_PERCENT;
        // Other processes may keep the machine busy. What counts is whether the server got a core
        // when it wanted one.
        let is_short = match core_wait {
            Some(percent) => percent > CORE_WAIT_PERCENT,
            None => machine > CPU_SATURATED_PERCENT,
        };
        let is_busy = cpu > CPU_SATURATED_PERCENT * cores || (is_short && wants_to_run);
        let waited = core_wait.map_or(String::new(), |percent| {
            format!(" and waited for one {percent:.0} % of the time it wanted to run")
        });
        let used = format!("{reason}; the server used {cpu:.0} % of one core of {cores}{waited}");
        if is_busy {
            plain(Kind::CpuSaturated, vec![format!("{used}: no core is free")])
        } else {
            let reason = format!("{used}: it could compute, so something blocks its loop");
            plain(Kind::EventLoopBlocked, vec![reason])
        }
    }

    fn pool(&self) -> Diagnosis {
        let mut reasons = vec!["sync health hurts, async health does not".to_owned()];
        let capacity = self.attach.capacity.as_ref();
        reasons.extend(capacity.map(|one| format!("capacity {}", one.confidence)));
        if let Afresh::Missing(what) = self.afresh() {
            reasons.push(format!(
                "{what}: threads are held for clients that are gone"
            ));
        }
        self.inferring(plain(Kind::BlockingPoolExhausted, reasons))
    }

    /// No health check hurts: is anything wrong with the streams themselves?
    fn streams(&self, sync_seen: bool) -> Diagnosis {
        let left = self.left_at_upstream();
        if let Some(left) = left.filter(|&left| left > 0) {
            let reason =
                format!("{left} streams are open at the upstream after every client has hung up");
            return self.with_capacity(Kind::ConnectionLeak, reason);
        }
        let afresh = self.afresh();
        if let Afresh::Missing(what) = afresh {
            if sync_seen || left.is_some() {
                return self.with_capacity(
                    Kind::ConnectionLeak,
                    format!(
                        "{what}, while health is fast: something is held for clients that are gone"
                    ),
                );
            }
            return undecided(
                what,
                &[
                    (
                        Kind::ConnectionLeak,
                        "--sync-health, which stays fast, or --upstream-stats: it has more open than there are clients",
                    ),
                    (Kind::BlockingPoolExhausted, SYNC),
                ],
            );
        }
        if let Afresh::Refused(what) = afresh {
            return undecided(
                what,
                &[
                    (
                        Kind::ConnectionLeak,
                        "--upstream-stats: it has more open than there are clients",
                    ),
                    (
                        Kind::UpstreamLimit,
                        "a longer pause before it: a quota of requests in a time is over by then",
                    ),
                ],
            );
        }
        let streams = &self.last.load.streams;
        let shed = self.shed();
        let serves = streams.complete + self.last.served_at_once > 0;
        if shed > 0 && serves && !self.is_slow() {
            let reason = format!(
                "{shed} requests were answered with 503 or 429 at once, the others kept their time: \
                 load beyond capacity is shed"
            );
            return self.with_capacity(Kind::Healthy, reason);
        }
        // A limit on short answers is no failure in itself. They may simply take that long.
        let waits = self.attach.capacity.is_some() && !is_short(self.summary);
        if waits || self.is_slow() {
            let mut diagnosis = self.waiting(sync_seen);
            if diagnosis.kind == Kind::Undecided && self.is_async_slower() {
                let more = [
                    (Kind::EventLoopBlocked, LOOP_LATER),
                    (Kind::CpuSaturated, LOOP_LATER),
                ];
                diagnosis.candidates.extend(candidates(&more));
            }
            return diagnosis;
        }
        let lost = streams.truncated + streams.error + streams.stalled;
        if lost > 0 {
            return undecided(
                format!("{lost} streams were served and did not end well"),
                &[(
                    Kind::UpstreamSlow,
                    "the upstream's own log: how it ended these streams",
                )],
            );
        }
        if streams.refused > 0 {
            return undecided(
                format!(
                    "{} requests were answered with an error: {}",
                    streams.refused,
                    statuses(streams)
                ),
                &[(
                    Kind::UpstreamLimit,
                    "the status of the refusals: 503 or 429 is a limit",
                )],
            );
        }
        plain(
            Kind::Healthy,
            vec!["every health check and every stream kept its time".to_owned()],
        )
    }

    /// Streams wait or are refused while health is fast.
    fn waiting(&self, sync_seen: bool) -> Diagnosis {
        let reason = match &self.attach.capacity {
            Some(capacity) => format!("health is fast, yet capacity {}", capacity.confidence),
            None => format!(
                "health is fast, yet with {} at once a first byte takes {}, and {} alone",
                self.last.streams.unwrap_or(0),
                shown(typical_us(self.summary, self.last)),
                shown(self.alone())
            ),
        };
        let asked = self.last.streams.unwrap_or(0);
        let before = self.attach.upstream_open_before.unwrap_or(0);
        let at_upstream = self.last.load.streams.served_peak;
        match at_upstream.map(|open| open.saturating_sub(before)) {
            Some(0) if sync_seen => self.with_capacity(
                Kind::BulkheadFull,
                format!("{reason}; none of them is at the upstream"),
            ),
            Some(open) if open >= asked => plain(
                Kind::UpstreamSlow,
                vec![format!("{reason}; all of them are at the upstream")],
            ),
            Some(open) if sync_seen => self.with_capacity(
                Kind::UpstreamLimit,
                format!("{reason}; no more than {open} are at the upstream"),
            ),
            Some(open) => self.undecided_waiting(
                reason,
                &[
                    (Kind::BlockingPoolExhausted, SYNC),
                    (
                        if open == 0 {
                            Kind::BulkheadFull
                        } else {
                            Kind::UpstreamLimit
                        },
                        "--sync-health: it stays fast",
                    ),
                ],
            ),
            None => {
                let mut candidates = vec![
                    (
                        Kind::UpstreamLimit,
                        "--upstream-stats: it stays at the limit",
                    ),
                    (
                        Kind::UpstreamSlow,
                        "--upstream-stats: it has as many open as there are clients",
                    ),
                    (Kind::BulkheadFull, "--upstream-stats: it has none of them"),
                ];
                if !sync_seen {
                    candidates.insert(0, (Kind::BlockingPoolExhausted, SYNC));
                }
                if self.attach.after_hang_up.is_none() {
                    candidates.push((
                        Kind::ConnectionLeak,
                        "--hang-up: what was served does not come back",
                    ));
                }
                self.undecided_waiting(reason, &candidates)
            }
        }
    }

    fn undecided_waiting(&self, reason: String, candidates: &[(Kind, &str)]) -> Diagnosis {
        self.inferring(undecided(reason, candidates))
    }

    fn with_capacity(&self, kind: Kind, reason: String) -> Diagnosis {
        self.inferring(plain(kind, vec![reason]))
    }

    /// The same diagnosis, with the capacity that was seen.
    fn inferring(&self, diagnosis: Diagnosis) -> Diagnosis {
        Diagnosis {
            inferred_capacity: self.attach.capacity.as_ref().map(|one| one.streams),
            ..diagnosis
        }
    }

    /// Requests that were refused at once, if nothing else went wrong.
    fn shed(&self) -> u64 {
        let shed = capacity::turned_away(self.last);
        if shed == self.last.load.streams.refused {
            shed
        } else {
            0
        }
    }

    fn alone(&self) -> Option<u64> {
        typical_us(self.summary, self.summary.steps.first()?)
    }

    /// Whether a stream takes much longer than alone. If some were refused, only the number of the others
    /// that wait is known.
    fn is_slow(&self) -> bool {
        let streams = &self.last.load.streams;
        if self.shed() > 0 && !is_short(self.summary) {
            return streams.waiting + streams.unserved > 1;
        }
        let typical = typical_us(self.summary, self.last);
        let long = capacity::long_us(self.summary);
        typical
            .zip(long)
            .is_some_and(|(typical, long)| typical > long)
    }

    /// Streams that the upstream has after all clients have left, beyond those that it had before the load.
    fn left_at_upstream(&self) -> Option<u64> {
        let step = self.attach.after_hang_up.as_ref().unwrap_or(self.last);
        let before = self.attach.upstream_open_before?;
        Some(step.upstream_open_after?.saturating_sub(before))
    }

    fn afresh(&self) -> Afresh {
        let Some(step) = &self.attach.after_hang_up else {
            return Afresh::Served;
        };
        let streams = &step.load.streams;
        // Nobody waited for the end of a step that was cut off. Streams that were slow before the
        // hang-up are slow after it for the same reason.
        let was_slow = self.attach.capacity.is_none() && self.is_slow();
        if step.recovery.duration_us == 0 || was_slow {
            return Afresh::Served;
        }
        let (served, asked) = (self.served_afresh(step), step.streams.unwrap_or(0));
        let result =
            format!("after a hang-up of all clients {served} of {asked} streams are served");
        let waiting = streams.waiting + streams.unserved;
        let is_long = streams.waited_us.max > capacity::long_us(self.summary);
        if waiting > 0 && is_long {
            let longest = shown(streams.waited_us.max);
            return Afresh::Missing(format!("{result}, and {waiting} wait for up to {longest}"));
        }
        if served < asked && streams.refused > 0 {
            return Afresh::Refused(format!("{result}: {}", statuses(streams)));
        }
        Afresh::Served
    }

    /// How many were served. Each short stream that has ended counts, because it made room for another.
    fn served_afresh(&self, step: &Step) -> u64 {
        let streams = &step.load.streams;
        if is_told_by_ends(self.summary, step) {
            streams.complete.min(step.streams.unwrap_or(0))
        } else {
            streams.receiving_peak
        }
    }

    fn evidence(&self) -> Vec<String> {
        let phases = &self.summary.phases;
        let of_step = format!(" with {} streams", self.last.streams.unwrap_or(0));
        let health = self.last.load.probes.iter().map(|(name, hold)| {
            let line = describe(name, hold, phases.baseline.probes.get(name));
            format!("{line}{of_step}")
        });
        let mut evidence: Vec<_> = health.collect();
        let all = &self.summary.steps;
        let alone = all.first().filter(|_| all.len() > 1);
        evidence.extend(alone.into_iter().chain([self.last]).map(|step| {
            let streams = &step.load.streams;
            let upstream = streams
                .served_peak
                .map_or(String::new(), |open| format!(", {open} open at the upstream"));
            format!(
                "{} streams: {} served at once, {} waiting{upstream}, first byte p50 {}, {} refused",
                step.name,
                step.served_at_once,
                streams.waiting + streams.unserved,
                shown(streams.ttft_us.p50),
                streams.refused
            )
        }));
        if let Some(step) = &self.attach.after_hang_up {
            let left = self.left_at_upstream();
            evidence.push(format!(
                "after the hang-up of all: {} of {} streams served afresh{}",
                self.served_afresh(step),
                step.streams.unwrap_or(0),
                left.map_or(String::new(), |left| format!(
                    ", {left} left open at the upstream"
                ))
            ));
        }
        if let Some(cpu) = self.last.cpu_percent {
            evidence.push(format!(
                "CPU of the server{of_step}: {cpu:.0} % of one core"
            ));
        }
        evidence
    }
}

fn statuses(streams: &StreamFigures) -> String {
    let each = streams
        .statuses
        .iter()
        .map(|(status, count)| format!("{count} × {status}"));
    each.collect::<Vec<_>>().join(", ")
}

fn shown(us: Option<u64>) -> String {
    us.map_or("n/a".to_owned(), |us| time(us as f64))
}

#[cfg(test)]
pub(super) mod tests;
