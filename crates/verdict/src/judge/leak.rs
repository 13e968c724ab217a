//! Whether clients that hung up left something held, for which others then waited.

use crate::summary::{HangUpFigures, Kind, Leftovers, Summary};
use crate::units::time_or_bound;

/// What a row of hang-ups shows about the server, if it shows anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leak {
    /// The server holds something for clients that have left.
    Seen {
        /// The figures.
        reason: String,
        /// How much of it there is, if all of it was used up.
        capacity: Option<u64>,
    },
    /// Requests hung, and the cause was not seen.
    Suspected {
        /// The figures.
        reason: String,
        /// What it may be, with what would decide.
        candidates: Vec<(Kind, &'static str)>,
    },
    /// Requests were answered with an error, and none hung.
    Failing {
        /// The figures.
        reason: String,
        /// What it may be, with what would decide.
        candidate: (Kind, &'static str),
    },
}

/// Looks for a leak. `sync_seen` is true if there was a sync health check and it did not hurt.
pub(super) fn leak(summary: &Summary, sync_seen: bool) -> Option<Leak> {
    let row = summary.phases.load.hang_ups.as_ref()?;
    let none = Leftovers::default();
    let left = summary.leftovers.as_ref().unwrap_or(&none);
    let hangs = row.first_hanging.map_or(String::new(), |first| {
        format!("; request {first} was the first to hang")
    });
    let seen = |count: u64, what: &str| {
        Some(Leak::Seen {
            reason: format!("{what}{hangs}"),
            capacity: row.first_hanging.map(|_| count),
        })
    };
    match (left.upstream_streams, left.permits) {
        (Some(open), _) if open > 0 => {
            return seen(
                open,
                &format!("the upstream has {open} streams open and their clients are gone"),
            );
        }
        (_, Some(held)) if held > 0 => {
            return seen(
                held,
                &format!("{held} permits are in use for clients that are gone"),
            );
        }
        _ => {}
    }
    let count = |ending: &str| row.endings.get(ending).copied().unwrap_or(0);
    if let Some(first) = row.first_hanging {
        let reason = format!(
            "request {first} was the first of {} that hung, while health is fast",
            count("hanging")
        );
        return Some(Leak::Suspected {
            reason,
            candidates: suspects(row, left, sync_seen),
        });
    }
    let (refused, failed, broken) = (count("refused"), count("failed"), count("broken"));
    if refused + failed > 0 {
        return Some(Leak::Failing {
            reason: format!(
                "of {} requests {refused} were refused and {failed} got no answer",
                row.sent
            ),
            candidate: (
                Kind::UpstreamLimit,
                "the status of the refusals: 503 or 429 is a limit, 404 a wrong path, 502 no upstream",
            ),
        });
    }
    (broken > 0).then(|| Leak::Failing {
        reason: format!("{broken} answers broke off or ended with an error"),
        candidate: (
            Kind::UpstreamSlow,
            "the upstream's ledger: how it ended these streams",
        ),
    })
}

/// Possible causes if requests hang while health is fast and nothing was seen to be left over.
fn suspects(row: &HangUpFigures, left: &Leftovers, sync_seen: bool) -> Vec<(Kind, &'static str)> {
    let mut suspects = Vec::new();
    if left.upstream_streams.is_none() {
        suspects.push((
            Kind::ConnectionLeak,
            "the upstream's own count of open streams: it has more than there are clients",
        ));
    } else if left.permits.is_none() {
        // Possible even without an open stream, because a permit can outlive its stream.
        suspects.push((
            Kind::ConnectionLeak,
            "the server's own count of permits: some are in use and nobody has them",
        ));
    }
    if !never_reached_upstream(row) {
        suspects.push((
            Kind::UpstreamLimit,
            "the upstream's own count of open streams: it stays at the limit, and each has a client",
        ));
        suspects.push((
            Kind::UpstreamSlow,
            "the upstream's own count of open streams: the requests that hang are among them",
        ));
    }
    if !sync_seen {
        suspects.push((
            Kind::BlockingPoolExhausted,
            "a sync health URL that is slow",
        ));
    }
    suspects
}

/// True if the upstream's ledger shows that no request that hung reached it: it has at most as many
/// streams as requests were served. With one more, such as a stream of a fallback, this is unknown.
fn never_reached_upstream(row: &HangUpFigures) -> bool {
    let Some(unknown) = row.unknown_to_upstream else {
        return false;
    };
    let served = ["hung_up", "completed", "broken"]
        .iter()
        .filter_map(|ending| row.endings.get(*ending));
    row.by_upstream.iter().sum::<u64>() <= served.sum::<u64>().saturating_sub(unknown)
}

/// The row in a sentence.
pub(super) fn describe(row: &HangUpFigures, left: Option<&Leftovers>) -> String {
    let shown = |count: Option<u64>| count.map_or("n/a".to_owned(), |count| count.to_string());
    let release = row.release_us.as_ref();
    let release = time_or_bound(
        release.and_then(|release| release.p99),
        release.is_some_and(|release| release.p99_censored),
    );
    let hanging = row.endings.get("hanging").copied().unwrap_or(0);
    let left = left.cloned().unwrap_or_default();
    format!(
        "hang-ups: {} sent, {} reached their stage, {hanging} hung; upstream released p99 {release}; left over: {} upstream \
         streams, {} permits, {} busy threads, {} tasks, {} connections, {} open files",
        row.sent,
        row.reached,
        shown(left.upstream_streams),
        shown(left.permits),
        shown(left.threads_busy),
        shown(left.tasks),
        shown(left.connections),
        shown(left.fds)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::diagnosis::diagnose;
    use crate::sample::{hurt, summary};

    /// Two of five requests hung up, and from the third on all hung.
    fn leaking() -> Summary {
        let mut summary = summary();
        summary.phases.load.streams = crate::summary::StreamFigures::default();
        summary.parameters.clear();
        summary.phases.load.hang_ups = Some(HangUpFigures {
            planned: 12,
            sent: 5,
            reached: 2,
            is_over: true,
            endings: [("hung_up", 2), ("hanging", 3)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
            first_hanging: Some(3),
            ..HangUpFigures::default()
        });
        summary
    }

    fn with(upstream_streams: Option<u64>, permits: Option<u64>) -> Summary {
        Summary {
            leftovers: Some(Leftovers {
                upstream_streams,
                permits,
                ..Leftovers::default()
            }),
            ..leaking()
        }
    }

    #[test]
    fn streams_without_clients_are_a_leak_and_what_hangs_tells_its_limit() {
        let diagnosis = diagnose(&with(Some(2), Some(2)));
        assert_eq!(
            (diagnosis.kind, diagnosis.inferred_capacity),
            (Kind::ConnectionLeak, Some(2))
        );
        assert!(diagnosis.evidence[0].contains("request 3 was the first to hang"));
    }

    #[test]
    fn a_leak_that_hurts_nobody_yet_has_no_known_limit() {
        let mut summary = with(Some(2), Some(2));
        summary.phases.load.hang_ups = Some(HangUpFigures {
            sent: 2,
            reached: 2,
            ..HangUpFigures::default()
        });
        let diagnosis = diagnose(&summary);
        assert_eq!(
            (diagnosis.kind, diagnosis.inferred_capacity),
            (Kind::ConnectionLeak, None)
        );
    }

    #[test]
    fn permits_that_nobody_uses_are_a_leak_though_the_upstream_is_through() {
        let diagnosis = diagnose(&with(Some(0), Some(2)));
        assert_eq!(
            (diagnosis.kind, diagnosis.inferred_capacity),
            (Kind::ConnectionLeak, Some(2))
        );
    }

    #[test]
    fn from_outside_alone_a_leak_is_one_of_several_candidates() {
        let kinds = |summary: &Summary| {
            let diagnosis = diagnose(summary);
            assert_eq!(diagnosis.kind, Kind::Undecided);
            let all = diagnosis.candidates;
            all.iter().map(|one| one.kind).collect::<Vec<_>>()
        };
        let mut summary = with(None, None);
        summary.upstream.ledger = None;
        let expected = [
            Kind::ConnectionLeak,
            Kind::UpstreamLimit,
            Kind::UpstreamSlow,
        ];
        assert_eq!(kinds(&summary), expected);
        summary.phases.load.probes.remove("health_sync");
        assert!(kinds(&summary).contains(&Kind::BlockingPoolExhausted));
        assert!(!kinds(&with(Some(0), Some(0))).contains(&Kind::ConnectionLeak));
    }

    #[test]
    fn an_upstream_that_saw_nothing_of_what_hangs_is_not_the_cause_and_permits_may_be() {
        let kinds = |summary: &Summary| {
            let all = diagnose(summary).candidates;
            all.iter().map(|one| one.kind).collect::<Vec<_>>()
        };
        let ledger_of = |permits, streams| {
            let mut summary = with(Some(0), permits);
            if let Some(row) = &mut summary.phases.load.hang_ups {
                (row.unknown_to_upstream, row.by_upstream) = (Some(0), vec![streams]);
            }
            summary
        };
        let unseen = ledger_of(None, 2);
        assert_eq!(diagnose(&unseen).kind, Kind::Undecided);
        assert_eq!(kinds(&unseen), [Kind::ConnectionLeak]);
        let all = [
            Kind::ConnectionLeak,
            Kind::UpstreamLimit,
            Kind::UpstreamSlow,
        ];
        assert_eq!(kinds(&ledger_of(None, 5)), all, "the upstream has them");
        assert_eq!(kinds(&with(Some(0), None)), all, "its ledger was not read");
        assert_eq!(kinds(&ledger_of(Some(0), 2)), [], "no permit is in use");
    }

    #[test]
    fn zombies_that_fill_the_pool_are_the_pool_and_their_number_is_its_size() {
        let mut summary = with(Some(4), Some(5));
        let probes = &mut summary.phases.load.probes;
        probes.insert("health_sync".into(), hurt());
        if let Some(pool) = &mut summary.server.pool {
            (pool.capacity, pool.busy_peak, pool.queued_peak) = (4, 4, 9);
        }
        let diagnosis = diagnose(&summary);
        assert_eq!(
            (diagnosis.kind, diagnosis.inferred_capacity),
            (Kind::BlockingPoolExhausted, Some(4))
        );
    }

    #[test]
    fn hang_ups_that_leave_nothing_are_healthy_and_errors_are_not() {
        let mut fine = with(Some(0), Some(0));
        let row = |ending: &str| HangUpFigures {
            sent: 5,
            reached: 5,
            endings: [(ending.to_owned(), 5)].into(),
            ..HangUpFigures::default()
        };
        fine.phases.load.hang_ups = Some(row("hung_up"));
        assert_eq!(diagnose(&fine).kind, Kind::Healthy);
        for ending in ["refused", "failed", "broken"] {
            fine.phases.load.hang_ups = Some(row(ending));
            assert_eq!(diagnose(&fine).kind, Kind::Undecided, "{ending}");
        }
    }
}
