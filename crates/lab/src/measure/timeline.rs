use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;

use verdict::load::kubelet::KubeletRecorder;
use verdict::load::requests::RequestInterval;
use verdict::record::{Part, Recorded, Recorder};

/// `timeline.csv`: a row each second, of the checks that got their outcome in it and of the last look
/// at everything else. An empty field was not measured.
#[derive(Debug)]
pub(super) struct Timeline {
    file: LineWriter<File>,
    endpoints: usize,
}

impl Timeline {
    pub(super) fn create(
        path: &Path,
        endpoints: &[String],
        classes: &[String],
    ) -> std::io::Result<Self> {
        let mut file = LineWriter::new(File::create(path)?);
        write!(file, "second,segment")?;
        for name in endpoints {
            write!(
                file,
                ",{name}_ok,{name}_failed,{name}_p50_us,{name}_p99_us,{name}_max_us"
            )?;
        }
        for name in classes {
            write!(
                file,
                ",{name}_in_flight,{name}_ok,{name}_failed,{name}_p50_us,{name}_max_us"
            )?;
        }
        writeln!(
            file,
            ",streams_open,streams_receiving,upstream_open,server_rss_bytes,server_threads,server_fds,\
             server_cpu_us,pool_busy,pool_queued,pool_oldest_wait_us,loop_lag_us,connections,tasks_alive,permits_in_use,\
             background_pending,bulkhead_busy,bulkhead_queued,restarts,is_ready,disconnect_permits"
        )?;
        Ok(Self {
            file,
            endpoints: endpoints.len(),
        })
    }

    pub(super) fn row(
        &mut self,
        now: Duration,
        part: Part,
        interval: &Recorder,
        requests: &RequestInterval,
        recorded: &Recorded,
    ) -> std::io::Result<()> {
        let mut row = format!("{:.3},{part}", now.as_secs_f64());
        for endpoint in 0..self.endpoints {
            row.push_str(&endpoint_fields(interval, endpoint));
        }
        for ((all, ok), class) in requests.classes().zip(&recorded.requests) {
            row.push_str(&format!(",{}", class.in_flight()));
            row.push_str(&request_fields(all, ok));
        }
        let mut field = |value: Option<u64>| {
            row.push(',');
            if let Some(value) = value {
                row.push_str(&value.to_string());
            }
        };
        field(Some(recorded.streams.open()));
        field(Some(recorded.streams.receiving()));
        field(recorded.upstream_stats.as_ref().map(|stats| stats.open));
        let kubelet = recorded.kubelet.as_ref();
        // What was last seen of a server that is down says nothing of now.
        let is_up = !kubelet.is_some_and(KubeletRecorder::is_down);
        let server = recorded.server.last().filter(|_| is_up);
        field(server.map(|server| server.rss_bytes));
        field(server.map(|server| server.threads));
        field(server.map(|server| server.fds));
        field(server.map(|server| server.cpu_us));
        let gauges = recorded.gauges.last().filter(|_| is_up);
        let pool = gauges.and_then(|gauges| gauges.pool);
        field(pool.map(|pool| pool.busy));
        field(pool.map(|pool| pool.queued));
        field(pool.map(|pool| pool.oldest_wait_us));
        let event_loop = gauges.and_then(|gauges| gauges.event_loop);
        field(event_loop.map(|event_loop| event_loop.last_us.max(event_loop.overdue_us)));
        field(gauges.and_then(|gauges| gauges.connections));
        field(gauges.and_then(|gauges| gauges.tasks_alive));
        field(
            gauges
                .and_then(|gauges| gauges.relay)
                .map(|relay| relay.permits_in_use),
        );
        field(
            gauges
                .and_then(|gauges| gauges.background)
                .map(|background| background.pending),
        );
        let bulkhead = gauges.and_then(|gauges| gauges.bulkhead);
        field(bulkhead.map(|bulkhead| bulkhead.busy));
        field(bulkhead.map(|bulkhead| bulkhead.queued));
        field(kubelet.map(KubeletRecorder::restarts));
        field(kubelet.map(|kubelet| u64::from(kubelet.is_ready())));
        let disconnect = gauges.and_then(|gauges| gauges.disconnect);
        field(disconnect.map(|relay| relay.permits_in_use));
        writeln!(self.file, "{row}")
    }
}

fn request_fields(all: &Histogram<u64>, ok: &Histogram<u64>) -> String {
    let failed = all.len() - ok.len();
    if all.is_empty() {
        return ",0,0,,".to_owned();
    }
    format!(
        ",{},{failed},{},{}",
        ok.len(),
        all.value_at_quantile(0.5),
        all.max()
    )
}

/// All segments of one endpoint together: those that were due before a boundary may end after it.
fn endpoint_fields(interval: &Recorder, endpoint: usize) -> String {
    let (all, ok) = interval.whole(endpoint);
    let total = all.len();
    if total == 0 {
        return ",0,0,,,".to_owned();
    }
    format!(
        ",{ok},{},{},{},{}",
        total - ok,
        all.value_at_quantile(0.5),
        all.value_at_quantile(0.99),
        all.max()
    )
}
