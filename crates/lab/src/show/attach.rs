//! What a target did, step by step.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use verdict::frameworks;
use verdict::summary::{Attach, Distribution, Family, FirstLook, Step, Summary};
use verdict::units::{percent, time_or_bound, wrapped};

/// The steps as a table, and the capacity.
#[must_use]
pub fn render(summary: &Summary) -> String {
    let Some(attach) = &summary.attach else {
        return String::new();
    };
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    let names: Vec<_> = attach.health.keys().collect();
    let mut header = ["streams", "served\nat once", "waiting", "first\nbyte p50"]
        .map(str::to_owned)
        .to_vec();
    let worst = worst_is(summary);
    header.extend(names.iter().map(|name| {
        let name = name.strip_prefix("health_").unwrap_or(name);
        format!("{name}\n{worst}")
    }));
    header.push("checks\nfailed".to_owned());
    table.set_header(header.iter().map(right));
    let afresh = attach.after_hang_up.iter();
    for step in summary.steps.iter().chain(afresh) {
        table.add_row(row(step, &names).iter().map(right));
    }
    let mut text = format!("\n{} {}\n{table}\n", attach.method, attach.stream);
    if attach.after_hang_up.is_some() {
        text.push_str(&wrapped(
            "",
            "  ",
            "The last row was asked for afresh, after a hang-up of all clients.",
        ));
    }
    text.push_str(&share_of_checks(attach));
    // Where the loop or the CPU is what is short, what is served at once is no limit of its own.
    let is_concluded = summary.diagnosis.inferred_capacity.is_some();
    if let Some(capacity) = attach.capacity.as_ref().filter(|_| is_concluded) {
        let line = format!("inferred_capacity: {}", capacity.confidence);
        text.push_str(&wrapped("", "  ", &line));
    }
    text
}

/// How much of the load was the lab's own checks.
fn share_of_checks(attach: &Attach) -> String {
    let line = |share| {
        format!(
            "The lab's checks were {} of all requests.\n",
            percent(share)
        )
    };
    attach.checks_percent.map(line).unwrap_or_default()
}

/// After the verdict on a target: what it is, what to look for, and the page of the cure. Empty if nothing
/// fails.
#[must_use]
pub fn next_steps(summary: &Summary) -> String {
    let Some(attach) = &summary.attach else {
        return String::new();
    };
    let (is, cure) = match summary.diagnosis.family {
        Family::LimitSharedWithHealth => (
            "whatever health is asked of waits in the same line as the streams",
            "1 stream",
        ),
        Family::LimitBesideHealth => (
            "streams wait in a line of their own; health does not see it",
            "Telling them apart from outside",
        ),
        Family::LoopBlocked => (
            "one task holds the event loop, and everything else waits for it",
            "2 large-body",
        ),
        Family::CpuSaturated => (
            "more is computed at once than there are cores",
            "2 large-body",
        ),
        Family::AllSlow => (
            "what makes the answers is slow; health does not see it",
            "Telling them apart from outside",
        ),
        Family::HeldForNobody => (
            "clients that have left still hold what others wait for",
            "5 disconnect",
        ),
        Family::ShedsLoad => (
            "load beyond a limit is refused at once; see to it that health is not",
            "3 liveness",
        ),
        Family::Restarts => (
            "the process ends under load: for its memory, or by a liveness probe",
            "3 liveness",
        ),
        Family::Healthy | Family::GeneratorLimited | Family::Undecided => return String::new(),
    };
    let server = attach.first_look.as_ref().and_then(FirstLook::answered_by);
    let framework = attach.framework.as_deref().and_then(frameworks::by_name);
    let framework = framework.or_else(|| server.and_then(frameworks::by_server_header));
    let look_for = framework.map_or(
        "the limits of its framework (lab frameworks), its pools and its clients",
        |framework| framework.look_for,
    );
    let line = |first: &str, text: &str| wrapped(first, "             ", text);
    line("   it is:     ", is)
        + &line("   look for:  ", look_for)
        + &line("   the cure:  ", &format!("docs/failures.md, \"{cure}\""))
}

fn right(text: &String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// What the slowest checks are called: few checks of a step have no p99 but their maximum.
fn worst_is(summary: &Summary) -> &'static str {
    let all = summary
        .steps
        .iter()
        .flat_map(|step| step.load.probes.values());
    let most = all.map(|probe| probe.response_us.count).max();
    match most {
        Some(count) if count >= Distribution::LEAST_FOR_P99 => "p99",
        _ => "max",
    }
}

fn row(step: &Step, names: &[&String]) -> Vec<String> {
    let streams = &step.load.streams;
    let mut row = vec![
        step.streams.unwrap_or(0).to_string(),
        step.served_at_once.to_string(),
        (streams.waiting + streams.unserved).to_string(),
        time_or_bound(streams.ttft_us.p50, streams.ttft_us.p50_censored),
    ];
    let probes = || names.iter().filter_map(|name| step.load.probes.get(*name));
    let response = probes().map(|probe| &probe.response_us);
    row.extend(response.map(|of| time_or_bound(of.p99, of.p99_censored)));
    let (due, ok) = probes().fold((0, 0), |(due, ok), one| (due + one.due, ok + one.ok));
    row.push(format!("{} of {due}", due - ok.min(due)));
    row
}
