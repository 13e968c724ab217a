//! The kubelet: what a file says of it, the rules by which it probes and restarts, what it did.

pub(super) mod doubts;
mod figures;
mod metrics;
mod record;
pub mod rules;
mod spec;

pub use figures::{EndCause, Kill, KubeletFigures, ProbeCount, Readiness};
pub(crate) use metrics::METRICS;
pub use record::{KubeletEvent, KubeletRecorder};
pub use spec::{KubeletProbe, KubeletSpec, ProbeRules};
