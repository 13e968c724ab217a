//! Clients that hang up: what became of each, and when the upstream was released.

mod hang_up;
mod release;
mod stage_series;

use std::collections::BTreeMap;
use std::time::Duration;

use self::release::{Join, begun_for_nobody, is_of_a_row, of_rows};
use self::stage_series::StageSeries;
use super::{HangUpFigures, HangUpSpec, HangUpStage, LedgerLook, Leftovers, Levels};
use crate::record::Times;

pub use self::hang_up::{HangUp, HangUpEnding};
pub use self::release::{ROW_ID, Release};

/// Something that happens to a load of hang-ups.
#[derive(Clone, Debug)]
pub enum HangUpEvent {
    /// The whole streams that come before the baseline are over.
    WarmedUp,
    /// A request's turn came.
    Started,
    /// A request has its ending.
    Ended(HangUp),
    /// The answer was over too early. The same number is tried again.
    TriedAgain,
    /// No further request comes.
    Over,
    /// What the server held before the load.
    Before(Levels),
    /// What it held after the load, and what the upstreams say; `None` if one of them does not.
    After(Levels, Option<LedgerLook>),
}

/// Records a load of hang-ups.
#[derive(Clone, Debug, Default)]
pub struct HangUpRecorder {
    is_warm: bool,
    started: u64,
    tried_again: u64,
    ended: Vec<HangUp>,
    is_over: bool,
    before: Option<Levels>,
    after: Option<Levels>,
    ledger: Option<LedgerLook>,
}

impl HangUpRecorder {
    /// Adds what happened.
    pub fn add(&mut self, event: HangUpEvent) {
        match event {
            HangUpEvent::WarmedUp => self.is_warm = true,
            HangUpEvent::Started => self.started += 1,
            HangUpEvent::Ended(one) => self.ended.push(one),
            HangUpEvent::TriedAgain => self.tried_again += 1,
            HangUpEvent::Over => self.is_over = true,
            HangUpEvent::Before(levels) => self.before = Some(levels),
            HangUpEvent::After(levels, ledger) => {
                self.after = Some(levels);
                self.ledger = ledger;
            }
        }
    }

    /// Whether the server now holds only what it always holds, as it does until the row begins.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        self.is_warm
    }

    /// Whether no further request comes.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// How many requests have no ending yet, if there are any.
    pub(crate) fn undecided(&self) -> Option<String> {
        let in_flight = self.started.saturating_sub(self.ended.len() as u64);
        (in_flight > 0).then(|| format!("hang-ups ({in_flight} without an ending)"))
    }

    /// What a person sees of it while it is under way.
    pub(crate) fn now(&self) -> Option<String> {
        (self.started > 0).then(|| format!("{} hang-ups", self.ended.len()))
    }

    /// When the last client left, on the cell's clock; 0 if none has.
    #[must_use]
    pub fn last_left(&self) -> Duration {
        let left = self.ended.iter().map(|one| one.left_us);
        Duration::from_micros(left.max().unwrap_or(0))
    }

    /// What became of each, in the order of their numbers, with the time from its leaving to its
    /// release by the upstream.
    #[must_use]
    pub fn by_number(&self) -> Vec<(&HangUp, Option<Release>)> {
        let join = self.ledger.as_ref().map(Join::of);
        let mut all: Vec<_> = self
            .ended
            .iter()
            .map(|one| (one, join.as_ref().and_then(|join| join.release(one))))
            .collect();
        all.sort_unstable_by_key(|(one, _)| one.number);
        all
    }

    /// What is left over, as far as it is known.
    #[must_use]
    pub fn leftovers(&self) -> Option<Leftovers> {
        let open = self.ledger.as_ref().map(|ledger| {
            let all = ledger.upstreams.iter().flatten();
            // All clients of the row have left, including those of attempts that missed their stage.
            all.filter(|stream| stream.ended_us.is_none() && is_of_a_row(&stream.request_id))
                .count() as u64
        });
        Some(self.after?.left_over(&self.before?, open))
    }

    /// The figures of the load.
    #[must_use]
    pub fn figures(&self, spec: &HangUpSpec) -> HangUpFigures {
        let all = self.by_number();
        let mut figures = HangUpFigures {
            planned: spec.count.into(),
            sent: self.started,
            tried_again: self.tried_again,
            is_over: self.is_over,
            ..HangUpFigures::default()
        };
        let mut first_byte = Times::default();
        let mut stages: BTreeMap<HangUpStage, StageSeries> = BTreeMap::new();
        for (one, release) in &all {
            *figures
                .endings
                .entry(one.ending.name().to_owned())
                .or_default() += 1;
            if let Some(status) = one.status {
                *figures.statuses.entry(status.to_string()).or_default() += 1;
            }
            if let (Some(sent), Some(head)) = (one.sent_us, one.head_us) {
                first_byte.add(head.saturating_sub(sent));
            }
            stages
                .entry(one.stage)
                .or_default()
                .add(one, release.as_ref());
        }
        figures.reached = stages.values().map(|stage| stage.reached).sum();
        figures.first_byte_us = first_byte.figures();
        figures.first_hanging = all
            .iter()
            .find(|(one, _)| one.ending == HangUpEnding::Hanging)
            .map(|(one, _)| one.number);
        figures.served_after_first_hanging = figures.first_hanging.map(|first| {
            let served = |(one, _): &&(&HangUp, _)| one.number > first && one.reached.is_some();
            all.iter().filter(served).count() as u64
        });
        figures.tried_after_first_hanging = figures
            .first_hanging
            .map(|first| all.iter().filter(|(one, _)| one.number > first).count() as u64);
        if let Some(ledger) = &self.ledger {
            let mut left = StageSeries::default();
            for (stage, series) in &stages {
                if *stage != HangUpStage::Complete {
                    left.merge(series);
                }
            }
            figures.release_us = Some(left.release());
            figures.not_released = Some(left.not_released());
            figures.unknown_to_upstream = Some(stages.values().map(|stage| stage.unknown).sum());
            figures.by_upstream = ledger.upstreams.iter().map(|one| of_rows(one)).collect();
            figures.begun_for_nobody = Some(begun_for_nobody(&all, ledger));
        }
        figures.by_stage = stages
            .iter()
            .map(|(stage, series)| {
                let figures = series.figures(self.ledger.is_some());
                (stage.name().to_owned(), figures)
            })
            .collect();
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::hang_ups::LedgerStream;

    fn one(number: u64, stage: HangUpStage, ending: HangUpEnding) -> HangUp {
        let is_served = matches!(ending, HangUpEnding::HungUp | HangUpEnding::Completed);
        HangUp {
            number,
            id: format!("{ROW_ID}{number}"),
            stage,
            reached: is_served.then_some(stage),
            ending,
            status: None,
            due_us: number * 1_000,
            sent_us: Some(number * 1_000),
            head_us: is_served.then_some(number * 1_000 + 300),
            left_us: number * 1_000 + 500,
            left_unix_us: 7_000_000 + number * 1_000,
        }
    }

    fn stream(number: u64, released_after: Option<u64>) -> LedgerStream {
        LedgerStream {
            id: number,
            request_id: format!("{ROW_ID}{number}"),
            started_us: 6_000_000,
            ended_us: released_after.map(|after| 7_000_000 + number * 1_000 + after),
        }
    }

    fn recorder(ended: Vec<HangUp>, ledger: Option<Vec<LedgerStream>>) -> HangUpRecorder {
        let mut recorder = HangUpRecorder::default();
        for one in ended {
            recorder.add(HangUpEvent::Started);
            recorder.add(HangUpEvent::Ended(one));
        }
        recorder.add(HangUpEvent::Over);
        let levels = Levels {
            permits: Some(0),
            ..Levels::default()
        };
        recorder.add(HangUpEvent::Before(levels));
        let ledger = ledger.map(|streams| LedgerLook {
            at_unix_us: 12_000_000,
            upstreams: vec![streams],
        });
        recorder.add(HangUpEvent::After(levels, ledger));
        recorder
    }

    fn spec() -> HangUpSpec {
        toml::from_str(
            "path = \"/\"\ncount = 4\nstages = [\"mid_stream\"]\nttft = \"1ms\"\ninterval = \"1ms\"\n\
             length = \"1s\"\npatience = \"1s\"",
        )
        .expect("a load")
    }

    #[test]
    fn the_first_that_hangs_is_told_by_its_number_whatever_order_they_end_in() {
        use HangUpEnding::{Hanging, HungUp};
        let mid = HangUpStage::MidStream;
        let row = vec![
            one(4, mid, Hanging),
            one(1, mid, HungUp),
            one(3, mid, Hanging),
            one(2, mid, HungUp),
            one(5, mid, HungUp),
        ];
        let figures = recorder(row, None).figures(&spec());
        assert_eq!(figures.first_hanging, Some(3));
        assert_eq!(figures.served_after_first_hanging, Some(1));
        assert_eq!(figures.tried_after_first_hanging, Some(2));
        assert_eq!((figures.sent, figures.reached), (5, 3));
        assert_eq!(figures.endings["hanging"], 2);
    }

    #[test]
    fn without_a_ledger_nothing_is_known_of_releases_and_what_none_hung_is_not_zero() {
        let row = vec![one(1, HangUpStage::MidStream, HangUpEnding::HungUp)];
        let recorder = recorder(row, None);
        let figures = recorder.figures(&spec());
        assert_eq!(figures.first_hanging, None);
        assert_eq!(figures.served_after_first_hanging, None);
        assert_eq!(figures.not_released, None);
        assert!(figures.release_us.is_none());
        assert_eq!(figures.by_stage["mid_stream"].not_released, None);
        let left = recorder.leftovers().expect("levels were read");
        assert_eq!((left.upstream_streams, left.permits), (None, Some(0)));
    }

    #[test]
    fn what_the_upstream_still_has_is_a_lower_bound_and_not_left_out() {
        let mid = HangUpStage::MidStream;
        let row = (1..=4)
            .map(|number| one(number, mid, HangUpEnding::HungUp))
            .collect();
        let ledger = vec![
            stream(1, Some(2_000)),
            stream(2, Some(3_000)),
            stream(3, None),
        ];
        let recorder = recorder(row, Some(ledger));
        let figures = recorder.figures(&spec());
        let release = figures.release_us.expect("a ledger");
        assert_eq!((release.count, release.p50), (3, Some(3_001)));
        assert!(!release.p50_censored && release.max_censored);
        assert!(release.max >= Some(4_990_000), "{release:?}");
        assert_eq!(figures.not_released, Some(1));
        assert_eq!(figures.unknown_to_upstream, Some(1), "the fourth");
        let left = recorder.leftovers().expect("levels were read");
        assert_eq!(left.upstream_streams, Some(1));
    }

    #[test]
    fn a_stream_that_came_to_its_end_is_no_hang_up_and_one_that_ended_before_was_released_at_once()
    {
        let row = vec![
            one(1, HangUpStage::Complete, HangUpEnding::Completed),
            one(2, HangUpStage::AfterLastContent, HangUpEnding::HungUp),
        ];
        let mut early = stream(2, None);
        early.ended_us = Some(6_500_000);
        let recorder = recorder(row, Some(vec![stream(1, Some(50)), early]));
        let figures = recorder.figures(&spec());
        let release = figures.release_us.expect("a ledger");
        assert_eq!((release.count, release.max), (1, Some(0)));
        assert_eq!(figures.by_stage["complete"].reached, 1);
    }

    #[test]
    fn streams_that_begin_when_their_client_has_given_up_are_counted() {
        let row = vec![one(1, HangUpStage::MidStream, HangUpEnding::Hanging)];
        let mut late = stream(1, None);
        late.started_us = 7_500_000;
        let recorder = recorder(row, Some(vec![late]));
        assert_eq!(recorder.figures(&spec()).begun_for_nobody, Some(1));
        let left = recorder.leftovers().expect("levels were read");
        assert_eq!(left.upstream_streams, Some(1));
    }
}
