//! A bulkhead as its callers see it: who gets in, in which order, and what is left behind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use testkit::eventually;
use tokio::task::JoinHandle;
use vitals::{Bulkhead, BulkheadError, BulkheadSnapshot};

/// Jobs that hold their thread until they are let go.
struct Held {
    callers: Vec<JoinHandle<Result<(), BulkheadError>>>,
    release: Vec<mpsc::Sender<()>>,
}

impl Held {
    async fn new(bulkhead: &Bulkhead, jobs: usize) -> Self {
        let mut held = Self {
            callers: Vec::new(),
            release: Vec::new(),
        };
        for _ in 0..jobs {
            held.add(bulkhead).await;
        }
        held
    }

    /// One more caller, whose job is counted when this returns.
    async fn add(&mut self, bulkhead: &Bulkhead) {
        let (sender, released) = mpsc::channel::<()>();
        let (before, own) = (in_flight(bulkhead), bulkhead.clone());
        let caller = tokio::spawn(async move {
            let job = move || {
                let _ = released.recv();
            };
            own.run(job).await
        });
        self.callers.push(caller);
        self.release.push(sender);
        eventually("it is in flight", async || in_flight(bulkhead) > before).await;
        // A thread that is free may take its time to begin.
        eventually("no thread is free while one waits", async || {
            let snapshot = bulkhead.snapshot();
            snapshot.queued == 0 || snapshot.busy == snapshot.capacity
        })
        .await;
    }

    async fn let_go(self) {
        drop(self.release);
        for caller in self.callers {
            caller.await.expect("no panic").expect("it ran");
        }
    }
}

fn in_flight(bulkhead: &Bulkhead) -> usize {
    let snapshot = bulkhead.snapshot();
    snapshot.busy + snapshot.queued
}

fn levels(snapshot: &BulkheadSnapshot) -> (usize, usize, u64, u64) {
    (
        snapshot.busy,
        snapshot.queued,
        snapshot.refused,
        snapshot.completed,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_threads_and_queue_cannot_take_is_refused_at_once_with_the_figures() {
    let bulkhead = Bulkhead::new("held", 2, Some(3));
    let held = Held::new(&bulkhead, 5).await;
    eventually("two have a thread", async || bulkhead.snapshot().busy == 2).await;

    let error = bulkhead.run(|| ()).await.unwrap_err();
    let BulkheadError::Full(full) = &error else {
        panic!("{error}");
    };
    assert_eq!((full.capacity, full.busy), (2, 2));
    assert_eq!((full.queued, full.queue_limit), (3, 3));
    assert!(matches!(bulkhead.spawn(|| ()), Err(BulkheadError::Full(_))));
    assert_eq!(levels(&bulkhead.snapshot()), (2, 3, 2, 0));
    assert!(bulkhead.snapshot().is_backed_up());

    held.let_go().await;
    assert_eq!(bulkhead.run(|| 7).await.unwrap(), 7, "it takes jobs again");
    assert_eq!(levels(&bulkhead.snapshot()), (0, 0, 2, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_leaves_while_queued_frees_the_place_and_the_job_never_runs() {
    let bulkhead = Bulkhead::new("left", 1, Some(1));
    let held = Held::new(&bulkhead, 1).await;
    let ran = Arc::new(AtomicUsize::new(0));
    let (own, counter) = (bulkhead.clone(), Arc::clone(&ran));
    let leaves = tokio::spawn(async move {
        let job = move || counter.fetch_add(1, Ordering::Relaxed);
        own.run(job).await
    });
    eventually("it is queued", async || in_flight(&bulkhead) == 2).await;
    assert!(bulkhead.run(|| ()).await.is_err(), "there is no room");
    leaves.abort();
    assert!(leaves.await.unwrap_err().is_cancelled());

    assert_eq!(bulkhead.snapshot().queued, 0);
    let own = bulkhead.clone();
    let stays = tokio::spawn(async move { own.run(|| "ran").await });
    eventually("it is queued", async || in_flight(&bulkhead) == 2).await;
    held.let_go().await;
    assert_eq!(stays.await.unwrap().unwrap(), "ran");
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    assert_eq!(bulkhead.snapshot().completed, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_handed_over_runs_though_nobody_waits_for_it() {
    let bulkhead = Bulkhead::new("handed", 1, None);
    let order = Arc::new(Mutex::new(Vec::new()));
    let held = Held::new(&bulkhead, 1).await;
    for job in 0..100 {
        let order = Arc::clone(&order);
        bulkhead
            .spawn(move || order.lock().unwrap().push(job))
            .unwrap();
    }
    assert_eq!(bulkhead.snapshot().queued, 100);
    assert_eq!(bulkhead.snapshot().queue_limit, None);
    held.let_go().await;
    eventually("all ran", async || bulkhead.snapshot().completed == 101).await;
    assert!(
        order.lock().unwrap().iter().copied().eq(0..100),
        "first in, first out: {order:?}"
    );
}

#[tokio::test]
async fn a_panic_costs_its_job_and_no_thread() {
    let bulkhead = Bulkhead::new("panics", 1, Some(8));
    for _ in 0..3 {
        let error = bulkhead.run(|| panic!("on purpose")).await.unwrap_err();
        let BulkheadError::Panicked { message, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(message, "on purpose");
    }
    bulkhead.spawn(|| panic!("on purpose")).unwrap();
    let thread = || std::thread::current().id();
    let first = bulkhead.run(thread).await.unwrap();
    assert_eq!(bulkhead.run(thread).await.unwrap(), first);
    assert_eq!(levels(&bulkhead.snapshot()), (0, 0, 0, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_counted_twice_when_callers_leave_at_any_time() {
    const CALLERS: usize = 4000;
    let bulkhead = Bulkhead::new("hammered", 3, Some(16));
    let ran = Arc::new(AtomicUsize::new(0));
    let mut outcomes = [0; 3];
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (bulkhead, ran) = (bulkhead.clone(), Arc::clone(&ran));
            let patience = Duration::from_micros(caller as u64 % 7 * 100);
            tokio::spawn(async move {
                let job = move || {
                    ran.fetch_add(1, Ordering::Relaxed);
                    std::thread::yield_now();
                };
                tokio::time::timeout(patience, bulkhead.run(job)).await
            })
        })
        .collect();
    for caller in callers {
        match caller.await.unwrap() {
            Ok(Ok(())) => outcomes[0] += 1,
            Ok(Err(_)) => outcomes[1] += 1,
            Err(_) => outcomes[2] += 1,
        }
    }
    let [answered, refused, left] = outcomes;
    println!("{answered} answered, {refused} refused, {left} left");
    eventually("idle", async || in_flight(&bulkhead) == 0).await;
    let snapshot = bulkhead.snapshot();
    let ran = ran.load(Ordering::Relaxed);
    assert_eq!(snapshot.refused as usize, refused);
    assert_eq!(snapshot.completed as usize, ran);
    assert!(answered <= ran && ran <= answered + left);
    assert_eq!(bulkhead.run(|| 7).await.unwrap(), 7);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn threads_start_when_they_are_needed_and_end_with_the_last_handle() {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.trim() == "lazy-threads").count()
    };
    let bulkhead = Bulkhead::new("lazy-threads", 3, Some(8));
    assert_eq!(threads(), 0);
    for _ in 0..3 {
        bulkhead.run(|| ()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(threads(), 1, "one after the other needs one");
    let held = Held::new(&bulkhead, 8).await;
    eventually("three at once", async || bulkhead.snapshot().busy == 3).await;
    assert_eq!(threads(), 3);
    held.let_go().await;
    drop(bulkhead.clone());
    assert_eq!(
        bulkhead.run(|| 7).await.unwrap(),
        7,
        "a clone is not the last"
    );
    drop(bulkhead);
    eventually("all ended", async || threads() == 0).await;
}

#[tokio::test]
async fn jobs_that_never_started_are_dropped_with_the_last_handle() {
    let bulkhead = Bulkhead::new("dropped", 1, None);
    let (release, released) = mpsc::channel::<()>();
    bulkhead
        .spawn(move || {
            let _ = released.recv();
        })
        .unwrap();
    let held = Arc::new(());
    for _ in 0..3 {
        let held = Arc::clone(&held);
        bulkhead.spawn(move || drop(held)).unwrap();
    }
    eventually("one runs", async || bulkhead.snapshot().busy == 1).await;
    assert_eq!(Arc::strong_count(&held), 4);
    drop(bulkhead);
    assert_eq!(Arc::strong_count(&held), 1);
    drop(release);
}
