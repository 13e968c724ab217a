use futures_util::future::poll_immediate;
use tokio::time::sleep;

use super::*;

fn gate(max_running: u32, max_queued: u32) -> Arc<Gate> {
    Gate::new(Limits {
        max_running: Some(max_running),
        max_queued,
        load_factor: 3.0,
    })
}

fn slot(admission: Admission) -> Slot {
    match admission {
        Admission::Now(slot) => slot,
        other => panic!("{other:?}"),
    }
}

fn place(admission: Admission) -> QueuePlace {
    match admission {
        Admission::Queued(place) => place,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_let_in_in_order_and_who_finds_the_queue_full_is_not() {
    let gate = gate(1, 2);
    let running = slot(gate.enter());
    let (mut first, mut second) = (place(gate.enter()), place(gate.enter()));
    assert!(matches!(gate.enter(), Admission::Refused(limits) if limits.max_queued == 2));
    assert!(poll_immediate(&mut first).await.is_none());
    sleep(Duration::from_millis(300)).await;
    drop(running);
    assert!(poll_immediate(&mut second).await.is_none());
    let granted = Instant::now();
    sleep(Duration::from_millis(50)).await;
    let running = poll_immediate(&mut first).await.expect("its turn");
    assert_eq!(running.granted(), granted, "counted from when it learned");
    let third = place(gate.enter());
    drop((running, first));
    assert!(poll_immediate(&mut second).await.is_some());
    drop((second, third));
    drop(slot(gate.enter()));
    // Five went through the gate; the one that was refused did not.
    let waits = gate.waits().summary();
    assert_eq!(waits.count, 5);
    assert!((349_000..=351_000).contains(&waits.max), "{waits:?}");
}

#[tokio::test]
async fn a_place_that_is_given_up_is_free_whenever_that_happens() {
    let gate = gate(1, 1);
    let running = slot(gate.enter());
    drop(place(gate.enter()));
    let waiting = place(gate.enter());
    // Granted, but its owner leaves before it learns of it.
    drop(running);
    drop(waiting);
    let running = slot(gate.enter());
    let mut next = place(gate.enter());
    drop(running);
    assert!(poll_immediate(&mut next).await.is_some());
}

#[tokio::test]
async fn limits_that_are_raised_let_in_at_once_and_lowered_ones_cut_nobody() {
    let gate = gate(1, 3);
    let mut running = vec![slot(gate.enter())];
    let mut waiting: Vec<_> = (0..3).map(|_| place(gate.enter())).collect();
    let mut limits = Limits {
        max_running: Some(3),
        max_queued: 0,
        load_factor: 1.0,
    };
    gate.set_limits(limits);
    for place in &mut waiting[..2] {
        running.push(poll_immediate(place).await.expect("room for two more"));
    }
    assert!(poll_immediate(&mut waiting[2]).await.is_none());
    limits.max_running = Some(1);
    gate.set_limits(limits);
    running.truncate(1);
    assert!(poll_immediate(&mut waiting[2]).await.is_none(), "one runs");
    limits.max_running = None;
    gate.set_limits(limits);
    assert!(poll_immediate(&mut waiting[2]).await.is_some());
    drop((slot(gate.enter()), slot(gate.enter())));
}

#[tokio::test]
async fn the_load_follows_who_runs() {
    let gate = gate(3, 0);
    let load = gate.load();
    let one = slot(gate.enter());
    assert_eq!(load.factor(), 1.0);
    let two = slot(gate.enter());
    let three = slot(gate.enter());
    assert_eq!(load.factor(), 3.0);
    drop((one, two));
    assert_eq!(load.factor(), 1.0);
    drop(three);
}
