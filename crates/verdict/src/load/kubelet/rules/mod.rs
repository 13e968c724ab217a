//! The rules by which Kubernetes' kubelet probes a container and restarts it, as far as the lab plays
//! it. Pure: results of probes and the time go in, decisions come out. The run follows them in real
//! time, the forecast in simulated time.
//!
//! Followed are `pkg/kubelet/prober/worker.go` (probes), `kuberuntime_manager.go` (`doBackOff`) and
//! `client-go/util/flowcontrol/backoff.go` (back-off) of Kubernetes 1.3x.

mod back_off;
mod ticker;
mod worker;

pub use back_off::BackOff;
pub use ticker::Ticker;
pub use worker::{Container, Decision, ProbeKind, Worker};
