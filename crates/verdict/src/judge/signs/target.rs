//! What was seen of a service that is not the lab's own: all steps, each against one stream alone.

use super::{
    AtUpstream, Cpu, Health, HealthState, Held, Known, Late, Limit, Pace, Signs, StepSigns,
};
use crate::frameworks;
use crate::judge::capacity;
use crate::summary::{Attach, Distribution, FirstLook, Member, Step, StreamFigures, Summary};
use crate::units::time;

/// A server is short of CPU if it waits for a core for more than this share, in percent, of the time it
/// wants to run. With twice as many runnable threads as cores the share is 50 %.
const CORE_WAIT_PERCENT: f64 = 40.0;

/// Above this share of the machine's cores, in percent, the CPU is short.
pub(super) const CPU_SHORT_PERCENT: f64 = 90.0;

/// A process that uses more of one core than this, in percent, computes all the time.
const ONE_CORE_PERCENT: f64 = 85.0;

/// A server that used less than this, in percent of one core, had no work for the CPU. A server with work
/// gets its share of CPU, however busy the machine is.
pub(super) const IDLE_PERCENT: f64 = 3.0;

/// With fewer gaps between chunks, the pace of one stream alone is unknown.
const LEAST_GAPS: u64 = 4;

/// The median of so many times is not chance.
const SURE_TIMES: u64 = 4;

/// Two medians are about the same if one is no more than so many times the other.
const ABOUT: f64 = 1.3;

/// With so many, their mean is surer than that of one stream alone.
const SURE_GAPS: u64 = 20;

/// Streams keep the pace of one alone if their mean gap is at most so many times its own. The noise of a
/// shared machine stays below it.
const OWN_PACE: f64 = 1.25;

/// From here on streams are slower. Between the two nothing is concluded.
const SLOWER_PACE: f64 = 1.5;

/// A difference below this, in microseconds, is noise of the scheduler.
const GAP_FLOOR_US: u64 = 5_000;

/// If less than this share of the streams that have begun go on, the others have stopped.
const STOPPED: f64 = 0.75;

/// If less than this share of the streams goes on, all of them stand still.
const STANDS_STILL: f64 = 0.25;

/// No stream gets anything for at least so long, in microseconds, before it is called silence.
const SILENCE_FLOOR_US: u64 = 500_000;

/// Of so many streams, each counts.
const FEW: u64 = 4;

/// From so many streams on.
const MANY: u64 = 4;

/// See [`SILENCE_FLOOR_US`]; of many streams.
const SILENCE_OF_MANY_US: u64 = 250_000;

/// Nearly all streams broke off if it is this part.
const BROKE: f64 = 0.8;

/// The same if connections were refused meanwhile: a limit on connections breaks nothing off.
const BROKE_WHILE_REFUSED: f64 = 0.2;

/// Silence of a few streams is this many times as long as the longest pause of one stream alone.
const SILENCE_TIMES: u64 = 4;

/// A first byte is late if it takes this many times as long as alone, and the floor more.
const LATE_TIMES: f64 = 1.5;

/// See [`LATE_TIMES`]; in microseconds.
const LATE_FLOOR_US: u64 = 200_000;

/// A refusal within this time came at once, in microseconds.
const AT_ONCE_US: u64 = 200_000;

/// An answer of which each takes so many times as long as alone waits in a queue.
const QUEUED: f64 = 1.25;

/// See [`QUEUED`]; in microseconds.
const QUEUED_FLOOR_US: u64 = 20_000;

/// One stream alone, against which every step is held. Noise makes things slower and never faster. So what a
/// larger step does faster than the first one is taken for the pace of one alone.
#[derive(Clone, Copy, Debug)]
pub struct Alone {
    /// Time to the first byte, in microseconds.
    pub ttft_us: u64,
    /// Mean gap between two chunks, in microseconds, if enough were seen.
    gap_us: Option<u64>,
    /// Median gap, in microseconds.
    typical_gap_us: Option<u64>,
    /// Longest gap of the first step, in microseconds.
    pub longest_gap_us: u64,
    /// Time to the end, in microseconds, if any came to its end.
    pub took_us: Option<u64>,
    /// Whether the answer arrives all at once, at its end.
    pub is_short: bool,
}

impl Alone {
    /// From the first step; `None` if nothing of it was served.
    #[must_use]
    pub fn of(summary: &Summary) -> Option<Self> {
        let first = &summary.steps.first()?.load.streams;
        let streams = || summary.steps.iter().map(|step| &step.load.streams);
        first.first_chunk_us.p50?;
        let ttft_us = alone(streams().map(|one| &one.first_chunk_us))?;
        let took_us = first.took_us.p50;
        let took_us = took_us.and(alone(streams().map(|one| &one.took_us)));
        let gap = &first.gap_us;
        let gap_us = gap.mean.filter(|_| gap.count >= LEAST_GAPS);
        let surer = || streams().filter(|one| one.gap_us.count >= SURE_GAPS);
        let surer_us = surer().filter_map(|one| one.gap_us.mean).min();
        let took = (first.took_us.p50, first.first_chunk_us.p50);
        Some(Self {
            ttft_us,
            gap_us: gap_us.into_iter().chain(surer_us).min(),
            typical_gap_us: surer()
                .chain([first])
                .filter_map(|one| one.gap_us.p50)
                .min(),
            longest_gap_us: gap.max.unwrap_or(0),
            took_us,
            is_short: match took {
                (Some(took), Some(ttft)) => took.saturating_sub(ttft) <= (took / 10).max(5_000),
                _ => false,
            },
        })
    }

    /// Above this, in microseconds, a first byte is late.
    #[must_use]
    pub fn late_us(self) -> u64 {
        (self.ttft_us as f64 * LATE_TIMES) as u64 + LATE_FLOOR_US
    }
}

/// How long something takes alone, in microseconds: by the first step, unless a larger one with more samples
/// says about the same or less.
fn alone<'a>(mut steps: impl Iterator<Item = &'a Distribution>) -> Option<u64> {
    let first = steps.next()?.p50?;
    let sure = steps.filter(|one| one.count >= SURE_TIMES);
    let sure = sure.filter_map(|one| one.p50).min();
    Some(
        sure.filter(|&us| us as f64 <= ABOUT * first as f64)
            .unwrap_or(first),
    )
}

/// The signs of a target.
pub(in crate::judge) fn of_target(summary: &Summary, attach: &Attach) -> Signs {
    let quality = &summary.quality;
    let not_sent = quality.not_sent_percent > crate::load::NOT_SENT_PERCENT;
    let alone = Alone::of(summary);
    let steps = steps_of_target(summary);
    let capacity = capacity::of_steps(&steps).map(|one| one.streams);
    let server = attach.first_look.as_ref().and_then(FirstLook::answered_by);
    Signs {
        generator: not_sent.then(|| {
            format!(
                "{:.1} % of the checks could not be sent",
                quality.not_sent_percent
            )
        }),
        held: held_after_hang_up(summary, attach, (alone, capacity)),
        capacity,
        known: Known {
            framework: server
                .and_then(frameworks::by_server_header)
                .or_else(|| frameworks::by_name(attach.framework.as_deref()?)),
            ..Known::default()
        },
        open: None,
        evidence: evidence(summary, attach, &steps),
        steps,
    }
}

/// The signs of each step of a target; none of a cell that has none.
#[must_use]
pub fn steps_of_target(summary: &Summary) -> Vec<StepSigns> {
    let Some(attach) = &summary.attach else {
        return Vec::new();
    };
    let alone = Alone::of(summary);
    let steps = summary.steps.iter();
    steps
        .map(|step| step_signs(summary, attach, alone, step))
        .collect()
}

fn step_signs(summary: &Summary, attach: &Attach, alone: Option<Alone>, step: &Step) -> StepSigns {
    let baseline = &summary.phases.baseline.probes;
    let streams = &step.load.streams;
    let asked = step.streams.unwrap_or(0);
    let health = step
        .load
        .probes
        .iter()
        .filter_map(|(name, hold)| Some(Health::of(name, baseline.get(name)?, hold)));
    let is_first = summary
        .steps
        .first()
        .is_some_and(|first| first.streams == step.streams);
    let seen = alone.map(|alone| Against {
        alone,
        step,
        attach,
    });
    let against = seen.filter(|_| !is_first);
    let health: Vec<_> = health.collect();
    let cpu = cpu(summary, step);
    // Beside a busy CPU or a slower check, streams that are a little slower are no noise.
    let is_strained = matches!(cpu, Cpu::Short(_) | Cpu::OneCore(_))
        || health.iter().any(|one| one.state == HealthState::Slower);
    StepSigns {
        load: if asked == 1 {
            "1 stream".to_owned()
        } else {
            format!("{asked} streams")
        },
        asked,
        served: step.served_at_once,
        was_down: is_first
            && baseline
                .values()
                .any(|one| one.connect_failure + one.aborted > 1),
        health,
        pace: against.map_or(Pace::Unknown, |seen| seen.pace(is_strained)),
        gap_grown_us: against.and_then(Against::gap_grown_us),
        silence_us: seen.and_then(Against::silence_us),
        limit: against.and_then(|seen| seen.limit(summary)),
        is_all_served: step.served_at_once >= asked,
        late_first_byte: against.and_then(Against::late_first_byte),
        turned_away: seen.map_or(0, Against::turned_away),
        failing: failing(streams, seen),
        all_broke: seen.is_some_and(Against::all_broke),
        cpu,
        restless: None,
    }
}

/// A step against one stream alone.
#[derive(Clone, Copy)]
struct Against<'a> {
    alone: Alone,
    step: &'a Step,
    attach: &'a Attach,
}

impl Against<'_> {
    fn streams(&self) -> &StreamFigures {
        &self.step.load.streams
    }

    fn asked(&self) -> u64 {
        self.step.streams.unwrap_or(0)
    }

    /// Which part of the streams that are served flows at the pace of one alone (Little's law): `None` if
    /// streams end, so that they spend time on their first bytes.
    fn flowing(&self) -> Option<f64> {
        let streams = self.streams();
        let gap_us = self.alone.gap_us?;
        let is_known = streams.complete == 0 && self.step.receiving_us > 4 * gap_us;
        is_known.then(|| (streams.gap_us.count * gap_us) as f64 / self.step.receiving_us as f64)
    }

    /// How many times longer gaps are than those of one alone: their mean, and their median unless chunks
    /// come in bursts. A few streams that get nothing lengthen the mean alone.
    fn slower_by(&self) -> Option<f64> {
        let gap = &self.streams().gap_us;
        let (mean, alone) = (
            gap.mean.filter(|_| gap.count >= LEAST_GAPS)?,
            self.alone.gap_us?,
        );
        if mean.saturating_sub(alone) < GAP_FLOOR_US {
            return Some(1.0);
        }
        let by_mean = mean as f64 / alone as f64;
        let typical = self
            .alone
            .typical_gap_us
            .filter(|&typical| 2 * typical >= alone);
        let by_median = typical
            .zip(gap.p50)
            .map(|(alone, now)| now as f64 / alone as f64);
        Some(by_median.map_or(by_mean, |by_median| by_mean.min(by_median)))
    }

    fn gap_grown_us(self) -> Option<(u64, u64)> {
        let gap = &self.streams().gap_us;
        let mean = gap.mean.filter(|_| gap.count >= LEAST_GAPS)?;
        Some((
            mean.saturating_sub(self.alone.gap_us?),
            gap.max?.saturating_sub(self.alone.longest_gap_us),
        ))
    }

    fn pace(self, is_strained: bool) -> Pace {
        let is_long = self.step.load.hold_us
            >= SILENCE_FLOOR_US.max(SILENCE_TIMES * self.alone.longest_gap_us);
        let stands = self.flowing().is_some_and(|part| part < STANDS_STILL);
        if stands && is_long && self.silence_us().is_some() {
            return Pace::StandsStill;
        }
        match self.slower_by() {
            Some(times) if times <= OWN_PACE => Pace::Kept,
            Some(times) if times >= SLOWER_PACE || is_strained => Pace::Slower(times),
            _ => Pace::Unknown,
        }
    }

    /// The longest time without a chunk of any stream, if it is no chance. Of many streams one has always
    /// something, unless all of them wait for the same.
    fn silence_us(self) -> Option<u64> {
        let silence_us = self.streams().silence_us;
        let longest_us = self.alone.longest_gap_us;
        let least = match self.streams().receiving_peak >= MANY {
            true => SILENCE_OF_MANY_US.max(longest_us + longest_us / 2),
            false => SILENCE_FLOOR_US.max(SILENCE_TIMES * longest_us),
        };
        // A machine that stands still delays the lab's own checks as well.
        let is_of_machine = self.step.quality.probe_dispatch_us.max > silence_us / 4;
        let is_long = silence_us >= least && self.alone.gap_us.is_some();
        (is_long && !is_of_machine).then_some(silence_us)
    }

    /// Whether nearly all streams broke off. Where connections are refused meanwhile, a part of them is
    /// enough, and streams that end though one alone does not have broken off.
    fn all_broke(self) -> bool {
        let streams = self.streams();
        let is_refused = self.turned_away() > 0;
        let ended = match self.alone.took_us {
            None if is_refused => streams.truncated + streams.complete,
            _ => streams.truncated,
        };
        let least = if is_refused {
            BROKE_WHILE_REFUSED
        } else {
            BROKE
        };
        ended > 0 && ended as f64 >= least * self.step.served_at_once as f64
    }

    /// Whether those that were refused had waited for it.
    fn refused_late(self) -> bool {
        let refused = &self.streams().refused_us;
        refused.p50 > Some(AT_ONCE_US.max(self.alone.ttft_us / 2))
    }

    fn turned_away(self) -> u64 {
        if self.refused_late() {
            return 0;
        }
        let of = |status| self.streams().statuses.get(status).copied().unwrap_or(0);
        let answered: u64 = errors(self.streams()).map(|(_, count)| count).sum();
        of("503") + of("429") + self.streams().refused.saturating_sub(answered)
    }

    /// Some are served, and the others wait much longer than one alone, or are turned away.
    fn limit(self, summary: &Summary) -> Option<Limit> {
        let streams = self.streams();
        let asked = self.asked();
        let by_flow = self.by_flow();
        let served = by_flow.unwrap_or(self.step.served_at_once);
        // Where nobody gets anything, nobody is served.
        if served >= asked || self.pace(false) == Pace::StandsStill {
            return None;
        }
        let late_us = Some(self.alone.late_us());
        let waiting = streams.waiting + streams.unserved;
        // One that is late may be chance, unless it is one of few.
        let is_one = waiting == 1 && asked > FEW;
        let late_us = late_us.map(|late_us| if is_one { 2 * late_us } else { late_us });
        let waits = waiting > 0 && streams.waited_us.p50 > late_us;
        let is_queue = self.is_queue();
        let is_turned_away =
            streams.refused > 0 && self.turned_away() >= asked.saturating_sub(served);
        let refused_late = streams.refused > 0 && self.refused_late();
        if !(waits || is_queue || is_turned_away || refused_late || by_flow.is_some()) {
            return None;
        }
        let before = self.attach.upstream_open_before.unwrap_or(0);
        let upstream = match streams.served_peak.map(|open| open.saturating_sub(before)) {
            None => AtUpstream::Unknown,
            Some(0) => AtUpstream::Nothing,
            Some(open) if open >= asked => AtUpstream::All,
            Some(open) => AtUpstream::Some(open),
        };
        let told = match served {
            0 => format!("of {asked} streams none is served"),
            _ if self.alone.is_short => {
                format!("no more than {served} of {asked} are worked on at once")
            }
            _ => format!("no more than {served} of {asked} streams are served at once"),
        };
        Some(Limit {
            streams: Some(served).filter(|&served| served > 0),
            told,
            member: self.threads(summary, served),
            upstream,
        })
    }

    fn is_queue(self) -> bool {
        let took = self.streams().took_us.p50.or(self.streams().waited_us.p50);
        took.zip(self.alone.took_us).is_some_and(|(took, alone)| {
            took as f64 >= QUEUED * alone as f64 && took >= alone + QUEUED_FLOOR_US
        })
    }

    /// All streams have begun, but only a few of them go on, each at the pace of one alone. The others got
    /// what the service sends before it has room for them, such as a greeting. If all streams became slower,
    /// they share something, and this law does not apply.
    fn by_flow(self) -> Option<u64> {
        // Each stream may pause as long as one alone did.
        let is_long = self.step.load.hold_us >= self.alone.longest_gap_us * 3 / 2;
        if self.pace(false) == Pace::StandsStill || !is_long {
            return None;
        }
        let part = self.flowing()?;
        let is_own_pace = self.slower_by()? <= OWN_PACE;
        let seconds = self.step.load.hold_us.max(1) as f64;
        let flowing = part * self.step.receiving_us as f64 / seconds;
        (is_own_pace && part < STOPPED).then(|| flowing.round().max(1.0) as u64)
    }

    fn late_first_byte(self) -> Option<Late> {
        let streams = self.streams();
        let ttft = streams.ttft_us.p50.filter(|_| streams.ttft_us.count > 1)?;
        (ttft > self.alone.late_us()).then(|| Late {
            by_us: ttft.saturating_sub(self.alone.ttft_us),
            told: format!(
                "with {} at once a first byte takes {}, and {} alone",
                self.asked(),
                time(ttft as f64),
                time(self.alone.ttft_us as f64)
            ),
        })
    }

    /// Threads, if the process has about as many more of them than with one stream as are served at once.
    fn threads(self, summary: &Summary, served: u64) -> Option<Member> {
        let of_alone = summary.steps.first()?.threads_peak?;
        let grown = self.step.threads_peak?.saturating_sub(of_alone);
        let is_theirs = grown >= (served / 2).max(2) && grown <= served + 2;
        (is_theirs && self.asked() > grown + 3).then_some(Member::BlockingPool)
    }
}

fn failing(streams: &StreamFigures, seen: Option<Against<'_>>) -> Option<String> {
    let lost = streams.truncated + streams.error + streams.stalled;
    if lost > 0 {
        return Some(format!("{lost} streams were served and did not end well"));
    }
    let turned_away = seen.map_or(0, Against::turned_away);
    let late = seen.is_some_and(Against::refused_late);
    (streams.refused > turned_away && !late).then(|| {
        format!(
            "{} requests were answered with an error: {}",
            streams.refused,
            statuses(streams)
        )
    })
}

fn cpu(summary: &Summary, step: &Step) -> Cpu {
    let Some(cpu) = step.cpu_percent else {
        return Cpu::Unknown;
    };
    let cores = summary.host.cores as f64;
    let machine = step.host_cpu_percent.unwrap_or(0.0);
    // Other processes may keep the machine busy. What counts is whether the service got a core when it wanted
    // one, and whether it wanted more than a part of one.
    let wants = match step.core_wait_percent {
        Some(percent) => cpu / (1.0 - percent / 100.0).max(0.01),
        None => ONE_CORE_PERCENT.max(cpu),
    };
    let waits = match step.core_wait_percent {
        Some(percent) => percent > CORE_WAIT_PERCENT,
        None => machine > CPU_SHORT_PERCENT && cpu > IDLE_PERCENT,
    };
    let waited = step.core_wait_percent.map_or(String::new(), |percent| {
        format!(" and waited for one {percent:.0} % of the time it wanted to run")
    });
    let told = format!("the service used {cpu:.0} % of one core of {cores}{waited}");
    if cpu > CPU_SHORT_PERCENT * cores || (waits && wants >= ONE_CORE_PERCENT) {
        Cpu::Short(told)
    } else if cpu > ONE_CORE_PERCENT {
        Cpu::OneCore(told)
    } else {
        Cpu::Free(told)
    }
}

/// What is left after all clients have hung up, or what is not served afresh.
fn held_after_hang_up(
    summary: &Summary,
    attach: &Attach,
    (alone, climbed): (Option<Alone>, Option<u64>),
) -> Option<Held> {
    let last = summary.steps.last()?;
    let afresh = attach.after_hang_up.as_ref();
    // What one client alone was served before the baseline is among what may be held.
    let before = attach
        .first_look
        .as_ref()
        .map_or(0, |look| u64::from(look.held));
    let of_climb = climbed.unwrap_or(last.served_at_once);
    let left = afresh
        .unwrap_or(last)
        .upstream_open_after
        .zip(attach.upstream_open_before)
        .map(|(after, before)| after.saturating_sub(before))
        .filter(|_| afresh.is_some())
        .unwrap_or(0);
    let missing = afresh
        .zip(alone)
        .and_then(|(step, alone)| missing(step, alone, (last, climbed)));
    // All of it is used up only if somebody waits for more.
    let is_used_up = climbed.is_some() || left == 0;
    let (told, served_afresh) = match (left, missing) {
        (0, None) => return None,
        (0, Some(missing)) => missing,
        (left, missing) => (
            format!("{left} streams are open at the upstream after every client has hung up"),
            missing.map_or(0, |(_, served)| served),
        ),
    };
    Some(Held {
        told,
        streams: is_used_up.then_some(before + of_climb + served_afresh),
    })
}

/// What was not served afresh, in words, and how many were.
fn missing(
    step: &Step,
    alone: Alone,
    (last, capacity): (&Step, Option<u64>),
) -> Option<(String, u64)> {
    let streams = &step.load.streams;
    // Nobody waited for the end of a step that was cut off. And where streams end, whoever waits has a turn.
    if step.recovery.duration_us == 0 || (streams.complete > 0 && !alone.is_short) {
        return None;
    }
    let asked = step.streams.unwrap_or(0);
    let served = match alone.is_short {
        true => streams.complete.min(asked),
        false => streams.receiving_peak.min(asked),
    };
    let waiting = streams.waiting + streams.unserved;
    // Streams that were slow before the hang-up are slow after it for the same reason.
    let slowest_us = last.load.streams.first_chunk_us.max.unwrap_or(0);
    let late_us = alone.late_us().max(slowest_us + slowest_us / 2);
    let is_long = streams.waited_us.max > Some(late_us);
    let result = format!(
        "after a hang-up of all clients, {served} of {asked} streams asked for afresh are served"
    );
    // Of several worker processes one may get more than it has room for, while another has room.
    let is_fewer = match capacity {
        Some(_) => 4 * served <= 3 * asked,
        None => served < asked,
    };
    if is_fewer && waiting > 0 && is_long {
        let longest = time(streams.waited_us.max.unwrap_or(0) as f64);
        return Some((
            format!("{result}, and {waiting} wait for up to {longest}"),
            served,
        ));
    }
    (is_fewer && streams.refused > 0 && streams.quota == 0)
        .then(|| (format!("{result}: {}", statuses(streams)), served))
}

fn evidence(summary: &Summary, attach: &Attach, signs: &[StepSigns]) -> Vec<String> {
    let hurting = signs.iter().position(StepSigns::hurts);
    let at = hurting.unwrap_or(signs.len().saturating_sub(1));
    let mut evidence = Vec::new();
    if let Some(step) = signs.get(at) {
        evidence.extend(
            step.health
                .iter()
                .map(|one| format!("{} (with {})", one.told, step.load)),
        );
        match &step.cpu {
            Cpu::Unknown => {}
            Cpu::Free(told) | Cpu::OneCore(told) | Cpu::Short(told) => {
                evidence.push(format!("with {} {told}", step.load));
            }
        }
    }
    let alone = summary.steps.first().filter(|_| at > 0);
    for step in alone.into_iter().chain(summary.steps.get(at)) {
        let streams = &step.load.streams;
        let upstream = streams.served_peak.map_or(String::new(), |open| {
            format!(", {open} open at the upstream")
        });
        let gap = streams.gap_us.mean.map_or(String::new(), |gap| {
            format!(", a chunk every {}", time(gap as f64))
        });
        evidence.push(format!(
            "{} asked for: {} served at once, {} waiting{upstream}, first byte p50 {}{gap}, {} refused",
            step.streams.unwrap_or(0),
            step.served_at_once,
            streams.waiting + streams.unserved,
            streams.ttft_us.p50.map_or("n/a".to_owned(), |us| time(us as f64)),
            streams.refused
        ));
    }
    if let Some(step) = &attach.after_hang_up {
        evidence.push(format!(
            "after the hang-up of all: {} of {} streams served afresh",
            step.load
                .streams
                .receiving_peak
                .max(step.load.streams.complete)
                .min(step.streams.unwrap_or(0)),
            step.streams.unwrap_or(0),
        ));
    }
    evidence
}

/// Answers by their error status.
fn errors(streams: &StreamFigures) -> impl Iterator<Item = (&String, &u64)> {
    let all = streams.statuses.iter();
    all.filter(|(status, _)| !status.starts_with('2'))
}

fn statuses(streams: &StreamFigures) -> String {
    let each = errors(streams).map(|(status, count)| format!("{count} × {status}"));
    let told: Vec<_> = each.collect();
    match told.is_empty() {
        true => "no connection".to_owned(),
        false => told.join(", "),
    }
}
