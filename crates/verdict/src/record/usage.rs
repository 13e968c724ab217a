//! What processes and the machine used over a cell, from looks at them.

use super::accumulated::Accumulated;
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
    cpu_us: Accumulated,
    /// CPU time at the first look and at the last.
    cpu: Option<(u64, u64)>,
    hold: Option<((u64, u64), (u64, u64))>,
    core_wait: Option<(u64, u64)>,
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
        self.cpu = Some((self.cpu.map_or(cpu_us, |(first, _)| first), cpu_us));
        if in_hold {
            let now = (at_us, cpu_us);
            self.hold = Some((self.hold.map_or(now, |(start, _)| start), now));
            if let Some(wait) = sample.core_wait_us {
                let first = self.core_wait.map_or(wait, |(first, _)| first);
                self.core_wait = Some((first, wait));
            }
        }
    }

    /// Share of the time in the hold in which its threads wanted to run that they had no core, in
    /// percent. Threads that have ended are left out.
    #[must_use]
    pub fn core_wait_percent(&self) -> Option<f64> {
        let (first, last) = self.core_wait?;
        let ((_, cpu_first), (_, cpu_last)) = self.hold?;
        let waited = last.saturating_sub(first) as f64;
        let wanted = waited + (cpu_last - cpu_first) as f64;
        (wanted > 0.0).then(|| tenths(100.0 * waited / wanted))
    }

    /// A hold of its own begins: what the one before used is not counted with it.
    pub(crate) fn begin_hold(&mut self) {
        self.hold = None;
        self.core_wait = None;
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
            cpu_us: self.cpu.map(|(first, last)| last - first),
            cpu_percent: self.hold.and_then(|((start, cpu_start), (end, cpu_end))| {
                (end > start)
                    .then(|| tenths(100.0 * (cpu_end - cpu_start) as f64 / (end - start) as f64))
            }),
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

/// CPU of the whole machine between two looks.
#[derive(Clone, Debug, Default)]
pub struct HostCpu {
    hold: Option<((u64, u64), (u64, u64))>,
}

impl HostCpu {
    /// Adds a look, if it is one in the hold.
    pub fn add(&mut self, busy_and_total: Option<(u64, u64)>, in_hold: bool) {
        if let (Some(now), true) = (busy_and_total, in_hold) {
            self.hold = Some((self.hold.map_or(now, |(start, _)| start), now));
        }
    }

    /// Percent of all cores in the hold.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        let ((busy_start, total_start), (busy_end, total_end)) = self.hold?;
        (total_end > total_start).then(|| {
            tenths(100.0 * (busy_end - busy_start) as f64 / (total_end - total_start) as f64)
        })
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
