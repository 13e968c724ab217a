//! What a rule finds, and the findings that several rules have in common.

use crate::judge::signs::{Cpu, Signs, StepSigns, candidate};
use crate::summary::{Candidate, Family, Kind, Member};

/// What a rule found.
pub(super) struct Finding {
    pub(super) family: Family,
    pub(super) member: Option<Member>,
    pub(super) kind: Kind,
    pub(super) reason: String,
    /// What it might be beside it, or which member.
    pub(super) candidates: Vec<Candidate>,
    /// How many streams are served at once.
    pub(super) streams: Option<u64>,
}

/// A rule: what a step is, or nothing.
pub(super) type Rule = fn(&Signs, &StepSigns) -> Option<Finding>;

impl Finding {
    pub(super) fn of(family: Family, kind: Kind, reason: String) -> Self {
        Self {
            family,
            member: None,
            kind,
            reason,
            candidates: Vec::new(),
            streams: None,
        }
    }

    pub(super) fn open(reason: String, candidates: Vec<Candidate>) -> Self {
        Self {
            candidates,
            ..Self::of(Family::Undecided, Kind::Undecided, reason)
        }
    }
}

/// A limit that health waits for as well.
pub(super) fn shared(signs: &Signs, step: &StepSigns, reason: String) -> Finding {
    let mut limits = signs.steps.iter().filter_map(|step| step.limit.as_ref());
    let member = limits.clone().find_map(|limit| limit.member);
    let told = limits
        .next()
        .map_or(reason.clone(), |limit| format!("{reason}; {}", limit.told));
    let held = signs
        .held
        .as_ref()
        .map_or(String::new(), |held| format!("; {}", held.told));
    let finding = Finding {
        streams: limit_of(signs, step),
        ..Finding::of(
            Family::LimitSharedWithHealth,
            Kind::Undecided,
            format!("{told}{held}"),
        )
    };
    if signs.known.has_free_thread {
        return Finding::open(
            reason,
            vec![candidate(
                Kind::BlockingPoolExhausted,
                Family::LimitSharedWithHealth,
                "gauges that show the pool full; these show a free thread, so what the sync check waits for is elsewhere",
            )],
        );
    }
    if signs.known.is_own || member == Some(Member::BlockingPool) {
        return Finding {
            kind: Kind::BlockingPoolExhausted,
            member: Some(Member::BlockingPool),
            streams: finding
                .streams
                .or(signs.held.as_ref().and_then(|held| held.streams)),
            ..finding
        };
    }
    let family = Family::LimitSharedWithHealth;
    Finding {
        candidates: vec![
            candidate(
                Kind::BlockingPoolExhausted,
                family,
                "a dump of its threads: all of a pool are busy",
            ),
            candidate(
                Kind::BulkheadFull,
                family,
                "its own code or the balancer before it: a semaphore, or a limit on connections",
            ),
            candidate(
                Kind::UpstreamLimit,
                family,
                "its database pool or its client's connections, if health asks for one too",
            ),
        ],
        ..finding
    }
}

/// Everything waits for a loop or for a core.
pub(super) fn loop_or_cpu(signs: &Signs, step: &StepSigns, reason: String, stops: bool) -> Finding {
    let blocked = |told: &str| Finding {
        member: Some(Member::EventLoop),
        ..Finding::of(
            Family::LoopBlocked,
            Kind::EventLoopBlocked,
            format!("{reason}; {told}: something blocks its loop"),
        )
    };
    match &step.cpu {
        Cpu::Short(told) => Finding {
            member: Some(Member::Cpu),
            ..Finding::of(
                Family::CpuSaturated,
                Kind::CpuSaturated,
                format!("{reason}; {told}: no core is free"),
            )
        },
        Cpu::OneCore(told) => Finding {
            reason: format!("{reason}; {told}: its loop computes"),
            ..blocked("")
        },
        Cpu::Free(told) => blocked(&format!("{told}, so it could compute")),
        Cpu::Unknown if stops => blocked("a busy CPU would slow them and not stop them"),
        Cpu::Unknown => {
            let mut candidates = vec![
                candidate(
                    Kind::EventLoopBlocked,
                    Family::LoopBlocked,
                    "the service's pid (--pid): its CPU is low while its loop is blocked",
                ),
                candidate(
                    Kind::CpuSaturated,
                    Family::CpuSaturated,
                    "the service's pid (--pid): its CPU is at the limit of its cores",
                ),
            ];
            if step.named("health_async").is_none() && !signs.known.is_own {
                candidates.push(candidate(
                    Kind::BlockingPoolExhausted,
                    Family::LimitSharedWithHealth,
                    "a health URL that the event loop answers (--async-health): it stays fast",
                ));
            }
            Finding::open(reason, candidates)
        }
    }
}

/// What it may be if a health check waits and nothing else is known.
pub(super) fn shared_or_loop() -> Vec<Candidate> {
    vec![
        candidate(
            Kind::BlockingPoolExhausted,
            Family::LimitSharedWithHealth,
            "a health URL that the event loop answers (--async-health): it stays fast",
        ),
        candidate(
            Kind::EventLoopBlocked,
            Family::LoopBlocked,
            "a health URL that the event loop answers (--async-health): it is slow as well",
        ),
    ]
}

/// How many are served at once, by this step or the first larger one that shows it.
pub(super) fn limit_of(signs: &Signs, step: &StepSigns) -> Option<u64> {
    let seen = signs.capacity.or_else(|| step.limit.as_ref()?.streams);
    seen.or_else(|| {
        let later = signs.steps.iter().filter(|one| one.asked > step.asked);
        later.filter_map(|one| one.limit.as_ref()?.streams).next()
    })
}
