//! One step of a cell, judged as if it were a cell.

use crate::summary::{Diagnosis, Kind, Step, Summary};

/// `summary` with the load of `step` instead of its own. So whatever judges a cell can judge a step.
#[must_use]
pub fn view(summary: &Summary, step: &Step) -> Summary {
    let mut view = Summary {
        steps: Vec::new(),
        ..summary.clone()
    };
    view.phases.load = step.load.clone();
    view.phases.recovery = step.recovery.clone();
    view.server.cpu_percent = step.cpu_percent;
    view.quality = step.quality.clone();
    view.quality.host_cpu_percent = step.host_cpu_percent;
    view.diagnosis = step.diagnosis.clone();
    if let Some(streams) = step.streams {
        view.parameters.insert("streams".to_owned(), streams);
    }
    if let (Some(ledger), Some(open)) = (&mut view.upstream.ledger, step.upstream_open_after) {
        ledger.open = open;
    }
    view
}

/// The diagnosis of a cell with steps: that of the first step that fails, or of the last if none does.
#[must_use]
pub fn diagnosis(steps: &[Step]) -> Option<Diagnosis> {
    let is_ill = |step: &&Step| step.diagnosis.kind != Kind::Healthy;
    let step = steps.iter().find(is_ill).or(steps.last())?;
    let mut diagnosis = step.diagnosis.clone();
    if is_ill(&step) {
        let first = format!("step {} is the first in which it fails", step.name);
        diagnosis.evidence.insert(0, first);
    }
    Some(diagnosis)
}
