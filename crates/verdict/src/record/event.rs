use super::Tick;
use super::gauges::{ServerGauges, UpstreamStats};
use super::usage::ProcessSample;
use crate::load::LoadEvent;

/// Something that was measured.
#[derive(Debug)]
pub enum Event {
    /// A check has its outcome.
    Tick(Tick),
    /// A step of the cell begins.
    StepBegins,
    /// Something happened to the load.
    Load(LoadEvent),
    /// A look at the processes and the machine.
    Resources(Resources),
    /// A look at the server's gauges.
    Gauges {
        /// Of this process.
        pid: u32,
        /// When they were answered, on the cell's clock.
        at_us: u64,
        /// What they said.
        gauges: ServerGauges,
    },
    /// A look at the upstream's ledger.
    Upstream {
        /// When it was answered, on the cell's clock.
        at_us: u64,
        /// What it said.
        stats: UpstreamStats,
    },
    /// Nothing comes any more.
    Finish,
}

impl Event {
    /// When it belongs to, on the cell's clock: for a check when it was due, for everything else when
    /// it was seen, which is `now_us` if it does not say.
    #[must_use]
    pub fn seen_us(&self, now_us: u64) -> u64 {
        match self {
            Self::Tick(tick) => tick.due_us,
            Self::Gauges { at_us, .. } | Self::Upstream { at_us, .. } => *at_us,
            _ => now_us,
        }
    }
}

/// A look at the processes of a run and at the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resources {
    /// The server under test.
    pub server: Option<ProcessSample>,
    /// The upstream.
    pub upstream: Option<ProcessSample>,
    /// The lab itself.
    pub lab: Option<ProcessSample>,
    /// Ticks in use and in all.
    pub host: Option<(u64, u64)>,
}
