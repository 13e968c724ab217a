use std::time::Duration;

/// When a container that has ended is started again, known to users as `CrashLoopBackOff`.
///
/// The first restart is immediate. Each further one waits, from when the container ended: at first 10 s,
/// then twice as long each time, up to 5 minutes. A container that ran for twice the longest back-off
/// starts anew.
#[derive(Clone, Debug)]
pub struct BackOff {
    first: Duration,
    longest: Duration,
    /// What the next restart waits, and when the last one was.
    entry: Option<(Duration, Duration)>,
}

impl BackOff {
    /// A back-off from `first` to `longest`.
    #[must_use]
    pub fn new((first, longest): (Duration, Duration)) -> Self {
        Self {
            first,
            longest,
            entry: None,
        }
    }

    /// A container has ended at `ended`; returns when it is to be started again.
    pub fn restart_at(&mut self, ended: Duration) -> Duration {
        let recent = self
            .entry
            .filter(|&(_, restarted)| ended.saturating_sub(restarted) <= 2 * self.longest);
        let (wait, next) = match recent {
            None => (Duration::ZERO, self.first),
            Some((wait, _)) => (wait, (2 * wait).min(self.longest)),
        };
        self.entry = Some((next, ended + wait));
        ended + wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_restart_is_immediate_and_the_wait_then_doubles_to_five_minutes() {
        let mut back_off = BackOff::new((s(10), s(300)));
        let mut now = s(50);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let at = back_off.restart_at(now);
            waits.push((at - now).as_secs());
            now = at + s(1);
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn the_wait_counts_from_the_end_of_the_container() {
        let mut back_off = BackOff::new((s(10), s(300)));
        back_off.restart_at(s(100));
        // It ran for longer than the back-off, but not twice as long, so it still waits.
        assert_eq!(back_off.restart_at(s(150)), s(160));
    }

    #[test]
    fn a_container_that_ran_for_ten_minutes_starts_anew() {
        let mut back_off = BackOff::new((s(10), s(300)));
        back_off.restart_at(s(0));
        back_off.restart_at(s(30));
        // Restarted at 40, it would wait for 20 s the next time.
        let mut still = back_off.clone();
        assert_eq!(still.restart_at(s(640)), s(660));
        assert_eq!(back_off.restart_at(s(641)), s(641));
        assert_eq!(back_off.restart_at(s(700)), s(710));
    }
}
