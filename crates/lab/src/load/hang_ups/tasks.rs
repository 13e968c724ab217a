use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::HeaderValue;
use tokio::sync::watch;

use super::row::HangUpRow;
use super::witness::Witness;
use crate::measure::{CellClock, Results};
use verdict::load::LoadEvent;
use verdict::load::hang_ups::{HangUpEvent, HangUpSpec, HangUpStage};
use verdict::record::Event;

/// The sockets of clients that have vanished.
pub(super) type Vanished = Arc<Mutex<Vec<TcpStream>>>;

/// What the tasks of a row of clients have in common.
pub(super) struct HangUpTasks {
    pub spec: HangUpSpec,
    pub server: SocketAddr,
    /// What is sent, by stage.
    pub requests: BTreeMap<HangUpStage, Request<Full<Bytes>>>,
    pub witness: Witness,
    pub row: Mutex<HangUpRow>,
    pub vanished: Vanished,
    pub clock: CellClock,
    pub ended: watch::Receiver<bool>,
    pub results: Results,
}

impl HangUpTasks {
    /// The request for a stage, with its id.
    pub fn request(&self, stage: HangUpStage, id: &str) -> Request<Full<Bytes>> {
        let mut request = self.requests[&stage].clone();
        if let Ok(id) = HeaderValue::from_str(id) {
            request.headers_mut().insert("x-request-id", id);
        }
        request
    }

    pub fn tell(&self, event: HangUpEvent) {
        tell(&self.results, event);
    }
}

pub(super) fn tell(results: &Results, event: HangUpEvent) {
    results.tell(Event::Load(LoadEvent::HangUps(event)));
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
