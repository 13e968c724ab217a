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
    busy_and_total, command_line, core_wait_us, cpu_of_ended_children_us, descendants, listener,
    rss_peak_bytes, sample, started_ticks, why_not,
};

/// More processes than this are not looked at.
const MOST_PROCESSES: usize = 64;

#[cfg(target_os = "linux")]
mod platform {
    use procfs::net::TcpState;
    use procfs::process::{FDTarget, Process, Stat};
    use procfs::sys::kernel::Version;
    use procfs::{Current, CurrentSI};

    use verdict::record::ProcessSample;

    fn process(pid: u32) -> Option<Process> {
        Process::new(pid.try_into().ok()?).ok()
    }

    fn stat(pid: u32) -> Option<Stat> {
        process(pid)?.stat().ok()
    }

    fn us_of(ticks: u64) -> u64 {
        ticks * (1_000_000 / procfs::ticks_per_second().max(1))
    }

    /// A look at `pid`; `None` if it is gone.
    #[must_use]
    pub fn sample(pid: u32) -> Option<ProcessSample> {
        let process = process(pid)?;
        let stat = process.stat().ok()?;
        Some(ProcessSample {
            pid,
            rss_bytes: stat.rss * procfs::page_size(),
            rss_peak_bytes: None,
            cpu_us: us_of(stat.utime + stat.stime),
            core_wait_us: None,
            threads: stat.num_threads.try_into().unwrap_or(0),
            fds: process.fd_count().unwrap_or(0) as u64,
        })
    }

    /// CPU time of those children of `pid` that are gone.
    #[must_use]
    pub fn cpu_of_ended_children_us(pid: u32) -> u64 {
        let ticks = stat(pid).map_or(0, |stat| stat.cutime + stat.cstime);
        us_of(u64::try_from(ticks).unwrap_or(0))
    }

    /// Children of `pid`, and theirs; of a server with worker processes these are the workers.
    #[must_use]
    pub fn descendants(pid: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let mut next = vec![pid];
        while let Some(parent) = next.pop()
            && found.len() < super::MOST_PROCESSES
        {
            let tasks = process(parent).and_then(|process| process.tasks().ok());
            let children = tasks.into_iter().flatten().flatten();
            let children = children.filter_map(|task| task.children().ok()).flatten();
            let children: Vec<u32> = children.collect();
            found.extend(&children);
            next.extend(children);
        }
        found
    }

    /// The process of this machine that listens at `port`: of several that share the socket, the one that
    /// started the others. `None` if there is none, or if it is another user's.
    #[must_use]
    pub fn listener(port: u16) -> Option<u32> {
        let entries = [procfs::net::tcp(), procfs::net::tcp6()];
        let listening =
            entries.into_iter().flatten().flatten().filter(|entry| {
                entry.state == TcpState::Listen && entry.local_address.port() == port
            });
        let sockets: Vec<u64> = listening.map(|entry| entry.inode).collect();
        let has_socket = |process: &Process| {
            let mut files = process.fd().into_iter().flatten().flatten();
            files.any(
                |file| matches!(file.target, FDTarget::Socket(inode) if sockets.contains(&inode)),
            )
        };
        let all = procfs::process::all_processes().ok()?.flatten();
        let owners: Vec<Stat> = all
            .filter(has_socket)
            .filter_map(|one| one.stat().ok())
            .collect();
        let is_first = |one: &&Stat| owners.iter().all(|other| other.pid != one.ppid);
        owners.iter().find(is_first)?.pid.try_into().ok()
    }

    /// The command line of `pid`, its words parted by spaces.
    #[must_use]
    pub fn command_line(pid: u32) -> Option<String> {
        Some(process(pid)?.cmdline().ok()?.join(" "))
    }

    /// Most memory of `pid` that was ever resident, since it started, its start-up included.
    #[must_use]
    pub fn rss_peak_bytes(pid: u32) -> Option<u64> {
        let kibibytes = process(pid)?.status().ok()?.vmhwm?;
        Some(kibibytes * 1024)
    }

    /// Time that the threads of `pid` wanted to run and had no core, since each started.
    #[must_use]
    pub fn core_wait_us(pid: u32) -> Option<u64> {
        let tasks = process(pid)?.tasks().ok()?;
        let waits = tasks.flatten().filter_map(|task| task.schedstat().ok());
        Some(waits.map(|wait| wait.run_delay / 1_000).sum())
    }

    /// When `pid` started, in the kernel's ticks since boot; `None` if it is gone or a zombie.
    #[must_use]
    pub fn started_ticks(pid: u32) -> Option<u64> {
        let stat = stat(pid)?;
        (stat.state != 'Z').then_some(stat.starttime)
    }

    /// Why `pid` cannot be looked at, in a sentence; `None` if it can.
    #[must_use]
    pub fn why_not(pid: u32) -> Option<String> {
        let Some(process) = process(pid) else {
            return Some(format!("there is no process {pid} on this machine"));
        };
        match process.stat() {
            Ok(stat) if stat.state == 'Z' => {
                Some(format!("process {pid} has ended: it is a zombie"))
            }
            Ok(_) => None,
            Err(_) => Some(format!(
                "process {pid} cannot be looked at: /proc/{pid}/stat cannot be read"
            )),
        }
    }

    /// Ticks in use and in all, summed over all cores, since boot.
    #[must_use]
    pub fn busy_and_total() -> Option<(u64, u64)> {
        let total = procfs::KernelStats::current().ok()?.total;
        let known = [total.irq, total.softirq, total.steal]
            .into_iter()
            .flatten();
        let busy = total.user + total.nice + total.system + known.sum::<u64>();
        Some((busy, busy + total.idle + total.iowait.unwrap_or(0)))
    }

    pub(super) fn os() -> String {
        Version::current().map_or("Linux".to_owned(), |version| {
            let Version {
                major,
                minor,
                patch,
            } = version;
            format!("Linux {major}.{minor}.{patch}")
        })
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
#[expect(missing_docs, reason = "as on Linux; nothing of it is known here")]
mod platform {
    use verdict::record::ProcessSample;

    pub fn sample(_pid: u32) -> Option<ProcessSample> {
        None
    }

    pub fn cpu_of_ended_children_us(_pid: u32) -> u64 {
        0
    }

    pub fn descendants(_pid: u32) -> Vec<u32> {
        Vec::new()
    }

    pub fn listener(_port: u16) -> Option<u32> {
        None
    }

    pub fn command_line(_pid: u32) -> Option<String> {
        None
    }

    pub fn rss_peak_bytes(_pid: u32) -> Option<u64> {
        None
    }

    pub fn core_wait_us(_pid: u32) -> Option<u64> {
        None
    }

    pub fn started_ticks(_pid: u32) -> Option<u64> {
        None
    }

    pub fn why_not(pid: u32) -> Option<String> {
        Some(format!(
            "process {pid} cannot be looked at: this can only be done on Linux"
        ))
    }

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
