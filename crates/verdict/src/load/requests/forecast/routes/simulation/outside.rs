//! Users and health checks: what happens outside the server, whatever its loop does meanwhile.

use std::time::Duration;

use super::{Asker, Outside, PlayedServer, Ready, Request, RequestState, TIMER, WAY};
use crate::load::requests::RequestEvent;
use crate::record::{Outcome, Tick};
use crate::units::us;

impl PlayedServer<'_> {
    /// What happens outside the server until `at`, whatever its loop does meanwhile.
    pub(crate) fn let_happen(&mut self, at: u64) {
        while let Some((now, event)) = self.outside.pop_until(at) {
            match event {
                Outside::Send(id) => self.send(id, now),
                Outside::GiveUp(id) => self.decide(id, now, Outcome::Timeout),
                Outside::HoldEnds | Outside::PatienceEnds => {}
            }
            if self.load_end.is_none() && self.may_end(now) {
                self.end_load(now);
            }
        }
    }

    /// As the run decides it: see `is_load_decided` of the lab.
    fn may_end(&self, now: u64) -> bool {
        let hold_end = self.hold.1;
        let is_waited_for = self.unanswered > 0 && now < hold_end + self.timeout;
        now >= hold_end && self.undecided == 0 && !is_waited_for
    }

    /// Someone asks at `at` what was due at `due`.
    pub(crate) fn ask(&mut self, asker: Asker, due: u64, at: u64) {
        self.requests.push(Request {
            asker,
            due,
            state: RequestState::Planned,
        });
        self.outside.add(at, Outside::Send(self.requests.len() - 1));
    }

    pub(crate) fn ask_next_check(&mut self) {
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
        self.requests[id].state = RequestState::Open;
        let Request { asker, due, .. } = self.requests[id];
        let (keeps, timeout) = match asker {
            Asker::User { n, .. } => {
                let started = RequestEvent::Started {
                    class: 0,
                    due_us: due,
                    late_us: now - due,
                };
                let window = self.window();
                self.recorder.add(&started, window);
                self.unanswered += usize::from(due < self.hold.1);
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
    pub(crate) fn decide(&mut self, id: usize, now: u64, outcome: Outcome) {
        let request = &mut self.requests[id];
        if std::mem::replace(&mut request.state, RequestState::Decided) == RequestState::Decided {
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
                self.unanswered -= usize::from(due < self.hold.1);
                self.record(due, now, outcome);
                let took = Duration::from_micros(now - due);
                let pause = self.class.pause(self.seed, (user, n), took, outcome);
                let next = now + us(pause);
                self.ask(Asker::User { user, n: n + 1 }, next, next + TIMER);
            }
        }
    }

    fn record(&mut self, due_us: u64, done_us: u64, outcome: Outcome) {
        let tick = Tick {
            endpoint: 0,
            due_us,
            sent_us: due_us,
            done_us,
            outcome,
            status: None,
        };
        let ended = RequestEvent::Ended(tick);
        let window = self.window();
        self.recorder.add(&ended, window);
    }

    fn end_load(&mut self, now: u64) {
        self.load_end = Some(now);
        for id in 0..self.requests.len() {
            let Request { asker, due, state } = self.requests[id];
            if state == RequestState::Open && matches!(asker, Asker::User { .. }) {
                self.record(due, now, Outcome::Unanswered);
            }
            self.requests[id].state = RequestState::Decided;
        }
    }
}
