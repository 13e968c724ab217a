use std::time::Duration;

use super::SoFar;
use super::phases::Loaded;
use crate::judge::{capacity, diagnosis, quality, signs, steps};
use crate::load::{Delivery, Load};
use crate::record::{Part, Segment, StepRecord};
use crate::summary::{Diagnosis, Quality, State, Step, Summary};

impl SoFar<'_> {
    /// Adds the steps that have begun, each judged for itself.
    pub(super) fn add_steps(&self, summary: &mut Summary) {
        for (n, record) in self.recorded.all_steps().iter().enumerate() {
            let mut step = self.step(summary, n, record);
            if let (Some((afresh, count)), Some(attach)) =
                (self.course.after_hang_up, &mut summary.attach)
                && afresh == n
            {
                step.name = "after-hang-up".to_owned();
                step.streams = Some(count);
                attach.after_hang_up = Some(step);
                break;
            }
            self.judge_step(summary, (n, record), &mut step);
            summary.steps.push(step);
        }
        self.add_limits(summary);
        summary.quality.valid = summary.quality.reasons.is_empty();
        let capacity = capacity::of_steps(&signs::steps_of_target(summary));
        if let Some(attach) = &mut summary.attach {
            attach.capacity = capacity;
        }
    }

    fn judge_step(
        &self,
        summary: &mut Summary,
        (n, record): (usize, &StepRecord),
        step: &mut Step,
    ) {
        let mut view = steps::view(summary, step);
        let next = Part::of(Some(n + 1), Segment::Ramp);
        if self.times.span(next, self.end_us).is_some() {
            // A later step has begun: this one came to its end, whatever becomes of the cell.
            view.state = State::Complete;
        }
        step.quality = quality::judge(
            Delivery {
                summary: &view,
                quality: &step.quality,
                asked: &self.asked(n),
                recorded: &record.load,
            },
            &[],
        );
        if summary.attach.is_some() {
            // It is judged by what went before it as well.
            view.steps.clone_from(&summary.steps);
            view.steps.push(step.clone());
        }
        step.diagnosis = diagnosis::diagnose(&view);
        // The steps of a target are one measurement, of which the cell has said so.
        if view.state == State::Complete && summary.attach.is_none() {
            let reasons = step.quality.reasons.iter();
            let reasons = reasons.map(|reason| format!("step {}: {reason}", step.name));
            summary.quality.reasons.extend(reasons);
        }
    }

    /// What was asked in step `n`.
    fn asked(&self, n: usize) -> Load {
        let cell = self.frame.cell;
        let step = cell.steps.get(n);
        step.map_or_else(|| cell.load.clone(), |step| cell.load_of(step))
    }

    /// What the limits of a target kept from being measured.
    fn add_limits(&self, summary: &mut Summary) {
        let course = self.course;
        let Some(target) = &self.frame.cell.target else {
            return;
        };
        if let Some(streams) = course.not_begun {
            let missing = format!(
                "the step of {streams} streams was not begun, as --max-time would have been over \
                 before it: give more, or fewer steps"
            );
            // Whoever names no step asked for as much as there is time for.
            if self.frame.cell.steps.is_empty() {
                summary.quality.remarks.push(missing);
            } else {
                summary.quality.reasons.push(missing);
            }
        }
        if course.is_not_afresh {
            summary.quality.remarks.push(
                "nothing was asked for afresh after the hang-up, as --max-time would have been over \
                 before it: give more, to see what does not come back"
                    .to_owned(),
            );
        }
        let attach = self.frame.attach.as_ref();
        let look = attach.and_then(|attach| attach.first_look.as_ref());
        if let Some(look) = look.filter(|look| look.buffered) {
            summary.quality.remarks.push(format!(
                "the answer to the stream comes whole at its end, after {:.1} s: something on the way \
                 buffers it (of nginx: proxy_buffering), so that gaps between its chunks cannot be seen",
                Duration::from_micros(look.ttft_us).as_secs_f64()
            ));
        }
        if course.held_up > 0 {
            summary.quality.remarks.push(format!(
                "{} requests waited for their turn, as no more than {} may begin in a second: \
                 with a higher --max-rate the slots would have asked more often",
                course.held_up, target.max_rate
            ));
        }
    }

    /// Since when a stream of a target has been worked on when its first chunk comes: most of the time that it
    /// takes alone, in microseconds. With all of it, a stream that is a little faster would be counted beside
    /// the one whose place it takes.
    fn lead_us(&self, summary: &Summary) -> u64 {
        let is_target = summary.attach.is_some();
        let alone = signs::Alone::of(summary).filter(|_| is_target);
        alone.map_or(0, |alone| alone.ttft_us * 4 / 5)
    }

    fn step(&self, summary: &Summary, n: usize, record: &StepRecord) -> Step {
        let spec = self.frame.cell.steps.get(n);
        let of_load = self.asked(n).streams.map(|streams| streams.count);
        let climbed = self.course.steps.get(n).copied();
        let streams = climbed.or(spec.and_then(|spec| of_load.or(spec.streams)));
        let name = match (climbed, spec) {
            (Some(streams), _) => streams.to_string(),
            (None, Some(spec)) => spec.name.clone(),
            (None, None) => (n + 1).to_string(),
        };
        let hold = Part::of(Some(n), Segment::Hold);
        let span = self.times.span(hold, self.end_us);
        let dispatch = self.recorded.recorder.dispatch(hold);
        let (load_dispatch_us, _) = record.load.lateness(&self.frame.cell.load);
        Step {
            name,
            streams: streams.map(u64::from),
            served_at_once: span.map_or(0, |span| {
                let receptions = record.load.streams.receptions();
                let served = receptions.held(span, self.lead_us(summary));
                streams.map_or(served, |asked| served.min(u64::from(asked)))
            }),
            receiving_us: span.map_or(0, |span| record.load.streams.receptions().stream_us(span)),
            action: self.course.actions.get(&n).cloned(),
            load: self.load(Loaded::of_step(n, record)),
            recovery: self.recovery(Some(n), &summary.phases.baseline.probes),
            cpu_percent: record.server.figures().cpu_percent,
            threads_peak: record.server.figures().threads_peak,
            core_wait_percent: record.server.core_wait_percent(),
            host_cpu_percent: record.host_cpu.percent(),
            upstream_open_after: record.upstream_open,
            quality: Quality {
                probe_dispatch_us: dispatch.lateness(),
                load_dispatch_us,
                host_cpu_percent: record.host_cpu.percent(),
                not_sent_percent: summary.quality.not_sent_percent,
                open_files_limit: summary.quality.open_files_limit,
                ..Quality::default()
            },
            diagnosis: Diagnosis::undecided(),
        }
    }
}
