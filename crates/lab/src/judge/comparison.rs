//! Runs side by side. The run is the sample: repeats enter as their own figures, never pooled.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::summary::{Distribution, Forecast, Kind, Probe, State, Summary, Verdict, probe_rank};

/// One cell of the scenario in every variant.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the cell.
    pub cell: String,
    /// Names of the variants, in the order of the columns.
    pub variants: Vec<String>,
    /// How many repeats stand behind each column, and how many of them were left out as invalid.
    pub repeats: Vec<Repeats>,
    /// What is compared.
    pub rows: Vec<Row>,
    /// What a reader must know, for instance that a run was interrupted.
    pub remarks: Vec<String>,
    /// How and where the runs were made, each different way once.
    pub made_by: Vec<Provenance>,
}

/// How and where a run was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The command line.
    pub command: String,
    /// Commit that the lab was built from.
    pub git_commit: String,
    /// Version of the lab.
    pub lab_version: String,
    /// Operating system and kernel.
    pub os: String,
    /// Model of the processor, if known.
    pub cpu: Option<String>,
    /// Logical processors.
    pub cores: u64,
    /// Memory, if known.
    pub memory_bytes: Option<u64>,
    /// UTC day of the first run made this way.
    pub day: String,
}

impl Provenance {
    fn of(summary: &Summary) -> Self {
        Self {
            command: summary.command.clone(),
            git_commit: summary.git_commit.clone(),
            lab_version: summary.lab_version.clone(),
            os: summary.host.os.clone(),
            cpu: summary.host.cpu.clone(),
            cores: summary.host.cores,
            memory_bytes: summary.host.memory_bytes,
            day: summary
                .started_at
                .split('T')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// The runs behind a column.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Repeats {
    /// Used.
    pub used: usize,
    /// Left out.
    pub left_out: usize,
    /// Whether what stands there is one invalid run, for want of a valid one.
    pub is_invalid: bool,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What it is.
    pub label: String,
    /// Rows of one group belong together.
    pub group: &'static str,
    /// Unit of the values.
    pub unit: RowUnit,
    /// One for each variant.
    pub values: Vec<Figure>,
    /// First variant over the second, run by run, where both are exact numbers.
    pub ratio: Option<Spread>,
}

/// How the values of a row are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowUnit {
    /// Microseconds.
    Us,
    /// Bytes.
    Bytes,
    /// Percent.
    Percent,
    /// A count.
    Count,
    /// Words.
    Text,
}

/// The figure of one variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// Not measured.
    Missing,
    /// Of several runs, or of one.
    Number(Spread),
    /// A word, the same in all runs or all of them.
    Text(String),
}

/// Median and range over runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Median of the per-run figures.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Whether any of them is a lower bound.
    pub censored: bool,
}

impl Spread {
    fn of(values: &[(f64, bool)]) -> Option<Self> {
        let mut sorted: Vec<_> = values.iter().map(|&(value, _)| value).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = sorted.first().zip(sorted.last())?;
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self {
            median,
            min,
            max,
            censored: values.iter().any(|&(_, censored)| censored),
        })
    }
}

/// Compares the runs of one cell; `runs` holds, for each variant in order, its repeats.
///
/// Invalid runs are left out, unless a variant has no other: then they stand, with a remark.
#[must_use]
pub fn compare(scenario: &str, cell: &str, runs: &[(String, Vec<Summary>)]) -> Comparison {
    let mut remarks = Vec::new();
    let mut repeats = Vec::new();
    let mut used = Vec::new();
    for (variant, summaries) in runs {
        let (valid, invalid): (Vec<_>, Vec<_>) =
            summaries.iter().partition(|summary| summary.quality.valid);
        for summary in &invalid {
            let is_shown = valid.is_empty()
                && invalid
                    .last()
                    .is_some_and(|last| std::ptr::eq(*last, *summary));
            remarks.push(remark(variant, summary, is_shown));
        }
        let is_invalid = valid.is_empty();
        // Invalid runs are never averaged: for want of a valid one, the last stands alone and marked.
        let chosen: Vec<_> = if is_invalid {
            invalid.last().copied().into_iter().collect()
        } else {
            valid
        };
        let left_out = summaries.len() - chosen.len();
        repeats.push(Repeats {
            used: chosen.len(),
            left_out,
            is_invalid,
        });
        used.push(chosen);
    }
    remarks.extend(differing_parameters(&used));
    let mut made_by: Vec<Provenance> = Vec::new();
    for summary in used.iter().flatten() {
        let provenance = Provenance::of(summary);
        if !made_by.contains(&provenance) {
            made_by.push(provenance);
        }
    }
    let columns: Vec<&[&Summary]> = used.iter().map(Vec::as_slice).collect();
    Comparison {
        scenario: scenario.to_owned(),
        cell: cell.to_owned(),
        variants: runs.iter().map(|(variant, _)| variant.clone()).collect(),
        rows: rows(&columns, repeats.iter().any(|repeats| repeats.is_invalid)),
        repeats,
        remarks,
        made_by,
    }
}

fn remark(variant: &str, summary: &Summary, shown: bool) -> String {
    let what = match summary.state {
        State::Complete => "invalid",
        State::Running => "unfinished: its lab was killed or is still at work",
        State::Interrupted => "interrupted",
        State::Failed => "failed",
    };
    let shown = if shown {
        "shown for want of a valid one"
    } else {
        "left out"
    };
    let why = summary
        .failure
        .iter()
        .chain(&summary.quality.reasons)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    format!("{variant}, run {}: {what} ({shown}): {why}", summary.repeat)
}

/// Runs that were not made with the same parameters are compared all the same, but not in silence.
fn differing_parameters(used: &[Vec<&Summary>]) -> Option<String> {
    let mut values: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for summary in used.iter().flatten() {
        for (name, &value) in &summary.parameters {
            values.entry(name).or_default().insert(value);
        }
    }
    let differing: Vec<_> = values
        .into_iter()
        .filter(|(_, values)| values.len() > 1)
        .map(|(name, values)| {
            let values: Vec<_> = values.iter().map(u64::to_string).collect();
            format!("{name} ({})", values.join(" and "))
        })
        .collect();
    (!differing.is_empty()).then(|| {
        format!(
            "these runs were made with different parameters: {}",
            differing.join(", ")
        )
    })
}

/// Reads one figure of one run, and whether it is a lower bound.
type Read<'a> = dyn Fn(&Summary) -> Option<(f64, bool)> + 'a;

struct Table<'a> {
    columns: &'a [&'a [&'a Summary]],
    has_invalid: bool,
    group: &'static str,
    rows: Vec<Row>,
}

impl Table<'_> {
    fn number(&mut self, label: impl Into<String>, unit: RowUnit, read: &Read<'_>) {
        let per_run: Vec<Vec<Sample>> = self
            .columns
            .iter()
            .map(|runs| {
                let sample = |summary: &&Summary| {
                    let (value, censored) = read(summary)?;
                    Some(Sample {
                        repeat: summary.repeat,
                        value,
                        censored,
                    })
                };
                runs.iter().filter_map(sample).collect()
            })
            .collect();
        let values: Vec<_> = per_run
            .iter()
            .map(|samples| {
                let values: Vec<_> = samples
                    .iter()
                    .map(|sample| (sample.value, sample.censored))
                    .collect();
                Spread::of(&values).map_or(Figure::Missing, Figure::Number)
            })
            .collect();
        let ratio = if self.has_invalid {
            None
        } else {
            ratio(&per_run)
        };
        self.rows.push(Row {
            label: label.into(),
            group: self.group,
            unit,
            ratio,
            values,
        });
    }

    fn text(&mut self, label: &str, read: impl Fn(&Summary) -> Option<String>) {
        let values = self.columns.iter().map(|runs| {
            let mut words: Vec<_> = runs.iter().filter_map(|summary| read(summary)).collect();
            words.sort();
            words.dedup();
            if words.is_empty() {
                Figure::Missing
            } else {
                Figure::Text(words.join(" / "))
            }
        });
        self.rows.push(Row {
            label: label.to_owned(),
            group: self.group,
            unit: RowUnit::Text,
            values: values.collect(),
            ratio: None,
        });
    }

    fn distribution(&mut self, what: &str, read: impl Fn(&Summary) -> Option<&Distribution>) {
        self.number(format!("{what} p50"), RowUnit::Us, &|summary| {
            let figures = read(summary)?;
            Some((figures.p50? as f64, figures.p50_censored))
        });
        self.number(format!("{what} p99"), RowUnit::Us, &|summary| {
            let figures = read(summary)?;
            Some((figures.p99? as f64, figures.p99_censored))
        });
    }
}

/// One figure of one run.
#[derive(Clone, Copy)]
struct Sample {
    repeat: u32,
    value: f64,
    censored: bool,
}

/// The first variant over the second, each repeat over the one that ran in turn with it. A lower bound
/// has no ratio, and where one repeat has none the row has none.
fn ratio(per_run: &[Vec<Sample>]) -> Option<Spread> {
    let [first, second] = per_run else {
        return None;
    };
    let mut others = second.clone();
    let mut ratios = Vec::new();
    for a in first {
        let Some(position) = others.iter().position(|b| b.repeat == a.repeat) else {
            continue;
        };
        let b = others.remove(position);
        if a.censored || b.censored || b.value <= 0.0 {
            return None;
        }
        ratios.push((a.value / b.value, false));
    }
    Spread::of(&ratios)
}

fn rows(columns: &[&[&Summary]], has_invalid: bool) -> Vec<Row> {
    let mut endpoints: BTreeMap<&str, ()> = BTreeMap::new();
    for summary in columns.iter().copied().flatten() {
        endpoints.extend(
            summary
                .phases
                .load
                .probes
                .keys()
                .map(|name| (name.as_str(), ())),
        );
    }
    let mut table = Table {
        columns,
        has_invalid,
        group: "",
        rows: Vec::new(),
    };
    let mut names: Vec<_> = endpoints.into_keys().collect();
    names.sort_by_key(|name| probe_rank(name));
    for name in names {
        health(&mut table, name);
    }
    closed_loop(&mut table);
    streams(&mut table);
    server(&mut table);
    verdict(&mut table);
    table.rows
}

fn health(table: &mut Table<'_>, name: &str) {
    let hold = |summary: &Summary| summary.phases.load.probes.get(name).cloned();
    let response = |read: fn(&Distribution) -> (Option<u64>, bool)| {
        move |summary: &Summary| {
            let (value, censored) = read(&hold(summary)?.response_us);
            Some((value? as f64, censored))
        }
    };
    table.group = "health in the hold, from when a check was due";
    table.number(
        format!("{name} p50"),
        RowUnit::Us,
        &response(|figures| (figures.p50, figures.p50_censored)),
    );
    table.number(
        format!("{name} p99"),
        RowUnit::Us,
        &response(|figures| (figures.p99, figures.p99_censored)),
    );
    table.number(
        format!("{name} max"),
        RowUnit::Us,
        &response(|figures| (figures.max, figures.max_censored)),
    );
    table.number(format!("{name} unanswered"), RowUnit::Percent, &|summary| {
        hold(summary)
            .as_ref()
            .and_then(Probe::unanswered_percent)
            .map(|percent| (percent, false))
    });
}

/// Both over the same time, so that the difference is the way of measuring and nothing else.
fn closed_loop(table: &mut Table<'_>) {
    table.group = "health_sync, baseline to recovery: closed-loop probe, and the truth";
    let lie = |summary: &Summary| summary.closed_loop.get("health_sync").cloned();
    table.number("closed loop p50", RowUnit::Us, &|summary| {
        Some((lie(summary)?.service_us.p50? as f64, false))
    });
    table.number("closed loop p99", RowUnit::Us, &|summary| {
        Some((lie(summary)?.service_us.p99? as f64, false))
    });
    table.number("closed loop: checks", RowUnit::Count, &|summary| {
        Some((lie(summary)?.sent as f64, false))
    });
    table.number("closed loop: dropped", RowUnit::Count, &|summary| {
        Some((lie(summary)?.dropped as f64, false))
    });
    table.number("open loop p50", RowUnit::Us, &|summary| {
        let figures = lie(summary)?.open_loop_us;
        Some((figures.p50? as f64, figures.p50_censored))
    });
    table.number("open loop p99", RowUnit::Us, &|summary| {
        let figures = lie(summary)?.open_loop_us;
        Some((figures.p99? as f64, figures.p99_censored))
    });
    table.number("open loop unanswered", RowUnit::Percent, &|summary| {
        Some((lie(summary)?.open_loop_unanswered_percent?, false))
    });
}

fn streams(table: &mut Table<'_>) {
    table.group = "streams";
    let count = |read: fn(&crate::summary::Streams) -> Option<u64>| {
        move |summary: &Summary| Some((read(&summary.phases.load.streams)? as f64, false))
    };
    table.number(
        "asked for",
        RowUnit::Count,
        &count(|streams| Some(streams.started)),
    );
    table.number(
        "served at once",
        RowUnit::Count,
        &count(|streams| streams.served_peak),
    );
    table.number(
        "unserved",
        RowUnit::Count,
        &count(|streams| Some(streams.unserved)),
    );
    table.number(
        "lost or refused",
        RowUnit::Count,
        &count(|streams| {
            Some(streams.truncated + streams.error + streams.stalled + streams.refused)
        }),
    );
    table.distribution("TTFT", |summary| Some(&summary.phases.load.streams.ttft_us));
    table.number("largest gap", RowUnit::Us, &|summary| {
        let gap = &summary.phases.load.streams.max_gap_us;
        Some((gap.max? as f64, gap.max_censored))
    });
}

fn server(table: &mut Table<'_>) {
    table.group = "server";
    let pool = |summary: &Summary| summary.server.pool.clone();
    table.number("pool busy", RowUnit::Percent, &|summary| {
        Some((pool(summary)?.busy_percent?, false))
    });
    table.number("longest queue wait", RowUnit::Us, &|summary| {
        Some((pool(summary)?.oldest_wait_us_peak as f64, false))
    });
    table.number("threads", RowUnit::Count, &|summary| {
        Some((summary.server.threads_peak? as f64, false))
    });
    table.number("RSS", RowUnit::Bytes, &|summary| {
        Some((summary.server.rss_peak_bytes? as f64, false))
    });
    table.number("CPU, of one core", RowUnit::Percent, &|summary| {
        Some((summary.server.cpu_percent?, false))
    });
    table.number("time to recover", RowUnit::Us, &|summary| {
        let recovery = &summary.phases.recovery;
        match recovery.time_to_recover_us {
            Some(us) => Some((us as f64, false)),
            None if summary.state == State::Complete => Some((recovery.duration_us as f64, true)),
            None => None,
        }
    });
}

fn verdict(table: &mut Table<'_>) {
    table.group = "verdict";
    table.number("largest forecast error", RowUnit::Percent, &|summary| {
        let errors = summary.forecast.iter().filter_map(|row| row.error_percent);
        errors
            .map(f64::abs)
            .max_by(f64::total_cmp)
            .map(|error| (error, false))
    });
    table.number("forecasts refuted", RowUnit::Count, &|summary| {
        let is_refuted = |row: &&Forecast| row.verdict == Some(Verdict::Refuted);
        (!summary.forecast.is_empty()).then(|| {
            (
                summary.forecast.iter().filter(is_refuted).count() as f64,
                false,
            )
        })
    });
    table.text("diagnosis", |summary| {
        Some(summary.diagnosis.kind.name().to_owned())
    });
    table.text("inferred capacity", |summary| {
        let pool = summary.diagnosis.kind != Kind::Healthy;
        summary
            .diagnosis
            .inferred_capacity
            .filter(|_| pool)
            .map(|capacity| capacity.to_string())
    });
    table.text("expectations", |summary| {
        let held = summary
            .expectations
            .iter()
            .filter(|outcome| outcome.held)
            .count();
        let all = summary.expectations.len();
        (all > 0).then(|| format!("{held} of {all} held"))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_compared_as_runs() {
        let spread = Spread::of(&[(3.0, false), (1.0, false), (2.0, true)]).expect("three runs");
        assert_eq!(
            (spread.median, spread.min, spread.max, spread.censored),
            (2.0, 1.0, 3.0, true)
        );
        assert_eq!(Spread::of(&[]), None);
    }

    fn sample(repeat: u32, value: f64, censored: bool) -> Sample {
        Sample {
            repeat,
            value,
            censored,
        }
    }

    #[test]
    fn a_lower_bound_has_no_ratio() {
        let bound = [vec![sample(1, 5.0, true)], vec![sample(1, 1.0, false)]];
        assert!(ratio(&bound).is_none());
        let exact = [
            vec![sample(1, 5.0, false), sample(2, 6.0, false)],
            vec![sample(1, 1.0, false), sample(2, 2.0, false)],
        ];
        let exact = ratio(&exact).expect("exact");
        assert_eq!((exact.min, exact.max), (3.0, 5.0));
    }

    #[test]
    fn a_ratio_pairs_the_runs_that_took_turns() {
        // The first repeat of the first variant was left out as invalid.
        let runs = [
            vec![sample(2, 6.0, false)],
            vec![sample(1, 1.0, false), sample(2, 2.0, false)],
        ];
        assert_eq!(ratio(&runs).map(|ratio| ratio.median), Some(3.0));
    }

    #[test]
    fn invalid_runs_are_never_averaged() {
        let invalid = |p99| {
            let mut summary = crate::judge::sample::summary();
            summary.quality.valid = false;
            summary.phases.load.streams.ttft_us.p99 = Some(p99);
            summary
        };
        let runs = [("broken".to_owned(), vec![invalid(100), invalid(300)])];
        let comparison = compare("sample", "only", &runs);
        assert_eq!(comparison.repeats[0].used, 1);
        assert!(comparison.repeats[0].is_invalid);
        let row = comparison
            .rows
            .iter()
            .find(|row| row.label == "TTFT p99")
            .expect("there");
        assert!(matches!(row.values[0], Figure::Number(spread) if spread.median == 300.0));
    }
}
