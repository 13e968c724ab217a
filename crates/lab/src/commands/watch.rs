use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Url};

use super::runtime::runtime;
use crate::exit::{EXPECTATION, Usage};
use crate::http::{INSECURE, Reach, bearer, header, headers, root_cause};
use crate::measure::{CellClock, Endpoint, Manner, Prober, Results};
use crate::run::Interrupt;
use crate::show::watch::{Watched, WatchedUrl};
use crate::tls;
use verdict::judge::watch::{Verdict, verdict};
use verdict::record::{Event, WatchLog};
use verdict::redact::Address;
use verdict::units::us;

/// How often what came in is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long checks in flight may still be answered when the watch is interrupted.
const GRACE: Duration = Duration::from_millis(250);

/// Ticks that may wait for their line at most: each is printed in the order of the plan.
const WAITING: u32 = 1_000;

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct WatchArgs {
    /// URL of the health check
    #[arg(long, value_name = "URL", required_unless_present_any = ["sync_health", "async_health"])]
    health: Option<Address>,
    /// URL of a health check that needs a thread, such as http://127.0.0.1:8000/debug/health-sync
    #[arg(long, value_name = "URL", visible_alias = "sync")]
    sync_health: Option<Address>,
    /// URL of a health check that the event loop answers
    #[arg(long, value_name = "URL", visible_alias = "async")]
    async_health: Option<Address>,
    /// From one check of a URL to the next
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    every: Duration,
    /// What takes longer is slow
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = interval)]
    alert_above: Duration,
    /// What takes longer is not waited for
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    timeout: Duration,
    /// How long to watch, in whole intervals [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = interval)]
    length: Option<Duration>,
    /// Header of each check, its value shown nowhere
    #[arg(long, short = 'H', value_name = "KEY: VALUE")]
    header: Vec<String>,
    /// Environment variable that holds a bearer token, sent with each check and shown nowhere
    #[arg(long, value_name = "NAME")]
    bearer_env: Option<String>,
    /// PEM file of a certificate that is trusted beside those of the system
    #[arg(long, value_name = "FILE")]
    ca_certificate: Option<PathBuf>,
    /// Accept any certificate
    #[arg(long)]
    insecure: bool,
    /// Speak HTTP/2 without TLS, and nothing older with it
    #[arg(long)]
    http2: bool,
    /// Print JSON Lines, and the summary to standard error
    ///
    /// A line for each tick, in the order in which they were due and at most --timeout late: {tick,
    /// due, sync, async, health, verdict, alert}. Each URL that was given is there as {outcome, status, us,
    /// is_lower_bound}. At once, for each change of the verdict: {changed, verdict, alert}, where changed is
    /// the time.
    #[arg(long)]
    json: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write a time with its unit, such as 250ms, 5s or 2m"))?;
    let bounds = Duration::from_millis(10)..=Duration::from_secs(7 * 24 * 3600);
    if bounds.contains(&time) {
        Ok(time)
    } else {
        Err("give a time from 10ms to 7days".to_owned())
    }
}

impl WatchArgs {
    fn urls(&self) -> Vec<WatchedUrl> {
        let given = [
            (&self.sync_health, "health_sync", "sync"),
            (&self.async_health, "health_async", "async"),
            (&self.health, "health", "health"),
        ];
        let of = |(url, name, column): (&Option<Address>, _, _)| {
            let url = url.clone()?;
            Some(WatchedUrl { name, column, url })
        };
        given.into_iter().filter_map(of).collect()
    }
}

pub(super) fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let urls = args.urls();
    for watched in &urls {
        check(watched)?;
    }
    let mut given = args
        .header
        .iter()
        .map(|text| header(text))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    if let Some(name) = &args.bearer_env {
        given.insert("authorization".to_owned(), bearer(name)?);
    }
    let headers = headers(&given)?;
    if args.timeout > args.every * WAITING {
        let problem = format!(
            "--timeout {} is more than {WAITING} times --every {}: that many ticks would wait for their line",
            humantime::format_duration(args.timeout),
            humantime::format_duration(args.every)
        );
        return Err(Usage(problem).into());
    }
    let watched = Watched {
        urls,
        every: args.every,
        alert_above: args.alert_above,
        timeout: args.timeout,
        began: SystemTime::now(),
        json: args.json,
    };
    let services = Reach {
        ca_certificate: args.ca_certificate.clone(),
        insecure: args.insecure,
        http2: args.http2,
        ..Reach::default()
    };
    if args.insecure {
        let _ = std::io::stderr().write_all(INSECURE.as_bytes());
    }
    let client = services.client(false)?;
    runtime()?.block_on(async {
        let interrupt = Interrupt::listen()?;
        for WatchedUrl { url, .. } in &watched.urls {
            let check = client.get(&**url).headers(headers.clone());
            tokio::select! {
                reached = reach(url, check, args.timeout) => reached?,
                () = interrupt.requested() => return Ok(ExitCode::SUCCESS),
            }
        }
        watch(&args, (client, headers), watched, &interrupt).await
    })
}

fn check(WatchedUrl { url, column, .. }: &WatchedUrl) -> Result<(), Usage> {
    let problem = match Url::parse(url) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            "its scheme is neither http nor https".to_owned()
        }
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    let flag = match *column {
        "health" => "--health".to_owned(),
        column => format!("--{column}-health"),
    };
    Err(Usage(format!(
        "{flag} {url} is no URL to watch: {problem}; write http://HOST:PORT/PATH"
    )))
}

/// Whether there is a server at all. One that does not answer is there.
async fn reach(url: &Address, check: RequestBuilder, timeout: Duration) -> anyhow::Result<()> {
    match tokio::time::timeout(timeout, check.send()).await {
        Ok(Err(error)) if error.is_connect() => {
            let cause = root_cause(&error);
            let remedy = tls::remedy(&error).unwrap_or("is the service running?");
            anyhow::bail!("cannot reach {url}: {cause}; {remedy}")
        }
        _ => Ok(()),
    }
}

async fn watch(
    args: &WatchArgs,
    (client, headers): (Client, HeaderMap),
    watched: Watched,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let endpoints = watched.urls.iter().map(|watched| Endpoint {
        name: watched.name.to_owned(),
        url: watched.url.clone(),
        headers: headers.clone(),
    });
    let (results, outcomes) = Results::new();
    let clock = CellClock::new(Instant::now());
    let mut prober = Prober::start(
        client,
        endpoints.collect(),
        Manner {
            rate: 1.0 / args.every.as_secs_f64(),
            timeout: args.timeout,
            keep_alive: false,
            is_guest: true,
        },
        clock.clone(),
        results,
    )?;
    let mut monitor = Monitor {
        log: WatchLog::new(prober.plan(), watched.urls.len(), us(args.timeout)),
        outcomes,
        verdict: None,
        alerts: 0,
        is_live: !args.json && std::io::stdout().is_terminal(),
        watched: Watched {
            began: SystemTime::now(),
            ..watched
        },
    };
    let length_us = args.length.map(|length| {
        let ticks = length.as_secs_f64() / args.every.as_secs_f64();
        us(args.every.mul_f64(ticks.ceil()))
    });
    // Whoever reads has gone, or the watch is over: both end it in the same way.
    let watching = async {
        monitor.write(&monitor.watched.head())?;
        let mut end_us = None;
        while !(end_us.is_some() && prober.is_done()) {
            tokio::time::sleep(LOOK_EVERY).await;
            let now_us = clock.now_us();
            // Before the end: a check that is due at it would be sent before this is awake again.
            let soon_us = now_us + 2 * us(LOOK_EVERY);
            if let (None, Some(length)) = (end_us, length_us.filter(|&length| soon_us >= length)) {
                let end = prober.stop_at(length);
                monitor.log.end_at(end);
                end_us = Some(end);
            }
            monitor.look(now_us)?;
        }
        std::io::Result::Ok(end_us)
    };
    let ended = tokio::select! {
        ended = watching => ended,
        () = interrupt.requested() => Ok(None),
    };
    let now_us = clock.now_us();
    let end_us = prober.stop_at(ended.as_ref().map_or(now_us, |end| end.unwrap_or(now_us)));
    monitor.log.end_at(end_us);
    // What is answered at once would else look as if it had not been.
    let grace = Instant::now() + GRACE;
    while !prober.is_done() && Instant::now() < grace {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if ended.is_ok() {
        // A reader who has gone by now misses the summary, and changes no exit code.
        let _ = monitor.finish(clock.now_us());
    }
    Ok(if monitor.alerts > 0 {
        ExitCode::from(EXPECTATION)
    } else {
        ExitCode::SUCCESS
    })
}

struct Monitor {
    log: WatchLog,
    outcomes: Receiver<Event>,
    verdict: Option<Verdict>,
    alerts: u64,
    watched: Watched,
    /// Whether the last line is written again and again, as on a terminal.
    is_live: bool,
}

impl Monitor {
    /// Takes in what came, judges, and shows what is new.
    fn look(&mut self, now_us: u64) -> std::io::Result<()> {
        while let Ok(event) = self.outcomes.try_recv() {
            if let Event::Tick(tick) = event {
                self.log.record(&tick);
            }
        }
        let recent = self.each(|endpoint| self.log.recent(endpoint, now_us));
        let urls = self.watched.urls.iter().zip(&recent);
        let urls: Vec<_> = urls.map(|(url, looks)| (url.name, &looks[..])).collect();
        if let Some(verdict) = verdict(&urls, us(self.watched.alert_above)) {
            self.hear(now_us, verdict)?;
        }
        self.show_rows()?;
        self.show_status(&self.each(|endpoint| self.log.in_flight(endpoint, now_us)))
    }

    /// Takes a verdict in. An alert is told as one when it is raised, and counted then.
    fn hear(&mut self, now_us: u64, verdict: Verdict) -> std::io::Result<()> {
        let before = self.verdict.as_ref();
        if before.is_none_or(|before| !before.is_same(&verdict)) {
            let is_raised = verdict.alert && before.is_none_or(|before| !before.alert);
            self.alerts += u64::from(is_raised);
            self.write(&self.watched.change(now_us, &verdict, is_raised))?;
        }
        self.verdict = Some(verdict);
        Ok(())
    }

    fn each<T>(&self, of: impl Fn(usize) -> T) -> Vec<T> {
        (0..self.watched.urls.len()).map(of).collect()
    }

    fn show_rows(&mut self) -> std::io::Result<()> {
        while let Some(row) = self.log.next_row() {
            let recent = self.each(|endpoint| self.log.given(endpoint));
            let shown = self.watched.tick(&row, &recent, self.verdict.as_ref());
            self.write(&shown)?;
        }
        Ok(())
    }

    fn show_status(&self, in_flight: &[(usize, u64)]) -> std::io::Result<()> {
        if !self.is_live {
            return Ok(());
        }
        self.write(&self.watched.status(in_flight))
    }

    /// Shows what is left and the summary. What was cut off is counted and not judged.
    fn finish(&mut self, now_us: u64) -> std::io::Result<()> {
        self.look(now_us)?;
        self.log.close(now_us);
        self.show_rows()?;
        self.show_status(&[])?;
        let (ticks, figures) = (self.log.ticks(), self.log.figures());
        let text = self.watched.summary(ticks, figures, self.alerts);
        if self.watched.json {
            return std::io::stderr().write_all(text.as_bytes());
        }
        self.write(&text)
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        if self.is_live {
            // Whatever stands in the last line is not to stay.
            stdout.write_all(b"\r\x1b[2K")?;
        }
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}
