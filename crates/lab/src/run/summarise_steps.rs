use super::summarise::{Asked, Frame};
use crate::judge::{diagnosis, quality, steps};
use crate::measure::{Part, Recorded, Segment, StepRecord, lateness};
use crate::summary::{Diagnosis, Kind, Quality, State, Step, Summary};

impl Frame<'_> {
    /// Adds the steps that have begun, each judged for itself.
    pub(super) fn add_steps(&self, summary: &mut Summary, recorded: &Recorded, end_us: u64) {
        for (n, record) in recorded.all_steps().iter().enumerate() {
            let mut step = self.step(summary, recorded, (n, record), end_us);
            let mut view = steps::view(summary, &step);
            let ends = self
                .segments
                .span(Part::of(Some(n + 1), Segment::Ramp), end_us);
            if ends.is_some() {
                // A later step has begun: this one came to its end, whatever becomes of the cell.
                view.state = State::Complete;
            }
            let mut streams = self.task.cell.load.streams.clone();
            if let (Some(streams), Some(count)) = (&mut streams, step.streams) {
                streams.count = u32::try_from(count).unwrap_or(u32::MAX);
            }
            step.quality = quality::judge(
                std::mem::take(&mut step.quality),
                &view,
                streams.as_ref(),
                record.streams.count_not_sent(),
                &[],
            );
            step.diagnosis = diagnosis::diagnose(&view);
            for reason in &step.quality.reasons {
                let reason = format!("step {}: {reason}", step.name);
                if view.state == State::Complete && !summary.quality.reasons.contains(&reason) {
                    summary.quality.reasons.push(reason);
                }
            }
            summary.steps.push(step);
        }
        summary.quality.valid = summary.quality.reasons.is_empty();
    }

    fn step(
        &self,
        summary: &Summary,
        recorded: &Recorded,
        (n, record): (usize, &StepRecord),
        end_us: u64,
    ) -> Step {
        let spec = self.task.cell.steps.get(n);
        let asked = Asked {
            streams: &record.streams,
            requests: &record.requests,
            served_peak: record.upstream_open_peak,
        };
        let step = Some(n);
        let baseline = &summary.phases.baseline.probes;
        Step {
            name: spec.map_or_else(|| (n + 1).to_string(), |spec| spec.name.clone()),
            streams: spec
                .and_then(|spec| self.task.cell.load_of(spec).streams)
                .map(|streams| u64::from(streams.count)),
            action: self.actions.borrow().get(&n).cloned(),
            load: self.load(recorded, step, asked, end_us),
            recovery: self.recovery(recorded, step, baseline, end_us),
            cpu_percent: record.server.figures().cpu_percent,
            host_cpu_percent: record.host_cpu.percent(),
            upstream_open_after: record.upstream_open,
            quality: Quality {
                probe_dispatch_us: lateness(
                    &recorded.recorder.dispatch(Part::of(step, Segment::Hold)),
                ),
                load_dispatch_us: lateness(record.streams.dispatch()),
                host_cpu_percent: record.host_cpu.percent(),
                not_sent_percent: summary.quality.not_sent_percent,
                open_files_limit: summary.quality.open_files_limit,
                ..Quality::default()
            },
            diagnosis: Diagnosis {
                kind: Kind::Undecided,
                candidates: Vec::new(),
                evidence: Vec::new(),
                inferred_capacity: None,
            },
        }
    }
}
