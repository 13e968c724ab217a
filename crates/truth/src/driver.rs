//! Drives a simulated service as `lab attach` drives a real one, and records what it sees.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use verdict::climb::{Climb, Move};
use verdict::load::LoadEvent;
use verdict::load::streams::{StreamEnding, StreamEvent, StreamRecord, StreamStart};
use verdict::record::{
    Event, InFlight, Outcome, Part, Plan, ProcessSample, Recorded, RecordedPids, Resources,
    Segment, Tick, Timetable, UpstreamStats, When, Window,
};
use verdict::scenario::{self, Scenario, Variant};
use verdict::summarise::{Course, Frame, SoFar};
use verdict::summary::{Attach, FirstLook, Host, State, Summary};

use crate::noise::Noise;
use crate::service::{Refusal, Service};
use crate::world::{Asks, Felt, Id, Seen, World};

/// Checks a second of each URL.
const CHECK_RATE: f64 = 5.0;
/// A check without an answer has failed after so long.
const TIMEOUT_US: u64 = 2_000_000;
/// A check that failed keeps its place until it is answered, at most so long.
const KEPT_US: u64 = InFlight::TIMEOUTS as u64 * TIMEOUT_US;
/// Streams begun a second.
const SPACING_US: u64 = 5_000;
/// A slot that was refused asks again after the first of these at least, and after twice as long each time,
/// up to the second, if the service does not say when.
const BACK_OFF_US: (u64, u64) = (250_000, 2_000_000);
/// A stream that is silent for so long when it is cut has stalled.
const STALL_US: u64 = 10_000_000;
/// How often the driver decides, and looks at processes and upstream.
const LOOK_US: u64 = 250_000;
/// How often an oracle looks at the loop.
const FEEL_US: u64 = 20_000;
/// From a step's decision to its first stream.
const LEAD_US: u64 = 50_000;
/// A run that is not over by then is cut.
const MOST_US: u64 = 240_000_000;

const SERVER_PID: u32 = 1_000;

/// What is told of a service, as flags of `lab attach` do.
#[derive(Clone, Debug)]
pub struct Told {
    /// The names of the health URLs, by position.
    pub urls: Vec<&'static str>,
    /// Whether its process is known.
    pub has_pid: bool,
    /// Whether its upstream says how many streams it has open.
    pub has_upstream: bool,
    /// Streams at once, at most.
    pub max_streams: u32,
    /// Whether its capacity is looked for.
    pub finds_capacity: bool,
    /// Steps that are run whatever is seen, if any are named.
    pub steps: Vec<u32>,
    /// How long a step lasts at most, in seconds.
    pub hold_s: u32,
}

/// A run, as far as the truth depends on it.
#[derive(Debug)]
pub struct Driven {
    /// Everything that `lab attach` would say.
    pub summary: Summary,
    /// The most streams that were asked for at once.
    pub asked: u32,
    /// How many streams were asked for afresh after a hang-up.
    pub afresh: u32,
    /// What the worst step did to who waited for the loop.
    pub felt: Felt,
    /// From the start to the verdict, in microseconds.
    pub took_us: u64,
    /// When the first stream was asked for, in microseconds.
    pub load_us: u64,
    /// When all had hung up, in microseconds.
    pub load_end_us: u64,
    /// When the service ended for the first time, in microseconds, if it did.
    pub died_us: Option<u64>,
    /// Events that were recorded.
    pub events: u64,
    /// How often it was summarised.
    pub summaries: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Does {
    Asks(usize),
    TakesTurn(usize),
    Checks(u64),
    TimesOut(usize),
    GivesUp(usize),
    Feels,
    Looks,
}

/// A slot and the stream in it.
#[derive(Debug)]
struct Slot {
    id: Option<Id>,
    stream: u64,
    due_us: u64,
    status: Option<u16>,
    ttft_us: Option<u64>,
    last_us: Option<u64>,
    max_gap_us: Option<u64>,
    chunks: u64,
    back_off_us: u64,
}

impl Slot {
    fn of(id: Option<Id>, stream: u64, due_us: u64, back_off_us: u64) -> Self {
        Self {
            id,
            stream,
            due_us,
            status: None,
            ttft_us: None,
            last_us: None,
            max_gap_us: None,
            chunks: 0,
            back_off_us,
        }
    }
}

#[derive(Debug)]
struct Check {
    id: Id,
    endpoint: usize,
    due_us: u64,
    is_decided: bool,
}

struct Driver<'a> {
    told: &'a Told,
    service: &'a Service,
    frame: &'a Frame<'a>,
    world: World<'a>,
    recorded: Recorded,
    times: Timetable,
    course: Course,
    now: u64,
    order: u64,
    does: BinaryHeap<Reverse<(u64, u64, Does)>>,
    /// Of the load that is under way.
    window: Window,
    slots: Vec<Slot>,
    next_turn_us: u64,
    next_stream: u64,
    checks: Vec<Check>,
    in_flight: InFlight,
    checks_end_us: u64,
    /// The most streams that were asked for at once.
    open: u32,
    worst: Felt,
    first_us: Option<u64>,
    load_end_us: Option<u64>,
    end_us: u64,
    events: u64,
    open_peak: u64,
    host: (u64, u64),
}

/// Drives `service` to the verdict.
///
/// # Errors
/// If the flags make no scenario, which would be a mistake of this program.
pub fn drive(service: &Service, told: &Told, noise: Noise) -> anyhow::Result<Driven> {
    let scenario = scenario::parse(Path::new("draw"), &text(told))?;
    let variant = Variant::of_target("target");
    let mut world = World::new(service, noise);
    let first_look = world.warm_up();
    let frame = frame(&scenario, &variant, service, (told, first_look));
    let cell = &scenario.cells[0];
    let Some(target) = &cell.target else {
        anyhow::bail!("the scenario has no target");
    };
    let climb = Climb::new(target, cell);
    let pids = RecordedPids {
        server: told.has_pid.then_some(SERVER_PID),
        upstream: None,
        lab: 1,
    };
    let endpoints = told.urls.len();
    let driver = Driver {
        told,
        service,
        frame: &frame,
        world,
        recorded: Recorded::new(TIMEOUT_US, endpoints, &cell.load, pids),
        times: Timetable::default(),
        course: Course {
            upstream_open_before: told.has_upstream.then_some(0),
            ..Course::default()
        },
        now: 0,
        order: 0,
        does: BinaryHeap::new(),
        window: Window::default(),
        slots: Vec::new(),
        next_turn_us: 0,
        next_stream: 0,
        checks: Vec::new(),
        in_flight: InFlight::new(endpoints),
        checks_end_us: u64::MAX,
        open: 0,
        worst: Felt::default(),
        first_us: None,
        load_end_us: None,
        end_us: MOST_US,
        events: 0,
        open_peak: 0,
        host: (0, 0),
    };
    Ok(driver.run(climb))
}

impl Driver<'_> {
    fn run(mut self, mut climb: Climb<'_>) -> Driven {
        self.plan(0, Does::Checks(0));
        self.plan(0, Does::Feels);
        self.plan(LOOK_US, Does::Looks);
        let mut summaries = 0;
        let mut is_done = false;
        loop {
            let own = self.does.peek().map_or(u64::MAX, |&Reverse((at, ..))| at);
            let next = self.world.next_us().unwrap_or(u64::MAX);
            if own.min(next) > self.end_us {
                break;
            }
            if next < own {
                self.now = self.now.max(next);
                self.world.step();
                self.hear();
                continue;
            }
            let Some(Reverse((at, _, what))) = self.does.pop() else {
                break;
            };
            self.now = self.now.max(at);
            match what {
                Does::Asks(slot) => self.ask(slot),
                Does::TakesTurn(slot) => self.take_turn(slot, self.now),
                Does::Checks(n) => self.check(n),
                Does::TimesOut(check) => self.time_out(check),
                Does::GivesUp(check) => self.give_up(check),
                Does::Feels => {
                    self.world.feel(self.now);
                    self.plan(self.now + FEEL_US, Does::Feels);
                }
                Does::Looks => {
                    self.plan(self.now + LOOK_US, Does::Looks);
                    self.look();
                    if is_done {
                        continue;
                    }
                    summaries += 1;
                    let summary = self.so_far(self.now).summarise(State::Running, None);
                    is_done = self.moves(&mut climb, &summary);
                    if is_done {
                        self.checks_end_us = self.now;
                        self.end_us = self.now + TIMEOUT_US;
                    }
                }
            }
            if is_done && self.checks.iter().all(|check| check.is_decided) {
                break;
            }
        }
        let end_us = self.checks_end_us.min(self.now);
        let summary = self.so_far(end_us).summarise(State::Complete, None);
        Driven {
            summary,
            asked: self.open,
            afresh: self
                .course
                .after_hang_up
                .map_or(0, |(_, streams)| u32::try_from(streams).unwrap_or(0)),
            felt: self.worst,
            took_us: end_us,
            load_us: self.first_us.unwrap_or(end_us),
            load_end_us: self.load_end_us.unwrap_or(end_us),
            died_us: self.world.died_us(),
            events: self.events,
            summaries,
        }
    }

    /// Does what the climb says. Whether it is over.
    fn moves(&mut self, climb: &mut Climb<'_>, summary: &Summary) -> bool {
        let steps = climb.steps().len();
        let so_far = self.so_far(self.now);
        let is_decided = (0..steps).all(|step| so_far.is_hold_decided(Some(step)));
        let next = climb.next(summary, self.now, is_decided);
        self.course.steps = climb.steps().to_vec();
        self.course.not_begun = climb.not_begun();
        self.course.is_not_afresh = climb.is_not_afresh();
        let last = climb.steps().len().saturating_sub(1);
        match next {
            Move::Stay => {}
            Move::Rise(streams) => {
                if self.first_us.is_none() {
                    let open = self.recorded.upstream_open();
                    self.course.upstream_open_before = open;
                }
                self.first_us.get_or_insert(self.now);
                self.join(last, self.open..streams);
                self.open = streams;
            }
            Move::Tail => {
                self.times
                    .begin(Part::of(Some(last), Segment::Tail), self.now);
                self.note_part();
            }
            Move::HangUp => {
                let afresh = self.course.after_hang_up;
                self.hang_up(afresh.map_or(last, |(step, _)| step));
            }
            Move::Afresh(streams) => {
                self.course.after_hang_up = Some((last + 1, u64::from(streams)));
                self.join(last + 1, 0..streams);
            }
            Move::Done => return true,
        }
        false
    }

    fn so_far(&self, end_us: u64) -> SoFar<'_> {
        SoFar {
            frame: self.frame,
            recorded: &self.recorded,
            times: self.times.clone(),
            course: &self.course,
            end_us,
        }
    }

    fn plan(&mut self, at: u64, what: Does) {
        self.order += 1;
        self.does.push(Reverse((at, self.order, what)));
    }

    fn record(&mut self, event: Event) {
        self.events += 1;
        let seen = event.seen_us(self.now);
        let when = When {
            part: self.times.at(seen),
            window: self.window,
            now_us: self.now,
        };
        self.recorded.record(event, when);
    }

    fn tell(&mut self, event: StreamEvent) {
        self.record(Event::Load(LoadEvent::Streams(event)));
    }

    /// What was planned has changed.
    fn note_part(&mut self) {
        self.window = self.times.window(self.times.at(self.now).step);
    }

    /// A step begins in which further slots join.
    fn join(&mut self, n: usize, slots: std::ops::Range<u32>) {
        self.settle_step();
        self.record(Event::StepBegins);
        self.times.begin(Part::of(Some(n), Segment::Ramp), self.now);
        let start = self.now + LEAD_US;
        let ramp = start + u64::from(slots.end - slots.start) * SPACING_US;
        self.times.plan(Part::of(Some(n), Segment::Hold), ramp);
        self.note_part();
        for _ in slots {
            self.slots.push(Slot::of(None, 0, 0, BACK_OFF_US.0));
            self.take_turn(self.slots.len() - 1, start);
        }
    }

    fn settle_step(&mut self) {
        let felt = std::mem::take(&mut self.world.felt);
        let share = |felt: &Felt| felt.surely as f64 / felt.looks.max(1) as f64;
        let maybe = |felt: &Felt| felt.maybe as f64 / felt.looks.max(1) as f64;
        if (share(&felt), maybe(&felt)) > (share(&self.worst), maybe(&self.worst)) {
            self.worst = felt;
        }
    }

    fn hang_up(&mut self, step: usize) {
        self.settle_step();
        self.load_end_us.get_or_insert(self.now);
        self.times
            .begin(Part::of(Some(step), Segment::Recovery), self.now);
        self.note_part();
        for slot in std::mem::take(&mut self.slots) {
            let Some(id) = slot.id else {
                continue;
            };
            let ending = match slot.last_us {
                None => StreamEnding::Unserved,
                Some(last) if self.now - last > STALL_US => StreamEnding::Stalled,
                Some(_) => StreamEnding::Cancelled,
            };
            self.world.hang_up(self.now, id);
            self.end(&slot, ending);
        }
        self.does
            .retain(|Reverse((_, _, what))| !matches!(what, Does::Asks(_) | Does::TakesTurn(_)));
    }

    /// When a slot that is ready may begin its stream.
    fn take_turn(&mut self, slot: usize, ready: u64) {
        let due = self.next_turn_us.max(ready);
        self.next_turn_us = due + SPACING_US;
        self.slots[slot].due_us = due;
        self.plan(due, Does::Asks(slot));
    }

    fn ask(&mut self, slot: usize) {
        let stream = self.next_stream;
        self.next_stream += 1;
        let Slot {
            due_us,
            back_off_us,
            ..
        } = self.slots[slot];
        let id = self.world.ask(self.now, Asks::Stream(slot));
        self.slots[slot] = Slot::of(Some(id), stream, due_us, back_off_us);
        self.tell(StreamEvent::Started(StreamStart {
            stream,
            due_us,
            late_us: 100,
        }));
    }

    fn end(&mut self, slot: &Slot, ending: StreamEnding) {
        let was_cut = matches!(ending, StreamEnding::Cancelled | StreamEnding::Stalled);
        self.tell(StreamEvent::Ended(StreamRecord {
            stream: slot.stream,
            ended_us: self.now,
            status: slot.status,
            cohort: None,
            ttft_us: slot.ttft_us,
            ending,
            age_us: self.now - slot.due_us,
            chunks: slot.chunks,
            sequence_errors: 0,
            max_gap_us: slot.max_gap_us,
            open_gap_us: slot.last_us.filter(|_| was_cut).map(|last| self.now - last),
        }));
    }

    /// Takes in what the service has said.
    fn hear(&mut self) {
        for (asks, seen) in std::mem::take(&mut self.world.seen) {
            match asks {
                Asks::Stream(slot) => self.hear_stream(slot, seen),
                Asks::Health { check, .. } => {
                    let outcome = match seen {
                        Seen::End => Outcome::Ok,
                        Seen::Refused(Refusal::Status(_)) => Outcome::BadStatus,
                        Seen::Refused(Refusal::NoConnection) => Outcome::ConnectFailure,
                        Seen::Broken => Outcome::Aborted,
                        Seen::Head | Seen::Chunk => continue,
                    };
                    self.decide(check, outcome);
                    self.leave_place(check);
                }
            }
        }
    }

    fn hear_stream(&mut self, number: usize, seen: Seen) {
        let now = self.now;
        let slot = &mut self.slots[number];
        let since_due = now - slot.due_us;
        let ending = match seen {
            Seen::Head => {
                slot.status = Some(200);
                return self.tell(StreamEvent::Head { ttfb_us: since_due });
            }
            Seen::Chunk => {
                slot.chunks += 1;
                let event = match slot.last_us.replace(now) {
                    None => {
                        slot.ttft_us = Some(since_due);
                        StreamEvent::FirstChunk {
                            stream: slot.stream,
                            ttft_us: since_due,
                        }
                    }
                    Some(last) => {
                        let gap_us = now - last;
                        slot.max_gap_us = slot.max_gap_us.max(Some(gap_us));
                        StreamEvent::Gap { gap_us }
                    }
                };
                return self.tell(event);
            }
            Seen::End => StreamEnding::Complete,
            Seen::Broken if slot.status.is_some() => StreamEnding::Truncated,
            Seen::Broken | Seen::Refused(Refusal::NoConnection) => StreamEnding::Refused,
            Seen::Refused(Refusal::Status(status)) => {
                slot.status = Some(status);
                StreamEnding::Refused
            }
        };
        slot.id = None;
        let ended = Slot { id: None, ..*slot };
        self.end(&ended, ending);
        if ending == StreamEnding::Refused {
            let own = self.slots[number].back_off_us;
            self.slots[number].back_off_us = BACK_OFF_US.1.min(2 * own);
            let wait = self.service.retry_after_us.unwrap_or(own);
            self.plan(now + wait, Does::TakesTurn(number));
        } else {
            self.slots[number].back_off_us = BACK_OFF_US.0;
            self.take_turn(number, now);
        }
    }

    /// Check `n` is due.
    fn check(&mut self, n: u64) {
        let plan = self.frame.plan;
        self.plan(plan.due_us(n + 1), Does::Checks(n + 1));
        if self.now >= self.checks_end_us {
            return;
        }
        let endpoint = plan.endpoint(n);
        if let Err(oldest_us) = self.in_flight.begin(endpoint, self.now) {
            return self.record(Event::Tick(Tick {
                endpoint,
                due_us: self.now,
                sent_us: oldest_us,
                done_us: self.now,
                outcome: Outcome::Withheld,
                status: None,
            }));
        }
        let check = self.checks.len();
        let asks = Asks::Health {
            url: endpoint,
            check,
        };
        self.checks.push(Check {
            id: self.world.ask(self.now, asks),
            endpoint,
            due_us: self.now,
            is_decided: false,
        });
        self.plan(self.now + TIMEOUT_US, Does::TimesOut(check));
    }

    fn decide(&mut self, check: usize, outcome: Outcome) {
        let &Check {
            endpoint,
            due_us,
            is_decided,
            ..
        } = &self.checks[check];
        if is_decided {
            return;
        }
        self.checks[check].is_decided = true;
        self.record(Event::Tick(Tick {
            endpoint,
            due_us,
            sent_us: due_us + 80,
            done_us: self.now.max(due_us + 80),
            outcome,
            status: None,
        }));
    }

    /// The check fails; what it asked for goes on.
    fn time_out(&mut self, check: usize) {
        if !self.checks[check].is_decided {
            self.decide(check, Outcome::Timeout);
            let due_us = self.checks[check].due_us;
            self.plan(due_us + KEPT_US, Does::GivesUp(check));
        }
    }

    fn give_up(&mut self, check: usize) {
        let id = self.checks[check].id;
        self.world.hang_up(self.now, id);
        self.leave_place(check);
    }

    fn leave_place(&mut self, check: usize) {
        let check = &self.checks[check];
        self.in_flight.end(check.endpoint, check.due_us);
    }

    /// Looks at the processes, the machine and the upstream.
    fn look(&mut self) {
        let (cpu_us, waited_us) = self.world.cpu_us();
        let cores = self.service.cores as u64;
        self.host.1 = self.now / 10_000 * cores;
        self.host.0 = (cpu_us / 10_000 + self.now / 500_000).min(self.host.1);
        let server = ProcessSample {
            pid: SERVER_PID,
            rss_bytes: 100 << 20,
            rss_peak_bytes: None,
            cpu_us,
            core_wait_us: Some(waited_us),
            threads: 8,
            fds: 32 + self.world.active(),
        };
        self.record(Event::Resources(Resources {
            server: self.told.has_pid.then_some(server),
            upstream: None,
            lab: Some(ProcessSample {
                pid: 1,
                cpu_us: self.now / 50,
                ..ProcessSample::default()
            }),
            host: Some(self.host),
        }));
        if self.told.has_upstream {
            let open = self.world.active();
            self.open_peak = self.open_peak.max(open);
            self.record(Event::Upstream {
                at_us: self.now,
                stats: UpstreamStats {
                    open,
                    open_peak: self.open_peak,
                    ..UpstreamStats::default()
                },
            });
        }
    }
}

/// The scenario that the flags of `lab attach` make.
fn text(told: &Told) -> String {
    let steps = told.steps.iter();
    let steps: Vec<_> = steps
        .map(|streams| format!("{{ name = \"{streams}\", streams = {streams} }}"))
        .collect();
    let urls = told.urls.iter().map(|name| {
        let key = match *name {
            "health_sync" => "sync_health",
            "health_async" => "async_health",
            _ => "health",
        };
        format!("{key} = \"http://127.0.0.1:1/{name}\"\n")
    });
    let urls: String = urls.collect();
    let upstream = if told.has_upstream {
        "upstream_stats = \"http://127.0.0.1:2/stats\"\n"
    } else {
        ""
    };
    format!(
        "schema = 1\nname = \"attach\"\ntitle = \"A service, from outside\"\n\n\
         [[cell]]\nname = \"attach\"\nsteps = [{}]\n\n\
         [probe]\nrate = {CHECK_RATE}\ntimeout = \"2s\"\n\n\
         [phases]\nbaseline = \"2s\"\nhold = \"{}s\"\nrecovery = \"6s\"\n\n\
         [target]\nstream = \"http://127.0.0.1:1/stream\"\n{urls}{upstream}\
         find_capacity = {}\nmax_streams = {}\n",
        steps.join(", "),
        told.hold_s,
        told.finds_capacity,
        told.max_streams,
    )
}

fn frame<'a>(
    scenario: &'a Scenario,
    variant: &'a Variant,
    service: &Service,
    (told, first_look): (&Told, FirstLook),
) -> Frame<'a> {
    let url = |name: &str| (name.to_owned(), format!("http://127.0.0.1:1/{name}"));
    Frame {
        scenario,
        variant,
        cell: &scenario.cells[0],
        repeat: 1,
        command: "truth",
        started_at: String::new(),
        lab: (env!("CARGO_PKG_VERSION"), ""),
        host: Host {
            os: "simulated".to_owned(),
            cpu: None,
            cores: service.cores as u64,
            memory_bytes: None,
            open_files_limit: 65_536,
        },
        plan: Plan::new(CHECK_RATE, told.urls.len()),
        endpoints: told.urls.iter().map(|&name| name.to_owned()).collect(),
        forecast: &[],
        attach: Some(Attach {
            stream: "http://127.0.0.1:1/stream".to_owned(),
            method: "GET".to_owned(),
            health: told.urls.iter().map(|name| url(name)).collect(),
            upstream_stats: told
                .has_upstream
                .then(|| "http://127.0.0.1:2/stats#/open".to_owned()),
            has_pid: told.has_pid,
            first_look: Some(first_look),
            ..Attach::default()
        }),
    }
}
