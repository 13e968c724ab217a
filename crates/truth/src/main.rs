//! How often the verdict on a target is right, over services of which the truth is known.

use truth::driver::{Told, drive};
use truth::noise::Noise;
use truth::service::{Notices, Op, Service, Station, Time};

fn main() -> anyhow::Result<()> {
    let time = |ms: f64| Time { us: ms * 1e3, each_us: 0.0, sigma: 0.1 };
    let service = Service {
        stations: vec![Station::of(8)],
        cores: 2.0,
        loop_computes: false,
        stream: vec![Op::Take(0), Op::Upstream, Op::Wait(time(100.0)), Op::Head, Op::Chunk, Op::Wait(time(100.0)), Op::Chunk, Op::Again { to: 5, times: None }],
        health: vec![vec![Op::Take(0), Op::Wait(time(1.0))], vec![Op::Wait(time(1.0))]],
        notices: Notices::AtNextChunk,
        cold_us: 0,
        pauses: (0.1, 20_000.0..100_000.0),
        freeze: None,
        restart: None,
    };
    let told = Told { urls: vec!["health_sync", "health_async"], has_pid: true, has_upstream: false, max_streams: 256, finds_capacity: false };
    #[expect(clippy::disallowed_methods, reason = "it is timed")]
    let t = std::time::Instant::now();
    let mut last = None;
    for n in 0..10 {
        let driven = drive(&service, &told, Noise::of(1, n))?;
        println!("{:?} {:?} cap {:?} asked {} {} ev {} sums {} took {}", driven.summary.diagnosis.kind, driven.summary.attach.as_ref().unwrap().capacity.as_ref().map(|c| c.streams), driven.summary.diagnosis.inferred_capacity, driven.asked, driven.afresh, driven.events, driven.summaries, driven.took_us);
        last = Some(driven);
    }
    println!("{:?}", t.elapsed() / 10);
    for step in &last.unwrap().summary.steps { println!("{} {} {:?} {:?}", step.name, step.served_at_once, step.load.probes["health_sync"].response_us.p50, step.load.streams.gap_us.p50); }
    Ok(())
}
