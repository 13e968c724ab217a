use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::names;

/// What fails.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// The verdict, as far as the member decides it.
    pub kind: Kind,
    /// What sort of failure it is. It can nearly always be told from outside.
    #[serde(default)]
    pub family: Family,
    /// The thing that is full, where it is known.
    #[serde(default)]
    pub member: Option<Member>,
    /// What could not be told apart, each with what would decide.
    pub candidates: Vec<Candidate>,
    /// The figures that decided it.
    pub evidence: Vec<String>,
    /// How many streams are served at once, if that is what limits.
    pub inferred_capacity: Option<u64>,
}

impl Diagnosis {
    /// Before anything was concluded.
    #[must_use]
    pub fn undecided() -> Self {
        Self {
            kind: Kind::Undecided,
            family: Family::Undecided,
            member: None,
            candidates: Vec::new(),
            evidence: Vec::new(),
            inferred_capacity: None,
        }
    }

    /// Every word that may name one: each kind, and each family that is no kind.
    pub fn words() -> impl Iterator<Item = &'static str> {
        let kinds = Kind::ALL.map(Kind::name);
        let families = Family::ALL.map(Family::name);
        let more = families.into_iter().filter(move |one| !kinds.contains(one));
        kinds.into_iter().chain(more)
    }
}

/// A possible cause that was not ruled out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The cause.
    pub kind: Kind,
    /// Its family.
    #[serde(default)]
    pub family: Family,
    /// The observation that would decide.
    pub decided_by: String,
}

/// The failures that the lab can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it, and docs explain each")]
pub enum Kind {
    Healthy,
    BlockingPoolExhausted,
    EventLoopBlocked,
    CpuSaturated,
    BulkheadFull,
    UpstreamLimit,
    ConnectionLeak,
    UpstreamSlow,
    GeneratorLimited,
    Undecided,
}

names!(Kind {
    Healthy = "healthy",
    BlockingPoolExhausted = "blocking_pool_exhausted",
    EventLoopBlocked = "event_loop_blocked",
    CpuSaturated = "cpu_saturated",
    BulkheadFull = "bulkhead_full",
    UpstreamLimit = "upstream_limit",
    ConnectionLeak = "connection_leak",
    UpstreamSlow = "upstream_slow",
    GeneratorLimited = "generator_limited",
    Undecided = "undecided",
});

/// What sort of failure it is, relative to the health URLs that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Every sign was looked at, and nothing grew.
    Healthy,
    /// No more than so many are served at once, and a health URL waits in the same line.
    LimitSharedWithHealth,
    /// No more than so many are served at once, and no health URL that was given waits with them.
    LimitBesideHealth,
    /// The event loop stands still, and everything with it.
    LoopBlocked,
    /// No core is free, and everything is slow.
    CpuSaturated,
    /// Every stream is slow or stands still, and health is fast.
    AllSlow,
    /// What clients that hung up had used does not come back.
    HeldForNobody,
    /// What is too much is refused at once.
    ShedsLoad,
    /// The process ends under load and is started again.
    Restarts,
    /// The lab could not make the load, or not send its checks.
    GeneratorLimited,
    /// What was seen does not tell.
    #[default]
    Undecided,
}

names!(Family {
    Healthy = "healthy",
    LimitSharedWithHealth = "limit_shared_with_health",
    LimitBesideHealth = "limit_beside_health",
    LoopBlocked = "loop_blocked",
    CpuSaturated = "cpu_saturated",
    AllSlow = "all_slow",
    HeldForNobody = "held_for_nobody",
    ShedsLoad = "sheds_load",
    Restarts = "restarts",
    GeneratorLimited = "generator_limited",
    Undecided = "undecided",
});

/// The thing that is full, blocked or slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    /// Threads: those of the server, of a framework, or of an executor.
    BlockingPool,
    /// The one thread that runs every task.
    EventLoop,
    /// The cores.
    Cpu,
    /// A limit in the service's own code.
    Semaphore,
    /// The connections that the server, or a balancer before it, lets in.
    ServerConnections,
    /// Connections to a database.
    DatabasePool,
    /// The connections that the service's own client may open to its upstream.
    ClientConnections,
    /// The upstream.
    Upstream,
    /// What computes the answers, such as an inference engine.
    Engine,
}

names!(Member {
    BlockingPool = "blocking_pool",
    EventLoop = "event_loop",
    Cpu = "cpu",
    Semaphore = "semaphore",
    ServerConnections = "server_connections",
    DatabasePool = "database_pool",
    ClientConnections = "client_connections",
    Upstream = "upstream",
    Engine = "engine",
});
