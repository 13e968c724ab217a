//! What processes and the machine use, read from /proc. Elsewhere than on Linux all of it is unknown.

use super::accumulated::Accumulated;
use crate::summary::{Host, Process};

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
    pub(super) fn begin_hold(&mut self) {
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

/// The machine.
#[must_use]
pub fn host() -> Host {
    Host {
        os: platform::os(),
        cpu: platform::cpu(),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
        memory_bytes: platform::memory(),
        open_files_limit: rustix::process::getrlimit(rustix::process::Resource::Nofile)
            .current
            .unwrap_or(u64::MAX),
    }
}

pub use platform::{
    busy_and_total, core_wait_us, cpu_of_ended_children_us, descendants, rss_peak_bytes, sample,
    started_ticks,
};

/// More processes than this are not looked at.
const MOST_PROCESSES: usize = 64;

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

#[cfg(target_os = "linux")]
mod platform {
    use procfs::process::Process;
    use procfs::{Current, CurrentSI};

    use super::ProcessSample;

    /// A look at `pid`; `None` if it is gone.
    #[must_use]
    pub fn sample(pid: u32) -> Option<ProcessSample> {
        let process = Process::new(pid.try_into().ok()?).ok()?;
        let stat = process.stat().ok()?;
        let us_per_tick = 1_000_000 / procfs::ticks_per_second().max(1);
        Some(ProcessSample {
            pid,
            rss_bytes: stat.rss * procfs::page_size(),
            rss_peak_bytes: None,
            cpu_us: (stat.utime + stat.stime) * us_per_tick,
            core_wait_us: None,
            threads: stat.num_threads.try_into().unwrap_or(0),
            fds: process.fd_count().unwrap_or(0) as u64,
        })
    }

    /// CPU time of those children of `pid` that are gone: with that of those that are not, it never
    /// falls.
    #[must_use]
    pub fn cpu_of_ended_children_us(pid: u32) -> u64 {
        let stat = pid.try_into().ok().map(Process::new);
        let stat = stat.and_then(Result::ok).map(|process| process.stat());
        let ticks = stat
            .and_then(Result::ok)
            .map_or(0, |stat| stat.cutime + stat.cstime);
        u64::try_from(ticks).unwrap_or(0) * (1_000_000 / procfs::ticks_per_second().max(1))
    }

    /// Children of `pid`, and theirs; of a server with worker processes these are the workers.
    #[must_use]
    pub fn descendants(pid: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let mut next = vec![pid];
        while let Some(parent) = next.pop()
            && found.len() < super::MOST_PROCESSES
        {
            let process = parent.try_into().ok().map(Process::new);
            let tasks = process.and_then(Result::ok).map(|process| process.tasks());
            let tasks = tasks.and_then(Result::ok).into_iter().flatten().flatten();
            let children: Vec<u32> = tasks
                .filter_map(|task| task.children().ok())
                .flatten()
                .collect();
            found.extend(&children);
            next.extend(children);
        }
        found
    }

    /// Most memory of `pid` that was ever resident, since it started, its start-up included.
    #[must_use]
    pub fn rss_peak_bytes(pid: u32) -> Option<u64> {
        let status = Process::new(pid.try_into().ok()?).ok()?.status().ok()?;
        status.vmhwm.map(|kibibytes| kibibytes * 1024)
    }

    /// Time that the threads of `pid` wanted to run and had no core, since each started.
    #[must_use]
    pub fn core_wait_us(pid: u32) -> Option<u64> {
        let tasks = Process::new(pid.try_into().ok()?).ok()?.tasks().ok()?;
        let waits = tasks.flatten().filter_map(|task| task.schedstat().ok());
        Some(waits.map(|wait| wait.run_delay / 1_000).sum())
    }

    /// When `pid` started, in the kernel's ticks since boot; `None` if it is gone or a zombie.
    #[must_use]
    pub fn started_ticks(pid: u32) -> Option<u64> {
        let stat = Process::new(pid.try_into().ok()?).ok()?.stat().ok()?;
        (stat.state != 'Z').then_some(stat.starttime)
    }

    /// Ticks in use and in all, summed over all cores, since boot.
    #[must_use]
    pub fn busy_and_total() -> Option<(u64, u64)> {
        let total = procfs::KernelStats::current().ok()?.total;
        let idle = total.idle + total.iowait.unwrap_or(0);
        let busy = total.user
            + total.nice
            + total.system
            + total.irq.unwrap_or(0)
            + total.softirq.unwrap_or(0)
            + total.steal.unwrap_or(0);
        Some((busy, busy + idle))
    }

    pub(super) fn os() -> String {
        procfs::sys::kernel::Version::current().map_or_else(
            |_| "Linux".to_owned(),
            |version| {
                format!(
                    "Linux {}.{}.{}",
                    version.major, version.minor, version.patch
                )
            },
        )
    }

    pub(super) fn cpu() -> Option<String> {
        let info = procfs::CpuInfo::current().ok()?;
        info.model_name(0).map(str::to_owned)
    }

    pub(super) fn memory() -> Option<u64> {
        Some(procfs::Meminfo::current().ok()?.mem_total)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::ProcessSample;

    /// Unknown here.
    #[must_use]
    pub fn sample(_pid: u32) -> Option<ProcessSample> {
        None
    }

    /// Unknown here.
    #[must_use]
    pub fn cpu_of_ended_children_us(_pid: u32) -> u64 {
        0
    }

    /// Unknown here.
    #[must_use]
    pub fn descendants(_pid: u32) -> Vec<u32> {
        Vec::new()
    }

    /// Unknown here.
    #[must_use]
    pub fn rss_peak_bytes(_pid: u32) -> Option<u64> {
        None
    }

    /// Unknown here.
    #[must_use]
    pub fn core_wait_us(_pid: u32) -> Option<u64> {
        None
    }

    /// Unknown here.
    #[must_use]
    pub fn started_ticks(_pid: u32) -> Option<u64> {
        None
    }

    /// Unknown here.
    #[must_use]
    pub fn busy_and_total() -> Option<(u64, u64)> {
        None
    }

    pub(super) fn os() -> String {
        std::env::consts::OS.to_owned()
    }

    pub(super) fn cpu() -> Option<String> {
        None
    }

    pub(super) fn memory() -> Option<u64> {
        None
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

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_that_was_given_back_stays_in_the_peak() {
        const BYTES: u64 = 64 << 20;
        let me = std::process::id();
        let peak = || rss_peak_bytes(me).expect("of this process");
        let before = sample(me).expect("of this process").rss_bytes;
        drop(std::hint::black_box(vec![1_u8; BYTES as usize]));
        assert!(peak() >= before + BYTES * 9 / 10, "{} of {before}", peak());
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
