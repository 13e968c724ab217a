use std::time::Duration;

use crate::scenario::{Cell, Requests};

/// What a piece of work holds while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A thread of a pool.
    Thread,
    /// The event loop.
    Loop,
    /// Nothing: it awaits.
    Nothing,
}

/// What the inner work and the background task of each route hold on the broken server.
#[rustfmt::skip]
const ROUTES: [(&str, Holds, Holds); 7] = {
    use Holds::{Loop, Nothing, Thread};
    [
        ("/sync-route-sync-inner-async-bg-sync-task", Thread, Thread),
        ("/sync-route-sync-inner-async-bg-async-task", Thread, Nothing),
        ("/sync-route-sync-inner-sync-bg-sync-task", Thread, Thread),
        ("/async-route-sync-inner-async-bg-async-task", Loop, Nothing),
        ("/async-route-async-inner-async-bg-async-task", Nothing, Nothing),
        ("/async-route-async-inner-async-bg-sync-task", Nothing, Loop),
        ("/async-route-async-inner-sync-bg-sync-task", Nothing, Thread),
    ]
};

/// What the servers do if a request does not say how long its work takes.
const INNER: Duration = Duration::from_millis(200);
const BACKGROUND: Duration = Duration::from_secs(10);

/// One of the seven routes, as one of the servers runs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// What the work holds that the response waits for.
    pub inner: Holds,
    /// How long it takes.
    pub inner_time: Duration,
    /// What the task holds that the response does not wait for.
    pub background: Holds,
    /// How long it takes.
    pub background_time: Duration,
    /// Where threads come from, and who waits for them.
    pub pools: Pools,
}

/// Where threads come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pools {
    /// One pool with an unbounded queue, for inner work, background tasks and sync health checks.
    Shared {
        /// Its threads.
        threads: u32,
    },
    /// A bulkhead for inner work and one for background tasks, each with a bounded queue; sync health
    /// checks have the runtime's pool to themselves.
    Apart {
        /// Threads for inner work.
        inner: u32,
        /// Places in their queue.
        inner_queue: u32,
        /// Threads for background tasks.
        background: u32,
        /// Places in their queue.
        background_queue: u32,
        /// Background tasks that only await, at most.
        tasks: u32,
    },
}

impl Route {
    /// The route that `class` asks for on the broken server; `None` if it is none of the seven.
    pub(crate) fn broken(class: &Requests, cell: &Cell) -> Option<Self> {
        let path = class.path.split('?').next().unwrap_or_default();
        let &(_, inner, background) = ROUTES.iter().find(|(name, ..)| *name == path)?;
        Some(Self {
            inner,
            inner_time: class.query_time("inner").unwrap_or(INNER),
            background,
            background_time: class.query_time("background").unwrap_or(BACKGROUND),
            pools: Pools::Shared {
                threads: cell.server.pool_threads,
            },
        })
    }

    /// The same route on the fixed server: nothing blocks the loop. Sizes of its bulkheads are those
    /// of the cell's `server.args`, or the server's own defaults.
    pub(crate) fn cured(class: &Requests, cell: &Cell) -> Option<Self> {
        let broken = Self::broken(class, cell)?;
        let moved = |holds| match holds {
            Holds::Loop => Holds::Thread,
            other => other,
        };
        let threads = cell.server.pool_threads;
        let flag = |name: &str, default| flag(&cell.server.args, name).unwrap_or(default);
        Some(Self {
            inner: moved(broken.inner),
            background: moved(broken.background),
            pools: Pools::Apart {
                inner: threads,
                inner_queue: flag("--queue", threads),
                background: flag("--background-threads", 40),
                background_queue: flag("--background-queue", 160),
                tasks: flag("--background-tasks", 4096),
            },
            ..broken
        })
    }
}

/// The value that follows flag `name`.
fn flag(args: &[String], name: &str) -> Option<u32> {
    let at = args.iter().position(|arg| arg == name)?;
    args.get(at + 1)?.parse().ok()
}
