//! The threads of a [`Bulkhead`](crate::Bulkhead). They are started when needed, and no job ends one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::bulkhead_error::{BulkheadError, BulkheadFull};
use crate::bulkhead_snapshot::BulkheadSnapshot;
use crate::job_queue::JobQueue;
use crate::ledger::Ticket;

/// A job. It drops the guard that it is given when it no longer needs its thread.
pub(crate) type Job = Box<dyn FnOnce(BusyThread) + Send>;

pub(crate) struct Crew {
    name: String,
    capacity: usize,
    /// Never drop a job under this lock: what the job owns may ask for a snapshot.
    state: Mutex<CrewState>,
    work: Condvar,
}

struct CrewState {
    queue: JobQueue<Job>,
    threads: usize,
    idle: usize,
    dismissed: bool,
}

impl Crew {
    pub(crate) fn new(name: &str, capacity: usize, limit: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            capacity,
            state: Mutex::new(CrewState {
                queue: JobQueue::new(capacity, limit, Instant::now()),
                threads: 0,
                idle: 0,
                dismissed: false,
            }),
            work: Condvar::new(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn snapshot(&self) -> BulkheadSnapshot {
        self.lock().queue.snapshot(Instant::now())
    }

    /// Queues the job, and starts a thread if none is free for it.
    pub(crate) fn submit(self: &Arc<Self>, job: Job) -> Result<Ticket, BulkheadError> {
        let mut state = self.lock();
        let ticket = match state.queue.push(job, Instant::now()) {
            Ok(ticket) => ticket,
            Err(job) => {
                let snapshot = state.queue.snapshot(Instant::now());
                drop(state);
                drop(job);
                return Err(self.full(snapshot).into());
            }
        };
        if state.queue.queued() <= state.idle || state.threads == self.capacity {
            self.work.notify_one();
            return Ok(ticket);
        }
        match self.start_thread() {
            Ok(()) => state.threads += 1,
            Err(source) if state.threads == 0 => {
                let job = state.queue.withdraw(ticket, Instant::now());
                drop(state);
                drop(job);
                let name = self.name.clone();
                return Err(BulkheadError::NoThread { name, source });
            }
            Err(error) => {
                let threads = state.threads;
                drop(state);
                let name = &self.name;
                tracing::warn!(%error, name, threads, "no further thread for a bulkhead");
            }
        }
        Ok(ticket)
    }

    /// Drops a job that has not started.
    pub(crate) fn withdraw(&self, ticket: Ticket) {
        let job = self.lock().queue.withdraw(ticket, Instant::now());
        drop(job);
    }

    /// Drops the jobs that have not started, and lets the threads end.
    pub(crate) fn dismiss(&self) {
        let mut state = self.lock();
        state.dismissed = true;
        let left = state.queue.clear(Instant::now());
        drop(state);
        self.work.notify_all();
        drop(left);
    }

    fn start_thread(self: &Arc<Self>) -> std::io::Result<()> {
        let crew = Arc::clone(self);
        thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || crew.work())
            .map(drop)
    }

    fn work(self: Arc<Self>) {
        while let Some(job) = self.next() {
            let running = BusyThread(Arc::clone(&self));
            // A panic must not end the thread. The panic hook has reported it.
            let _ = catch_unwind(AssertUnwindSafe(|| job(running)));
        }
    }

    /// Waits for a job; `None` when the crew is dismissed.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.dismissed {
                return None;
            }
            if let Some(job) = state.queue.pop(Instant::now()) {
                return Some(job);
            }
            state.idle += 1;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn full(&self, snapshot: BulkheadSnapshot) -> BulkheadFull {
        BulkheadFull {
            name: self.name.clone(),
            capacity: snapshot.capacity,
            busy: snapshot.busy,
            queued: snapshot.queued,
            queue_limit: snapshot.queue_limit.unwrap_or(usize::MAX),
            oldest_wait: snapshot.oldest_wait,
        }
    }

    fn lock(&self) -> MutexGuard<'_, CrewState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that a job holds. It is counted as free when this is dropped, because a job may panic.
pub(crate) struct BusyThread(Arc<Crew>);

impl Drop for BusyThread {
    fn drop(&mut self) {
        self.0.lock().queue.finish(Instant::now());
    }
}
