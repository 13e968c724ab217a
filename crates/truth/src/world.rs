//! A service in simulated time. Requests come in and what a client would see of them comes out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use verdict::summary::FirstLook;

use crate::noise::Noise;
use crate::service::{Notices, Op, Refusal, Service, Station};

/// How often a stream that stands still looks whether it may go on, in microseconds.
const STANDS_US: u64 = 50_000;

/// What a wait of an oracle must be shorter than not to be felt, and longer than to be felt, in
/// microseconds. Between them lies the bound from which on health hurts.
const FELT_US: [u64; 2] = [50_000, 150_000];

/// The first byte of the first stream of all is waited for so long, in microseconds.
const LOOK_AT_MOST_US: u64 = 30_000_000;

/// After its first chunk it is read for so long, at most.
const LOOK_AFTER_FIRST_US: u64 = 1_000_000;

/// Which request, as the service knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    index: u32,
    turn: u32,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// A stream, of the slot with this number.
    Stream(usize),
    /// A check of the URL at a position, with its own number.
    Health {
        /// Position of the URL.
        url: usize,
        /// Which check.
        check: usize,
    },
}

/// What a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The head of the answer, with status 200.
    Head,
    /// A chunk.
    Chunk,
    /// The answer has come to its end.
    End,
    /// It was turned away.
    Refused(Refusal),
    /// The connection broke.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Goes(Id),
    Computed(u64),
    Grows(usize),
    Gives(Id, usize),
    Leaves(Id),
    Dies,
}

#[derive(Clone, Debug)]
struct Request {
    turn: u32,
    asks: Asks,
    /// Position in its program.
    at: usize,
    /// How often it went back.
    rounds: u32,
    /// A bit for each station of which it has a place.
    held: u32,
    /// The station in whose queue it is, and since when.
    queued: Option<(usize, u64)>,
    is_active: bool,
    is_gone: bool,
    /// It holds what it holds and does nothing any more.
    is_ghost: bool,
    is_there: bool,
}

#[derive(Debug)]
struct Places {
    spec: Station,
    places: u32,
    taken: u32,
    queue: VecDeque<Id>,
    grows: bool,
}

/// Cores that are shared evenly by all that compute: in virtual time every job runs at the same pace.
#[derive(Debug)]
struct Cores {
    cores: f64,
    /// Virtual time in nanoseconds, and when it was that, in microseconds.
    virtual_ns: u64,
    at_us: u64,
    jobs: BinaryHeap<Reverse<(u64, Id)>>,
    version: u64,
    used_us: f64,
    waited_us: f64,
}

impl Cores {
    fn pace(&self) -> f64 {
        (self.cores / self.jobs.len().max(1) as f64).min(1.0)
    }

    fn pass(&mut self, now: u64) {
        let passed = now.saturating_sub(self.at_us) as f64;
        let jobs = self.jobs.len() as f64;
        self.virtual_ns += (passed * self.pace() * 1e3) as u64;
        self.used_us += passed * jobs.min(self.cores);
        self.waited_us += passed * (jobs - self.cores).max(0.0);
        self.at_us = now;
    }

    /// When the next job will be done.
    fn next(&mut self) -> Option<(u64, u64)> {
        let &Reverse((end, _)) = self.jobs.peek()?;
        self.version += 1;
        let left = end.saturating_sub(self.virtual_ns) as f64 / 1e3 / self.pace();
        Some((self.at_us + left.ceil() as u64, self.version))
    }
}

/// How long a check would have waited for the loop, looked at again and again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Felt {
    /// Looks.
    pub looks: u64,
    /// Those at which it would have been more than a little.
    pub maybe: u64,
    /// Those at which it would have hurt.
    pub surely: u64,
}

/// A service at work.
#[derive(Debug)]
pub struct World<'a> {
    service: &'a Service,
    noise: Noise,
    /// When the clock of whoever asks began, on the clock of the service.
    origin_us: u64,
    now: u64,
    order: u64,
    happens: BinaryHeap<Reverse<(u64, u64, Happens)>>,
    requests: Vec<Request>,
    free: Vec<u32>,
    stations: Vec<Places>,
    cores: Cores,
    loop_free_us: u64,
    loop_used_us: u64,
    active: u64,
    streams: u64,
    is_cold: bool,
    pause: (u64, u64),
    down_until: u64,
    is_dying: bool,
    /// What clients see, oldest first; whoever reads it empties it.
    pub seen: Vec<(Asks, Seen)>,
    /// What the loop did to those who waited for it, since it was last reset.
    pub felt: Felt,
    died_us: Option<u64>,
}

impl<'a> World<'a> {
    /// The service before its first request.
    #[must_use]
    pub fn new(service: &'a Service, mut noise: Noise) -> Self {
        let first = noise.until_next(service.pauses.0);
        let mut world = Self {
            service,
            noise,
            origin_us: 0,
            now: 0,
            order: 0,
            happens: BinaryHeap::new(),
            requests: Vec::new(),
            free: Vec::new(),
            stations: Vec::new(),
            cores: Cores {
                cores: service.cores,
                virtual_ns: 0,
                at_us: 0,
                jobs: BinaryHeap::new(),
                version: 0,
                used_us: 0.0,
                waited_us: 0.0,
            },
            loop_free_us: 0,
            loop_used_us: 0,
            active: 0,
            streams: 0,
            is_cold: true,
            pause: (first, first),
            down_until: 0,
            is_dying: false,
            seen: Vec::new(),
            felt: Felt::default(),
            died_us: None,
        };
        world.pause = world.next_pause(0);
        world.set_up();
        world
    }

    fn set_up(&mut self) {
        let fresh = |&spec: &Station| Places {
            spec,
            places: spec.places,
            taken: 0,
            queue: VecDeque::new(),
            grows: false,
        };
        self.stations = self.service.stations.iter().map(fresh).collect();
    }

    /// When something happens next, in microseconds.
    #[must_use]
    pub fn next_us(&self) -> Option<u64> {
        let next = self.happens.peek();
        next.map(|&Reverse((at, _, _))| at.saturating_sub(self.origin_us))
    }

    /// When it ended for the first time, in microseconds, if it did.
    #[must_use]
    pub fn died_us(&self) -> Option<u64> {
        self.died_us.map(|at| at.saturating_sub(self.origin_us))
    }

    /// Answers one stream before anything is measured, as the lab asks for one: until its second chunk comes,
    /// or none for a second after the first. The clock of whoever asks begins after it.
    pub fn warm_up(&mut self) -> FirstLook {
        let id = self.ask(0, Asks::Stream(0));
        let (mut look, mut until) = (FirstLook::default(), LOOK_AT_MOST_US);
        while look.chunks < 2 && self.next_us().is_some_and(|next| next <= until) {
            self.step();
            for (_, seen) in std::mem::take(&mut self.seen) {
                match seen {
                    Seen::Chunk => {
                        look.chunks += 1;
                        if look.chunks == 1 {
                            look.ttft_us = self.now;
                            until = self.now + LOOK_AFTER_FIRST_US;
                        }
                    }
                    Seen::Head => {}
                    Seen::End | Seen::Refused(_) | Seen::Broken => look.took_us = Some(self.now),
                }
            }
            if look.took_us.is_some() {
                break;
            }
        }
        look.held = look.took_us.is_none();
        self.hang_up(self.now, id);
        self.origin_us = self.now;
        self.pause = self.next_pause(self.now);
        look
    }

    /// Requests that are at the upstream.
    #[must_use]
    pub fn active(&self) -> u64 {
        self.active
    }

    /// CPU that the process has used so far and how long its threads waited for a core, in microseconds.
    #[must_use]
    pub fn cpu_us(&mut self) -> (u64, u64) {
        self.cores.pass(self.now);
        let of_loop = if self.service.loop_computes {
            self.loop_used_us
        } else {
            0
        };
        (
            self.cores.used_us as u64 + of_loop,
            self.cores.waited_us as u64,
        )
    }

    /// Looks how long a check would wait for the loop now.
    pub fn feel(&mut self, now: u64) {
        let now = now + self.origin_us;
        let wait = self.loop_free_us.saturating_sub(now);
        self.felt.looks += 1;
        self.felt.maybe += u64::from(wait > FELT_US[0]);
        self.felt.surely += u64::from(wait > FELT_US[1]);
    }

    /// A request comes in.
    pub fn ask(&mut self, now: u64, asks: Asks) -> Id {
        let now = now + self.origin_us;
        self.now = now;
        let request = Request {
            turn: 0,
            asks,
            at: 0,
            rounds: 0,
            held: 0,
            queued: None,
            is_active: false,
            is_gone: false,
            is_ghost: false,
            is_there: true,
        };
        let index = match self.free.pop() {
            Some(index) => {
                let turn = self.requests[index as usize].turn;
                self.requests[index as usize] = Request { turn, ..request };
                index
            }
            None => {
                self.requests.push(request);
                self.requests.len() as u32 - 1
            }
        };
        let turn = self.requests[index as usize].turn;
        let id = Id { index, turn };
        let mut begins = now;
        if let Asks::Stream(_) = asks {
            self.streams += 1;
            if std::mem::take(&mut self.is_cold) {
                begins += self.service.cold_us;
            }
            if let Some(restart) = self.service.restart
                && self.streams >= restart.streams
                && now >= self.down_until
                && !std::mem::replace(&mut self.is_dying, true)
            {
                self.plan(now + restart.after_us, Happens::Dies);
            }
        }
        self.plan(begins, Happens::Goes(id));
        id
    }

    /// The client of a request leaves.
    pub fn hang_up(&mut self, now: u64, id: Id) {
        let now = now + self.origin_us;
        self.now = now;
        if !self.is_there(id) {
            return;
        }
        let request = &mut self.requests[id.index as usize];
        request.is_gone = true;
        if matches!(request.asks, Asks::Health { .. }) {
            return;
        }
        match self.service.notices {
            Notices::AtOnce => self.remove(id),
            Notices::AtNextChunk => {}
            Notices::Never => request.is_ghost = request.queued.is_none(),
            Notices::After(us) => {
                request.is_ghost = request.queued.is_none();
                self.plan(now + us, Happens::Leaves(id));
            }
        }
    }

    /// Lets happen what is next.
    pub fn step(&mut self) {
        let Some(Reverse((at, order, what))) = self.happens.pop() else {
            return;
        };
        while at >= self.pause.1 {
            self.pause = self.next_pause(self.pause.1);
        }
        if at >= self.pause.0 {
            self.happens.push(Reverse((self.pause.1, order, what)));
            return;
        }
        self.now = at;
        match what {
            Happens::Goes(id) => self.go(id),
            Happens::Computed(version) => self.computed(version),
            Happens::Grows(station) => self.grow(station),
            Happens::Gives(id, station) => {
                let is_waiting = self.is_there(id)
                    && self.requests[id.index as usize]
                        .queued
                        .is_some_and(|(queue, _)| queue == station);
                if is_waiting && let Some((_, refusal)) = self.stations[station].spec.patience {
                    self.refuse(id, refusal);
                }
            }
            Happens::Leaves(id) => {
                if self.is_there(id) {
                    self.remove(id);
                }
            }
            Happens::Dies => self.die(),
        }
    }

    fn plan(&mut self, at: u64, what: Happens) {
        self.order += 1;
        self.happens.push(Reverse((at, self.order, what)));
    }

    /// The next time from `from` on at which nothing runs.
    fn next_pause(&mut self, from: u64) -> (u64, u64) {
        let start = from + 1 + self.noise.until_next(self.service.pauses.0);
        let length = self.noise.by_magnitude(&self.service.pauses.1) as u64;
        let freeze = self.service.freeze;
        match freeze.map(|(at, until)| (at + self.origin_us, until + self.origin_us)) {
            Some(freeze) if from < freeze.0 && start + length > freeze.0 => freeze,
            _ => (start, start + length),
        }
    }

    fn is_there(&self, id: Id) -> bool {
        let request = &self.requests[id.index as usize];
        request.is_there && request.turn == id.turn
    }

    fn say(&mut self, id: Id, what: Seen) {
        let request = &self.requests[id.index as usize];
        if !request.is_gone {
            self.seen.push((request.asks, what));
        }
    }

    /// A request goes on until it has to wait for something.
    fn go(&mut self, id: Id) {
        if !self.is_there(id) || self.requests[id.index as usize].is_ghost {
            return;
        }
        let service = self.service;
        if self.now < self.down_until {
            return self.refuse(id, Refusal::NoConnection);
        }
        let program = match self.requests[id.index as usize].asks {
            Asks::Stream(_) => &service.stream,
            Asks::Health { url, .. } => &service.health[url],
        };
        loop {
            let request = &mut self.requests[id.index as usize];
            let Some(&op) = program.get(request.at) else {
                self.say(id, Seen::End);
                return self.remove(id);
            };
            request.at += 1;
            match op {
                Op::Take(station) => {
                    if !self.take(id, station) {
                        return;
                    }
                }
                Op::Free(station) => self.free(id, station),
                Op::Wait(time) => {
                    let us = self.noise.time(time, self.active);
                    return self.plan(self.now + us, Happens::Goes(id));
                }
                Op::Loop { time, chance } => {
                    if self.noise.happens(chance) {
                        let us = self.noise.time(time, self.active);
                        self.loop_used_us += us;
                        self.loop_free_us = self.loop_free_us.max(self.now) + us;
                        return self.plan(self.loop_free_us, Happens::Goes(id));
                    }
                    if self.loop_free_us > self.now {
                        return self.plan(self.loop_free_us, Happens::Goes(id));
                    }
                }
                Op::Compute(time) => {
                    let us = self.noise.time(time, self.active);
                    self.cores.pass(self.now);
                    let end = self.cores.virtual_ns + us * 1_000;
                    self.cores.jobs.push(Reverse((end, id)));
                    return self.plan_cores();
                }
                Op::Head => self.say(id, Seen::Head),
                Op::Chunk => {
                    if request.is_gone {
                        return self.remove(id);
                    }
                    self.say(id, Seen::Chunk);
                }
                Op::Upstream => {
                    request.is_active = true;
                    self.active += 1;
                }
                Op::StandStill(most) => {
                    if self.active > most {
                        request.at -= 1;
                        return self.plan(self.now + STANDS_US, Happens::Goes(id));
                    }
                }
                Op::Back { by, times } => {
                    if times.is_none_or(|times| request.rounds < times) {
                        request.rounds += 1;
                        request.at -= by + 1;
                    } else {
                        request.rounds = 0;
                    }
                }
            }
        }
    }

    /// Whether it has a place at once; otherwise it waits for one, or is turned away.
    fn take(&mut self, id: Id, station: usize) -> bool {
        let places = &mut self.stations[station];
        if places.taken < places.places {
            places.taken += 1;
            self.requests[id.index as usize].held |= 1 << station;
            return true;
        }
        if let Some((_, refusal)) = places
            .spec
            .queue
            .filter(|&(most, _)| places.queue.len() >= most)
        {
            self.refuse(id, refusal);
            return false;
        }
        places.queue.push_back(id);
        let (patience, growth) = (places.spec.patience, places.spec.growth);
        let grew = std::mem::replace(&mut places.grows, true);
        self.requests[id.index as usize].queued = Some((station, self.now));
        if let Some((us, _)) = patience {
            self.plan(self.now + us, Happens::Gives(id, station));
        }
        if let Some((every_us, _)) = growth.filter(|_| !grew) {
            self.plan(self.now + every_us, Happens::Grows(station));
        }
        false
    }

    fn free(&mut self, id: Id, station: usize) {
        let held = &mut self.requests[id.index as usize].held;
        if *held & (1 << station) != 0 {
            *held &= !(1 << station);
            self.stations[station].taken -= 1;
            self.fill(station);
        }
    }

    /// Gives free places to those who wait.
    fn fill(&mut self, station: usize) {
        loop {
            let places = &mut self.stations[station];
            if places.taken >= places.places {
                return;
            }
            let Some(next) = places.queue.pop_front() else {
                return;
            };
            places.taken += 1;
            let request = &mut self.requests[next.index as usize];
            request.queued = None;
            request.held |= 1 << station;
            let holds_for_nobody =
                matches!(self.service.notices, Notices::Never | Notices::After(_))
                    && matches!(request.asks, Asks::Stream(_));
            request.is_ghost = request.is_gone && holds_for_nobody;
            self.plan(self.now, Happens::Goes(next));
        }
    }

    fn grow(&mut self, station: usize) {
        let places = &mut self.stations[station];
        let Some((every_us, most)) = places.spec.growth else {
            return;
        };
        places.grows = !places.queue.is_empty() && places.places < most;
        if places.grows {
            places.places += 1;
            self.plan(self.now + every_us, Happens::Grows(station));
            self.fill(station);
        }
    }

    fn plan_cores(&mut self) {
        if let Some((at, version)) = self.cores.next() {
            self.plan(at, Happens::Computed(version));
        }
    }

    fn computed(&mut self, version: u64) {
        if version != self.cores.version {
            return;
        }
        self.cores.pass(self.now);
        // The pace is rounded to whole nanoseconds.
        let done = self.cores.virtual_ns + 1_000;
        while let Some(&Reverse((end, id))) = self.cores.jobs.peek()
            && end <= done
        {
            self.cores.jobs.pop();
            self.plan(self.now, Happens::Goes(id));
        }
        self.plan_cores();
    }

    fn refuse(&mut self, id: Id, refusal: Refusal) {
        self.say(id, Seen::Refused(refusal));
        self.remove(id);
    }

    fn remove(&mut self, id: Id) {
        let request = &mut self.requests[id.index as usize];
        request.is_there = false;
        request.turn += 1;
        let (held, queued) = (request.held, request.queued);
        if std::mem::take(&mut request.is_active) {
            self.active -= 1;
        }
        if let Asks::Stream(_) = request.asks {
            self.streams -= 1;
        }
        request.held = 0;
        self.free.push(id.index);
        if let Some((station, _)) = queued {
            self.stations[station].queue.retain(|&other| other != id);
        }
        for station in 0..self.stations.len() {
            if held & (1 << station) != 0 {
                self.stations[station].taken -= 1;
                self.fill(station);
            }
        }
    }

    /// The process ends: whatever is open breaks off.
    fn die(&mut self) {
        let Some(restart) = self.service.restart else {
            return;
        };
        self.down_until = self.now + restart.down_us;
        self.died_us.get_or_insert(self.now);
        self.set_up();
        for index in 0..self.requests.len() as u32 {
            let request = &mut self.requests[index as usize];
            let turn = request.turn;
            let id = Id { index, turn };
            if request.is_there {
                (request.held, request.queued) = (0, None);
                self.say(id, Seen::Broken);
                self.remove(id);
            }
        }
        self.cores.pass(self.now);
        self.cores.jobs.clear();
        self.cores.version += 1;
        self.loop_free_us = self.now;
        (self.is_cold, self.is_dying) = (true, false);
    }
}
