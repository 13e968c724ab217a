use crate::metrics::metric::Read::{Count, Figures};
use crate::metrics::metric::{Group, Names, metric};
use crate::summary::{HangUpFigures, Leftovers, Summary};

/// Without a request every count is 0, which would satisfy most expectations.
fn row(run: &Summary) -> Option<&HangUpFigures> {
    run.phases.load.hang_ups.as_ref().filter(|row| row.sent > 0)
}

fn ended(run: &Summary, how: &str) -> Option<u64> {
    Some(row(run)?.endings.get(how).copied().unwrap_or(0))
}

fn left(run: &Summary) -> Option<&Leftovers> {
    run.leftovers.as_ref()
}

/// What is measured of clients that hang up.
#[rustfmt::skip]
pub const METRICS: Group = Group {
    title: "Clients that hang up, and what they leave behind",
    needs: "[load.hang_ups]",
    names: |asked| Names::any_if(asked.cell.load.hang_ups.is_some()),
    metrics: &[
        metric("hang_ups.count", "requests whose turn came", Count(|run, _| Some(row(run)?.sent))),
        metric("hang_ups.reached", "those that got to the stage that was planned for them", Count(|run, _| Some(row(run)?.reached))),
        metric("hang_ups.hung_up", "those whose client left at its stage", Count(|run, _| ended(run, "hung_up"))),
        metric("hang_ups.completed", "those that were served to the end", Count(|run, _| ended(run, "completed"))),
        metric("hang_ups.broken", "those whose answer broke off", Count(|run, _| ended(run, "broken"))),
        metric("hang_ups.hanging", "those that were served nothing within the client's patience", Count(|run, _| ended(run, "hanging"))),
        metric("hang_ups.refused", "those that were refused", Count(|run, _| ended(run, "refused"))),
        metric("hang_ups.failed", "those that got no connection", Count(|run, _| ended(run, "failed"))),
        metric("hang_ups.first_hanging", "number in the row of the first that was served nothing", Count(|run, _| row(run)?.first_hanging)),
        metric("hang_ups.served_after", "requests after that one that were served", Count(|run, _| row(run)?.served_after_first_hanging)),
        metric("hang_ups.release_<figure>", "from the hang-up to the release by the upstream, by its ledger", Figures(|run, _| row(run)?.release_us.as_ref())),
        metric("hang_ups.not_released", "streams that the upstream still had", Count(|run, _| row(run)?.not_released)),
        metric("hang_ups.first_byte_<figure>", "from the sending of a request to the head of its answer", Figures(|run, _| Some(&row(run)?.first_byte_us))),
        metric("hang_ups.on_fallback", "streams at the second upstream", Count(|run, _| row(run)?.by_upstream.get(1).copied())),
        metric("leftover.upstream", "streams that the upstreams have and no client has, some seconds after the last client", Count(|run, _| left(run)?.upstream_streams)),
        metric("leftover.permits", "permits in use, likewise", Count(|run, _| left(run)?.permits)),
        metric("leftover.threads", "busy threads of the blocking pool, likewise", Count(|run, _| left(run)?.threads_busy)),
        metric("leftover.tasks", "more tasks than before the load", Count(|run, _| left(run)?.tasks)),
        metric("leftover.connections", "more connections of clients than before the load", Count(|run, _| left(run)?.connections)),
        metric("leftover.fds", "more open files than before the load", Count(|run, _| left(run)?.fds)),
    ],
};
