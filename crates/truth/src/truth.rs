//! What is true of a service, relative to the URLs that were given and to what was asked.

use std::collections::BTreeMap;

use verdict::summary::{Diagnosis, Family};

use crate::driver::Driven;

use Family::{
    AllSlow, CpuSaturated, Healthy, HeldForNobody, LimitBesideHealth, LimitSharedWithHealth,
    LoopBlocked, Restarts, ShedsLoad,
};

/// Streams begun a second: more are not at once than begin while one lasts.
const BEGUN_PER_SECOND: f64 = 200.0;

/// What clients leave behind is waited for no longer than this, in microseconds.
const SETTLE_US: u64 = 6_000_000;

/// What is wrong with a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Nothing, however much is asked of it.
    Nothing,
    /// No more than so many are served at once.
    Limit {
        /// How many.
        places: u32,
        /// Whether a health URL that was given waits for a place as well.
        is_shared: bool,
        /// How long a stream lasts, in microseconds, if it ends.
        lasts_us: Option<f64>,
        /// For how long one is worked on whose client has left, in microseconds.
        dead_us: f64,
        /// Whether places come one by one: how many there are at last was not always seen.
        grows: bool,
    },
    /// Each chunk waits for a place, which it has for a gap.
    ChunkLimit {
        /// How many.
        places: u32,
        /// As above.
        is_shared: bool,
        /// Whether every health URL that was given waits for a place. Then all that is seen is as slow as
        /// with a blocked loop.
        is_alone: bool,
        /// The gap, in microseconds.
        gap_us: f64,
    },
    /// What has hung up keeps its place.
    Leak {
        /// How many places there are.
        places: u32,
        /// As above.
        is_shared: bool,
        /// For how long, in microseconds, if not for ever.
        keeps_us: Option<u64>,
    },
    /// The event loop is blocked.
    Loop {
        /// By each chunk, in the mean, in microseconds.
        block_us: f64,
        /// The time between two chunks, in microseconds.
        gap_us: f64,
        /// Whether it computes meanwhile.
        computes: bool,
    },
    /// The cores are shared.
    Cpu {
        /// Each chunk needs so much, in microseconds.
        chunk_us: f64,
        /// The time between two chunks, in microseconds.
        gap_us: f64,
        /// How many there are.
        cores: f64,
    },
    /// Everything takes longer, the more are asked for.
    Slow {
        /// With one stream, in microseconds.
        us: f64,
        /// More for each stream, in microseconds.
        each_us: f64,
        /// Whether it is the first byte, and not the gaps.
        is_first_byte: bool,
    },
    /// Beyond so many nobody gets anything any more.
    Frozen(u32),
    /// Whoever comes beyond so many is turned away.
    Sheds {
        /// How many.
        places: u32,
        /// Whether health is turned away as well.
        with_health: bool,
    },
    /// It ends under load.
    Restarts,
    /// Nothing runs for a while, in microseconds.
    Freezes(u64, u64),
}

/// What may be said of the number of streams that are served at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// Anything: there is none, or the truth does not say.
    Any,
    /// This, or nothing.
    AtMostSaid(u32),
    /// This.
    Exactly(u32),
}

/// What is true of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// Every family that is right; the first one is what it was drawn as.
    pub families: Vec<Family>,
    /// Whether it is right to leave it open.
    pub may_be_open: bool,
    /// The capacity.
    pub capacity: Capacity,
}

impl Truth {
    fn of(families: &[Family]) -> Self {
        Self {
            families: families.to_vec(),
            may_be_open: false,
            capacity: Capacity::Any,
        }
    }
}

impl Fault {
    /// What is true of a run of a service with this fault, of which the process is known or not.
    #[must_use]
    pub fn truth(self, driven: &Driven, (has_pid, has_upstream): (bool, bool)) -> Truth {
        let asked = driven.asked;
        match self {
            Self::Nothing => Truth::of(&[Healthy]),
            Self::Limit {
                places,
                is_shared,
                lasts_us,
                dead_us,
                grows,
            } => {
                let mut truth = limit(asked, places, is_shared, lasts_us, grows);
                // Those who wait are worked on one after the other, though nobody is there any more.
                let turns = asked.saturating_sub(places).div_ceil(places);
                if dead_us * f64::from(turns) > 3e6 {
                    truth.families.push(HeldForNobody);
                }
                truth
            }
            Self::ChunkLimit {
                places,
                is_shared,
                is_alone,
                gap_us,
            } => {
                let grown = f64::from(asked) / f64::from(places);
                let waits_us = (grown - 1.0).max(0.0) * gap_us;
                let families: &[_] = match is_shared {
                    _ if grown < 1.0 => &[Healthy],
                    true if is_alone && waits_us > 150_000.0 => {
                        &[LimitSharedWithHealth, LoopBlocked]
                    }
                    true if is_alone => &[LimitSharedWithHealth, Healthy, AllSlow, LoopBlocked],
                    true if waits_us > 150_000.0 => &[LimitSharedWithHealth],
                    true => &[LimitSharedWithHealth, Healthy, AllSlow, LimitBesideHealth],
                    false if grown > 2.0 => &[AllSlow, LimitBesideHealth],
                    false => &[AllSlow, LimitBesideHealth, Healthy],
                };
                Truth {
                    capacity: Capacity::AtMostSaid(places),
                    ..Truth::of(families)
                }
            }
            Self::Leak {
                places,
                is_shared,
                keeps_us,
            } => leak(driven, (places, is_shared, keeps_us), has_upstream),
            Self::Loop {
                block_us,
                gap_us,
                computes,
            } => blocked_loop(driven, block_us, gap_us, computes),
            Self::Cpu {
                chunk_us,
                gap_us,
                cores,
            } => {
                let wanted = f64::from(asked) * chunk_us / cores / (gap_us + chunk_us);
                match (wanted, has_pid) {
                    (2.0.., true) => Truth::of(&[CpuSaturated]),
                    (2.0.., false) => Truth::of(&[CpuSaturated, AllSlow, LoopBlocked]),
                    (1.15..2.0, _) => Truth::of(&[CpuSaturated, Healthy, AllSlow, LoopBlocked]),
                    (0.8..1.15, _) => Truth::of(&[Healthy, CpuSaturated]),
                    _ => Truth::of(&[Healthy]),
                }
            }
            Self::Slow {
                us,
                each_us,
                is_first_byte,
            } => {
                // First bytes are those of the streams that joined last, while half of them were there.
                let at_once = f64::from(asked) * if is_first_byte { 0.75 } else { 1.0 };
                let grown = (us + each_us * at_once) / (us + each_us);
                let is_felt = !is_first_byte || each_us * at_once > 500_000.0;
                match (grown, is_first_byte) {
                    (1.2.., _) if !is_felt => Truth::of(&[AllSlow, Healthy, LimitBesideHealth]),
                    (3.0.., false) => Truth::of(&[AllSlow]),
                    (3.0.., true) => Truth::of(&[AllSlow, LimitBesideHealth]),
                    (..1.2, _) => Truth::of(&[Healthy]),
                    _ => Truth::of(&[AllSlow, Healthy, LimitBesideHealth]),
                }
            }
            Self::Frozen(beyond) if asked > beyond => Truth::of(&[AllSlow, LimitBesideHealth]),
            Self::Frozen(_) => Truth::of(&[Healthy]),
            Self::Sheds {
                places,
                with_health,
            } => match asked.cmp(&places) {
                std::cmp::Ordering::Less => Truth::of(&[Healthy]),
                std::cmp::Ordering::Equal if !with_health => Truth::of(&[Healthy]),
                _ if with_health => Truth::of(&[ShedsLoad]),
                _ => Truth {
                    capacity: Capacity::Exactly(places),
                    ..Truth::of(&[ShedsLoad])
                },
            },
            Self::Restarts => match driven.died_us {
                None => Truth::of(&[Healthy]),
                // Its end was hardly seen.
                Some(at) if at + 2_000_000 > driven.load_end_us => {
                    Truth::of(&[Restarts, Healthy, HeldForNobody])
                }
                Some(_) => Truth::of(&[Restarts]),
            },
            Self::Freezes(from, until) => {
                let was_seen = from > driven.load_us && until < driven.load_end_us;
                let all: &[_] = if was_seen {
                    &[LoopBlocked, AllSlow, CpuSaturated, Restarts]
                } else {
                    &[Healthy, LoopBlocked, AllSlow, CpuSaturated, Restarts]
                };
                Truth {
                    may_be_open: true,
                    ..Truth::of(all)
                }
            }
        }
    }
}

fn limit(asked: u32, places: u32, is_shared: bool, lasts_us: Option<f64>, grows: bool) -> Truth {
    let family = if is_shared {
        LimitSharedWithHealth
    } else {
        LimitBesideHealth
    };
    let places_f = f64::from(places);
    // Of short streams no more are at once than begin while one lasts.
    let begun = lasts_us.map_or(f64::INFINITY, |us| BEGUN_PER_SECOND * us / 1e6);
    let at_once = f64::from(asked).min(begun);
    let pressure = at_once / places_f;
    if grows {
        let families: &[_] = if asked > places {
            &[family]
        } else {
            &[family, Healthy, AllSlow]
        };
        return Truth {
            capacity: Capacity::AtMostSaid(places),
            ..Truth::of(families)
        };
    }
    let is_reached = if is_shared {
        at_once >= places_f
    } else {
        at_once > places_f
    };
    let is_clear = match lasts_us {
        None => is_reached,
        Some(us) if is_shared => {
            is_reached
                && begun > 1.3 * places_f
                && (at_once - places_f + 1.0) / places_f * us > 150_000.0
        }
        Some(_) => pressure > 1.5,
    };
    let is_possible = pressure > 0.8 || is_reached;
    // With one thread and short answers every answer blocks all that there is.
    let is_loop = is_shared && places == 1 && lasts_us.is_some();
    let families: &[_] = match (is_clear, is_possible) {
        (true, _) if is_loop => &[family, LoopBlocked],
        (true, _) => &[family],
        (false, true) if is_loop => &[family, LoopBlocked, LimitBesideHealth, Healthy],
        // A wait of health that is shorter than noise is not seen.
        (false, true) if is_shared => &[family, Healthy, LimitBesideHealth],
        (false, true) => &[family, Healthy],
        (false, false) => &[Healthy],
    };
    let is_counted = is_clear && (lasts_us.is_none() || pressure > 1.5) && asked > places;
    Truth {
        capacity: if is_counted {
            Capacity::Exactly(places)
        } else if is_possible {
            Capacity::AtMostSaid(places)
        } else {
            Capacity::Any
        },
        ..Truth::of(if lasts_us.is_none() && !is_reached {
            &[Healthy]
        } else {
            families
        })
    }
}

fn leak(
    driven: &Driven,
    (places, is_shared, keeps_us): (u32, bool, Option<u64>),
    has_upstream: bool,
) -> Truth {
    let alone = limit(driven.asked + 1, places, is_shared, None, false);
    let keeps_us = keeps_us.unwrap_or(u64::MAX);
    // The stream before the baseline is held as well.
    let is_full = driven.asked + driven.afresh + 1 > places;
    let is_seen = driven.afresh > 0 && is_full || has_upstream;
    let is_kept = is_seen && keeps_us > SETTLE_US + 5_000_000;
    let mut families = Vec::new();
    if keeps_us > 1_000_000 {
        families.push(HeldForNobody);
    }
    let is_sure = is_kept && (driven.afresh > 0 || has_upstream);
    if !is_sure || alone.families.contains(&LimitSharedWithHealth) {
        families.extend(&alone.families);
    }
    Truth {
        families,
        may_be_open: false,
        capacity: match alone.capacity {
            Capacity::Any if is_full => Capacity::AtMostSaid(places),
            other => other,
        },
    }
}

fn blocked_loop(driven: &Driven, block_us: f64, gap_us: f64, computes: bool) -> Truth {
    let share = |looks: u64| looks as f64 / driven.felt.looks.max(1) as f64;
    let grown = f64::from(driven.asked) * block_us / (gap_us + block_us);
    // A few stalls may lie between two checks.
    let mut families = if share(driven.felt.surely) > 0.25 && driven.felt.surely > 35 {
        vec![LoopBlocked]
    } else if grown > 2.0 {
        vec![LoopBlocked, AllSlow]
    } else if grown > 1.15 {
        vec![LoopBlocked, AllSlow, Healthy]
    } else if driven.felt.maybe > 0 {
        vec![LoopBlocked, Healthy]
    } else {
        vec![Healthy]
    };
    if computes && (families[0] == LoopBlocked || grown > 0.8) {
        families.push(CpuSaturated);
    }
    Truth::of(&families)
}

/// How right a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rightness {
    /// The family is right.
    Right,
    /// Undecided, with a right family among the candidates.
    OpenWithTruth,
    /// Undecided, without.
    OpenWithout,
    /// Another family.
    Wrong,
}

/// How far off a capacity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Off {
    /// Not at all.
    Exact,
    /// By one.
    ByOne,
    /// By more.
    More,
    /// There is one and none was said.
    NotSaid,
}

impl Truth {
    /// The family of a verdict, and how right it is.
    #[must_use]
    pub fn judge(&self, diagnosis: &Diagnosis) -> (Family, Rightness) {
        let family = diagnosis.family;
        let is_right = |family: &Family| self.families.contains(family);
        let rightness = if is_right(&family) || (family == Family::Undecided && self.may_be_open) {
            Rightness::Right
        } else if family != Family::Undecided {
            Rightness::Wrong
        } else if diagnosis
            .candidates
            .iter()
            .any(|candidate| is_right(&candidate.family))
        {
            Rightness::OpenWithTruth
        } else {
            Rightness::OpenWithout
        };
        (family, rightness)
    }

    /// How far off the capacity is, if there is one to be said.
    #[must_use]
    pub fn off(&self, said: Option<u64>) -> Option<Off> {
        let (places, may_be_none) = match self.capacity {
            Capacity::Any => return None,
            Capacity::AtMostSaid(places) => (u64::from(places), true),
            Capacity::Exactly(places) => (u64::from(places), false),
        };
        match said.map(|said| said.abs_diff(places)) {
            None if may_be_none => None,
            None => Some(Off::NotSaid),
            Some(0) => Some(Off::Exact),
            Some(1) => Some(Off::ByOne),
            Some(_) => Some(Off::More),
        }
    }

    /// For people.
    #[must_use]
    pub fn shown(&self) -> String {
        let names: Vec<_> = self.families.iter().map(|family| family.name()).collect();
        let open = if self.may_be_open { " or open" } else { "" };
        let capacity = match self.capacity {
            Capacity::Any => String::new(),
            Capacity::AtMostSaid(places) => format!(", capacity {places} or not said"),
            Capacity::Exactly(places) => format!(", capacity {places}"),
        };
        format!("{}{open}{capacity}", names.join(" or "))
    }
}

/// A count of each of several things.
pub type Tally<T> = BTreeMap<T, u64>;
