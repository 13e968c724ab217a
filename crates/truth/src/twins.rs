//! Twins of services that fail as services in public reports did, each with the URLs that it is given.

use verdict::summary::Family::{self, *};

use crate::driver::{Driven, Told, drive};
use crate::noise::Noise;
use crate::service::{Flow, Notices, Op, Refusal, Restart, Service, Station, Time};
use crate::truth::{Capacity, Truth};

/// A service, what is told of it and what is true of it.
#[derive(Clone, Debug)]
pub struct Twin {
    /// Whose twin it is.
    pub name: &'static str,
    /// With which URLs and flags.
    pub run: &'static str,
    /// The service.
    pub service: Service,
    /// What is told of it.
    pub told: Told,
    /// What is true of it.
    pub truth: Truth,
}

impl Twin {
    /// Drives it.
    ///
    /// # Errors
    /// As [`drive`].
    pub fn drive(&self, seed: u64) -> anyhow::Result<Driven> {
        drive(&self.service, &self.told, Noise::of(seed, 0))
    }
}

const SIGMA: f64 = 0.05;

fn ms(ms: f64) -> Time {
    Time::ms(ms, SIGMA)
}

/// A stream without end.
fn stream(first_ms: f64, gap_ms: f64) -> Flow {
    Flow {
        first: ms(first_ms),
        gap: ms(gap_ms),
        chunks: None,
    }
}

/// An answer that comes whole at its end.
fn answer(whole_ms: f64) -> Flow {
    Flow {
        chunks: Some(0),
        ..stream(whole_ms, 0.0)
    }
}

fn on_loop(block_ms: f64) -> Op {
    Op::Loop {
        time: ms(block_ms),
        chance: 1.0,
    }
}

/// A check that waits for nobody.
fn free() -> Vec<Op> {
    vec![Op::Wait(ms(1.5))]
}

/// A check that waits for a place of the first station.
fn waits() -> Vec<Op> {
    vec![Op::Take(0), Op::Wait(ms(1.5))]
}

/// A service of one station, or of none, whose streams do this.
fn service(stations: &[Station], stream: Vec<Op>, notices: Notices) -> Service {
    Service {
        stations: stations.to_vec(),
        cores: 2.0,
        loop_computes: false,
        stream,
        health: Vec::new(),
        notices,
        retry_after_us: None,
        cold_us: 0,
        pauses: (0.05, 20_000.0..60_000.0),
        freeze: None,
        restart: None,
    }
}

/// A service that serves so many streams at once.
fn limited(station: Station, flow: Flow, notices: Notices) -> Service {
    let ops = [vec![Op::Take(0), Op::Upstream], flow.ops(&[], true)].concat();
    service(&[station], ops, notices)
}

/// Flags.
#[derive(Clone, Debug, Default)]
struct Flags {
    finds: bool,
    pid: bool,
    upstream: bool,
    steps: &'static [u32],
    hold_s: u32,
}

impl Flags {
    fn finding() -> Self {
        Self {
            finds: true,
            ..Self::default()
        }
    }

    fn steps(steps: &'static [u32]) -> Self {
        Self {
            steps,
            ..Self::default()
        }
    }

    fn held(self, hold_s: u32) -> Self {
        Self { hold_s, ..self }
    }

    fn with_pid(self) -> Self {
        Self { pid: true, ..self }
    }

    fn with_upstream(self) -> Self {
        Self {
            upstream: true,
            ..self
        }
    }
}

/// Puts twins of one service together.
struct Of {
    name: &'static str,
    service: Service,
    families: &'static [Family],
    capacity: Option<u32>,
    all: Vec<Twin>,
}

impl Of {
    fn new(
        name: &'static str,
        service: Service,
        families: &'static [Family],
        capacity: Option<u32>,
    ) -> Self {
        Self {
            name,
            service,
            families,
            capacity,
            all: Vec::new(),
        }
    }

    /// With these URLs, in the order in which they are shown, and flags.
    fn run(mut self, run: &'static str, urls: &[(&'static str, Vec<Op>)], flags: Flags) -> Self {
        let mut service = self.service.clone();
        let mut urls = urls.to_vec();
        urls.sort_by_key(|&(name, _)| verdict::summary::probe_rank(name));
        service.health = urls.iter().map(|(_, check)| check.clone()).collect();
        self.all.push(Twin {
            name: self.name,
            run,
            service,
            told: Told {
                urls: urls.iter().map(|&(name, _)| name).collect(),
                has_pid: flags.pid,
                has_upstream: flags.upstream,
                max_streams: 256,
                finds_capacity: flags.finds,
                steps: flags.steps.to_vec(),
                hold_s: match flags.hold_s {
                    0 => 10,
                    seconds => seconds,
                },
            },
            truth: Truth {
                families: self.families.to_vec(),
                may_be_open: false,
                capacity: self.capacity.map_or(Capacity::Any, Capacity::Exactly),
            },
        });
        self
    }

    /// The last one has another truth.
    fn but(mut self, families: &[Family]) -> Self {
        if let Some(twin) = self.all.last_mut() {
            twin.truth.families = families.to_vec();
        }
        self
    }
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Twin> {
    [threads(), limits(), clients(), others()].concat()
}

const HEALTH: &str = "health";
const SYNC: &str = "health_sync";
const ASYNC: &str = "health_async";

/// Pools of threads.
fn threads() -> Vec<Twin> {
    let gthread = limited(Station::of(8), stream(5.0, 100.0), Notices::AtNextChunk);
    let roomy = limited(Station::of(64), stream(5.0, 100.0), Notices::AtNextChunk);
    let tomcat = limited(Station::of(10), stream(5.0, 100.0), Notices::AtNextChunk);
    let waitress = limited(Station::of(4), answer(600.0), Notices::AtNextChunk);
    let executor = limited(Station::of(6), stream(5.0, 100.0), Notices::AtNextChunk);
    let on_a_thread = [Op::Take(0), Op::Wait(ms(200.0)), Op::Free(0)];
    let per_chunk = [
        vec![Op::Upstream, on_a_thread[0], on_a_thread[1], on_a_thread[2]],
        stream(0.0, 0.0).ops(&on_a_thread, true),
    ]
    .concat();
    let per_chunk = service(&[Station::of(40)], per_chunk, Notices::AtNextChunk);
    // A thread waits for a connection, another one runs the query, a third one gives the connection back.
    let thread = |inner: &[Op]| [&[Op::Take(0)], inner, &[Op::Free(0)]].concat();
    let session = [
        thread(&[Op::Take(1)]),
        thread(&[Op::Wait(ms(300.0))]),
        thread(&[Op::Free(1)]),
        vec![Op::Head, Op::Chunk],
    ]
    .concat();
    let mut connections = Station::of(10);
    connections.patience = Some((30_000_000, Refusal::Status(500)));
    let sessions = service(
        &[Station::of(40), connections],
        session,
        Notices::AtNextChunk,
    );
    let ready = [
        thread(&[Op::Take(1)]),
        thread(&[Op::Wait(ms(1.0))]),
        thread(&[Op::Free(1)]),
    ]
    .concat();
    [
        Of::new("gthread-sse", gthread, &[LimitSharedWithHealth], Some(8))
            .run("natural", &[(HEALTH, waits())], Flags::default())
            .run("find", &[(HEALTH, waits())], Flags::finding().with_pid())
            .run("sync", &[(SYNC, waits())], Flags::finding().with_pid())
            .all,
        Of::new("gunicorn-roomy", roomy, &[Healthy], None)
            .run("natural", &[(HEALTH, waits())], Flags::steps(&[8, 32]))
            .run(
                "sync",
                &[(SYNC, waits())],
                Flags::steps(&[8, 32]).with_pid(),
            )
            .all,
        Of::new("tomcat", tomcat, &[LimitSharedWithHealth], Some(10))
            .run("natural", &[(HEALTH, waits())], Flags::finding())
            .run("sync", &[(SYNC, waits())], Flags::finding().with_pid())
            .all,
        Of::new("waitress-api", waitress, &[LimitSharedWithHealth], Some(4))
            .run("natural", &[(HEALTH, waits())], Flags::finding())
            .run(
                "sync",
                &[(SYNC, waits())],
                Flags::steps(&[8, 24]).held(4).with_pid(),
            )
            .all,
        Of::new("default-executor", executor, &[LimitBesideHealth], Some(6))
            .run("natural", &[(HEALTH, free())], Flags::finding())
            .run("full", &[(SYNC, free()), (ASYNC, free())], Flags::finding())
            .all,
        Of::new(
            "starlette-sync-gen",
            per_chunk,
            &[LimitSharedWithHealth],
            None,
        )
        .run("natural", &[(HEALTH, free())], Flags::default())
        .but(&[AllSlow, LimitBesideHealth])
        .run(
            "natural256",
            &[(HEALTH, free())],
            Flags::steps(&[64, 256]).held(5),
        )
        .but(&[AllSlow, LimitBesideHealth])
        .run(
            "full",
            &[(SYNC, waits()), (ASYNC, free())],
            Flags::steps(&[16, 128]).held(4).with_pid(),
        )
        .run(
            "find",
            &[(SYNC, waits()), (ASYNC, free())],
            Flags::finding(),
        )
        .all,
        Of::new("fastapi-dep-pool", sessions, &[LimitSharedWithHealth], None)
            .run("natural", &[(HEALTH, free())], Flags::default())
            .but(&[LimitBesideHealth])
            .run(
                "ready",
                &[(HEALTH, ready), (ASYNC, free())],
                Flags::steps(&[8, 64]).held(5),
            )
            .run(
                "full",
                &[(SYNC, waits()), (ASYNC, free())],
                Flags::steps(&[8, 64]).held(5),
            )
            .all,
    ]
    .concat()
}

/// Limits around requests.
fn limits() -> Vec<Twin> {
    let around = limited(Station::of(8), stream(2.0, 100.0), Notices::AtOnce);
    let query = limited(Station::of(8), answer(400.0), Notices::AtOnce);
    let mut balancer = Station::of(12);
    balancer.patience = Some((5_000_000, Refusal::Status(503)));
    let balancer = limited(balancer, stream(2.0, 100.0), Notices::AtOnce);
    let mut database = Station::of(10);
    database.patience = Some((30_000_000, Refusal::Status(503)));
    let database = limited(database, stream(2.0, 100.0), Notices::AtNextChunk);
    let mut shedding = Station::of(16);
    shedding.queue = Some((0, Refusal::Status(503)));
    let shedding = limited(shedding, stream(2.0, 100.0), Notices::AtOnce);
    let both = |name: &'static str, other: &'static str| [(name, waits()), (other, waits())];
    [
        Of::new(
            "limit-around-all",
            around,
            &[LimitSharedWithHealth],
            Some(8),
        )
        .run("natural", &[(HEALTH, waits())], Flags::finding())
        .run(
            "async",
            &[(ASYNC, waits())],
            Flags::steps(&[4, 24]).held(4).with_pid(),
        )
        .run(
            "full",
            &both(SYNC, ASYNC),
            Flags::steps(&[4, 24]).held(4).with_pid(),
        )
        .all,
        Of::new("limit-around-all", query, &[LimitSharedWithHealth], Some(8))
            .run(
                "query",
                &[(ASYNC, waits())],
                Flags::steps(&[4, 24]).held(4).with_pid(),
            )
            .all,
        Of::new(
            "haproxy-maxconn",
            balancer,
            &[LimitSharedWithHealth],
            Some(12),
        )
        .run("natural", &[(HEALTH, waits())], Flags::default())
        .run(
            "lb-both",
            &both(SYNC, ASYNC),
            Flags::steps(&[8, 32]).held(4).with_pid(),
        )
        .run(
            "direct",
            &[(SYNC, free()), (ASYNC, free()), (HEALTH, waits())],
            Flags::steps(&[8, 32]).held(4),
        )
        .all,
        Of::new("java-dbpool", database, &[LimitSharedWithHealth], Some(10))
            .run(
                "natural",
                &[(HEALTH, waits())],
                Flags::steps(&[8, 24]).held(4),
            )
            .run(
                "two",
                &[(HEALTH, waits()), (SYNC, free())],
                Flags::steps(&[8, 24]).held(4),
            )
            .run(
                "as-migrating",
                &[(SYNC, waits()), (ASYNC, free())],
                Flags::steps(&[8, 24]).held(4),
            )
            .run("healthonly-live", &[(HEALTH, free())], Flags::finding())
            .but(&[LimitBesideHealth])
            .all,
        Of::new("uvicorn-limit", shedding, &[ShedsLoad], None)
            .run(
                "natural",
                &[(HEALTH, waits())],
                Flags::steps(&[8, 32]).held(4),
            )
            .run(
                "full",
                &both(SYNC, ASYNC),
                Flags::steps(&[8, 32]).held(4).with_pid(),
            )
            .all,
    ]
    .concat()
}

/// The service's own client, and what it does not give back.
fn clients() -> Vec<Twin> {
    let agent = limited(Station::of(8), stream(50.0, 100.0), Notices::AtOnce);
    let leaking = limited(Station::of(8), stream(50.0, 100.0), Notices::Never);
    let mut pool = Station::of(10);
    pool.patience = Some((5_000_000, Refusal::Status(503)));
    let pool = limited(pool, stream(50.0, 100.0), Notices::AtOnce);
    let mut slots = Station::of(4);
    slots.queue = Some((0, Refusal::Status(429)));
    let slots = Service {
        retry_after_us: Some(30_000_000),
        ..limited(slots, stream(2.0, 100.0), Notices::Never)
    };
    let both = [(SYNC, free()), (ASYNC, free())];
    [
        Of::new("node-agent", agent, &[LimitBesideHealth], Some(8))
            .run("natural", &[(HEALTH, free())], Flags::finding())
            .run(
                "upstream",
                &[(HEALTH, free())],
                Flags::steps(&[6, 24]).held(3).with_upstream(),
            )
            .run(
                "asboth",
                &both,
                Flags::steps(&[6, 24]).held(3).with_upstream(),
            )
            .all,
        Of::new("node-agent-leak", leaking, &[HeldForNobody], Some(8))
            .run("natural", &[(HEALTH, free())], Flags::finding())
            .run(
                "upstream",
                &[(HEALTH, free())],
                Flags::steps(&[6, 24]).held(3).with_upstream(),
            )
            .run(
                "asboth",
                &both,
                Flags::steps(&[6, 24]).held(3).with_upstream(),
            )
            .all,
        Of::new("httpx-pool-leak", pool, &[LimitBesideHealth], Some(10))
            .run("natural", &[(HEALTH, free())], Flags::default())
            .run("find", &[(HEALTH, free())], Flags::finding())
            .run(
                "full",
                &both,
                Flags::steps(&[8, 24]).held(8).with_upstream(),
            )
            .all,
        Of::new("slots-429", slots, &[HeldForNobody], Some(4))
            .run(
                "natural",
                &[(HEALTH, free())],
                Flags::steps(&[4, 12]).held(3),
            )
            .run("find", &[(HEALTH, free())], Flags::finding())
            .run(
                "upstream",
                &[(SYNC, free())],
                Flags::steps(&[4, 12]).held(3).with_upstream(),
            )
            .all,
    ]
    .concat()
}

/// Loops, cores, engines, restarts.
fn others() -> Vec<Twin> {
    let batch = Flow {
        gap: Time {
            each_us: 1_000.0,
            ..ms(20.0)
        },
        ..stream(20.0, 20.0)
    };
    let llama = [
        vec![on_loop(350.0), Op::Upstream],
        batch.ops(&[on_loop(0.1)], true),
    ]
    .concat();
    let llama = service(&[], llama, Notices::AtNextChunk);
    let of_llama = vec![on_loop(1.0), Op::Wait(ms(10.0))];
    let vllm = [
        vec![Op::Upstream],
        stream(30.0, 30.0).ops(&[on_loop(0.6)], true),
    ]
    .concat();
    let vllm = Service {
        loop_computes: true,
        ..service(&[], vllm, Notices::AtOnce)
    };
    let of_vllm = vec![on_loop(0.5)];
    let frozen = [
        vec![Op::Upstream],
        stream(2.0, 100.0).ops(&[Op::StandStill(12)], true),
    ]
    .concat();
    let frozen = service(&[], frozen, Notices::AtOnce);
    let compute = Op::Compute(ms(25.0));
    let cores = [
        vec![compute, Op::Upstream],
        stream(0.0, 50.0).ops(&[compute], true),
    ]
    .concat();
    let cores = service(&[], cores, Notices::AtNextChunk);
    let of_cores = vec![Op::Compute(ms(0.5))];
    let healthy = [
        vec![Op::Upstream],
        stream(2.0, 100.0).ops(&[on_loop(0.15)], true),
    ]
    .concat();
    let healthy = service(&[], healthy, Notices::AtOnce);
    let restarting = Service {
        restart: Some(Restart {
            after_us: 8_000_000,
            streams: 1,
            down_us: 1_700_000,
        }),
        ..healthy.clone()
    };
    let light = || vec![on_loop(0.5)];
    [
        Of::new("llama-loop", llama, &[LoopBlocked], None)
            .run(
                "natural",
                &[(HEALTH, of_llama.clone())],
                Flags::steps(&[4, 16]).held(4).with_pid(),
            )
            .run(
                "async",
                &[(ASYNC, of_llama)],
                Flags::steps(&[4, 16]).held(4).with_pid(),
            )
            .all,
        Of::new("vllm-loop", vllm, &[LoopBlocked, CpuSaturated], None)
            .run(
                "natural",
                &[(HEALTH, of_vllm.clone())],
                Flags::steps(&[8, 32, 128]).held(4),
            )
            .run(
                "async",
                &[(ASYNC, of_vllm)],
                Flags::steps(&[16, 128]).held(4).with_pid(),
            )
            .all,
        Of::new("engine-frozen", frozen, &[AllSlow, LimitBesideHealth], None)
            .run(
                "natural",
                &[(HEALTH, free())],
                Flags::steps(&[8, 32]).held(4),
            )
            .run("default", &[(HEALTH, free())], Flags::default())
            .all,
        Of::new("cpu-threads", cores, &[CpuSaturated], None)
            .run(
                "natural",
                &[(HEALTH, of_cores.clone())],
                Flags::steps(&[2, 8, 32]),
            )
            .but(&[CpuSaturated, AllSlow])
            .run(
                "pid",
                &[(HEALTH, of_cores)],
                Flags::steps(&[2, 8, 32]).with_pid(),
            )
            .all,
        Of::new("healthy-async", healthy, &[Healthy], None)
            .run("natural", &[(HEALTH, light())], Flags::steps(&[8, 32, 64]))
            .run(
                "full",
                &[(SYNC, light()), (ASYNC, light())],
                Flags::finding().with_pid(),
            )
            .all,
        Of::new("restarts-often", restarting, &[Restarts], None)
            .run("natural", &[(HEALTH, light())], Flags::steps(&[8, 32]))
            .run("find", &[(HEALTH, light())], Flags::finding())
            .all,
    ]
    .concat()
}
