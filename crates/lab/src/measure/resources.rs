//! What processes and the machine use, read from /proc. Elsewhere than on Linux all of it is unknown.

use verdict::summary::Host;

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

#[cfg(target_os = "linux")]
mod platform {
    use procfs::process::Process;
    use procfs::{Current, CurrentSI};

    use verdict::record::ProcessSample;

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
    use verdict::record::ProcessSample;

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
}
