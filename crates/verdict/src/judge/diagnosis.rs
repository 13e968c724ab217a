//! Which failure it is, and the figures that decided it.
//!
//! The deciding signs, as an operator sees them from outside:
//!
//! | what hurts | sync health | async health | CPU | streams | upstream |
//! |---|---|---|---|---|---|
//! | blocking pool exhausted | slow | fast | low | served at once stays at c | open = c |
//! | event loop blocked | slow | slow | low | all stop | – |
//! | CPU saturated | slow | slow | high | all slow | – |
//! | bulkhead full | fast | fast | low | one class waits or times out, the others do not | – |
//! | upstream limit or leak | fast | fast | low | TTFT grows, plateau at P | open > clients for a leak |
//! | upstream slow | fast | fast | low | slow | open = clients |

use super::flat;
use super::leak::{self, Leak, leak};
use super::outside;
use crate::summary::{
    Bulkhead, Candidate, Diagnosis, Kind, Loop, Probe, RequestFigures, State, StreamFigures,
    Summary,
};
use crate::units::{time, time_or_bound};

/// Above this share of the machine's cores, in percent, the CPU is short.
pub(super) const CPU_SATURATED_PERCENT: f64 = 90.0;

/// A server that used less than this, in percent of one core, had no work for the CPU. A server with work
/// gets its share of CPU, however busy the machine is.
pub(super) const IDLE_PERCENT: f64 = 3.0;

/// A TTFT beyond this many times the upstream's own means that streams wait somewhere.
const TTFT_GROWN: u64 = 3;

/// A class waits if more than this share of its requests, in percent, timed out or had no answer at the
/// end. A healthy open loop has far fewer in flight: those that came within one response time.
const WAITING_PERCENT: f64 = 25.0;

/// Starting a stream may always take this long, in microseconds.
const TTFT_FLOOR_US: u64 = 200_000;

/// Deciding signs that are used more than once.
const AT_THE_LIMIT: &str = "the upstream's own count of open streams: it stays at the limit";
const AS_THE_CLIENTS: &str = "the upstream's own count of open streams: it equals the clients'";
const SYNC_SLOW: &str = "a sync health URL that is slow";

/// The bound above which a wait is much longer than a wait of `us`. Both are in microseconds.
pub(super) fn much_longer_than(us: u64) -> u64 {
    (TTFT_GROWN * us).max(us + TTFT_FLOOR_US)
}

/// The verdict on one cell. Expects everything of `summary` but its diagnosis and expectations.
#[must_use]
pub fn diagnose(summary: &Summary) -> Diagnosis {
    if summary.attach.is_some() {
        return outside::diagnose(summary);
    }
    let facts = Facts::of(summary);
    if let Some(reason) = facts.generator_limited(summary) {
        return facts.verdict(Kind::GeneratorLimited, vec![reason]);
    }
    match (facts.hurt("health_sync"), facts.hurt("health_async")) {
        (_, Some(true)) => facts.loop_or_cpu(),
        (Some(true), Some(false)) => facts.pool(),
        (Some(true), None) => facts.undecided(&[
            (
                Kind::BlockingPoolExhausted,
                "an async health URL that stays fast",
            ),
            (
                Kind::EventLoopBlocked,
                "an async health URL that is slow as well",
            ),
        ]),
        (sync, _) => facts.streams_alone(sync.is_some()),
    }
}

struct Facts<'a> {
    summary: &'a Summary,
    evidence: Vec<String>,
}

impl<'a> Facts<'a> {
    fn of(summary: &'a Summary) -> Self {
        let mut facts = Self {
            summary,
            evidence: Vec::new(),
        };
        for (name, hold) in &summary.phases.load.probes {
            facts.evidence.push(describe(
                name,
                hold,
                summary.phases.baseline.probes.get(name),
            ));
        }
        let streams = &summary.phases.load.streams;
        if streams.started > 0 {
            facts.evidence.push(format!(
                "streams: {} asked for, {} open at once at the upstream, {} unserved",
                streams.started,
                streams
                    .served_peak
                    .map_or("n/a".to_owned(), |peak| peak.to_string()),
                streams.unserved
            ));
        }
        facts
            .evidence
            .extend(summary.phases.load.requests.iter().map(describe_class));
        if let Some(row) = &summary.phases.load.hang_ups {
            let left = summary.leftovers.as_ref();
            facts.evidence.push(leak::describe(row, left));
        }
        if let Some(pool) = &summary.server.pool {
            facts.evidence.push(format!(
                "pool: {} of {} threads busy at most, {} queued at most, longest wait {}",
                pool.busy_peak,
                pool.capacity,
                pool.queued_peak,
                time(pool.oldest_wait_us_peak as f64)
            ));
        }
        facts.evidence.extend(restarts(summary));
        if let Some(cpu) = summary.server.cpu_percent {
            facts.evidence.push(format!(
                "CPU of the server in the hold: {cpu:.0} % of one core"
            ));
        }
        facts
    }

    fn hurt(&self, endpoint: &str) -> Option<bool> {
        let hold = self.summary.phases.load.probes.get(endpoint)?;
        flat::is_hurt(self.summary.phases.baseline.probes.get(endpoint)?, hold)
    }

    fn verdict(self, kind: Kind, mut more: Vec<String>) -> Diagnosis {
        more.extend(self.evidence);
        Diagnosis {
            kind,
            candidates: Vec::new(),
            evidence: more,
            inferred_capacity: None,
        }
    }

    /// `Undecided`, with `reason` as the first piece of evidence: it is what a reader needs most.
    fn undecided_because(mut self, reason: String, candidates: &[(Kind, &str)]) -> Diagnosis {
        self.evidence.insert(0, reason);
        self.undecided(candidates)
    }

    fn undecided(self, candidates: &[(Kind, &str)]) -> Diagnosis {
        let candidates = candidates
            .iter()
            .map(|&(kind, decided_by)| Candidate {
                kind,
                decided_by: decided_by.to_owned(),
            })
            .collect();
        Diagnosis {
            candidates,
            ..self.verdict(Kind::Undecided, Vec::new())
        }
    }

    fn generator_limited(&self, summary: &Summary) -> Option<String> {
        let streams = &summary.phases.load.streams;
        let asked = summary.parameters.get("streams").copied().unwrap_or(0);
        if summary.quality.not_sent_percent > 1.0 {
            return Some(format!(
                "{:.1} % of the checks could not be sent",
                summary.quality.not_sent_percent
            ));
        }
        (streams.started < asked)
            .then(|| format!("only {} of {asked} streams were started", streams.started))
            .filter(|_| summary.state == State::Complete)
    }

    /// Async health hurts, so the loop does not run. Either the CPU is short or something blocks the loop.
    fn loop_or_cpu(self) -> Diagnosis {
        let cores = self.summary.host.cores as f64;
        let machine = self.summary.quality.host_cpu_percent;
        match (self.summary.server.cpu_percent, machine) {
            (None, None) => self.undecided(&[
                (
                    Kind::EventLoopBlocked,
                    "the server's pid: its CPU is low while its loop is blocked",
                ),
                (
                    Kind::CpuSaturated,
                    "the server's pid: its CPU is at the limit of its cores",
                ),
            ]),
            (server, machine) => {
                let by_server = server.is_some_and(|cpu| cpu > CPU_SATURATED_PERCENT * cores);
                let by_machine = machine.is_some_and(|cpu| cpu > CPU_SATURATED_PERCENT)
                    && server.is_none_or(|cpu| cpu > IDLE_PERCENT);
                if by_server || by_machine {
                    let reason = "async health hurts and the cores are busy".to_owned();
                    self.verdict(Kind::CpuSaturated, vec![reason])
                } else {
                    let reason =
                        "async health hurts while the server could compute: something blocks the loop"
                            .to_owned();
                    self.verdict(Kind::EventLoopBlocked, vec![reason])
                }
            }
        }
    }

    /// Sync health hurts and async health does not. Only sync health needs the pool, so the pool is short.
    fn pool(self) -> Diagnosis {
        let streams = &self.summary.phases.load.streams;
        let plateau = plateau(streams);
        let full = self
            .summary
            .server
            .pool
            .as_ref()
            .filter(|pool| pool.busy_peak >= pool.capacity && pool.queued_peak > 0);
        let has_gauges = self.summary.server.pool.is_some();
        if has_gauges && full.is_none() {
            return self.undecided(&[(
                Kind::BlockingPoolExhausted,
                "gauges that show the pool full; these show a free thread, so what the sync check waits for is elsewhere",
            )]);
        }
        let reason = match &plateau {
            Some(Plateau { served, of }) => format!(
                "sync health hurts, async health does not, and no more than {served} of {of} are served at once"
            ),
            None => "sync health hurts and async health does not".to_owned(),
        };
        let zombies = match leak(self.summary, true) {
            Some(Leak::Seen { capacity, .. }) => capacity,
            _ => None,
        };
        Diagnosis {
            inferred_capacity: plateau.map(|one| one.served).or(zombies),
            ..self.verdict(Kind::BlockingPoolExhausted, vec![reason])
        }
    }

    /// The endpoints whose hold was measured well enough and did not stay flat.
    fn not_flat(&self) -> impl Iterator<Item = &str> {
        let phases = &self.summary.phases;
        phases.load.probes.iter().filter_map(|(name, hold)| {
            let baseline = phases.baseline.probes.get(name)?;
            (flat::is_flat(baseline, hold, flat::LEAST_CHECKS) == Some(false))
                .then_some(name.as_str())
        })
    }

    /// Streams were refused while health was fast. If others were served meanwhile, a limit refused them.
    fn refused(self) -> Diagnosis {
        let streams = &self.summary.phases.load.streams;
        let (refused, asked) = (streams.refused, streams.started);
        let served = streams.served_peak.unwrap_or(0);
        if served == 0 {
            let reason = format!("{refused} of {asked} streams were refused, and none was served");
            let status = "the status of the refusals: 503 or 429 is a limit, 404 a wrong path, 502 no upstream";
            return self.undecided_because(reason, &[(Kind::UpstreamLimit, status)]);
        }
        let reason = format!(
            "{refused} of {asked} streams were refused while no more than {served} were served at once"
        );
        Diagnosis {
            inferred_capacity: Some(served),
            ..self.verdict(Kind::UpstreamLimit, vec![reason])
        }
    }

    /// A class of requests that wait: more than [`WAITING_PERCENT`] timed out or had no answer when the
    /// load ended.
    fn waiting_class(&self) -> Option<(&'a str, &'a RequestFigures)> {
        let classes = self.summary.phases.load.requests.iter();
        classes
            .map(|(name, class)| (name.as_str(), class))
            .find(|(_, class)| {
                let waiting = class.outcomes.timeout + class.unanswered;
                let share = 100.0 * waiting as f64 / class.outcomes.due.max(1) as f64;
                class.arrivals == Loop::Open && share > WAITING_PERCENT
            })
    }

    /// One class waits while everything else is fast. So the threads that it runs on are full.
    fn bulkhead(self, name: &str, class: &RequestFigures) -> Diagnosis {
        let ledger = self.summary.upstream.ledger.as_ref();
        let reason = format!(
            "{name} waits: {} timed out and {} had no answer at the end, of {} due, while every health check is fast",
            class.outcomes.timeout, class.unanswered, class.outcomes.due
        );
        match ledger {
            None => {
                let reaches_not =
                    "the upstream's own count of open streams: this class does not reach it";
                let candidates = [
                    (Kind::BulkheadFull, reaches_not),
                    (Kind::UpstreamLimit, AT_THE_LIMIT),
                    (Kind::UpstreamSlow, AS_THE_CLIENTS),
                ];
                self.undecided_because(reason, &candidates)
            }
            Some(ledger) if ledger.started > 0 => Diagnosis {
                inferred_capacity: self.summary.phases.load.streams.served_peak,
                ..self.verdict(Kind::UpstreamLimit, vec![reason])
            },
            Some(_) => Diagnosis {
                inferred_capacity: busy_servers(self.summary.server.bulkhead.as_ref()),
                ..self.verdict(Kind::BulkheadFull, vec![reason])
            },
        }
    }

    /// Nothing waits. Requests that were refused at once are no failure: a service should shed load beyond
    /// its capacity.
    fn healthy(self) -> Diagnosis {
        let mut reasons = vec!["every health check and every stream kept its time".to_owned()];
        for (name, class) in &self.summary.phases.load.requests {
            let shed = class.outcomes.bad_status;
            if shed > 0 {
                reasons.push(format!(
                    "{shed} of {} requests of {name} were answered with an error status at once: load beyond capacity is shed",
                    class.outcomes.due
                ));
            }
        }
        self.verdict(Kind::Healthy, reasons)
    }

    /// No health check hurts. But clients that hung up left something behind, or others were not served.
    fn hang_ups(self, found: Leak) -> Diagnosis {
        let (reason, candidates) = match found {
            Leak::Seen { reason, capacity } => {
                return Diagnosis {
                    inferred_capacity: capacity,
                    ..self.verdict(Kind::ConnectionLeak, vec![reason])
                };
            }
            Leak::Suspected { reason, candidates } => (reason, candidates),
            Leak::Failing { reason, candidate } => (reason, vec![candidate]),
        };
        self.undecided_because(reason, &candidates)
    }

    /// No health check hurts: is anything wrong with the streams themselves?
    fn streams_alone(self, sync_seen: bool) -> Diagnosis {
        let streams = &self.summary.phases.load.streams;
        if let Some(found) = leak(self.summary, sync_seen) {
            return self.hang_ups(found);
        }
        let left = self
            .summary
            .upstream
            .ledger
            .as_ref()
            .map_or(0, |ledger| ledger.open);
        if left > 0 && self.summary.state == State::Complete {
            let reason = format!("the upstream still has {left} streams open that no client has");
            return self.verdict(Kind::ConnectionLeak, vec![reason]);
        }
        if let Some((name, class)) = self.waiting_class() {
            return self.bulkhead(name, class);
        }
        if streams.refused > 0 {
            return self.refused();
        }
        let planned = self.summary.parameters.get("ttft_us").copied().unwrap_or(0);
        let ttft = streams.ttft_us.p99.unwrap_or(0);
        let grown = ttft > much_longer_than(planned);
        if streams.unserved == 0 && !grown {
            let lost = streams.truncated + streams.error + streams.stalled;
            if lost > 0 {
                let reason = format!("{lost} streams were served and did not end well");
                let ledger = "the upstream's ledger: how it ended these streams";
                return self.undecided_because(reason, &[(Kind::UpstreamSlow, ledger)]);
            }
            let restless: Vec<_> = self.not_flat().collect();
            if !restless.is_empty() {
                let reason = format!(
                    "{} did not stay flat, yet is not slow enough to name a cause",
                    restless.join(" and ")
                );
                return self.verdict(Kind::Undecided, vec![reason]);
            }
            return self.healthy();
        }
        let Some(served) = streams.served_peak else {
            let mut candidates = vec![
                (Kind::UpstreamLimit, AT_THE_LIMIT),
                (Kind::UpstreamSlow, AS_THE_CLIENTS),
            ];
            if !sync_seen {
                candidates.push((Kind::BlockingPoolExhausted, SYNC_SLOW));
            }
            return self.undecided(&candidates);
        };
        if served < streams.open_peak {
            if !sync_seen {
                return self.undecided(&[
                    (Kind::BlockingPoolExhausted, SYNC_SLOW),
                    (Kind::UpstreamLimit, "a sync health URL that stays fast"),
                ]);
            }
            let reason = format!(
                "health is fast, yet no more than {served} of {} streams are served at once",
                streams.started
            );
            return Diagnosis {
                inferred_capacity: Some(served),
                ..self.verdict(Kind::UpstreamLimit, vec![reason])
            };
        }
        let reason = "every stream reached the upstream, and its first chunk came late".to_owned();
        self.verdict(Kind::UpstreamSlow, vec![reason])
    }
}

/// How many streams are served at once while others wait.
#[derive(Debug, PartialEq, Eq)]
struct Plateau {
    served: u64,
    /// Words for what `served` is a part of, such as "40 streams".
    of: String,
}

/// How many streams are served at once. If streams wait in some cohorts and not in others, only the
/// waiting cohorts count: the others do not need what is short. `None` if no stream waits, or if the
/// number cannot be known.
fn plateau(streams: &StreamFigures) -> Option<Plateau> {
    let (short, free): (Vec<_>, Vec<_>) = streams
        .cohorts
        .iter()
        .partition(|(_, cohort)| cohort.unserved > 0);
    if short.is_empty() || free.is_empty() {
        return streams
            .served_peak
            .filter(|&served| served < streams.open_peak)
            .map(|served| Plateau {
                served,
                of: format!("{} streams", streams.started),
            });
    }
    let names: Vec<_> = short.iter().map(|(name, _)| name.as_str()).collect();
    let sum =
        |of: fn(&StreamFigures) -> u64| short.iter().map(|(_, cohort)| of(cohort)).sum::<u64>();
    // A stream that ended made room for another. Then more were served in all than at once.
    let have_ended = sum(|cohort| cohort.complete) > 0;
    let served = sum(|cohort| cohort.started - cohort.unserved - cohort.refused);
    (!have_ended && served > 0).then(|| Plateau {
        served,
        of: format!(
            "{} streams of the cohort {}",
            sum(|cohort| cohort.started),
            names.join(" and ")
        ),
    })
}

/// How many requests a bulkhead works on at once while others queue. Its gauges must show it. Little's law
/// needs the mean time that a request takes, and a client sees that time only together with the wait. The
/// shortest response time may be that of a small request. `None` if there are no gauges, or if no request
/// was seen to queue.
fn busy_servers(bulkhead: Option<&Bulkhead>) -> Option<u64> {
    let full = bulkhead.filter(|bulkhead| bulkhead.queued_peak > 0)?;
    Some(full.busy_peak)
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

pub(super) fn describe(name: &str, hold: &Probe, baseline: Option<&Probe>) -> String {
    let response = &hold.response_us;
    format!(
        "{name}: {} (baseline {}), {:.1} % unanswered",
        response.p99_or_max(),
        time_or_bound(
            baseline.and_then(|baseline| baseline.response_us.p99),
            false
        ),
        hold.unanswered_percent().unwrap_or(0.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{class, fast, hurt, summary};
    use crate::summary::{Distribution, Ledger};

    fn candidates(diagnosis: &Diagnosis) -> Vec<Kind> {
        diagnosis
            .candidates
            .iter()
            .map(|candidate| candidate.kind)
            .collect()
    }

    #[test]
    fn all_fast_and_all_served_is_healthy() {
        assert_eq!(diagnose(&summary()).kind, Kind::Healthy);
    }

    #[test]
    fn slow_sync_beside_fast_async_is_the_pool_and_the_plateau_its_size() {
        let mut summary = summary();
        summary
            .phases
            .load
            .probes
            .insert("health_sync".into(), hurt());
        summary.phases.load.streams.served_peak = Some(7);
        summary.phases.load.streams.unserved = 93;
        summary.server.pool = None;
        let diagnosis = diagnose(&summary);
        assert_eq!(diagnosis.kind, Kind::BlockingPoolExhausted);
        assert_eq!(diagnosis.inferred_capacity, Some(7));
    }

    /// A rollout: 33 streams need one of four threads, and seven need none.
    #[test]
    fn streams_that_need_no_thread_are_not_counted_into_the_size_of_the_pool() {
        let mut summary = summary();
        let probes = &mut summary.phases.load.probes;
        probes.insert("health_sync".into(), hurt());
        summary.server.pool = None;
        let cohort = |started, unserved| StreamFigures {
            started,
            unserved,
            ..StreamFigures::default()
        };
        let streams = &mut summary.phases.load.streams;
        (streams.served_peak, streams.unserved) = (Some(11), 29);
        streams.cohorts = [
            ("async".to_owned(), cohort(7, 0)),
            ("blocking".to_owned(), cohort(33, 29)),
        ]
        .into();
        let diagnosis = diagnose(&summary);
        assert_eq!(
            (diagnosis.kind, diagnosis.inferred_capacity),
            (Kind::BlockingPoolExhausted, Some(4))
        );
        let reason = &diagnosis.evidence[0];
        assert!(
            reason.contains("4 of 33 streams of the cohort blocking"),
            "{reason}"
        );
        // All streams need a thread: the peak is that of the pool.
        summary.phases.load.streams.cohorts.remove("async");
        assert_eq!(diagnose(&summary).inferred_capacity, Some(11));
    }

    #[test]
    fn a_server_that_was_down_between_two_restarts_has_no_blocked_loop() {
        let mut summary = summary();
        let down = |ok: u64, timeout: u64| Probe {
            ok,
            timeout,
            connect_failure: 110,
            due: ok + timeout + 110,
            response_ok_us: fast().response_us,
            ..hurt()
        };
        summary.phases.load.probes = [
            ("health_sync".to_owned(), down(470, 120)),
            ("health_async".to_owned(), down(590, 0)),
        ]
        .into();
        summary.server.pool = None;
        summary.kubelet = Some(crate::summary::KubeletFigures {
            restarts: 2,
            ..Default::default()
        });
        let diagnosis = diagnose(&summary);
        assert_eq!(diagnosis.kind, Kind::BlockingPoolExhausted);
        let told = |line: &String| line.contains("was started again 2 times");
        assert!(diagnosis.evidence.iter().any(told), "{diagnosis:?}");
    }

    #[test]
    fn gauges_that_show_a_free_thread_contradict_an_exhausted_pool() {
        let mut summary = summary();
        summary
            .phases
            .load
            .probes
            .insert("health_sync".into(), hurt());
        let diagnosis = diagnose(&summary);
        assert_eq!(diagnosis.kind, Kind::Undecided);
    }

    #[test]
    fn slow_async_is_the_loop_or_the_cpu_by_how_busy_the_cores_are() {
        let mut summary = summary();
        for name in ["health_sync", "health_async"] {
            summary.phases.load.probes.insert(name.into(), hurt());
        }
        summary.server.cpu_percent = Some(5.0);
        summary.quality.host_cpu_percent = Some(10.0);
        assert_eq!(diagnose(&summary).kind, Kind::EventLoopBlocked);
        summary.quality.host_cpu_percent = Some(99.0);
        assert_eq!(diagnose(&summary).kind, Kind::CpuSaturated);
        // Other processes keep the machine busy. The server does not even use its share.
        summary.server.cpu_percent = Some(0.5);
        assert_eq!(diagnose(&summary).kind, Kind::EventLoopBlocked);
        summary.server.cpu_percent = None;
        summary.quality.host_cpu_percent = None;
        let diagnosis = diagnose(&summary);
        assert_eq!(diagnosis.kind, Kind::Undecided);
        assert_eq!(
            candidates(&diagnosis),
            [Kind::EventLoopBlocked, Kind::CpuSaturated]
        );
    }

    #[test]
    fn a_plateau_with_fast_health_is_the_upstream_limit_if_sync_health_was_seen() {
        let mut summary = summary();
        summary.phases.load.streams.served_peak = Some(10);
        summary.phases.load.streams.unserved = 90;
        let diagnosis = diagnose(&summary);
        assert_eq!(
            (diagnosis.kind, diagnosis.inferred_capacity),
            (Kind::UpstreamLimit, Some(10))
        );
        summary.phases.load.probes.remove("health_sync");
        let diagnosis = diagnose(&summary);
        assert_eq!(diagnosis.kind, Kind::Undecided);
        assert_eq!(
            candidates(&diagnosis),
            [Kind::BlockingPoolExhausted, Kind::UpstreamLimit]
        );
    }

    #[test]
    fn streams_that_the_upstream_has_and_no_client_is_a_leak() {
        let mut summary = summary();
        summary.upstream.ledger = Some(Ledger {
            open: 3,
            ..Default::default()
        });
        assert_eq!(diagnose(&summary).kind, Kind::ConnectionLeak);
    }

    /// Four threads; one request in ten takes a hundredth of the time that the others take.
    #[test]
    fn the_capacity_of_a_bulkhead_is_not_that_of_its_shortest_job() {
        let mut summary = summary();
        let class = RequestFigures {
            outcomes: Probe {
                due: 1_000,
                timeout: 900,
                response_ok_us: Distribution {
                    min: Some(1_000),
                    mean: Some(2_000_000),
                    ..Distribution::default()
                },
                ..Probe::default()
            },
            throughput_per_second: Some(40.0),
            ..class()
        };
        summary.phases.load.requests = [("predict".to_owned(), class)].into();
        summary.upstream.ledger = Some(Ledger::default());
        let inferred = |summary: &Summary| {
            let diagnosis = diagnose(summary);
            assert_eq!(diagnosis.kind, Kind::BulkheadFull);
            diagnosis.inferred_capacity
        };
        assert_eq!(inferred(&summary), None);
        summary.server.bulkhead = Some(Bulkhead {
            capacity: 8,
            busy_peak: 4,
            queued_peak: 30,
            ..Bulkhead::default()
        });
        assert_eq!(inferred(&summary), Some(4));
    }

    #[test]
    fn late_first_chunks_of_streams_that_all_arrived_are_the_upstream() {
        let mut summary = summary();
        summary.phases.load.streams.ttft_us.p99 = Some(2_000_000);
        assert_eq!(diagnose(&summary).kind, Kind::UpstreamSlow);
    }

    #[test]
    fn streams_that_were_never_started_prove_nothing_about_the_server() {
        let mut summary = summary();
        summary.phases.load.streams.started = 60;
        assert_eq!(diagnose(&summary).kind, Kind::GeneratorLimited);
    }

    #[test]
    fn a_probe_that_is_neither_flat_nor_hurt_is_neither_healthy_nor_a_failure() {
        let mut summary = summary();
        let mut slower = fast();
        slower.response_us.p99 = Some(40_000);
        summary
            .phases
            .load
            .probes
            .insert("health_sync".into(), slower);
        let diagnosis = diagnose(&summary);
        assert_eq!(diagnosis.kind, Kind::Undecided);
        assert!(diagnosis.evidence[0].starts_with("health_sync did not stay flat"));
    }

    #[test]
    fn refusals_are_a_limit_only_if_others_were_served() {
        let mut summary = summary();
        summary.phases.load.streams.refused = 84;
        summary.phases.load.streams.served_peak = Some(16);
        let diagnosis = diagnose(&summary);
        assert_eq!(
            (diagnosis.kind, diagnosis.inferred_capacity),
            (Kind::UpstreamLimit, Some(16))
        );
        summary.phases.load.streams.served_peak = Some(0);
        assert_eq!(diagnose(&summary).kind, Kind::Undecided);
    }
}
