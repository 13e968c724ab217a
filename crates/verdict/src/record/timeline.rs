//! A row of `timeline.csv`, of which there is one each second.

use std::time::Duration;

use super::{Columns, Interval, Outcome, Part, Recorded, Recorder};
use crate::load::Load;
use crate::load::kubelet::KubeletRecorder;

/// What a row has: the checks that got their outcome in the interval that ends at `now`, in `part` of
/// the cell, and the last look at everything else.
#[must_use]
pub fn row(
    (now, part): (Duration, Part),
    endpoints: &[String],
    asked: &Load,
    interval: &Interval,
    recorded: &Recorded,
) -> Columns {
    let mut columns = Columns::default();
    columns.text("second", format!("{:.3}", now.as_secs_f64()));
    columns.text("segment", part.to_string());
    for (endpoint, name) in endpoints.iter().enumerate() {
        checks(&interval.checks, endpoint, name, &mut columns);
    }
    let load = &recorded.load;
    interval.load.columns(asked, load, &mut columns);
    let upstream = recorded.upstream_stats.as_ref();
    columns.add("upstream_open", upstream.map(|stats| stats.open));
    let kubelet = load.kubelet.as_ref();
    // What was last seen of a server that is down says nothing of now.
    let is_up = !kubelet.is_some_and(KubeletRecorder::is_down);
    let server = recorded.server.last().filter(|_| is_up);
    columns.add("server_rss_bytes", server.map(|server| server.rss_bytes));
    columns.add("server_threads", server.map(|server| server.threads));
    columns.add("server_fds", server.map(|server| server.fds));
    columns.add("server_cpu_us", server.map(|server| server.cpu_us));
    let gauges = recorded.gauges.last().filter(|_| is_up);
    let pool = gauges.and_then(|gauges| gauges.pool);
    columns.add("pool_busy", pool.map(|pool| pool.busy));
    columns.add("pool_queued", pool.map(|pool| pool.queued));
    columns.add("pool_oldest_wait_us", pool.map(|pool| pool.oldest_wait_us));
    let event_loop = gauges.and_then(|gauges| gauges.event_loop);
    let lag = event_loop.map(|event_loop| event_loop.last_us.max(event_loop.overdue_us));
    columns.add("loop_lag_us", lag);
    columns.add("connections", gauges.and_then(|gauges| gauges.connections));
    columns.add("tasks_alive", gauges.and_then(|gauges| gauges.tasks_alive));
    let relay = gauges.and_then(|gauges| gauges.relay);
    columns.add("permits_in_use", relay.map(|relay| relay.permits_in_use));
    let background = gauges.and_then(|gauges| gauges.background);
    columns.add("background_pending", background.map(|one| one.pending));
    let bulkhead = gauges.and_then(|gauges| gauges.bulkhead);
    columns.add("bulkhead_busy", bulkhead.map(|bulkhead| bulkhead.busy));
    columns.add("bulkhead_queued", bulkhead.map(|one| one.queued));
    KubeletRecorder::columns(kubelet, &mut columns);
    let disconnect = gauges.and_then(|gauges| gauges.disconnect);
    columns.add(
        "disconnect_permits",
        disconnect.map(|one| one.permits_in_use),
    );
    columns
}

/// All segments of one endpoint together: those that were due before a boundary may end after it.
fn checks(interval: &Recorder, endpoint: usize, name: &str, columns: &mut Columns) {
    let whole = interval.whole(endpoint);
    let (ok, withheld) = (whole.count(Outcome::Ok), whole.count(Outcome::Withheld));
    let all = &whole.response;
    let seen = |value: u64| (!all.is_empty()).then_some(value);
    columns.add(format!("{name}_ok"), ok);
    columns.add(format!("{name}_failed"), all.len() - ok - withheld);
    columns.add(format!("{name}_withheld"), withheld);
    columns.add(format!("{name}_p50_us"), seen(all.value_at_quantile(0.5)));
    columns.add(format!("{name}_p99_us"), seen(all.value_at_quantile(0.99)));
    columns.add(format!("{name}_max_us"), seen(all.max()));
}
