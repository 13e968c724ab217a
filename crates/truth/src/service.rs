//! What a simulated service is made of. Each request runs a program of small operations over stations,
//! which are queues in front of a number of places.

/// How long something takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Time {
    /// With nothing else going on, in microseconds.
    pub us: f64,
    /// More for each request that is at the upstream, in microseconds.
    pub each_us: f64,
    /// Spread: the standard deviation of its logarithm.
    pub sigma: f64,
}

impl Time {
    /// So many milliseconds, with this spread.
    #[must_use]
    pub fn ms(ms: f64, sigma: f64) -> Self {
        Self {
            us: ms * 1e3,
            each_us: 0.0,
            sigma,
        }
    }
}

/// What a request does next.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Waits for a place of a station, first come, first served.
    Take(usize),
    /// Gives it back.
    Free(usize),
    /// Lets time pass, without any need of the server.
    Wait(Time),
    /// Has the event loop to itself, with this probability; nothing else runs on the loop meanwhile.
    Loop {
        /// For how long.
        time: Time,
        /// How often it comes to that.
        chance: f64,
    },
    /// Computes on the cores, which all that compute share evenly.
    Compute(Time),
    /// Sends the head of the answer.
    Head,
    /// Sends a chunk.
    Chunk,
    /// Is at the upstream from here on.
    Upstream,
    /// Stands still while more than so many are at the upstream.
    StandStill(u64),
    /// Goes back by so many operations, so many times; then goes on.
    Back {
        /// Operations.
        by: usize,
        /// For ever if `None`.
        times: Option<u32>,
    },
}

/// How a stream flows.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// To its first chunk.
    pub first: Time,
    /// From one chunk to the next.
    pub gap: Time,
    /// Chunks after the first one, if it ends.
    pub chunks: Option<u32>,
}

impl Flow {
    /// First byte and chunks, `each` being done before every chunk.
    #[must_use]
    pub fn ops(self, each: &[Op], has_head: bool) -> Vec<Op> {
        let mut ops = vec![Op::Wait(self.first)];
        if has_head {
            ops.push(Op::Head);
        }
        ops.push(Op::Chunk);
        if self.chunks == Some(0) {
            return ops;
        }
        let back = each.len() + 2;
        ops.push(Op::Wait(self.gap));
        ops.extend(each);
        ops.push(Op::Chunk);
        ops.push(Op::Back {
            by: back,
            times: self.chunks.map(|chunks| chunks - 1),
        });
        ops
    }
}

/// How a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With a status.
    Status(u16),
    /// There is no connection.
    NoConnection,
}

/// Places, and a queue in front of them.
#[derive(Clone, Copy, Debug)]
pub struct Station {
    /// How many places there are at first.
    pub places: u32,
    /// Whoever comes while so many wait is turned away.
    pub queue: Option<(usize, Refusal)>,
    /// Whoever has waited for so long, in microseconds, is turned away.
    pub patience: Option<(u64, Refusal)>,
    /// While somebody waits a place is added every so many microseconds, up to a number.
    pub growth: Option<(u64, u32)>,
}

impl Station {
    /// So many places, with a queue of any length.
    #[must_use]
    pub fn of(places: u32) -> Self {
        Self {
            places,
            queue: None,
            patience: None,
            growth: None,
        }
    }
}

/// When a service notices that the client of a stream has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notices {
    /// At once, as an async server does.
    AtOnce,
    /// When it writes the next chunk, as a thread does.
    AtNextChunk,
    /// Never: what the stream holds stays held.
    Never,
    /// So many microseconds later.
    After(u64),
}

/// A process that ends under load and is started again.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// It ends so long after it has so many streams, in microseconds.
    pub after_us: u64,
    /// How many streams it takes.
    pub streams: u64,
    /// How long nothing listens, in microseconds.
    pub down_us: u64,
}

/// A service: what each kind of request does in it, and what disturbs it.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its stations.
    pub stations: Vec<Station>,
    /// Its cores.
    pub cores: f64,
    /// Whether what blocks its loop computes, so that its process is seen to use CPU.
    pub loop_computes: bool,
    /// What a stream does.
    pub stream: Vec<Op>,
    /// What a check of each URL does.
    pub health: Vec<Vec<Op>>,
    /// When it notices that a client has left.
    pub notices: Notices,
    /// After how long whoever was refused should ask again, in microseconds, if it says so.
    pub retry_after_us: Option<u64>,
    /// How much longer the first stream of all takes, in microseconds.
    pub cold_us: u64,
    /// Pauses of the whole machine in a second, and the range of their length in microseconds.
    pub pauses: (f64, std::ops::Range<f64>),
    /// When nothing at all runs: from and until, in microseconds.
    pub freeze: Option<(u64, u64)>,
    /// Whether it ends under load.
    pub restart: Option<Restart>,
}
