//! Which names are known, which are being looked up, and which wait for a thread. It has no clock and no
//! threads: the time is an argument.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// What became of a lookup.
pub(super) type LookupOutcome = Result<Arc<[SocketAddr]>, LookupError>;

/// Gets the outcome of a lookup. Closed without one if its thread is gone.
pub(super) type PendingLookup = watch::Receiver<Option<LookupOutcome>>;

/// How long addresses are kept. The system's resolver does not say how long they are valid.
pub(super) const KNOWN_FOR: Duration = Duration::from_secs(30);

/// Most names that wait for a thread. A relay has one for each of its upstreams.
pub(super) const QUEUE: usize = 64;

/// Why an upstream's name has no address. The text names the host, so it is for the log and not for
/// clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("the lookup of `{name}` failed: {reason}")]
    Failed { name: String, reason: String },
    #[error("`{name}` has no address")]
    NoAddress { name: String },
    #[error("{QUEUE} other names wait to be looked up, and `{name}` was not")]
    QueueFull { name: String },
    #[error("no thread to look up `{name}`: {reason}")]
    NoThread { name: String, reason: String },
}

#[derive(Debug, Default)]
pub(super) struct NameBook {
    known: HashMap<String, Known>,
    under_way: HashMap<String, PendingLookup>,
    queue: VecDeque<Question>,
    /// Counts answers from memory. Each begins with another address.
    turn: usize,
}

#[derive(Debug)]
struct Known {
    addresses: Arc<[SocketAddr]>,
    since: Instant,
}

/// A name, and where its addresses go.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) name: String,
    answer: watch::Sender<Option<LookupOutcome>>,
}

/// The answer to a caller who asks for a name.
#[derive(Debug)]
pub(super) enum NameReply {
    Known(Vec<SocketAddr>),
    /// Another caller has asked already.
    UnderWay(PendingLookup),
    /// The name waits for a thread, which the caller has to wake or start.
    Queued(PendingLookup),
    Full,
}

impl NameBook {
    pub(super) fn ask(&mut self, name: &str, now: Instant) -> NameReply {
        if let Some(known) = self.known.get(name)
            && now.saturating_duration_since(known.since) < KNOWN_FOR
        {
            self.turn = self.turn.wrapping_add(1);
            return NameReply::Known(in_turn(&known.addresses, self.turn));
        }
        if let Some(answer) = self.under_way.get(name) {
            return NameReply::UnderWay(answer.clone());
        }
        if self.queue.len() >= QUEUE {
            return NameReply::Full;
        }
        let (sender, answer) = watch::channel(None);
        self.under_way.insert(name.to_owned(), answer.clone());
        self.queue.push_back(Question {
            name: name.to_owned(),
            answer: sender,
        });
        NameReply::Queued(answer)
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The question that has waited longest.
    pub(super) fn take(&mut self) -> Option<Question> {
        self.queue.pop_front()
    }

    /// The question of this name, if no thread has it yet.
    pub(super) fn withdraw(&mut self, name: &str) -> Option<Question> {
        let at = self.queue.iter().position(|one| one.name == name)?;
        self.queue.remove(at)
    }

    /// Answers all who have asked. Only addresses are kept: after a failure the next caller looks anew.
    pub(super) fn settle(&mut self, question: Question, outcome: LookupOutcome, now: Instant) {
        let Question { name, answer } = question;
        self.known
            .retain(|_, known| now.saturating_duration_since(known.since) < KNOWN_FOR);
        self.under_way.remove(&name);
        if let Ok(addresses) = &outcome {
            let addresses = Arc::clone(addresses);
            let known = Known {
                addresses,
                since: now,
            };
            self.known.insert(name, known);
        }
        answer.send_replace(Some(outcome));
    }

    /// Drops the addresses, because none could be connected to. The next caller looks anew.
    pub(super) fn forget(&mut self, name: &str) {
        self.known.remove(name);
    }
}

/// The addresses, with another one in front each time, as name servers do. In a fixed order, the first
/// of an upstream's machines would get all connections. Only addresses of the first one's family change
/// places: the system puts the family first that this machine can reach.
pub(super) fn in_turn(addresses: &[SocketAddr], turn: usize) -> Vec<SocketAddr> {
    let mut addresses = addresses.to_vec();
    let is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let preferred = addresses.iter().take_while(|one| one.is_ipv4() == is_v4);
    let preferred = preferred.count().max(1);
    if let Some(preferred) = addresses.get_mut(..preferred) {
        preferred.rotate_left(turn % preferred.len());
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn addresses(all: &[&str]) -> Arc<[SocketAddr]> {
        all.iter().map(|one| one.parse().unwrap()).collect()
    }

    /// Asks for it and has it answered.
    fn look_up(book: &mut NameBook, name: &str, outcome: LookupOutcome, now: Instant) {
        assert!(matches!(book.ask(name, now), NameReply::Queued(_)));
        let question = book.take().unwrap();
        assert_eq!(question.name, name);
        book.settle(question, outcome, now);
    }

    #[test]
    fn a_name_that_is_asked_for_twice_at_once_is_looked_up_once() {
        let now = Instant::now();
        let mut book = NameBook::default();
        let NameReply::Queued(first) = book.ask("a", now) else {
            panic!("a thread is wanted");
        };
        let NameReply::UnderWay(second) = book.ask("a", now) else {
            panic!("it is queued already");
        };
        let question = book.take().unwrap();
        let NameReply::UnderWay(third) = book.ask("a", now) else {
            panic!("a thread is at it");
        };
        assert_eq!(book.queued(), 0);
        let found = addresses(&["192.0.2.1:0"]);
        book.settle(question, Ok(Arc::clone(&found)), now);
        for answer in [first, second, third] {
            assert_eq!(*answer.borrow(), Some(Ok(Arc::clone(&found))));
        }
    }

    #[test]
    fn an_answer_is_kept_for_a_while_and_a_failure_is_not() {
        let t0 = Instant::now();
        let mut book = NameBook::default();
        look_up(&mut book, "a", Ok(addresses(&["192.0.2.1:0"])), t0);
        let later = t0 + KNOWN_FOR - SECOND;
        assert!(matches!(book.ask("a", later), NameReply::Known(_)));
        let name = "b".to_owned();
        look_up(&mut book, "b", Err(LookupError::NoAddress { name }), t0);
        assert!(matches!(book.ask("b", t0), NameReply::Queued(_)));
        assert!(matches!(
            book.ask("a", t0 + KNOWN_FOR),
            NameReply::Queued(_)
        ));
    }

    #[test]
    fn what_could_not_be_reached_is_asked_for_anew() {
        let now = Instant::now();
        let mut book = NameBook::default();
        look_up(&mut book, "a", Ok(addresses(&["192.0.2.1:0"])), now);
        book.forget("a");
        assert!(matches!(book.ask("a", now), NameReply::Queued(_)));
    }

    #[test]
    fn names_that_nobody_asks_for_any_more_are_not_kept() {
        let t0 = Instant::now();
        let mut book = NameBook::default();
        for name in 0..1000 {
            let found = Ok(addresses(&["192.0.2.1:0"]));
            look_up(&mut book, &name.to_string(), found, t0 + name * SECOND);
        }
        assert!(book.known.len() <= 30, "{}", book.known.len());
        assert!(book.under_way.is_empty());
    }

    #[test]
    fn the_queue_has_an_end() {
        let now = Instant::now();
        let mut book = NameBook::default();
        for name in 0..QUEUE {
            assert!(matches!(
                book.ask(&name.to_string(), now),
                NameReply::Queued(_)
            ));
        }
        assert!(matches!(book.ask("one more", now), NameReply::Full));
        assert!(matches!(book.ask("0", now), NameReply::UnderWay(_)));
        assert_eq!(book.withdraw("7").unwrap().name, "7");
        assert!(matches!(book.ask("one more", now), NameReply::Queued(_)));
    }

    #[test]
    fn each_answer_begins_with_another_address_of_the_preferred_family() {
        let all = addresses(&["192.0.2.1:0", "192.0.2.2:0", "[2001:db8::1]:0"]);
        let first = |turn| in_turn(&all, turn)[0].to_string();
        assert_eq!([first(0), first(1), first(2)].map(|one| one.len()), [11; 3]);
        assert_eq!((first(0), first(2)), (first(4), first(0)));
        assert_ne!(first(0), first(1));
        assert_eq!(in_turn(&all, 1)[2], all[2], "the other family stays behind");
        assert!(in_turn(&[], 3).is_empty());
    }
}
