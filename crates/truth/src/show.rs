//! A run in a table, and the ranges as Markdown.

use std::fmt::Write as _;

use verdict::summary::{Distribution, Phase, Step};

use crate::draw::Kind;
use crate::driver::{Driven, Told};
use crate::{ranges, twins};

/// The steps of a run, what was seen in them, and the verdict.
#[must_use]
pub fn run(told: &Told, driven: &Driven) -> String {
    let summary = &driven.summary;
    let mut text = format!(
        "pid {}, upstream {}, at most {} streams{}, {:.1} s, {} events\n",
        told.has_pid,
        told.has_upstream,
        told.max_streams,
        if told.finds_capacity {
            ", capacity looked for"
        } else {
            ""
        },
        driven.took_us as f64 / 1e6,
        driven.events
    );
    let _ = writeln!(text, "baseline{}", probes(&summary.phases.baseline));
    for step in &summary.steps {
        text += &of_step(step);
    }
    let attach = summary.attach.as_ref();
    if let Some(step) = attach.and_then(|attach| attach.after_hang_up.as_ref()) {
        text += &of_step(step);
    }
    let diagnosis = &summary.diagnosis;
    let _ = writeln!(
        text,
        "{} ({}), capacity {:?}",
        diagnosis.family.name(),
        diagnosis.kind.name(),
        diagnosis.inferred_capacity
    );
    for candidate in &diagnosis.candidates {
        let _ = writeln!(
            text,
            "  or {}: {}",
            candidate.family.name(),
            candidate.decided_by
        );
    }
    for line in diagnosis.evidence.iter().chain(&summary.quality.reasons) {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn of_step(step: &Step) -> String {
    let load = &step.load;
    let streams = &load.streams;
    let statuses: Vec<_> = streams
        .statuses
        .iter()
        .map(|(status, count)| format!("{count}×{status}"))
        .collect();
    let hold = Phase {
        probes: load.probes.clone(),
        ..Phase::default()
    };
    format!(
        "{:>5}: {:.1} s, served {}, waiting {}, complete {}, refused {}, broken {}, {}; first {}, gaps {} of {}, silence {} ms, took {}; \
         cpu {:?}{}\n",
        step.streams.unwrap_or(0),
        load.duration_us as f64 / 1e6,
        step.served_at_once,
        streams.waiting + streams.unserved,
        streams.complete,
        streams.refused,
        streams.truncated,
        statuses.join(" "),
        times(&streams.ttft_us),
        times(&streams.gap_us),
        streams.gap_us.count,
        streams.silence_us / 1_000,
        times(&streams.took_us),
        step.cpu_percent,
        probes(&hold)
    )
}

fn probes(phase: &Phase) -> String {
    let one = phase.probes.iter().map(|(name, probe)| {
        format!(
            "; {name} {}/{} ok, {}",
            probe.ok,
            probe.due,
            times(&probe.response_us)
        )
    });
    one.collect()
}

fn times(times: &Distribution) -> String {
    let ms = |us: Option<u64>| us.map_or("–".to_owned(), |us| format!("{:.0}", us as f64 / 1e3));
    format!("{}–{} ms", ms(times.p50), ms(times.max))
}

/// One line for each twin.
///
/// # Errors
/// As [`crate::driver::drive`].
pub fn twins(seed: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    for twin in twins::all() {
        let driven = twin.drive(seed)?;
        let diagnosis = &driven.summary.diagnosis;
        let (said, rightness) = twin.truth.judge(diagnosis);
        let _ = writeln!(
            text,
            "{:36} {:14} {:26} {:?} of {} {:.1} s",
            format!("{}:{}", twin.name, twin.run),
            format!("{rightness:?}"),
            said.name(),
            diagnosis.inferred_capacity,
            twin.truth.shown(),
            driven.took_us as f64 / 1e6
        );
    }
    Ok(text)
}

/// The ranges, and the kinds of services, as Markdown.
#[must_use]
pub fn ranges() -> String {
    let mut text = "| number | from | to | |\n|---|---|---|---|\n".to_owned();
    for drawn in ranges::ALL {
        let spread = if drawn.by_magnitude {
            "by magnitude"
        } else {
            "evenly"
        };
        let shown = |number: f64| format!("{number} {}", drawn.unit).trim().to_owned();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {spread} |",
            drawn.what,
            shown(drawn.range.start),
            shown(drawn.range.end)
        );
    }
    text += "\n| kind | what it is |\n|---|---|\n";
    for kind in Kind::ALL {
        let _ = writeln!(text, "| {kind:?} | {} |", kind.text());
    }
    text
}
