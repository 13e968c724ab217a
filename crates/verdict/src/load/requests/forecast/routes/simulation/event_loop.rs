//! The server: its event loop, and who holds what.

use super::super::route::Holds;
use super::{Asker, LoopTask, PlayedServer, Ready, RequestState, TIMER};
use crate::record::Outcome;
use crate::units::us;

impl PlayedServer<'_> {
    /// Whether nobody waits for it any more.
    fn is_gone(&mut self, id: usize) -> bool {
        self.let_happen(self.now);
        self.requests[id].state == RequestState::Decided
    }

    /// The loop looks at sockets and timers and queues what is ready: first sockets with data and timers
    /// that ended, then connections that it accepts.
    pub(crate) fn look(&mut self) {
        let (mut timers, mut accepted) = (Vec::new(), Vec::new());
        while let Some((_, ready)) = self.ready.pop_until(self.now) {
            match ready {
                Ready::Readable(id) => self.queue.push_back(LoopTask::Handle(id)),
                Ready::Woken(id) => timers.push(LoopTask::Resume(id)),
                Ready::Ended => timers.push(LoopTask::End),
                Ready::Connected(id) => accepted.push(LoopTask::Opened(id)),
            }
        }
        self.queue.extend(timers);
        self.queue.extend(accepted);
    }

    pub(crate) fn step(&mut self, task: LoopTask) {
        match task {
            LoopTask::Opened(id) => self.ready.add(self.now, Ready::Readable(id)),
            LoopTask::Handle(id) => self.handle(id),
            LoopTask::Resume(id) => self.resume(id),
            LoopTask::Block => {
                self.now += us(self.route.background_time);
                self.backlog.ends(self.now);
                self.was_blocked = true;
            }
            LoopTask::End => self.backlog.ends(self.now),
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
        // The connection notices that its client is gone before it runs the handler.
        if self.is_gone(id) {
            return;
        }
        let work = us(self.route.inner_time);
        // Users that are read between two blocks of the loop start within some milliseconds.
        let is_in_hold = self.now + work < self.hold.1;
        self.hangs_on_a_millisecond |= self.was_blocked && is_in_hold;
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

    /// A handler goes on after its inner work or its wait for a thread. If its client has left, the
    /// handler was dropped, so there is no background task.
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
        if self.hand_over() {
            self.backlog.accepted(self.now);
        } else {
            self.backlog.refused += 1;
        }
        self.answer(id, Outcome::Ok);
    }

    /// Whether there is room for a background task, which then begins or is queued.
    fn hand_over(&mut self) -> bool {
        let time = us(self.route.background_time);
        match self.route.background {
            Holds::Loop => self.queue.push_back(LoopTask::Block),
            Holds::Nothing => {
                let time = time + TIMER;
                let now = self.now;
                let mut places = self.tasks.iter_mut();
                if places.any(|places| places.add(now, time).is_none()) {
                    return false;
                }
                self.ready.add(now + time, Ready::Ended);
            }
            Holds::Thread => {
                let threads = if self.shared {
                    &mut self.inner
                } else {
                    &mut self.background
                };
                let Some(end) = threads.add(self.now, time) else {
                    return false;
                };
                self.backlog.ends(end);
            }
        }
        true
    }

    fn answer(&mut self, id: usize, outcome: Outcome) {
        if !self.is_gone(id) {
            self.decide(id, self.now, outcome);
        }
    }
}
