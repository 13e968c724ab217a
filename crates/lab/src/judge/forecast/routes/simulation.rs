//! A deterministic event simulation of a closed loop of users, and of health checks, against one
//! single-threaded event loop and its pools. Times are microseconds from the start of the load.
//!
//! The loop is Tokio's `current_thread` scheduler as far as it matters where something blocks: it
//! looks at sockets and timers only when its queue is empty or [`TURN`] tasks have run, a new
//! connection is read at the look after the one that accepted it, and whatever became ready meanwhile
//! runs in one batch, behind the tasks that were queued before.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::backlog::Backlog;
use super::route::{Holds, Pools, Route};
use super::threads::Threads;
use crate::measure::{ClassRecorder, Outcome, Plan, RequestRecord, Window};
use crate::scenario::{Cell, Requests};
use crate::summary::{self, probe_rank};
use crate::units::us;

/// Tasks after which the loop looks at sockets and timers, though more are queued: `event_interval`
/// of Tokio's runtime.
const TURN: usize = 61;

/// What a timer of Tokio adds on either side, which rounds up to the next millisecond.
const TIMER: u64 = 1_000;

/// A request on its way over loopback, connection included.
const WAY: u64 = 500;

/// More requests than this are not simulated: the forecast must not take longer than the run.
const LIMIT: usize = 1_000_000;

/// What a cell is expected to show.
#[derive(Debug)]
pub(super) struct Outlook {
    /// Figures of the class, taken as those of a run are.
    pub requests: summary::Requests,
    /// By name of the endpoint: what each check of the hold waits; `None` if beyond the timeout.
    pub checks: Vec<(String, Vec<Option<u64>>)>,
    /// When the load ends: at the end of the hold, or when its last check is decided.
    pub load_end: u64,
    /// The background tasks.
    pub backlog: Backlog,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
enum Asker {
    /// A user, for the n-th time.
    User { user: u32, n: u64 },
    /// A health check: its position among the endpoints, and whether it is of the hold.
    Check { endpoint: usize, in_hold: bool },
}

/// One request or check.
#[derive(Clone, Copy, Debug)]
struct Request {
    asker: Asker,
    due: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be sent.
    Planned,
    /// Sent, and someone waits for it.
    Open,
    /// Answered, given up, or ended with the load.
    Decided,
}

/// Something that happens outside the server, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outside {
    /// It is sent.
    Send(usize),
    /// Its timeout is over.
    GiveUp(usize),
    /// The hold ends.
    HoldEnds,
}

/// Something that the loop notices when it looks, in the order in which it queues what it noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ready {
    /// A request can be read.
    Readable(usize),
    /// A pool is done with the inner work, or a timer is.
    Woken(usize),
    /// A connection can be accepted.
    Connected(usize),
}

/// A task in the loop's queue.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// A new connection, of which nothing can be read before the next look.
    Opened(usize),
    /// A request is read and its handler starts.
    Handle(usize),
    /// A handler goes on after its inner work.
    Resume(usize),
    /// A background task that blocks the loop.
    Block,
}

/// A queue of events by time; of those at one time, in the order in which they were added.
#[derive(Debug)]
struct Agenda<E> {
    events: BinaryHeap<Reverse<(u64, u64, E)>>,
    added: u64,
}

impl<E: Ord + Copy> Agenda<E> {
    fn new() -> Self {
        Self {
            events: BinaryHeap::new(),
            added: 0,
        }
    }

    fn add(&mut self, at: u64, event: E) {
        self.added += 1;
        self.events.push(Reverse((at, self.added, event)));
    }

    fn next_at(&self) -> Option<u64> {
        self.events.peek().map(|&Reverse((at, ..))| at)
    }

    /// The next event, if it is not later than `at`.
    fn pop_until(&mut self, at: u64) -> Option<(u64, E)> {
        if self.next_at()? > at {
            return None;
        }
        self.events.pop().map(|Reverse((at, _, event))| (at, event))
    }
}

struct Simulation<'a> {
    class: &'a Requests,
    route: Route,
    seed: u64,
    plan: Plan,
    endpoints: Vec<String>,
    /// Of checks.
    timeout: u64,
    /// Start of the load on the clock of the checks.
    offset: u64,
    hold: (u64, u64),
    next_check: u64,
    undecided: usize,
    load_end: Option<u64>,

    now: u64,
    outside: Agenda<Outside>,
    ready: Agenda<Ready>,
    queue: VecDeque<Task>,
    requests: Vec<Request>,

    /// For inner work; if `shared`, for background tasks and sync checks as well.
    inner: Threads,
    shared: bool,
    background: Threads,
    /// Places for background tasks that await, if there is a limit.
    tasks: Option<Threads>,

    recorder: ClassRecorder,
    waits: Vec<Vec<Option<u64>>>,
    backlog: Backlog,
}

/// Simulates `cell`, which loads `route` by `class`; `None` if it is too large.
pub(super) fn simulate(cell: &Cell, class: &Requests, route: Route, seed: u64) -> Option<Outlook> {
    let mut endpoints: Vec<_> = cell.probe.endpoints.keys().cloned().collect();
    endpoints.sort_by_key(|name| probe_rank(name));
    let plan = Plan::new(cell.probe.rate, endpoints.len());
    let offset = us(cell.phases.baseline);
    let hold_start = us(cell.load.ramp());
    let (inner, background, tasks) = match route.pools {
        Pools::Shared { threads } => (Threads::new(threads, None), Threads::new(1, None), None),
        Pools::Apart {
            inner,
            inner_queue,
            background,
            background_queue,
            tasks,
        } => (
            Threads::new(inner, Some(inner_queue)),
            Threads::new(background, Some(background_queue)),
            Some(Threads::new(tasks, Some(0))),
        ),
    };
    let mut simulation = Simulation {
        class,
        route,
        seed,
        waits: vec![Vec::new(); endpoints.len()],
        endpoints,
        timeout: us(cell.probe.timeout),
        offset,
        hold: (hold_start, hold_start + us(cell.phases.hold)),
        next_check: (0_u64..).find(|&n| plan.due_us(n) >= offset)?,
        plan,
        undecided: 0,
        load_end: None,
        now: 0,
        outside: Agenda::new(),
        ready: Agenda::new(),
        queue: VecDeque::new(),
        requests: Vec::new(),
        inner,
        shared: matches!(route.pools, Pools::Shared { .. }),
        background,
        tasks,
        recorder: ClassRecorder::default(),
        backlog: Backlog::default(),
    };
    for user in 0..class.users? {
        let due = us(class.user_starts(user));
        simulation.ask(Asker::User { user, n: 0 }, due, due);
    }
    simulation.ask_next_check();
    let hold_end = simulation.hold.1;
    simulation.outside.add(hold_end, Outside::HoldEnds);
    simulation.run()
}

impl Simulation<'_> {
    fn run(mut self) -> Option<Outlook> {
        while self.requests.len() < LIMIT {
            self.let_happen(self.now);
            self.look();
            if self.queue.is_empty() {
                let next = self
                    .outside
                    .next_at()
                    .into_iter()
                    .chain(self.ready.next_at());
                match next.min() {
                    Some(next) => self.now = self.now.max(next),
                    None => return Some(self.outlook()),
                }
            }
            for _ in 0..TURN {
                match self.queue.pop_front() {
                    Some(task) => self.step(task),
                    None => break,
                }
            }
        }
        None
    }

    fn outlook(self) -> Outlook {
        let (hold_us, end_us) = self.hold;
        let window = Window {
            start_us: 0,
            hold_us,
            end_us,
        };
        Outlook {
            requests: self.recorder.figures(self.class, window),
            checks: self.endpoints.into_iter().zip(self.waits).collect(),
            load_end: self.load_end.unwrap_or(end_us),
            backlog: self.backlog,
        }
    }

    /// What happens outside the server until `at`, whatever its loop does meanwhile.
    fn let_happen(&mut self, at: u64) {
        while let Some((now, event)) = self.outside.pop_until(at) {
            match event {
                Outside::Send(id) => self.send(id, now),
                Outside::GiveUp(id) => self.decide(id, now, Outcome::Timeout),
                Outside::HoldEnds => {}
            }
            if self.load_end.is_none() && now >= self.hold.1 && self.undecided == 0 {
                self.end_load(now);
            }
        }
    }

    /// Someone asks at `at` what was due at `due`.
    fn ask(&mut self, asker: Asker, due: u64, at: u64) {
        self.requests.push(Request {
            asker,
            due,
            state: State::Planned,
        });
        self.outside.add(at, Outside::Send(self.requests.len() - 1));
    }

    fn ask_next_check(&mut self) {
        let due = self.plan.due_us(self.next_check) - self.offset;
        let endpoint = self.plan.endpoint(self.next_check);
        self.next_check += 1;
        let in_hold = (self.hold.0..self.hold.1).contains(&due);
        self.ask(Asker::Check { endpoint, in_hold }, due, due);
    }

    fn send(&mut self, id: usize, now: u64) {
        if self.load_end.is_some() {
            return;
        }
        self.requests[id].state = State::Open;
        let Request { asker, due, .. } = self.requests[id];
        let (keeps, timeout) = match asker {
            Asker::User { n, .. } => {
                self.recorder.started(due, now - due);
                (self.class.keep_alive && n > 0, us(self.class.timeout))
            }
            Asker::Check { in_hold, .. } => {
                self.undecided += usize::from(in_hold);
                self.ask_next_check();
                (false, self.timeout)
            }
        };
        self.outside.add(due + timeout, Outside::GiveUp(id));
        let ready = if keeps {
            Ready::Readable(id)
        } else {
            Ready::Connected(id)
        };
        self.ready.add(now + WAY, ready);
    }

    /// A request has its outcome, unless it has one; its user thinks and asks again.
    fn decide(&mut self, id: usize, now: u64, outcome: Outcome) {
        let request = &mut self.requests[id];
        if std::mem::replace(&mut request.state, State::Decided) == State::Decided {
            return;
        }
        let due = request.due;
        match request.asker {
            Asker::Check { endpoint, in_hold } => {
                if in_hold {
                    self.undecided -= 1;
                    self.waits[endpoint].push((outcome == Outcome::Ok).then_some(now - due));
                }
            }
            Asker::User { user, n } => {
                self.record(due, now, outcome);
                let next = now + us(self.class.think.nth(self.seed, user, n));
                self.ask(Asker::User { user, n: n + 1 }, next, next + TIMER);
            }
        }
    }

    fn record(&mut self, due_us: u64, done_us: u64, outcome: Outcome) {
        self.recorder.ended(RequestRecord {
            class: 0,
            due_us,
            sent_us: due_us,
            done_us,
            outcome,
            status: None,
        });
    }

    fn end_load(&mut self, now: u64) {
        self.load_end = Some(now);
        for id in 0..self.requests.len() {
            let Request { asker, due, state } = self.requests[id];
            if state == State::Open && matches!(asker, Asker::User { .. }) {
                self.record(due, now, Outcome::Unanswered);
            }
            self.requests[id].state = State::Decided;
        }
    }

    /// Whether nobody waits for it any more.
    fn is_gone(&mut self, id: usize) -> bool {
        self.let_happen(self.now);
        self.requests[id].state == State::Decided
    }

    /// The loop looks at sockets and timers and queues what is ready: what can be read or goes on, and
    /// behind it the connections that it accepts.
    fn look(&mut self) {
        let mut accepted = Vec::new();
        while let Some((_, ready)) = self.ready.pop_until(self.now) {
            match ready {
                Ready::Readable(id) => self.queue.push_back(Task::Handle(id)),
                Ready::Woken(id) => self.queue.push_back(Task::Resume(id)),
                Ready::Connected(id) => accepted.push(Task::Opened(id)),
            }
        }
        self.queue.extend(accepted);
    }

    fn step(&mut self, task: Task) {
        match task {
            Task::Opened(id) => self.ready.add(self.now, Ready::Readable(id)),
            Task::Handle(id) => self.handle(id),
            Task::Resume(id) => self.resume(id),
            Task::Block => {
                self.now += us(self.route.background_time);
                self.backlog.ends(self.now);
            }
        }
    }

    fn handle(&mut self, id: usize) {
        let Asker::Check { endpoint, .. } = self.requests[id].asker else {
            return self.start_inner(id);
        };
        let is_sync = self.endpoints[endpoint] == "health_sync";
        if !is_sync || !self.shared {
            self.answer(id, Outcome::Ok);
        } else if let Some(end) = self.inner.add(self.now, 0) {
            self.ready.add(end, Ready::Woken(id));
        }
    }

    fn start_inner(&mut self, id: usize) {
        let work = us(self.route.inner_time);
        // One that blocks the loop runs before the loop can notice that its client is gone.
        if self.route.inner != Holds::Loop && self.is_gone(id) {
            return;
        }
        match self.route.inner {
            Holds::Loop => {
                self.now += work;
                self.finish(id);
            }
            Holds::Nothing => self.ready.add(self.now + work + TIMER, Ready::Woken(id)),
            Holds::Thread => match self.inner.add(self.now, work) {
                Some(end) => self.ready.add(end, Ready::Woken(id)),
                None => self.answer(id, Outcome::BadStatus),
            },
        }
    }

    /// After inner work or after a wait for a thread. A handler whose client has gone was dropped, so
    /// that there is no background task.
    fn resume(&mut self, id: usize) {
        if self.is_gone(id) {
            return;
        }
        match self.requests[id].asker {
            Asker::Check { .. } => self.answer(id, Outcome::Ok),
            Asker::User { .. } => self.finish(id),
        }
    }

    /// Hands the background task over and answers.
    fn finish(&mut self, id: usize) {
        let time = us(self.route.background_time);
        let end = match self.route.background {
            Holds::Loop => {
                self.backlog.accepted(self.now);
                self.queue.push_back(Task::Block);
                return self.answer(id, Outcome::Ok);
            }
            Holds::Thread if self.shared => self.inner.add(self.now, time),
            Holds::Thread => self.background.add(self.now, time),
            Holds::Nothing => match &mut self.tasks {
                Some(tasks) => tasks.add(self.now, time + TIMER),
                None => Some(self.now + time + TIMER),
            },
        };
        match end {
            Some(end) => {
                self.backlog.accepted(self.now);
                self.backlog.ends(end);
            }
            None => self.backlog.refused += 1,
        }
        self.answer(id, Outcome::Ok);
    }

    fn answer(&mut self, id: usize, outcome: Outcome) {
        if !self.is_gone(id) {
            self.decide(id, self.now, outcome);
        }
    }
}
