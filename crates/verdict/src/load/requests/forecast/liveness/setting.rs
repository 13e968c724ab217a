use std::time::Duration;

use crate::forecast::row::per_second;
use crate::load::requests::{Arrivals, RequestSpec};
use crate::scenario::Cell;
use crate::summary::Forecast;

/// What the laws speak of: λ, S, c and Q, and the times of the cell in seconds on its clock.
#[derive(Clone, Debug)]
pub(crate) struct Setting<'a> {
    pub cell: &'a Cell,
    pub class: &'a str,
    /// λ: predictions a second.
    pub rate: f64,
    /// S: how long one takes.
    pub service: f64,
    /// c: how many are made at once.
    pub threads: u32,
    /// From when one is due until its client gives up.
    pub patience: f64,
    /// How long a prediction of the readiness probe takes, if that makes one.
    pub readiness: Option<f64>,
    pub load_start: f64,
    pub load_end: f64,
    /// From SIGTERM to the end of the process.
    pub stop: f64,
    /// Whether the liveness probe waits behind predictions.
    pub livez_waits: bool,
}

/// What the servers need from SIGTERM to their end while predictions hold their threads: the 500 ms
/// that the lab gives the drain, and 100 ms for threads that hold on.
pub(super) const STOP: Duration = Duration::from_millis(600);

/// The work of a prediction whose request does not say.
const DEFAULT_WORK: Duration = Duration::from_secs(1);

impl<'a> Setting<'a> {
    /// Of the class that asks for `/predict` in an open loop, if the cell has one.
    pub(crate) fn of(cell: &'a Cell) -> Option<Self> {
        let is_predict = |requests: &RequestSpec| requests.path.starts_with("/predict");
        let (class, requests) = cell.load.requests.iter().find(|(_, one)| is_predict(one))?;
        let Arrivals::Rate(rate) = requests.arrivals() else {
            return None;
        };
        let kubelet = cell.kubelet.as_ref();
        let readiness = kubelet.and_then(|kubelet| kubelet.readiness_probe.as_ref());
        let load_start = cell.phases.baseline.as_secs_f64();
        Some(Self {
            cell,
            class,
            rate,
            service: requests
                .query_time("work")
                .unwrap_or(DEFAULT_WORK)
                .as_secs_f64(),
            threads: cell.server.pool_threads,
            patience: requests.timeout.as_secs_f64(),
            readiness: readiness.map(|probe| work(&probe.path)),
            load_start,
            load_end: load_start + (cell.load.ramp() + cell.phases.hold).as_secs_f64(),
            stop: kubelet
                .map_or(STOP, |kubelet| STOP.min(kubelet.grace()))
                .as_secs_f64(),
            livez_waits: true,
        })
    }

    pub fn load(&self) -> f64 {
        self.load_end - self.load_start
    }

    /// Predictions a second that come, those of the readiness probe included.
    pub fn offered(&self) -> f64 {
        let kubelet = self.cell.kubelet.as_ref();
        let period = kubelet.and_then(|kubelet| Some(kubelet.readiness()?.period));
        let probes = self.readiness.and(period);
        self.rate + probes.map_or(0.0, |period| 1.0 / period.as_secs_f64())
    }

    pub fn per_second(&self, name: &str, field: &str, predicted: f64) -> Forecast {
        per_second(name, &self.metric(field), predicted)
    }

    pub fn metric(&self, field: &str) -> String {
        format!("requests.{}.{field}", self.class)
    }
}

/// The work that the path of a probe asks for: `?work=`, in seconds.
fn work(path: &str) -> f64 {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("work="))
        .and_then(|work| humantime::parse_duration(work).ok())
        .unwrap_or(DEFAULT_WORK)
        .as_secs_f64()
}
