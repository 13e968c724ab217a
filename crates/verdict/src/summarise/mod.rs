//! From what was recorded of a cell to its summary, judged. Nothing is measured here: whoever has the same
//! record gets the same summary.

mod phases;
mod steps;

use std::collections::BTreeMap;

use crate::forecast;
use crate::judge::{diagnosis, expectations, field, quality, steps as judged_steps};
use crate::load::Delivery;
use crate::record::{Outcome, Part, Plan, Recorded, Segment, Times, Timetable};
use crate::scenario::{Cell, Scenario, Variant};
use crate::summary::{
    Action, Attach, Diagnosis, Forecast, Host, Lateness, Ledger, Quality, SCHEMA, State, Summary,
    Upstream,
};

/// What does not change while a cell runs.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The variant.
    pub variant: &'a Variant,
    /// The cell.
    pub cell: &'a Cell,
    /// Which repeat of the cell it is, from 1.
    pub repeat: u32,
    /// The command line, for the record.
    pub command: &'a str,
    /// When it began: UTC, RFC 3339.
    pub started_at: String,
    /// Version of the lab, and the commit that it was built from.
    pub lab: (&'a str, &'a str),
    /// The machine.
    pub host: Host,
    /// When checks are due.
    pub plan: Plan,
    /// The names of the endpoints, by position.
    pub endpoints: Vec<String>,
    /// What was predicted.
    pub forecast: &'a [Forecast],
    /// What is told of a service that is not the lab's own.
    pub attach: Option<Attach>,
}

/// What the driver did on the way and no event tells.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// What was done before steps, by their numbers.
    pub actions: BTreeMap<usize, Action>,
    /// Of a target: the streams of each step that has begun.
    pub steps: Vec<u32>,
    /// Of a target: streams that its upstream had open before the load.
    pub upstream_open_before: Option<u64>,
    /// Of a target: requests that waited for their turn, as no more may begin in a second.
    pub held_up: u64,
    /// Of a target: the streams of the step that `max_time` left no time for.
    pub not_begun: Option<u32>,
    /// Of a target: whether `max_time` left no time to ask for streams afresh.
    pub is_not_afresh: bool,
    /// Of a target: the number of the step in which streams are asked for afresh, and of how many.
    pub after_hang_up: Option<(usize, u64)>,
}

/// What is known of a cell at one time.
#[derive(Clone, Debug)]
pub struct SoFar<'a> {
    /// What does not change.
    pub frame: &'a Frame<'a>,
    /// What was recorded.
    pub recorded: &'a Recorded,
    /// When its parts begin.
    pub times: Timetable,
    /// What the driver did.
    pub course: &'a Course,
    /// The end of the cell, or now.
    pub end_us: u64,
}

impl SoFar<'_> {
    /// All of it, judged.
    #[must_use]
    pub fn summarise(&self, state: State, failure: Option<String>) -> Summary {
        let (frame, recorded) = (self.frame, self.recorded);
        let cell = frame.cell;
        let seed = ("seed".to_owned(), frame.scenario.seed);
        let mut summary = Summary {
            schema: SCHEMA,
            scenario: frame.scenario.name.clone(),
            variant: frame.variant.name.clone(),
            cell: cell.name.clone(),
            repeat: frame.repeat,
            state,
            failure,
            parameters: cell.parameters().into_iter().chain([seed]).collect(),
            started_at: frame.started_at.clone(),
            lab_version: frame.lab.0.to_owned(),
            git_commit: frame.lab.1.to_owned(),
            host: frame.host.clone(),
            command: frame.command.to_owned(),
            phases: self.phases(),
            steps: Vec::new(),
            closed_loop: self.by_endpoint(|endpoint| recorded.closed_loop(endpoint)),
            server: recorded.server.figures(),
            upstream: self.upstream(),
            attach: frame.attach.clone().map(|attach| Attach {
                upstream_open_before: self.course.upstream_open_before,
                checks_percent: self.checks_percent(),
                ..attach
            }),
            leftovers: recorded.load.hang_ups.leftovers(),
            kubelet: None,
            forecast: Vec::new(),
            quality: self.quality(),
            diagnosis: Diagnosis::undecided(),
            expectations: Vec::new(),
            claims: Vec::new(),
        };
        let kubelet = recorded.load.kubelet.as_ref();
        let window = summary.phases.load.window();
        summary.kubelet = kubelet.map(|kubelet| kubelet.figures(window));
        self.add_gauges(&mut summary);
        summary.quality = quality::judge(
            Delivery {
                summary: &summary,
                quality: &summary.quality,
                asked: &cell.load,
                recorded: &recorded.load,
            },
            &self.unaccounted(state),
        );
        self.add_steps(&mut summary);
        let mut rows = frame.forecast.to_vec();
        forecast::settle(&mut rows, &summary);
        summary.forecast = rows;
        let of_steps = judged_steps::diagnosis(&summary.steps).filter(|_| summary.attach.is_none());
        summary.diagnosis = of_steps.unwrap_or_else(|| diagnosis::diagnose(&summary));
        summary.expectations = expectations::judge(&frame.variant.expectations(cell), &summary);
        if !cell.shortened {
            summary.claims = field::judge(&frame.variant.field_reports(cell), &summary);
        }
        summary
    }

    /// What the server says of itself.
    fn add_gauges(&self, summary: &mut Summary) {
        let gauges = &self.recorded.gauges;
        let recovery = Part::of(self.last_step(), Segment::Recovery);
        let load_end = self.times.span(recovery, self.end_us);
        summary.server.pool = gauges.pool();
        summary.server.bulkhead = gauges.bulkhead();
        summary.server.loop_lag_us_peak = gauges.loop_lag_us_peak();
        summary.server.background = gauges.background(load_end.map(|(start, _)| start));
        if let Some(last) = gauges.last() {
            summary.server.timings = last.timings.clone();
            summary.server.sizes = last.sizes.clone();
        }
    }

    /// The upstream, with its ledger if it is one of the lab's own.
    fn upstream(&self) -> Upstream {
        let is_own = self.frame.cell.target.is_none();
        let stats = self.recorded.upstream_stats.as_ref().filter(|_| is_own);
        let ledger = stats.map(|stats| Ledger {
            started: stats.started,
            completed: stats.completed,
            errored: stats.errored,
            aborted: stats.aborted,
            open: stats.open,
            open_peak: stats.open_peak,
            lateness_us: Lateness {
                count: stats.lateness_us.count,
                p50: stats.lateness_us.p50,
                p99: stats.lateness_us.p99,
                max: stats.lateness_us.max,
            },
        });
        Upstream {
            process: self.recorded.upstream.figures(),
            ledger,
        }
    }

    /// What was measured of the lab itself.
    fn quality(&self) -> Quality {
        let recorded = self.recorded;
        let (sent, not_sent) = recorded.recorder.all().fold((0, 0), |sum, (_, _, series)| {
            let not_sent = series.count(Outcome::NotSent);
            (sum.0 + series.total(), sum.1 + not_sent)
        });
        let (streams, requests) = recorded.load.lateness(&self.frame.cell.load);
        Quality {
            probe_dispatch_us: self.probe_dispatch().lateness(),
            load_dispatch_us: streams,
            requests_dispatch_us: requests,
            not_sent_percent: if sent > 0 {
                100.0 * not_sent as f64 / sent as f64
            } else {
                0.0
            },
            lab: recorded.lab.figures(),
            host_cpu_percent: recorded.host_cpu.percent(),
            open_files_limit: self.frame.host.open_files_limit,
            ..Quality::default()
        }
    }

    /// Share of the requests that were checks, in percent.
    fn checks_percent(&self) -> Option<f64> {
        let of_checks = self.recorded.recorder.all().map(|(_, _, series)| {
            let unsent = series.count(Outcome::NotSent) + series.count(Outcome::Withheld);
            series.total() - unsent
        });
        let checks: u64 = of_checks.sum();
        let all = checks + self.recorded.streams_started();
        (all > 0).then(|| 100.0 * checks as f64 / all as f64)
    }

    /// How late the checks of the hold were sent, or those of all holds.
    fn probe_dispatch(&self) -> Times {
        let checks = &self.recorded.recorder;
        let mut all = checks.dispatch(Segment::Hold);
        for step in 0..self.recorded.steps_begun() {
            all.merge(&checks.dispatch(Part::of(Some(step), Segment::Hold)));
        }
        all
    }

    /// The phases in which outcomes and plan do not agree. Of a cell that runs, checks in flight have no
    /// outcome yet.
    fn unaccounted(&self, state: State) -> Vec<String> {
        if state == State::Running {
            return Vec::new();
        }
        let mut wrong = Vec::new();
        for part in self.times.begun(self.end_us) {
            let Some((start, end)) = self.times.span(part, self.end_us) else {
                continue;
            };
            for (endpoint, name) in self.frame.endpoints.iter().enumerate() {
                let due = self.frame.plan.due_between(endpoint, start, end);
                let decided = self.recorded.recorder.decided(part, endpoint);
                if due != decided {
                    wrong.push(format!("{name} in the {part} ({decided} of {due})"));
                }
            }
        }
        wrong.extend(self.recorded.load.undecided(&self.frame.cell.load));
        wrong
    }
}
