//! The kubelet: what a file says of it, the rules by which it probes and restarts, what it did.

mod record;
pub mod rules;
mod spec;

pub use record::{KubeletEvent, KubeletRecorder};
pub use spec::{Kubelet, KubeletProbe, ProbeRules};
