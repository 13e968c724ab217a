use std::collections::BTreeMap;

use super::*;
use crate::sample::summary;
use crate::summary::{
    Background, Bound, Distribution, Forecast, Little, Loop, Probe, Process, Unit,
};

/// A run of 30 s: 100 users who think 300 ms.
struct Run {
    by_second: [u64; 30],
    /// Median and mean of those that were answered.
    answered_us: u64,
    unanswered: u64,
    /// Median of all, and whether it is a lower bound.
    median: (u64, bool),
    /// X and R in the long run.
    limit: (f64, u64),
    whole_response_us: u64,
}

impl Run {
    fn summary(&self) -> Summary {
        let ok: u64 = self.by_second.iter().sum();
        let distribution = |us: u64, p50_censored| Distribution {
            count: ok,
            min: Some(200_000),
            mean: Some(us),
            p50: Some(us),
            p50_censored,
            ..Distribution::default()
        };
        let throughput = ok as f64 / 30.0;
        let class = RequestFigures {
            outcomes: Probe {
                due: ok + self.unanswered,
                ok,
                response_us: distribution(self.median.0, self.median.1),
                response_ok_us: distribution(self.answered_us, false),
                ..Probe::default()
            },
            unanswered: self.unanswered,
            arrivals: Loop::Closed,
            path: "/route".into(),
            users: Some(100),
            offered_per_second: None,
            think_us: 300_000,
            statuses: BTreeMap::new(),
            completed: ok,
            throughput_per_second: Some(throughput),
            completed_by_second: self.by_second.to_vec(),
            little: Some(Little {
                throughput_per_second: throughput,
                response_us: self.answered_us,
                think_us: 300_000,
                users: 100,
                product: 0.0,
                error_percent: 0.0,
                waiting: 98.0,
                whole_response_us: self.whole_response_us,
                whole_error_percent: 0.5,
            }),
        };
        let mut summary = summary();
        summary.phases.load.requests = [("users".to_owned(), class)].into();
        summary.phases.load.hold_us = 30_000_000;
        summary.forecast = [
            ("requests.users.throughput", self.limit.0),
            ("requests.users.ok_mean", self.limit.1 as f64),
        ]
        .map(|(metric, limit)| forecast(metric, limit))
        .into();
        summary
    }
}

fn forecast(metric: &str, limit: f64) -> Forecast {
    Forecast {
        name: metric.to_owned(),
        metric: metric.to_owned(),
        formula: String::new(),
        unit: Unit::Count,
        predicted: limit,
        limit: Some(limit),
        bound: Bound::Exact,
        measured: None,
        measured_censored: false,
        error_percent: None,
        verdict: None,
    }
}

/// An event loop that answers 5 a second from the start; those that wait are many.
fn blocked_loop() -> Summary {
    Run {
        by_second: [5; 30],
        answered_us: 8_000_000,
        unanswered: 100,
        median: (11_800_000, true),
        limit: (5.0, 19_700_000),
        whole_response_us: 19_600_000,
    }
    .summary()
}

/// 40 threads that are free at first and then held for 10 s each.
fn filling_pool() -> Summary {
    let mut by_second = [4; 30];
    by_second[..5].copy_from_slice(&[10, 30, 30, 10, 4]);
    Run {
        by_second,
        answered_us: 7_000_000,
        unanswered: 80,
        median: (9_260_000, false),
        limit: (3.92, 25_200_000),
        whole_response_us: 12_000_000,
    }
    .summary()
}

fn report(metric: &str, reported: &str) -> FieldReport {
    let text = format!("variant = 'fixed'\nmetric = '{metric}'\nreported = '{reported}'");
    toml::from_str(&text).expect("a report")
}

fn judged(reports: &[(&str, &str)], summary: &Summary) -> Vec<(ClaimVerdict, String)> {
    let reports: Vec<_> = reports
        .iter()
        .map(|(field, reported)| report(&format!("requests.users.{field}"), reported))
        .collect();
    let claims = judge(&reports, summary).into_iter();
    claims
        .map(|claim| (claim.verdict.expect("measured"), claim.because))
        .collect()
}

#[test]
fn what_is_within_fifteen_percent_of_a_steady_run_agrees() {
    let run = Run {
        by_second: [183; 30],
        answered_us: 203_000,
        unanswered: 40,
        median: (203_000, false),
        limit: (200.0, 200_000),
        whole_response_us: 203_000,
    };
    let claims = judged(&[("throughput", "184"), ("p50", "206ms")], &run.summary());
    assert_eq!(claims[0].0, ClaimVerdict::Agrees);
    assert_eq!(claims[0].1, "+0.5 % off this run's 183 /s");
    assert_eq!(claims[1].0, ClaimVerdict::Agrees);
}

#[test]
fn a_throughput_that_the_run_passes_through_is_a_transient() {
    // 84 answers in 5 s, then 4 a second: 8.5 a second after some 14 s, 6.1 after 30 s.
    let claims = judged(&[("throughput", "8.5")], &filling_pool());
    assert_eq!(claims[0].0, ClaimVerdict::Transient);
    assert_eq!(
        claims[0].1,
        "it is what this run shows after 14 s (120 answers): 6.13 /s after 30.0 s, and 3.92 /s in the long run"
    );
}

#[test]
fn a_response_time_on_the_way_to_the_steady_state_is_a_transient() {
    let verdict = |reported| judged(&[("p50", reported)], &filling_pool()).remove(0);
    // Neither on the way nor at the end.
    assert_eq!(verdict("40s").0, ClaimVerdict::Disagrees);
    assert_eq!(verdict("100ms").0, ClaimVerdict::Disagrees);
    assert_eq!(verdict("15s").0, ClaimVerdict::Transient);
    // It fits the run, which is no steady state itself.
    let (kind, because) = verdict("8800ms");
    assert_eq!(kind, ClaimVerdict::Transient);
    assert!(
        because.contains("this run's 9.26 s after 30.0 s")
            && because.contains("25.2 s in the long run"),
        "{because}"
    );
}

#[test]
fn a_response_time_that_breaks_littles_law_is_censored() {
    let claims = judged(&[("throughput", "5"), ("p50", "3300ms")], &blocked_loop());
    assert_eq!(claims[0].0, ClaimVerdict::Agrees);
    let (kind, because) = &claims[1];
    assert_eq!(*kind, ClaimVerdict::Censored);
    for part in ["5.00 /s", "N = 100", "= 18", "N/X − Z = 19.7 s", "19.6 s"] {
        assert!(because.contains(part), "{part}: {because}");
    }
    // Without the throughput that it was reported with there is nothing to break.
    let alone = judged(&[("p50", "3300ms")], &blocked_loop());
    assert_eq!(alone[0].0, ClaimVerdict::Transient);
}

#[test]
fn a_response_time_of_the_answered_alone_is_censored() {
    let (kind, because) = judged(&[("p50", "8200ms")], &blocked_loop()).remove(0);
    assert_eq!(kind, ClaimVerdict::Censored);
    assert_eq!(
        because,
        "it fits those that were answered (8.00 s); with the 100 that were not, it is at least 11.8 s"
    );
    // The steady state is above the bound: nothing speaks against it.
    let whole = judged(&[("p50", "19s 700ms")], &blocked_loop()).remove(0);
    assert_eq!(whole.0, ClaimVerdict::Agrees);
    let beyond = judged(&[("p50", "60s")], &blocked_loop()).remove(0);
    assert_eq!(beyond.0, ClaimVerdict::Disagrees);
}

#[test]
fn other_figures_agree_or_disagree_with_their_units() {
    let mut summary = filling_pool();
    summary.server = Process {
        rss_peak_bytes: Some(20 << 20),
        cpu_percent: Some(8.0),
        background: Some(Background {
            pending_end: Some(5_700),
            drain_us: Some(1_448_000_000),
            ..Background::default()
        }),
        ..Process::default()
    };
    let reports = [
        report("background.pending_end", "5400"),
        report("background.drain", "22min"),
        report("server.rss_peak_bytes", "90000000"),
        report("server.cpu_percent", "22.4%"),
        report("diagnosis", "healthy"),
        report("background.pending_later", "5200"),
    ];
    let claims = judge(&reports, &summary);
    let verdicts: Vec<_> = claims
        .iter()
        .map(|claim| claim.verdict.map(ClaimVerdict::name))
        .collect();
    assert_eq!(
        verdicts,
        [
            Some("agrees"),
            Some("agrees"),
            Some("disagrees"),
            Some("disagrees"),
            Some("agrees"),
            None
        ]
    );
    assert_eq!(claims[2].reported, "85.8 MiB");
    assert_eq!(claims[3].because, "22.4 % is +180 % off this run's 8.0 %");
    assert_eq!(claims[5].measured, None);
}

/// Small requests that a stall now and then makes wait: by a plan, 50 a second, a tenth of them for
/// `by_plan` at least; one by one, `one_by_one`; medians of 1 ms. A large one is under way a fifth of
/// the time.
fn stalls(by_plan: u64, one_by_one: u64) -> Summary {
    let mut summary = filling_pool();
    let classes = &mut summary.phases.load.requests;
    let mut large = classes.remove("users").expect("a class");
    let little = large.little.as_mut().expect("of a closed loop");
    (little.users, little.waiting) = (1, 0.2);
    let small = |p90: u64| {
        let mut class = large.clone();
        class.outcomes.response_us = Distribution {
            p50: Some(1_000),
            p90: Some(p90),
            ..Distribution::default()
        };
        class
    };
    let mut plan = small(by_plan);
    (plan.little, plan.users, plan.arrivals) = (None, None, Loop::Open);
    let patient = small(one_by_one);
    *classes = [("large", large), ("patient", patient), ("small", plan)]
        .map(|(name, class)| (name.to_owned(), class))
        .into();
    summary
}

#[test]
fn a_remark_is_said_with_the_judgement() {
    let mut report = report("requests.users.p50", "1ms");
    report.remark = Some("Another pool explains it.".to_owned());
    let claim = judge(&[report], &filling_pool()).remove(0);
    assert_eq!(claim.verdict, Some(ClaimVerdict::Disagrees));
    let (judgement, remark) = claim.because.split_once(". ").expect("two sentences");
    assert!(
        judgement.ends_with("9.26 s") && remark == "Another pool explains it.",
        "{judgement}"
    );
}

#[test]
fn a_percentile_that_only_a_client_sees_who_waits_is_coordinated_omission() {
    let judged = |median: &str, run: &Summary, closed_loop: bool| {
        let mut p90 = report("requests.small.p90", "72ms");
        p90.closed_loop = closed_loop.then(|| "patient".to_owned());
        let claim = judge(&[p90, report("requests.small.p50", median)], run).remove(0);
        (claim.verdict.expect("measured"), claim.because)
    };
    let run = stalls(56_000, 1_500);
    let (verdict, because) = judged("40ms", &run, true);
    assert_eq!(verdict, ClaimVerdict::Censored);
    assert_eq!(
        because,
        "coordinated omission: it is 1.8 times its median, as for a client here that waits for each answer \
         (1.5 times: 1.50 ms), and not as for requests that come by a plan (56 times: 56.0 ms); large requests were \
         under way 20.0 % of the time"
    );
    // That a machine as slow as that one has the same p90 by a plan is an accident.
    let slow = stalls(72_000, 1_500);
    assert_eq!(judged("40ms", &slow, true).0, ClaimVerdict::Censored);
    assert_eq!(judged("40ms", &slow, false).0, ClaimVerdict::Agrees);
    // A p90 of many medians is what a plan shows; where no stall is as long, nothing can be told.
    assert_eq!(judged("1ms", &run, true).0, ClaimVerdict::Disagrees);
    let no_stalls = stalls(1_500, 1_500);
    assert_eq!(judged("40ms", &no_stalls, true).0, ClaimVerdict::Disagrees);
    // Neither is it what a client sees here who waits.
    let slower_still = stalls(56_000, 9_000);
    let (verdict, because) = judged("40ms", &slower_still, true);
    assert_eq!(verdict, ClaimVerdict::Disagrees, "{because}");
}
