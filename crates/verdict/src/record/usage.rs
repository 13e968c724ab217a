//! What processes and the machine used over a cell, from looks at them.

use super::counter::{Counter, Growth};
use crate::summary::Process;

/// A look at one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessSample {
    /// Its number.
    pub pid: u32,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Most memory that was ever resident, since the process started; only of one that started with its
    /// cell, since that of another may be from before it.
    pub rss_peak_bytes: Option<u64>,
    /// CPU time since it started.
    pub cpu_us: u64,
    /// Time that its threads wanted to run and had no core, since each started, if known.
    pub core_wait_us: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Open files.
    pub fds: u64,
}

/// What was seen over a cell of one process, or of those that took turns as it was restarted.
#[derive(Clone, Debug, Default)]
pub struct ProcessUsage {
    pid: Option<u32>,
    last: Option<ProcessSample>,
    peak: ProcessSample,
    cpu_us: Counter,
    used_us: Growth,
    hold: HoldUsage,
}

/// What was seen in a hold.
#[derive(Clone, Debug, Default)]
struct HoldUsage {
    length_us: Growth,
    cpu_us: Growth,
    core_wait_us: Growth,
}

impl ProcessUsage {
    /// Nothing seen yet of `pid`.
    #[must_use]
    pub fn new(pid: Option<u32>) -> Self {
        Self {
            pid,
            ..Self::default()
        }
    }

    /// Adds a look at `at_us`, `in_hold` or not.
    pub fn add(&mut self, at_us: u64, sample: ProcessSample, in_hold: bool) {
        self.pid = Some(sample.pid);
        self.last = Some(sample);
        // Between two looks there may have been more than in either.
        let ever = sample.rss_peak_bytes.unwrap_or(0).max(sample.rss_bytes);
        self.peak.rss_bytes = self.peak.rss_bytes.max(ever);
        self.peak.threads = self.peak.threads.max(sample.threads);
        self.peak.fds = self.peak.fds.max(sample.fds);
        let cpu_us = self.cpu_us.add(sample.pid, sample.cpu_us);
        self.used_us.add(cpu_us);
        if in_hold {
            self.hold.length_us.add(at_us);
            self.hold.cpu_us.add(cpu_us);
            if let Some(wait_us) = sample.core_wait_us {
                self.hold.core_wait_us.add(wait_us);
            }
        }
    }

    /// Share of the time in the hold in which its threads wanted to run that they had no core, in
    /// percent. Threads that have ended are left out.
    #[must_use]
    pub fn core_wait_percent(&self) -> Option<f64> {
        let waited_us = self.hold.core_wait_us.get()?;
        let wanted_us = waited_us + self.hold.cpu_us.get()?;
        share_percent(Some(waited_us), Some(wanted_us))
    }

    /// A hold of its own begins: what the one before used is not counted with it.
    pub(crate) fn begin_hold(&mut self) {
        self.hold = HoldUsage::default();
    }

    /// The last look.
    #[must_use]
    pub fn last(&self) -> Option<ProcessSample> {
        self.last
    }

    /// The figures.
    #[must_use]
    pub fn figures(&self) -> Process {
        let seen = self.last;
        Process {
            pid: self.pid,
            rss_peak_bytes: seen.map(|_| self.peak.rss_bytes),
            rss_end_bytes: self.last.map(|last| last.rss_bytes),
            cpu_us: self.used_us.get(),
            cpu_percent: share_percent(self.hold.cpu_us.get(), self.hold.length_us.get()),
            threads_peak: seen.map(|_| self.peak.threads),
            fds_peak: seen.map(|_| self.peak.fds),
            ..Process::default()
        }
    }
}

/// Rounds to a tenth: more digits would claim what a 250 ms sampler cannot know.
pub(crate) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A part of a whole in percent; `None` if either is unknown, or nothing is the whole.
pub(crate) fn share_percent(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    let whole = whole.filter(|&whole| whole > 0)?;
    Some(tenths(100.0 * part? as f64 / whole as f64))
}

/// Stands for the machine, where a [`Counter`] wants a process number.
const MACHINE: u32 = 0;

/// CPU of the whole machine in a hold.
#[derive(Clone, Debug, Default)]
pub struct HostCpu {
    busy: Counter,
    total: Counter,
    hold_busy: Growth,
    hold_total: Growth,
}

impl HostCpu {
    /// Adds a look, if it is one in the hold.
    pub fn add(&mut self, busy_and_total: Option<(u64, u64)>, in_hold: bool) {
        if let (Some((busy, total)), true) = (busy_and_total, in_hold) {
            self.hold_busy.add(self.busy.add(MACHINE, busy));
            self.hold_total.add(self.total.add(MACHINE, total));
        }
    }

    /// Percent of all cores in the hold.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        share_percent(self.hold_busy.get(), self.hold_total.get())
    }
}

impl ProcessSample {
    /// A look at a process and at another that belongs to it, together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            pid: self.pid,
            rss_bytes: self.rss_bytes + other.rss_bytes,
            // They need not have had theirs at the same time.
            rss_peak_bytes: None,
            cpu_us: self.cpu_us + other.cpu_us,
            core_wait_us: self
                .core_wait_us
                .zip(other.core_wait_us)
                .map(|(one, other)| one + other),
            threads: self.threads + other.threads,
            fds: self.fds + other.fds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_summed_over_restarts() {
        let mut usage = ProcessUsage::new(None);
        for (at_us, pid, cpu_us) in [
            (0, 7, 20_000),
            (1_000_000, 7, 120_000),
            (2_000_000, 8, 30_000),
            (4_000_000, 8, 300_000),
        ] {
            let sample = ProcessSample {
                pid,
                cpu_us,
                ..ProcessSample::default()
            };
            usage.add(at_us, sample, at_us >= 1_000_000);
        }
        let figures = usage.figures();
        assert_eq!(figures.pid, Some(8));
        assert_eq!(figures.cpu_us, Some(400_000));
        // 300 ms in the 3 s of the hold.
        assert_eq!(figures.cpu_percent, Some(10.0));
        assert_eq!(usage.core_wait_percent(), None);
    }

    /// A child of the process that is seen at one look has ended at the next, and its time with it.
    #[test]
    fn cpu_time_of_a_tree_that_loses_a_child_does_not_fall() {
        let mut usage = ProcessUsage::new(Some(7));
        for (at_us, cpu_us) in [(0, 500_000), (1_000_000, 200_000), (2_000_000, 900_000)] {
            let sample = ProcessSample {
                pid: 7,
                cpu_us,
                ..ProcessSample::default()
            };
            usage.add(at_us, sample, true);
        }
        let figures = usage.figures();
        assert_eq!(figures.cpu_us, Some(400_000));
        assert_eq!(figures.cpu_percent, Some(20.0));
        let mut lost = ProcessUsage::new(Some(7));
        for (at_us, cpu_us) in [(0, 500_000), (1_000_000, 200_000)] {
            let sample = ProcessSample {
                pid: 7,
                cpu_us,
                ..ProcessSample::default()
            };
            lost.add(at_us, sample, true);
        }
        assert_eq!(lost.figures().cpu_percent, Some(0.0));
    }

    #[test]
    fn stolen_time_that_the_kernel_takes_back_does_not_end_the_lab() {
        let mut host = HostCpu::default();
        for looked in [(1_000, 9_000), (990, 8_990), (1_100, 9_400)] {
            host.add(Some(looked), true);
        }
        assert_eq!(host.percent(), Some(25.0));
    }

    #[test]
    fn a_peak_between_two_looks_is_seen_where_it_is_of_the_cell() {
        let figures = |ever: Option<u64>| {
            let mut usage = ProcessUsage::new(Some(7));
            for (rss_bytes, rss_peak_bytes) in [(100, ever.map(|_| 100)), (90, ever)] {
                let sample = ProcessSample {
                    pid: 7,
                    rss_bytes,
                    rss_peak_bytes,
                    ..ProcessSample::default()
                };
                usage.add(0, sample, true);
            }
            let figures = usage.figures();
            (figures.rss_peak_bytes, figures.rss_end_bytes)
        };
        assert_eq!(figures(Some(500)), (Some(500), Some(90)));
        assert_eq!(figures(None), (Some(100), Some(90)));
    }

    #[test]
    fn who_waits_for_a_core_is_told_from_who_has_one() {
        let share = |waited_us: u64| {
            let mut usage = ProcessUsage::new(None);
            for (at_us, cpu_us, core_wait_us) in [(0, 0, 7), (1_000_000, 900_000, 7 + waited_us)] {
                let sample = ProcessSample {
                    pid: 7,
                    cpu_us,
                    core_wait_us: Some(core_wait_us),
                    ..ProcessSample::default()
                };
                usage.add(at_us, sample, true);
            }
            usage.core_wait_percent()
        };
        assert_eq!(share(0), Some(0.0));
        assert_eq!(share(2_700_000), Some(75.0));
    }
}
