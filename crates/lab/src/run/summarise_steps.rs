use super::summarise::{Asked, Frame};
use verdict::judge::{capacity, diagnosis, quality, steps};
use verdict::record::{Part, Recorded, Segment, StepRecord, lateness};
use verdict::summary::{Diagnosis, Kind, Quality, State, Step, Summary};

impl Frame<'_> {
    /// Adds the steps that have begun, each judged for itself.
    pub(super) fn add_steps(&self, summary: &mut Summary, recorded: &Recorded, end_us: u64) {
        let afresh = self.after_hang_up.get();
        for (n, record) in recorded.all_steps().iter().enumerate() {
            let mut step = self.step(summary, recorded, (n, record), end_us);
            if let (Some((_, count)), Some(attach)) = (
                afresh.filter(|&(afresh, _)| afresh == n),
                &mut summary.attach,
            ) {
                step.name = "after-hang-up".to_owned();
                step.streams = Some(count);
                attach.after_hang_up = Some(step);
                break;
            }
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
            if summary.attach.is_some() {
                // It is judged by what went before it as well.
                view.steps = summary
                    .steps
                    .iter()
                    .cloned()
                    .chain([step.clone()])
                    .collect();
            }
            step.diagnosis = diagnosis::diagnose(&view);
            for reason in &step.quality.reasons {
                let reason = format!("step {}: {reason}", step.name);
                // The steps of a target are one measurement, of which the cell has said so.
                if view.state == State::Complete && summary.attach.is_none() {
                    summary.quality.reasons.push(reason);
                }
            }
            summary.steps.push(step);
        }
        if let (Some(target), Some(streams)) = (&self.task.cell.target, self.not_begun.get()) {
            let missing = format!(
                "the step of {streams} streams was not begun, as --max-time would have been over \
                 before it: give more, or fewer steps"
            );
            // Whoever looks for the capacity asked for as much as there is time for.
            if target.find_capacity {
                summary.quality.remarks.push(missing);
            } else {
                summary.quality.reasons.push(missing);
            }
        }
        if self.not_afresh.get() {
            summary.quality.remarks.push(
                "nothing was asked for afresh after the hang-up, as --max-time would have been over \
                 before it: give more, to see what does not come back"
                    .to_owned(),
            );
        }
        summary.quality.valid = summary.quality.reasons.is_empty();
        let held_up = self.held_up.get();
        if let Some(target) = self.task.cell.target.as_ref().filter(|_| held_up > 0) {
            summary.quality.remarks.push(format!(
                "{held_up} requests waited for their turn, as no more than {} may begin in a second: \
                 with a higher --max-rate the slots would have asked more often",
                target.max_rate
            ));
        }
        let capacity = capacity::of(summary);
        if let Some(attach) = &mut summary.attach {
            attach.capacity = capacity;
        }
    }

    fn served_at_once(&self, record: &StepRecord, n: usize, end_us: u64) -> u64 {
        let span = self.segments.span(Part::of(Some(n), Segment::Hold), end_us);
        span.map_or(0, |(start, end)| record.streams.receiving_held(start, end))
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
            streams: spec.and_then(|spec| {
                let own = self.task.cell.load_of(spec).streams;
                let count = own.map(|streams| streams.count).or(spec.streams);
                count.map(u64::from)
            }),
            served_at_once: self.served_at_once(record, n, end_us),
            action: self.actions.borrow().get(&n).cloned(),
            load: self.load(recorded, step, asked, end_us),
            recovery: self.recovery(recorded, step, baseline, end_us),
            cpu_percent: record.server.figures().cpu_percent,
            core_wait_percent: record.server.core_wait_percent(),
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
