//! The server: its event loop, and who holds what.

use super::super::route::Holds;
use super::{Asker, Ready, Simulation, State, TIMER, Task};
use crate::measure::Outcome;
use crate::units::us;

impl Simulation<'_> {
    /// Whether nobody waits for it any more.
    fn is_gone(&mut self, id: usize) -> bool {
        self.let_happen(self.now);
        self.requests[id].state == State::Decided
    }

    /// The loop looks at sockets and timers and queues what is ready: what can be read or goes on, and
    /// behind it the connections that it accepts.
    pub(super) fn look(&mut self) {
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

    pub(super) fn step(&mut self, task: Task) {
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
