use super::LivePid;

/// The process numbers of a cell.
#[derive(Clone, Debug)]
pub struct Pids {
    /// The server under test, which a kubelet may restart.
    pub server: LivePid,
    /// The upstream, if it is the lab's own.
    pub upstream: Option<u32>,
}
