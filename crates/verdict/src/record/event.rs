use super::Tick;
use super::gauges::{ServerGauges, UpstreamStats};
use super::usage::ProcessSample;
use crate::load::hang_ups::HangUpEvent;
use crate::load::kubelet::KubeletEvent;
use crate::load::requests::RequestRecord;
use crate::load::streams::{StreamRecord, StreamStart};

/// Something that was measured.
#[derive(Debug)]
pub enum Event {
    /// A check has its outcome.
    Tick(Tick),
    /// A step of the cell begins.
    StepBegins,
    /// A stream was started.
    StreamStarted(StreamStart),
    /// A stream received the head of its answer, this long after it was due.
    Head {
        /// Microseconds.
        ttfb_us: u64,
    },
    /// A stream received its first chunk, this long after it was due.
    FirstChunk {
        /// Which stream.
        stream: u64,
        /// Microseconds.
        ttft_us: u64,
    },
    /// A stream received a further chunk, this long after the one before.
    Gap {
        /// Microseconds.
        gap_us: u64,
    },
    /// A stream ended.
    StreamEnded(StreamRecord),
    /// A stream could not be started for want of a port or a file on this side.
    StreamNotSent,
    /// A request of the load was sent.
    RequestStarted {
        /// Its class, by position.
        class: usize,
        /// When it was due, in microseconds on the cell's clock.
        due_us: u64,
        /// How much later it was sent, in microseconds.
        late_us: u64,
    },
    /// A request of the load has its outcome.
    RequestEnded(RequestRecord),
    /// Something happened to clients that hang up.
    HangUp(HangUpEvent),
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
    /// The kubelet did or saw something.
    Kubelet(KubeletEvent),
    /// Nothing comes any more.
    Finish,
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
