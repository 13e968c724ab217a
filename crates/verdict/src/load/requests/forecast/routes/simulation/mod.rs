//! A deterministic event simulation of a closed loop of users, and of health checks, against one
//! single-threaded event loop and its pools. Times are microseconds from the start of the load.
//!
//! The loop is Tokio's `current_thread` scheduler, as far as that matters when something blocks. It looks
//! at sockets and timers only when its queue is empty or [`TURN`] tasks have run. A new connection is read
//! one look after it was accepted. Whatever became ready meanwhile runs in one batch, behind the tasks
//! that were queued before.

mod agenda;
mod event_loop;
mod outside;

use std::collections::VecDeque;

use agenda::Agenda;

use super::backlog::TaskBacklog;
use super::route::{Pools, Route};
use super::threads::Threads;
use crate::load::requests::{ClassRecorder, RequestFigures, RequestSpec};
use crate::record::{Plan, Window};
use crate::scenario::Cell;
use crate::summary::probe_rank;
use crate::units::us;

/// Tasks after which the loop looks at sockets and timers, though more are queued: `event_interval`
/// of Tokio's runtime.
const TURN: usize = 61;

/// What a timer of Tokio adds on either side, because it rounds up to the next millisecond.
const TIMER: u64 = 1_000;

/// A request on its way over loopback, connection included.
const WAY: u64 = 500;

/// More requests than this are not simulated: the forecast must not take longer than the run.
const LIMIT: usize = 1_000_000;

/// What a cell is expected to show.
#[derive(Debug)]
pub(crate) struct Outlook {
    /// Figures of the class, taken as those of a run are.
    pub requests: RequestFigures,
    /// By name of the endpoint: what each check of the hold waits; `None` if beyond the timeout.
    pub checks: Vec<(String, Vec<Option<u64>>)>,
    /// When the load ends: at the end of the hold, or when the hold's last check and last request have
    /// their outcome. The load waits for a request no longer than for a check.
    pub load_end: u64,
    /// The background tasks.
    pub backlog: TaskBacklog,
    /// Whether the result depends on which users' timers end in the same millisecond. The first of them
    /// blocks the loop for all users whose timers end in the next.
    pub hangs_on_a_millisecond: bool,
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
    state: RequestState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestState {
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
    /// No request of the hold is waited for any more.
    PatienceEnds,
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
    /// A background task has awaited what it awaits.
    Ended,
}

/// A task in the loop's queue.
#[derive(Clone, Copy, Debug)]
enum LoopTask {
    /// A new connection, of which nothing can be read before the next look.
    Opened(usize),
    /// A request is read and its handler starts.
    Handle(usize),
    /// A handler goes on after its inner work.
    Resume(usize),
    /// A background task that blocks the loop.
    Block,
    /// The end of a background task that awaits.
    End,
}

struct PlayedServer<'a> {
    class: &'a RequestSpec,
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
    /// Checks of the hold that have no outcome.
    undecided: usize,
    /// Requests that were due by the end of the hold and have no outcome.
    unanswered: usize,
    load_end: Option<u64>,

    now: u64,
    outside: Agenda<Outside>,
    ready: Agenda<Ready>,
    queue: VecDeque<LoopTask>,
    requests: Vec<Request>,

    /// For inner work; if `shared`, for background tasks and sync checks as well.
    inner: Threads,
    shared: bool,
    background: Threads,
    /// Places for background tasks that await, if there is a limit.
    tasks: Option<Threads>,

    recorder: ClassRecorder,
    waits: Vec<Vec<Option<u64>>>,
    backlog: TaskBacklog,
    /// Whether a background task has blocked the loop.
    was_blocked: bool,
    hangs_on_a_millisecond: bool,
}

/// Simulates `cell`, which loads `route` by `class`; `None` if it is too large.
pub(crate) fn simulate(
    cell: &Cell,
    class: &RequestSpec,
    route: Route,
    seed: u64,
) -> Option<Outlook> {
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
    let mut simulation = PlayedServer {
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
        unanswered: 0,
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
        recorder: ClassRecorder::new(class),
        backlog: TaskBacklog::default(),
        was_blocked: false,
        hangs_on_a_millisecond: false,
    };
    for user in 0..class.users? {
        let due = us(class.user_starts(user));
        simulation.ask(Asker::User { user, n: 0 }, due, due);
    }
    simulation.ask_next_check();
    let hold_end = simulation.hold.1;
    simulation.outside.add(hold_end, Outside::HoldEnds);
    let patience_end = hold_end + simulation.timeout;
    simulation.outside.add(patience_end, Outside::PatienceEnds);
    simulation.run()
}

impl PlayedServer<'_> {
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

    fn window(&self) -> Window {
        let (hold_us, end_us) = self.hold;
        Window {
            start_us: 0,
            hold_us,
            end_us,
        }
    }

    fn outlook(self) -> Outlook {
        Outlook {
            requests: self.recorder.figures(self.class, self.window()),
            checks: self.endpoints.into_iter().zip(self.waits).collect(),
            load_end: self.load_end.unwrap_or(self.hold.1),
            backlog: self.backlog,
            hangs_on_a_millisecond: self.hangs_on_a_millisecond,
        }
    }
}
