use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use verdict::record::{Event, ProcessSample, Resources, ServerGauges, UpstreamStats};

use super::resources::{
    busy_and_total, core_wait_us, cpu_of_ended_children_us, descendants, rss_peak_bytes, sample,
};
use super::{CellClock, Count, Pids, Results};

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(250);

/// A look that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a cell's processes tell of themselves.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The processes.
    pub pids: Pids,
    /// Base URL of the server's gauges, if it has any.
    pub gauges: Option<String>,
    /// Base URL of the upstream, if it is the lab's own.
    pub upstream: Option<String>,
    /// Where another says how many streams it has open.
    pub count: Option<Count>,
    /// Base URL of the one behind it, if there is one.
    pub fallback: Option<String>,
    /// The cell's clock.
    pub clock: CellClock,
    /// Made only once, because making one costs more than a look.
    pub client: reqwest::Client,
    /// One look at a time, so that the lab keeps one connection to each and no more.
    pub looking: Arc<tokio::sync::Mutex<()>>,
}

impl Sources {
    /// Looks at the processes, at the server's gauges and at the upstream's ledger, four times a
    /// second, until it is dropped.
    ///
    /// # Cancel safety
    /// Safe: a look that is under way is lost.
    pub async fn sample_all(self, results: Results) -> std::convert::Infallible {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            results.tell(Event::Resources(Resources {
                server: self.pids.server.get().and_then(|pid| self.look(pid)),
                upstream: self.pids.upstream.and_then(sample),
                lab: sample(std::process::id()),
                host: busy_and_total(),
            }));
            self.ask(&results).await;
        }
    }

    /// A look at the server: at the lab's own with its peak of memory, which is of this cell, since it
    /// was started for it; at one that is not, with its worker processes.
    fn look(&self, pid: u32) -> Option<ProcessSample> {
        let own = look(pid)?;
        if self.gauges.is_some() {
            return Some(ProcessSample {
                rss_peak_bytes: rss_peak_bytes(pid),
                ..own
            });
        }
        let workers = descendants(pid);
        let ended = |pid: &u32| cpu_of_ended_children_us(*pid);
        let ended: u64 = workers.iter().chain([&pid]).map(ended).sum();
        let all = workers.into_iter().filter_map(look);
        let all = all.fold(own, ProcessSample::with);
        Some(ProcessSample {
            cpu_us: all.cpu_us + ended,
            ..all
        })
    }

    /// Asks the server and the upstream once.
    ///
    /// # Cancel safety
    /// Safe: what was not answered is lost.
    pub async fn ask(&self, results: &Results) {
        let looking = self.looking.lock().await;
        let pid = self.pids.server.get();
        let gauges = async {
            let url = self.gauges.as_ref()?;
            get(&self.client, format!("{url}/gauges"), PATIENCE).await
        };
        let (gauges, stats) = tokio::join!(gauges, self.stats());
        drop(looking);
        let at_us = self.clock.now_us();
        // Gauges of which it is not known whose they are would be added to the wrong process.
        let same = pid.filter(|_| self.pids.server.get() == pid);
        if let Some((pid, gauges)) = same.zip(gauges) {
            results.tell(Event::Gauges { pid, at_us, gauges });
        }
        if let Some(stats) = stats {
            results.tell(Event::Upstream { at_us, stats });
        }
    }

    async fn stats(&self) -> Option<UpstreamStats> {
        if let Some(count) = &self.count {
            return Some(UpstreamStats {
                open: count.ask(&self.client).await.ok()?,
                ..UpstreamStats::default()
            });
        }
        get(
            &self.client,
            format!("{}/stats", self.upstream.as_ref()?),
            PATIENCE,
        )
        .await
    }

    /// Base URLs of all upstreams.
    #[must_use]
    pub fn upstreams(&self) -> Vec<String> {
        self.upstream
            .iter()
            .chain(&self.fallback)
            .cloned()
            .collect()
    }

    /// The server's gauges now; `None` if it does not answer.
    pub async fn gauges(&self) -> Option<ServerGauges> {
        let _looking = self.looking.lock().await;
        get(
            &self.client,
            format!("{}/gauges", self.gauges.as_ref()?),
            PATIENCE,
        )
        .await
    }

    /// What each of the lab's own upstreams says of itself; `None` if one of them does not answer.
    pub async fn stats_of_all(&self) -> Option<Vec<UpstreamStats>> {
        let _looking = self.looking.lock().await;
        let mut all = Vec::new();
        for upstream in self.upstreams() {
            all.push(get(&self.client, format!("{upstream}/stats"), PATIENCE).await?);
        }
        Some(all)
    }
}

/// A process with more threads than this is not looked at thread by thread: that would cost too much.
const MOST_THREADS: u64 = 256;

/// A look at the server, with how long it waited for cores.
fn look(pid: u32) -> Option<ProcessSample> {
    let sample = sample(pid)?;
    let is_small = sample.threads <= MOST_THREADS;
    Some(ProcessSample {
        core_wait_us: is_small.then(|| core_wait_us(pid)).flatten(),
        ..sample
    })
}

/// The JSON document at `url`; `None` if it is not there within `patience`, or is another.
///
/// # Cancel safety
/// Safe: what was not answered is lost.
pub async fn get<T: DeserializeOwned>(
    client: &reqwest::Client,
    url: String,
    patience: Duration,
) -> Option<T> {
    let answer = client.get(url).timeout(patience).send().await.ok()?;
    serde_json::from_slice(&answer.bytes().await.ok()?).ok()
}
