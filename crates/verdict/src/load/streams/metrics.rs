use crate::metrics::metric::Read::{Count, Figures};
use crate::metrics::metric::{Group, Names, metric};
use crate::summary::{StreamFigures, Summary};

/// Without a single stream every count is 0, which would satisfy most expectations.
fn streams(run: &Summary) -> Option<&StreamFigures> {
    Some(&run.phases.load.streams).filter(|streams| streams.started > 0)
}

/// A count of a cohort. If other cohorts have streams and this one has none, every count is 0.
fn cohort(run: &Summary, at: &[&str], count: fn(&StreamFigures) -> u64) -> Option<u64> {
    let cohorts = &run.phases.load.streams.cohorts;
    let cohort = cohorts.get(*at.first()?);
    (!cohorts.is_empty()).then(|| cohort.map_or(0, count))
}

fn lost(streams: &StreamFigures) -> u64 {
    streams.truncated + streams.error + streams.stalled + streams.refused
}

/// What is measured of streams.
#[rustfmt::skip]
pub const METRICS: Group = Group {
    title: "Streams",
    needs: "[load.streams]",
    names: |asked| {
        let by_step = asked.cell.steps.iter().any(|step| step.streams.is_some());
        Names::any_if(asked.cell.load.streams.is_some() || by_step)
    },
    metrics: &[
        metric("streams.started", "asked for", Count(|run, _| Some(streams(run)?.started))),
        metric("streams.complete", "ended with every chunk in order", Count(|run, _| Some(streams(run)?.complete))),
        metric("streams.truncated", "ended too early, or with a chunk missing", Count(|run, _| Some(streams(run)?.truncated))),
        metric("streams.error", "ended with an error event", Count(|run, _| Some(streams(run)?.error))),
        metric("streams.stalled", "served at first, then silent to the end of the load", Count(|run, _| Some(streams(run)?.stalled))),
        metric("streams.refused", "answered with an error status, or no connection", Count(|run, _| Some(streams(run)?.refused))),
        metric("streams.cancelled", "flowing when the load ended", Count(|run, _| Some(streams(run)?.cancelled))),
        metric("streams.unserved", "not a byte by the end of the load", Count(|run, _| Some(streams(run)?.unserved))),
        metric("streams.lost", "truncated, error, stalled and refused together", Count(|run, _| Some(lost(streams(run)?)))),
        metric("streams.open_peak", "most that the driver had open at once", Count(|run, _| Some(streams(run)?.open_peak))),
        metric("streams.served_peak", "most that the upstream had open at once, by its own count", Count(|run, _| streams(run)?.served_peak)),
        metric("streams.receiving_peak", "most that had received a chunk and not ended, at one time", Count(|run, _| Some(streams(run)?.receiving_peak))),
        metric("streams.chunks", "chunks received", Count(|run, _| Some(streams(run)?.chunks))),
        metric("streams.sequence_errors", "chunks missing, twice there or out of order", Count(|run, _| Some(streams(run)?.sequence_errors))),
        metric("ttft.<figure>", "from when a stream was due to its first chunk", Figures(|run, _| Some(&run.phases.load.streams.ttft_us))),
        metric("gap.<figure>", "between two chunks of a stream", Figures(|run, _| Some(&run.phases.load.streams.gap_us))),
        metric("max_gap.<figure>", "the largest gap of each stream", Figures(|run, _| Some(&run.phases.load.streams.max_gap_us))),
        metric("cohort.<cohort>.started", "streams whose answers name the cohort", Count(|run, at| cohort(run, at, |one| one.started))),
        metric("cohort.<cohort>.served", "those of them that were served", Count(|run, at| cohort(run, at, |one| one.started - one.unserved - one.refused))),
        metric("cohort.<cohort>.unserved", "those of them that got not a byte", Count(|run, at| cohort(run, at, |one| one.unserved))),
        metric("cohort.<cohort>.lost", "those of them that were lost", Count(|run, at| cohort(run, at, lost))),
        metric("cohort.<cohort>.ttft_<figure>", "from when one of them was due to its first chunk", Figures(|run, at| Some(&run.phases.load.streams.cohorts.get(*at.first()?)?.ttft_us))),
    ],
};
