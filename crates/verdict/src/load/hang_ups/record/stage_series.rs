use super::{HangUp, HangUpEnding, Release};
use crate::load::hang_ups::{HangUpStage, StageFigures};
use crate::record::{Censored, Times};
use crate::summary::Distribution;

/// The requests of one stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageSeries {
    planned: u64,
    pub(crate) reached: u64,
    pub(crate) unknown: u64,
    releases: Times,
    /// For each request that was not released: how long it had been waited for.
    bounds: Vec<u64>,
}

impl StageSeries {
    pub(crate) fn add(&mut self, one: &HangUp, release: Option<&Release>) {
        self.planned += 1;
        let is_there = match one.stage {
            HangUpStage::Complete => {
                matches!(one.ending, HangUpEnding::Completed | HangUpEnding::Broken)
            }
            stage => one.ending == HangUpEnding::HungUp && one.reached == Some(stage),
        };
        if !is_there {
            return;
        }
        self.reached += 1;
        match release {
            None => self.unknown += 1,
            Some(Release::After(us)) => self.releases.add(*us),
            Some(Release::NotFor(us)) => self.bounds.push(*us),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.releases.merge(&other.releases);
        self.bounds.extend(&other.bounds);
    }

    /// How many the upstream still has.
    pub(crate) fn not_released(&self) -> u64 {
        self.bounds.len() as u64
    }

    pub(crate) fn release(&self) -> Distribution {
        let mut all = self.releases.clone();
        for &bound in &self.bounds {
            all.add(bound);
        }
        let censored = match self.bounds.iter().min() {
            Some(&smallest) => Censored::FromValue(Times::lowest_equivalent(smallest)),
            None => Censored::Nothing,
        };
        all.censored(censored)
    }

    pub(crate) fn figures(&self, has_ledger: bool) -> StageFigures {
        StageFigures {
            planned: self.planned,
            reached: self.reached,
            release_us: has_ledger.then(|| self.release()),
            not_released: has_ledger.then_some(self.not_released()),
        }
    }
}
