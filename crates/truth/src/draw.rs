//! Draws services. Half of them lie near a border, where a little more or less would be another verdict.

use crate::driver::Told;
use crate::noise::Noise;
use crate::ranges::{self, Drawn};
use crate::service::{Flow, Notices, Op, Refusal, Restart, Service, Station, Time};
use crate::truth::Fault;

/// A service, what is told of it and what is true of it.
#[derive(Clone, Debug)]
pub struct Draw {
    /// What kind of service it is.
    pub kind: Kind,
    /// The service.
    pub service: Service,
    /// What is told of it.
    pub told: Told,
    /// What is wrong with it.
    pub fault: Fault,
    /// Whether it is near a border.
    pub is_near: bool,
    /// Its numbers, for people.
    pub numbers: String,
}

macro_rules! kinds {
    ($($name:ident: $text:literal;)*) => {
        /// A kind of service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $(#[doc = $text] $name,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What it is.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    ThreadPool: "a pool of threads beside an event loop: each stream holds one";
    ThreadPerRequest: "a thread for each request, health included";
    LimitAround: "a limit around every route, health included";
    LimitBeside: "a limit around streams alone, or the client's own connections";
    DatabasePool: "a pool of database connections, which one of two health URLs waits for";
    ThreadPerChunk: "a thread for each chunk";
    GrowingPool: "a pool that grows while somebody waits";
    Leak: "a limit, and what hangs up keeps its place";
    LoopByChunk: "each chunk blocks the loop";
    LoopByPrompt: "each request blocks the loop at its beginning";
    LoopNowAndThen: "the loop is blocked now and then";
    LoopComputes: "each chunk computes on the loop";
    Cores: "each chunk computes on a thread of its own";
    Sheds: "whoever comes beyond a limit is turned away at once";
    SlowFirstByte: "an upstream whose first byte takes longer, the more it has open";
    Batch: "an engine whose gaps grow with the batch";
    FrozenEngine: "an engine that stands still beyond a number of streams";
    Restarts: "a process that ends under load and is started again";
    Freezes: "a server that stands still once";
    Roomy: "room enough";
}

/// Streams at once, at most, of a climb that does not look for the capacity.
const DEFAULT_MOST: u32 = 128;

/// Streams at once in a climb, where a capacity is nearest to being missed.
const STEPS: &[u32] = &[1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

struct Drawing {
    noise: Noise,
    told: Told,
    is_near: bool,
    sigma: f64,
    numbers: String,
}

impl Draw {
    /// Draw `number` of the series of `seed`.
    #[must_use]
    pub fn of(seed: u64, number: u64) -> Self {
        let mut noise = Noise::of(seed, number);
        let kind = noise.one_of(Kind::ALL);
        let told = Told {
            urls: Vec::new(),
            has_pid: noise.happens(0.5),
            has_upstream: noise.happens(0.25),
            max_streams: noise.one_of(&[256, 256, 256, 128, 64, 32]),
            finds_capacity: noise.happens(0.4),
            steps: Vec::new(),
            hold_s: 10,
        };
        let mut drawing = Drawing {
            told,
            is_near: noise.happens(0.5),
            sigma: 0.0,
            numbers: String::new(),
            noise,
        };
        drawing.sigma = drawing.number(&ranges::SPREAD);
        drawing.draw(kind)
    }
}

impl Drawing {
    fn number(&mut self, of: &Drawn) -> f64 {
        if of.by_magnitude {
            self.noise.by_magnitude(&of.range)
        } else {
            self.noise.even(&of.range)
        }
    }

    /// The same, noted for people.
    fn noted(&mut self, of: &Drawn) -> f64 {
        let number = self.number(of);
        self.note(of.what, format!("{number:.1} {}", of.unit));
        number
    }

    fn note(&mut self, what: &str, value: String) {
        self.numbers.push_str(&format!("; {what}: {value}"));
    }

    fn time(&self, ms: f64) -> Time {
        Time::ms(ms, self.sigma)
    }

    /// A number of places: near the border right at a step, or one off, or as many as are asked for.
    fn places(&mut self) -> u32 {
        let places = if self.is_near {
            let off = self.noise.one_of(&[-1, 0, 1]);
            let step = match self.noise.happens(0.2) {
                true => self.told.max_streams,
                false => self.noise.one_of(STEPS),
            };
            step.saturating_add_signed(off).max(1)
        } else {
            self.number(&ranges::CAPACITY) as u32
        };
        self.note("places", places.to_string());
        places
    }

    /// Streams at once that a climb comes to, if nothing ends it before.
    fn most(&self) -> f64 {
        let most = if self.told.finds_capacity {
            256
        } else {
            DEFAULT_MOST
        };
        f64::from(self.told.max_streams.min(most))
    }

    /// How streams flow; `None` for the length of one that does not end.
    fn flow(&mut self, may_end: bool) -> (Flow, Option<f64>) {
        let first = self.number(&ranges::FIRST_BYTE);
        let gap = self.number(&ranges::GAP);
        let shape = if may_end {
            self.noise.even(&(0.0..1.0))
        } else {
            0.0
        };
        let (first, chunks, lasts) = if shape < 0.5 {
            (first, None, None)
        } else if shape < 0.75 {
            let lasts = self.number(&ranges::SHORT_STREAM);
            let chunks = ((lasts / gap) as u32).max(1);
            let first = first.min(lasts);
            (first, Some(chunks), Some(first + f64::from(chunks) * gap))
        } else {
            let answer = self.number(&ranges::ANSWER);
            (answer, Some(0), Some(answer))
        };
        let text = match (chunks, lasts) {
            (Some(0), _) => format!("answers of {first:.0} ms"),
            (_, Some(lasts)) => {
                format!("first byte {first:.0} ms, gaps {gap:.0} ms, ends after {lasts:.0} ms")
            }
            _ => format!("first byte {first:.0} ms, gaps {gap:.0} ms, no end"),
        };
        self.note("streams", text);
        let flow = Flow {
            first: self.time(first),
            gap: self.time(gap),
            chunks,
        };
        (flow, lasts.map(|ms| ms * 1e3))
    }

    /// What a check does that waits for nobody.
    fn plain_check(&mut self) -> Vec<Op> {
        let ms = self.number(&ranges::HEALTH);
        vec![Op::Wait(self.time(ms))]
    }

    /// A service whose streams run a program and whose checks wait for nobody, with the usual disturbances.
    fn service(&mut self, stream: Vec<Op>, notices: Notices) -> Service {
        let cold_ms = match self.noise.happens(0.5) {
            true => self.noted(&ranges::COLD),
            false => 0.0,
        };
        Service {
            stations: Vec::new(),
            cores: 4.0,
            loop_computes: false,
            stream,
            health: Vec::new(),
            notices,
            retry_after_us: None,
            cold_us: (cold_ms * 1e3) as u64,
            pauses: (
                self.number(&ranges::PAUSES),
                ranges::PAUSE.range.start * 1e3..ranges::PAUSE.range.end * 1e3,
            ),
            freeze: None,
            restart: None,
        }
    }

    /// Gives health URLs: the names, and what a check of each does.
    fn give(&mut self, service: &mut Service, urls: Vec<(&'static str, Vec<Op>)>) {
        let mut urls = urls;
        urls.sort_by_key(|&(name, _)| verdict::summary::probe_rank(name));
        let names: Vec<_> = urls.iter().map(|&(name, _)| name).collect();
        self.note("URLs", names.join(" "));
        self.told.urls = names;
        service.health = urls.into_iter().map(|(_, program)| program).collect();
    }

    /// The URLs of a server with one kind of check: plain, or as one or both of the others.
    fn give_alike(&mut self, service: &mut Service, before: &[Op]) {
        let sets: [&[&'static str]; 5] = [
            &["health"],
            &["health"],
            &["health_sync"],
            &["health_async"],
            &["health_sync", "health_async"],
        ];
        let names = self.noise.one_of(&sets);
        let check: Vec<_> = before.iter().copied().chain(self.plain_check()).collect();
        let urls = names.iter().map(|&name| (name, check.clone())).collect();
        self.give(service, urls);
    }

    /// The URLs of an async server, where a sync check waits in `station`. Whether one of them does.
    fn give_of_async(&mut self, service: &mut Service, station: usize) -> bool {
        let plain = self.plain_check();
        let waiting: Vec<_> = [Op::Take(station)]
            .into_iter()
            .chain(plain.clone())
            .collect();
        let set = self.noise.one_of(&[0, 1, 2, 3, 4, 5]);
        let urls = match set {
            0 => vec![("health", waiting)],
            1 => vec![("health", plain)],
            2 => vec![("health_sync", waiting)],
            3 => vec![("health_async", plain)],
            4 => vec![("health", plain), ("health_sync", waiting)],
            _ => vec![("health_sync", waiting), ("health_async", plain)],
        };
        let is_shared = !matches!(set, 1 | 3);
        self.give(service, urls);
        is_shared
    }

    /// A stream that is served while it has a place of station 0.
    fn held(&mut self, flow: Flow, has_greeting: bool) -> Vec<Op> {
        let mut ops = Vec::new();
        if has_greeting {
            self.note("greeting", "before there is a place".to_owned());
            ops.extend([Op::Head, Op::Chunk]);
        }
        ops.extend([Op::Take(0), Op::Upstream]);
        ops.extend(flow.ops(&[], !has_greeting));
        ops
    }

    fn notices(&mut self) -> Notices {
        self.noise.one_of(&[Notices::AtOnce, Notices::AtNextChunk])
    }

    fn done(self, kind: Kind, service: Service, fault: Fault) -> Draw {
        Draw {
            kind,
            service,
            told: self.told,
            fault,
            is_near: self.is_near,
            numbers: self.numbers.trim_start_matches("; ").to_owned(),
        }
    }

    fn draw(self, kind: Kind) -> Draw {
        match kind {
            Kind::ThreadPool
            | Kind::ThreadPerRequest
            | Kind::LimitAround
            | Kind::LimitBeside
            | Kind::DatabasePool
            | Kind::GrowingPool
            | Kind::Leak => self.limit(kind),
            Kind::ThreadPerChunk => self.chunk_limit(kind),
            Kind::LoopByChunk | Kind::LoopByPrompt | Kind::LoopNowAndThen | Kind::LoopComputes => {
                self.blocked_loop(kind)
            }
            Kind::Cores => self.cores(kind),
            Kind::Sheds => self.sheds(kind),
            Kind::SlowFirstByte | Kind::Batch | Kind::FrozenEngine => self.slow(kind),
            Kind::Restarts | Kind::Freezes => self.disturbed(kind),
            Kind::Roomy => self.roomy(kind),
        }
    }

    fn limit(mut self, kind: Kind) -> Draw {
        let may_end = !matches!(kind, Kind::Leak | Kind::GrowingPool);
        let mut places = self.places();
        if kind == Kind::Leak {
            // The stream before the baseline takes one.
            places = places.max(2);
        }
        let (flow, lasts_us) = self.flow(may_end);
        let has_greeting = lasts_us.is_none() && kind != Kind::Leak && self.noise.happens(0.15);
        let stream = self.held(flow, has_greeting);
        let notices = match kind {
            Kind::Leak => self.keeps(),
            _ => self.notices(),
        };
        let mut service = self.service(stream, notices);
        let mut station = Station::of(places);
        if !matches!(kind, Kind::GrowingPool | Kind::Leak) && self.noise.happens(0.25) {
            let seconds = self.noted(&ranges::PATIENCE);
            station.patience = Some(((seconds * 1e6) as u64, Refusal::Status(503)));
        }
        if kind == Kind::GrowingPool {
            let every = self.noted(&ranges::GROWTH);
            station.places = (places / 4).max(1);
            station.growth = Some(((every * 1e3) as u64, places));
        }
        service.stations = vec![station];
        let is_shared = match kind {
            Kind::LimitBeside => {
                self.give_alike(&mut service, &[]);
                false
            }
            Kind::ThreadPerRequest | Kind::LimitAround => {
                self.give_alike(&mut service, &[Op::Take(0)]);
                true
            }
            _ => self.give_of_async(&mut service, 0),
        };
        let fault = if kind == Kind::Leak {
            Fault::Leak {
                places,
                is_shared,
                keeps_us: match notices {
                    Notices::After(us) => Some(us),
                    _ => None,
                },
            }
        } else {
            Fault::Limit {
                places,
                is_shared,
                lasts_us,
                dead_us: match notices {
                    Notices::AtNextChunk => flow.first.us,
                    _ => 0.0,
                },
                grows: kind == Kind::GrowingPool,
            }
        };
        self.done(kind, service, fault)
    }

    fn keeps(&mut self) -> Notices {
        let seconds = if self.is_near && self.noise.happens(0.5) {
            self.noted(&ranges::KEPT_NEAR)
        } else if self.noise.happens(0.3) {
            self.noted(&ranges::KEPT_LONG)
        } else {
            self.note("kept", "for ever".to_owned());
            return Notices::Never;
        };
        Notices::After((seconds * 1e6) as u64)
    }

    fn chunk_limit(mut self, kind: Kind) -> Draw {
        let places = self.places();
        let (flow, _) = self.flow(false);
        let on_a_thread = [Op::Take(0), Op::Wait(flow.gap), Op::Free(0)];
        let still = Flow {
            gap: Time::default(),
            ..flow
        };
        let mut stream = vec![Op::Upstream];
        stream.extend(still.ops(&on_a_thread, true));
        let mut service = self.service(stream, Notices::AtNextChunk);
        service.stations = vec![Station::of(places)];
        let is_shared = self.give_of_async(&mut service, 0);
        let fault = Fault::ChunkLimit {
            places,
            is_shared,
            is_alone: !service_has_free_check(&service),
            gap_us: flow.gap.us,
        };
        self.done(kind, service, fault)
    }

    /// How much work there is for a loop or for cores at the largest step, of what they can do.
    fn work(&mut self) -> f64 {
        match self.is_near {
            true => self.noted(&ranges::LOAD_NEAR),
            false => self.noted(&ranges::LOAD_CLEAR),
        }
    }

    fn blocked_loop(mut self, kind: Kind) -> Draw {
        let (flow, _) = self.flow(false);
        let most = self.most();
        let busy = |time: Time, chance: f64| Op::Loop { time, chance };
        let (block_ms, before, each): (f64, Vec<Op>, Vec<Op>) = match kind {
            Kind::LoopByPrompt => {
                let prompt = self.noted(&ranges::PROMPT);
                let prompt = busy(self.time(prompt), 1.0);
                (0.0, vec![prompt], vec![busy(self.time(0.2), 1.0)])
            }
            Kind::LoopNowAndThen => {
                let stall = self.noted(&ranges::STALL);
                let share = self.work() * 0.1;
                let chance = share * flow.gap.us / 1e3 / (most * stall);
                self.note("chance", format!("{chance:.5}"));
                (chance * stall, vec![], vec![busy(self.time(stall), chance)])
            }
            _ => {
                let block = if self.is_near {
                    self.work() * flow.gap.us / 1e3 / most
                } else {
                    self.noted(&ranges::BLOCK)
                };
                self.note("block", format!("{block:.2} ms"));
                (block, vec![], vec![busy(self.time(block), 1.0)])
            }
        };
        let mut stream = before;
        stream.push(Op::Upstream);
        stream.extend(flow.ops(&each, true));
        let notices = self.notices();
        let mut service = self.service(stream, notices);
        service.loop_computes = kind == Kind::LoopComputes;
        self.give_alike(&mut service, &[busy(self.time(0.2), 1.0)]);
        let fault = Fault::Loop {
            block_us: block_ms * 1e3,
            gap_us: flow.gap.us,
            computes: service.loop_computes,
        };
        self.done(kind, service, fault)
    }

    fn cores(mut self, kind: Kind) -> Draw {
        let (flow, _) = self.flow(false);
        let most = self.most();
        let work = self.work();
        // No stream alone computes all the time.
        let cores = self.number(&ranges::CORES).min(most / work / 2.0).max(1.0);
        let cores = cores.floor();
        self.note("cores", cores.to_string());
        // So that most streams at once want `work` times what the cores can do.
        let share = (work * cores / most).min(0.5);
        let chunk_ms = flow.gap.us / 1e3 * share / (1.0 - share);
        self.note("each chunk computes", format!("{chunk_ms:.2} ms"));
        let compute = Op::Compute(self.time(chunk_ms));
        let mut stream = vec![Op::Upstream];
        stream.extend(flow.ops(&[compute], true));
        let mut service = self.service(stream, Notices::AtNextChunk);
        service.cores = cores;
        let check = Op::Compute(self.time(0.3));
        self.give_alike(&mut service, &[check]);
        let fault = Fault::Cpu {
            chunk_us: chunk_ms * 1e3,
            gap_us: flow.gap.us,
            cores,
        };
        self.done(kind, service, fault)
    }

    fn sheds(mut self, kind: Kind) -> Draw {
        let mut places = self.places();
        let with_health = self.noise.happens(0.5);
        if with_health {
            // So that health is well while there is no load.
            places = places.max(4);
        }
        let (flow, _) = self.flow(false);
        let stream = self.held(flow, false);
        let notices = self.notices();
        let mut service = self.service(stream, notices);
        let refusal = self.noise.one_of(&[
            Refusal::Status(503),
            Refusal::Status(429),
            Refusal::NoConnection,
        ]);
        self.note("refusal", format!("{refusal:?}"));
        if matches!(refusal, Refusal::Status(_)) && self.noise.happens(0.3) {
            let seconds = self.noted(&ranges::RETRY_AFTER);
            service.retry_after_us = Some(seconds as u64 * 1_000_000);
        }
        let mut station = Station::of(places);
        station.queue = Some((0, refusal));
        service.stations = vec![station];
        let before: &[_] = if with_health { &[Op::Take(0)] } else { &[] };
        self.give_alike(&mut service, before);
        let fault = Fault::Sheds {
            places,
            with_health,
        };
        self.done(kind, service, fault)
    }

    fn slow(mut self, kind: Kind) -> Draw {
        let (mut flow, _) = self.flow(false);
        let most = self.most();
        let grown = match self.is_near {
            true => self.noted(&ranges::GROWN_NEAR),
            false => self.noted(&ranges::GROWN_CLEAR),
        };
        let is_first_byte = kind == Kind::SlowFirstByte;
        let slow = if is_first_byte {
            // A first byte of minutes is another matter.
            flow.first.us = flow.first.us.min(20e6 / grown);
            &mut flow.first
        } else {
            &mut flow.gap
        };
        slow.each_us = slow.us * (grown - 1.0) / most;
        let (us, each_us) = (slow.us, slow.each_us);
        let mut stream = vec![Op::Upstream];
        let mut fault = Fault::Slow {
            us,
            each_us,
            is_first_byte,
        };
        if kind == Kind::FrozenEngine {
            let beyond = self.places();
            flow.gap.each_us = 0.0;
            stream.extend(flow.ops(&[Op::StandStill(beyond.into())], true));
            fault = Fault::Frozen(beyond);
        } else {
            stream.extend(flow.ops(&[], true));
        }
        let notices = self.notices();
        let mut service = self.service(stream, notices);
        self.give_alike(&mut service, &[]);
        self.done(kind, service, fault)
    }

    fn disturbed(mut self, kind: Kind) -> Draw {
        let (flow, _) = self.flow(false);
        let mut stream = vec![Op::Upstream];
        stream.extend(flow.ops(&[], true));
        let notices = self.notices();
        let mut service = self.service(stream, notices);
        self.give_alike(&mut service, &[]);
        let us = |seconds: f64| (seconds * 1e6) as u64;
        let fault = if kind == Kind::Restarts {
            let after = self.noted(&ranges::DEATH);
            let down = self.noted(&ranges::DOWN);
            let streams = self.noise.one_of(&[2, 4, 8, 16, 30]);
            self.note("from streams", streams.to_string());
            service.restart = Some(Restart {
                after_us: us(after),
                streams,
                down_us: us(down),
            });
            Fault::Restarts
        } else {
            let at = self.noted(&ranges::FREEZE_AT);
            let length = self.noted(&ranges::FREEZE);
            let freeze = (us(at), us(at + length));
            service.freeze = Some(freeze);
            Fault::Freezes(freeze.0, freeze.1)
        };
        self.done(kind, service, fault)
    }

    fn roomy(mut self, kind: Kind) -> Draw {
        let (flow, _) = self.flow(true);
        let light = self.noted(&ranges::LOAD_LIGHT);
        let most = self.most();
        let kinds: &[_] = match flow.chunks {
            None => &["pool", "around", "loop", "cores"],
            Some(_) => &["pool", "around"],
        };
        let of = self.noise.one_of(kinds);
        self.note("kind", of.to_owned());
        let (stations, stream) = match of {
            "pool" | "around" => {
                let room = self.noise.one_of(&[4, 40, 200]);
                let places = self.told.max_streams + room;
                (vec![Station::of(places)], self.held(flow, false))
            }
            "loop" => {
                let block = (light * flow.gap.us / 1e3 / most).min(20.0 / most);
                let each = Op::Loop {
                    time: self.time(block),
                    chance: 1.0,
                };
                let ops = flow.ops(&[each], true);
                (vec![], [vec![Op::Upstream], ops].concat())
            }
            _ => {
                let share = light * 4.0 / most;
                let chunk = flow.gap.us / 1e3 * share / (1.0 - share);
                let ops = flow.ops(&[Op::Compute(self.time(chunk))], true);
                (vec![], [vec![Op::Upstream], ops].concat())
            }
        };
        let notices = self.notices();
        let mut service = self.service(stream, notices);
        service.stations = stations;
        match of {
            "pool" => {
                self.give_of_async(&mut service, 0);
            }
            "around" => self.give_alike(&mut service, &[Op::Take(0)]),
            "loop" => {
                let check = Op::Loop {
                    time: self.time(0.2),
                    chance: 1.0,
                };
                self.give_alike(&mut service, &[check]);
            }
            _ => self.give_alike(&mut service, &[]),
        }
        self.done(kind, service, Fault::Nothing)
    }
}

/// Whether one of its checks waits for no place.
fn service_has_free_check(service: &Service) -> bool {
    let is_free = |check: &Vec<Op>| !check.iter().any(|op| matches!(op, Op::Take(_)));
    service.health.iter().any(is_free)
}
