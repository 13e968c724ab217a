//! The probe as a guest of a service that is not the lab's own: how little it asks of one that does not
//! answer, and how soon it sees that one answers again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use lab::measure::{CellClock, Endpoint, Manner, Prober, Results};
use testkit::{Beside, check, eventually, unless_stalled};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use verdict::record::{Event, Outcome, Tick};
use verdict::units::us;

const RATE: f64 = 20.0;

/// Three times it is no multiple of the time between two checks: a check that is given up makes room for
/// a later one only.
const TIMEOUT: Duration = Duration::from_millis(490);

/// A server that reads requests and answers none while it is silent.
struct Silent {
    url: String,
    open: Arc<AtomicUsize>,
    open_peak: Arc<AtomicUsize>,
    arrived: Arc<AtomicUsize>,
    answers: watch::Sender<bool>,
}

impl Silent {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/health", listener.local_addr().expect("bound"));
        let (answers, answering) = watch::channel(false);
        let counts = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let [open, open_peak, arrived] = counts.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let now = counts[0].fetch_add(1, Ordering::SeqCst) + 1;
                counts[1].fetch_max(now, Ordering::SeqCst);
                counts[2].fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&counts[0]);
                let mut answering = answering.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4_096];
                    let _ = client.read(&mut request).await;
                    tokio::select! {
                        _ = client.read(&mut request) => {}
                        () = async { drop(answering.wait_for(|answers| *answers).await) } => {
                            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                            let _ = client.write_all(answer).await;
                        }
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            url,
            open,
            open_peak,
            arrived,
            answers,
        }
    }

    fn probe(&self, is_guest: bool) -> (Prober, CellClock, Receiver<Event>) {
        let (results, received) = Results::new();
        let clock = CellClock::new(Instant::now() + Duration::from_millis(50));
        let endpoint = Endpoint {
            name: "health".to_owned(),
            url: self.url.clone().into(),
            headers: reqwest::header::HeaderMap::new(),
        };
        let manner = Manner {
            rate: RATE,
            timeout: TIMEOUT,
            keep_alive: false,
            is_guest,
        };
        let client = lab::http::client(false).expect("a client");
        let prober = Prober::start(client, vec![endpoint], manner, clock.clone(), results);
        (prober.expect("starts"), clock, received)
    }
}

/// Ends the probe after `run`. Returns how many checks were due, and all ticks in the order of the plan.
async fn ended(
    prober: &mut Prober,
    clock: &CellClock,
    received: &Receiver<Event>,
    run: Duration,
) -> (u64, Vec<Tick>) {
    tokio::time::sleep_until((clock.origin() + run).into()).await;
    let end_us = prober.stop_at(us(run));
    eventually("every check has its outcome", async || prober.is_done()).await;
    let mut ticks: Vec<_> = received
        .try_iter()
        .map(|event| match event {
            Event::Tick(tick) => tick,
            other => panic!("{other:?}"),
        })
        .collect();
    ticks.sort_by_key(|tick| tick.due_us);
    (prober.plan().due_between(0, 0, end_us), ticks)
}

fn count(ticks: &[Tick], outcome: Outcome) -> usize {
    let all = ticks.iter().filter(|tick| tick.outcome == outcome);
    all.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_answer_is_asked_three_times_in_three_timeouts() {
    let _beside = Beside::others();
    unless_stalled(async || {
        let server = Silent::start().await;
        let (mut prober, clock, received) = server.probe(true);
        // Three times three timeouts, and a little.
        let run = 9 * TIMEOUT + Duration::from_millis(90);
        let begun = Instant::now();
        let (due, ticks) = ended(&mut prober, &clock, &received, run).await;
        assert_eq!(ticks.len() as u64, due, "every tick has one outcome");
        let (late, withheld) = (
            count(&ticks, Outcome::Timeout),
            count(&ticks, Outcome::Withheld),
        );
        assert_eq!(late + withheld, ticks.len(), "{ticks:?}");
        // Between two that were sent, the age of the oldest grows from tick to tick.
        let ages = |pair: &[Tick]| {
            let both = pair.iter().all(|tick| tick.outcome == Outcome::Withheld);
            let age = |tick: &Tick| tick.response_us(us(TIMEOUT));
            (both && pair[0].sent_us == pair[1].sent_us).then(|| (age(&pair[0]), age(&pair[1])))
        };
        let grown: Vec<_> = ticks.windows(2).filter_map(ages).collect();
        assert!(grown.len() > 20, "{grown:?}");
        assert!(grown.iter().all(|(one, next)| one < next), "{grown:?}");
        // What still waits for no outcome of its own does not keep the run from its end.
        let took = begun.elapsed().saturating_sub(run);
        let peak = server.open_peak.load(Ordering::SeqCst);
        let arrived = server.arrived.load(Ordering::SeqCst);
        eventually("no check is left there", async || {
            server.open.load(Ordering::SeqCst) == 0
        })
        .await;
        let measured = format!("{arrived} arrived, {peak} at once, ended {took:?} after the last");
        check(
            peak <= 3 && (9..=12).contains(&arrived) && took < 2 * TIMEOUT,
            measured,
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_answers_again_is_measured_as_fast_at_once() {
    let _beside = Beside::others();
    unless_stalled(async || {
        let server = Silent::start().await;
        let (mut prober, clock, received) = server.probe(true);
        let silence = Duration::from_millis(1_210);
        tokio::time::sleep_until((clock.origin() + silence).into()).await;
        server.answers.send_replace(true);
        let back_us = clock.now_us();
        let run = silence + Duration::from_secs(1);
        let (_, ticks) = ended(&mut prober, &clock, &received, run).await;
        let since = |tick: &&Tick| tick.due_us > back_us + 60_000;
        let after: Vec<_> = ticks.iter().filter(since).copied().collect();
        let slowest = after.iter().map(|tick| tick.response_us(us(TIMEOUT))).max();
        check(
            count(&after, Outcome::Ok) == after.len() && slowest < Some(100_000),
            format!("of {} the slowest took {slowest:?}: {after:?}", after.len()),
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_withheld_from_a_server_of_the_labs_own() {
    let _beside = Beside::others();
    let server = Silent::start().await;
    let (mut prober, clock, received) = server.probe(false);
    let run = Duration::from_secs(1);
    let (due, ticks) = ended(&mut prober, &clock, &received, run).await;
    assert_eq!(count(&ticks, Outcome::Timeout) as u64, due, "{ticks:?}");
    assert_eq!(server.arrived.load(Ordering::SeqCst) as u64, due);
}
