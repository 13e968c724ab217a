//! Which failure it is of a service that is seen from outside: by its health, by its streams, and by
//! what else was given. What that cannot tell apart is listed with the flag that would.

use super::capacity::{is_short, is_told_by_ends};
use super::diagnosis::{CPU_SATURATED_PERCENT, IDLE_PERCENT, TTFT_FLOOR_US, TTFT_GROWN, describe};
use super::flat;
use crate::summary::{Attach, Candidate, Diagnosis, Kind, Probe, Step, Streams, Summary};
use crate::units::time;

/// A server that waits for a core more than this share of the time it wants to run, in percent, is
/// short of CPU: with twice as many runnable threads as cores it is half of it.
const CORE_WAIT_PERCENT: f64 = 40.0;

/// Deciding flags.
const SYNC: &str = "--sync-health: it is slow as well";
const SYNC_FAST: &str =
    "--sync-health, which stays fast, and --upstream-stats: it stays at the limit";
const PID_IDLE: &str = "--pid: its CPU is low while its loop is blocked";
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

fn undecided(reason: String, candidates: &[(Kind, &str)]) -> Diagnosis {
    let candidates = candidates.iter().map(|&(kind, decided_by)| Candidate {
        kind,
        decided_by: decided_by.to_owned(),
    });
    Diagnosis {
        candidates: candidates.collect(),
        ..plain(Kind::Undecided, vec![reason])
    }
}

struct Outside<'a> {
    summary: &'a Summary,
    attach: &'a Attach,
    /// The step with the most streams.
    last: &'a Step,
}

/// What became of the streams that were asked for after the hang-up of all.
enum Afresh {
    /// It was not looked at, or as many were served as before.
    Served,
    /// Fewer.
    Missing(String),
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
            (Some(true), Some(false), _) if self.is_async_as_slow() => {
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

    /// A check before the load, and its 95th percentile under load, in microseconds.
    fn p95(&self, name: &str) -> Option<(&Probe, u64)> {
        let baseline = self.summary.phases.baseline.probes.get(name)?;
        let hold = self.last.load.probes.get(name)?;
        Some((baseline, hold.response_us.p95?))
    }

    /// Whether most of what sync health waits for is what async health waits for too, as both pass the
    /// loop: a pool that is full holds up the one and not the other.
    fn is_async_as_slow(&self) -> bool {
        let async_check = self.p95("health_async");
        let sync_check = self.p95("health_sync");
        async_check
            .zip(sync_check)
            .is_some_and(|((_, on_loop), (_, on_thread))| on_loop > on_thread / 2)
    }

    /// Whether async health is slower than flat, though it does not hurt yet.
    fn is_async_slower(&self) -> bool {
        self.p95("health_async")
            .is_some_and(|(baseline, p95)| p95 > flat::bound_us(baseline))
    }

    /// Async health is slow: for want of CPU, or because something blocks the loop.
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
        // A machine may be busy with others: what counts is whether the server got a core when it
        // wanted one.
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
        if let Afresh::Missing(what) = self.afresh() {
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
        let streams = &self.last.load.streams;
        let shed = self.shed();
        if shed > 0 && !self.is_slow() {
            let reason = format!(
                "{shed} requests were answered with 503 or 429 at once, the others kept their time: \
                 load beyond capacity is shed"
            );
            return self.with_capacity(Kind::Healthy, reason);
        }
        // Of short answers a capacity alone says no more than that they take as long as they take.
        let waits = self.attach.capacity.is_some() && !is_short(self.summary);
        if waits || self.is_slow() {
            if self.is_async_slower() {
                return self.loop_or_cpu("streams wait, and async health is slower than alone");
            }
            return self.waiting(sync_seen);
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

    /// Streams wait, or are turned away, while health is fast.
    fn waiting(&self, sync_seen: bool) -> Diagnosis {
        let reason = match &self.attach.capacity {
            Some(capacity) => format!("health is fast, yet capacity {}", capacity.confidence),
            None => format!(
                "health is fast, yet with {} at once a first byte takes {}, and {} alone",
                self.last.streams.unwrap_or(0),
                shown(self.typical(self.last)),
                shown(self.alone())
            ),
        };
        let asked = self.last.streams.unwrap_or(0);
        match self.last.load.streams.served_peak {
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
            Some(_) => self.undecided_waiting(
                reason,
                &[
                    (Kind::BlockingPoolExhausted, SYNC),
                    (Kind::UpstreamLimit, "--sync-health: it stays fast"),
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

    /// The same, with the capacity that was seen.
    fn inferring(&self, diagnosis: Diagnosis) -> Diagnosis {
        Diagnosis {
            inferred_capacity: self.attach.capacity.as_ref().map(|one| one.streams),
            ..diagnosis
        }
    }

    /// Requests that were turned away at once, if no other went wrong.
    fn shed(&self) -> u64 {
        let streams = &self.last.load.streams;
        let turned_away = ["503", "429"];
        let shed = turned_away
            .iter()
            .filter_map(|status| streams.statuses.get(*status));
        let shed = shed.sum::<u64>();
        if shed == streams.refused { shed } else { 0 }
    }

    /// Median time that a stream takes to its first byte, or a short answer to its end: of those that
    /// were answered.
    fn typical(&self, step: &Step) -> Option<u64> {
        let streams = &step.load.streams;
        if is_short(self.summary) {
            streams.took_us.p50
        } else {
            streams.ttft_us.p50
        }
    }

    /// The same of one that has the service to itself.
    fn alone(&self) -> Option<u64> {
        self.typical(self.summary.steps.first()?)
    }

    /// Whether it takes much longer than alone. With some turned away, of those that are not it is
    /// known only that they wait.
    fn is_slow(&self) -> bool {
        let streams = &self.last.load.streams;
        if self.shed() > 0 && !is_short(self.summary) {
            return streams.waiting + streams.unserved > 1;
        }
        let typical = self.typical(self.last);
        typical.zip(self.alone()).is_some_and(|(typical, alone)| {
            typical > (TTFT_GROWN * alone).max(alone + TTFT_FLOOR_US)
        })
    }

    /// Streams that the upstream has when all clients are gone and had not before.
    fn left_at_upstream(&self) -> Option<u64> {
        let step = self.attach.after_hang_up.as_ref().unwrap_or(self.last);
        let before = self.attach.upstream_open_before?;
        Some(step.upstream_open_after?.saturating_sub(before))
    }

    fn afresh(&self) -> Afresh {
        let Some(step) = &self.attach.after_hang_up else {
            return Afresh::Served;
        };
        let asked = step.streams.unwrap_or(0);
        let streams = &step.load.streams;
        let served = if is_told_by_ends(self.summary, step) {
            streams.complete
        } else {
            streams.receiving_peak
        };
        // One that is cut off before it is over has not been waited for.
        if served >= asked || step.recovery.duration_us == 0 {
            return Afresh::Served;
        }
        Afresh::Missing(format!(
            "after a hang-up of all clients {served} of {asked} streams are served, and {} wait for {}",
            asked - served,
            shown(streams.ttft_us.max)
        ))
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
                step.load
                    .streams
                    .receiving_peak
                    .max(step.load.streams.complete.min(step.streams.unwrap_or(0))),
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

fn statuses(streams: &Streams) -> String {
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
pub(super) mod tests {
    use super::*;
    use crate::judge::capacity;
    use crate::judge::sample::{fast, hurt, summary};
    use crate::summary::{LoadPhase, Quality, Recovery};

    /// A step that asked for so many streams and had so many served.
    pub(in crate::judge) fn step(asked: u64, served: u64) -> Step {
        let probes = summary().phases.load.probes;
        let mut streams = Streams {
            started: asked,
            receiving_peak: served,
            waiting: asked - served,
            ..Streams::default()
        };
        streams.ttft_us.p50 = Some(20_000);
        Step {
            name: asked.to_string(),
            streams: Some(asked),
            action: None,
            load: LoadPhase {
                probes,
                streams,
                ..LoadPhase::default()
            },
            recovery: Recovery::default(),
            served_at_once: served,
            cpu_percent: None,
            core_wait_percent: None,
            host_cpu_percent: Some(99.0),
            upstream_open_after: None,
            quality: Quality::default(),
            diagnosis: plain(Kind::Undecided, Vec::new()),
        }
    }

    pub(in crate::judge) fn attached(steps: Vec<Step>) -> Summary {
        let mut summary = summary();
        summary.steps = steps;
        summary.server.pool = None;
        summary.upstream.ledger = None;
        summary.attach = Some(Attach {
            stream: "http://127.0.0.1/".into(),
            method: "GET".into(),
            health: Default::default(),
            upstream_stats: None,
            has_pid: false,
            command: None,
            upstream_open_before: None,
            capacity: None,
            after_hang_up: None,
        });
        let capacity = capacity::of(&summary);
        if let Some(attach) = &mut summary.attach {
            attach.capacity = capacity;
        }
        summary
    }

    fn plateau() -> Summary {
        attached(
            [(1, 1), (6, 4), (8, 4), (12, 4)]
                .map(|(n, c)| step(n, c))
                .to_vec(),
        )
    }

    fn last(summary: &mut Summary) -> &mut Step {
        summary.steps.last_mut().expect("a step")
    }

    fn kinds(summary: &Summary) -> (Kind, Vec<Kind>) {
        let diagnosis = diagnose(summary);
        let candidates = diagnosis.candidates.iter().map(|one| one.kind);
        (diagnosis.kind, candidates.collect())
    }

    #[test]
    fn sync_health_tells_a_pool_from_a_limit() {
        let mut summary = plateau();
        last(&mut summary)
            .load
            .probes
            .insert("health_sync".into(), hurt());
        let diagnosis = diagnose(&summary);
        assert_eq!(diagnosis.kind, Kind::BlockingPoolExhausted);
        assert_eq!(diagnosis.inferred_capacity, Some(4));
        last(&mut summary)
            .load
            .probes
            .insert("health_sync".into(), fast());
        let (kind, candidates) = kinds(&summary);
        assert_eq!(kind, Kind::Undecided);
        assert!(
            !candidates.contains(&Kind::BlockingPoolExhausted),
            "{candidates:?}"
        );
        last(&mut summary).load.probes.remove("health_sync");
        let (kind, candidates) = kinds(&summary);
        assert_eq!(kind, Kind::Undecided);
        assert!(
            candidates.contains(&Kind::BlockingPoolExhausted),
            "{candidates:?}"
        );
    }

    #[test]
    fn what_slows_both_checks_is_no_full_pool() {
        let taking = |us: u64| {
            let mut probe = fast();
            let response = &mut probe.response_us;
            (response.p95, response.p99) = (Some(us), Some(us));
            probe
        };
        let loop_or_cpu = vec![Kind::EventLoopBlocked, Kind::CpuSaturated];
        let mut summary = plateau();
        let mut with = |sync_us, async_us| {
            let probes = &mut last(&mut summary).load.probes;
            probes.insert("health_sync".into(), taking(sync_us));
            probes.insert("health_async".into(), taking(async_us));
            kinds(&summary)
        };
        // Sync health is just above what hurts, async health just below.
        assert_eq!(
            with(130_000, 95_000),
            (Kind::Undecided, loop_or_cpu.clone())
        );
        // Neither hurts, streams wait, and health is not what it was: that is no limit behind the loop.
        assert_eq!(with(95_000, 90_000), (Kind::Undecided, loop_or_cpu));
        // A loop that is a little slow beside a pool that is full.
        assert_eq!(with(5_000_000, 40_000).0, Kind::BlockingPoolExhausted);
    }

    #[test]
    fn the_upstream_tells_a_limit_from_a_bulkhead_and_from_itself() {
        let mut summary = plateau();
        for (open, kind) in [
            (4, Kind::UpstreamLimit),
            (0, Kind::BulkheadFull),
            (12, Kind::UpstreamSlow),
        ] {
            last(&mut summary).load.streams.served_peak = Some(open);
            assert_eq!(kinds(&summary), (kind, Vec::new()), "{open}");
        }
    }

    #[test]
    fn the_machine_that_attaches_is_not_the_server_unless_its_process_is_known() {
        let mut summary = plateau();
        last(&mut summary)
            .load
            .probes
            .insert("health_async".into(), hurt());
        let (kind, candidates) = kinds(&summary);
        assert_eq!(kind, Kind::Undecided);
        assert_eq!(candidates, [Kind::EventLoopBlocked, Kind::CpuSaturated]);
        last(&mut summary).cpu_percent = Some(120.0);
        assert_eq!(kinds(&summary).0, Kind::CpuSaturated);
        last(&mut summary).host_cpu_percent = Some(60.0);
        assert_eq!(kinds(&summary).0, Kind::EventLoopBlocked);
        // Others make the machine busy, and the server has its core all the same, or has not.
        last(&mut summary).host_cpu_percent = Some(100.0);
        last(&mut summary).core_wait_percent = Some(12.0);
        assert_eq!(kinds(&summary).0, Kind::EventLoopBlocked);
        last(&mut summary).core_wait_percent = Some(75.0);
        assert_eq!(kinds(&summary).0, Kind::CpuSaturated);
    }

    #[test]
    fn what_is_not_served_afresh_is_a_leak_and_the_upstream_proves_one() {
        let mut summary = plateau();
        let attach = summary.attach.as_mut().expect("attached");
        let mut afresh = step(4, 0);
        afresh.recovery.duration_us = 1;
        attach.after_hang_up = Some(afresh);
        assert_eq!(kinds(&summary), (Kind::ConnectionLeak, Vec::new()));
        // All are served again, but the upstream still has those of before.
        let attach = summary.attach.as_mut().expect("attached");
        let mut afresh = step(4, 4);
        afresh.recovery.duration_us = 1;
        afresh.upstream_open_after = Some(14);
        attach.after_hang_up = Some(afresh);
        attach.upstream_open_before = Some(2);
        let diagnosis = diagnose(&summary);
        assert_eq!(diagnosis.kind, Kind::ConnectionLeak);
        assert!(
            diagnosis.evidence[0].starts_with("12 streams are open"),
            "{diagnosis:?}"
        );
    }

    #[test]
    fn all_served_and_all_fast_is_healthy_and_so_is_load_that_is_shed() {
        let summary = attached([1, 8, 64].map(|n| step(n, n)).to_vec());
        assert_eq!(kinds(&summary), (Kind::Healthy, Vec::new()));
        let mut shedding = plateau();
        for step in &mut shedding.steps {
            step.load.streams.waiting = 0;
            step.load.streams.refused = 9;
            step.load.streams.statuses = [("503".to_owned(), 9)].into();
        }
        assert_eq!(kinds(&shedding), (Kind::Healthy, Vec::new()));
    }
}
