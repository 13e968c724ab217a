//! An amount with a limit. Shares of it are taken and given back; nobody waits for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An amount, such as a number of places or of bytes, of which a part is taken.
#[derive(Debug)]
pub(crate) struct Quota {
    limit: AtomicUsize,
    taken: AtomicUsize,
}

/// A part of a quota; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    quota: Arc<Quota>,
    amount: usize,
}

impl Quota {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            taken: AtomicUsize::new(0),
        })
    }

    /// Changes the limit. Shares that are taken already stay as they are.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn left(&self) -> usize {
        self.limit().saturating_sub(self.taken())
    }

    /// A share of `amount`; none if less than that is left.
    pub(crate) fn take(self: &Arc<Self>, amount: usize) -> Option<Share> {
        let mut share = self.nothing();
        share.grow_to(amount).then_some(share)
    }

    /// A share of nothing, to be grown.
    pub(crate) fn nothing(self: &Arc<Self>) -> Share {
        Share {
            quota: Arc::clone(self),
            amount: 0,
        }
    }
}

impl Share {
    /// Grows the share to `amount`. If that much is not left, it stays as it is and this is false.
    pub(crate) fn grow_to(&mut self, amount: usize) -> bool {
        let Some(more) = amount.checked_sub(self.amount).filter(|more| *more > 0) else {
            return true;
        };
        let limit = self.quota.limit();
        let add = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= limit);
        let taken = &self.quota.taken;
        let is_added = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if is_added.is_ok() {
            self.amount = amount;
        }
        is_added.is_ok()
    }

    /// Gives back what the share has beyond `amount`.
    pub(crate) fn shrink_to(&mut self, amount: usize) {
        let less = self.amount.saturating_sub(amount);
        self.quota.taken.fetch_sub(less, Ordering::Relaxed);
        self.amount -= less;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_the_limit_says_now() {
        let places = Quota::new(2);
        let first = places.take(1).unwrap();
        let _second = places.take(1).unwrap();
        assert!(places.take(1).is_none());
        drop(first);
        places.set_limit(1);
        assert!(places.take(1).is_none(), "one is taken still");
        places.set_limit(0);
        assert!(places.take(1).is_none());
        assert_eq!(places.taken(), 1);
        places.set_limit(3);
        let _more = [places.take(1).unwrap(), places.take(1).unwrap()];
        assert!(places.take(1).is_none());
    }

    #[test]
    fn a_share_grows_as_far_as_something_is_left_and_gives_all_of_it_back() {
        let bytes = Quota::new(10);
        let mut share = bytes.nothing();
        assert!(share.grow_to(6) && share.grow_to(4));
        let mut other = bytes.take(3).unwrap();
        assert!(!share.grow_to(8), "a byte too many");
        assert!(!other.grow_to(usize::MAX));
        assert_eq!(bytes.taken(), 9);
        share.shrink_to(2);
        assert_eq!(bytes.taken(), 5);
        bytes.set_limit(1);
        assert!(share.grow_to(2), "it asks for nothing more");
        drop((share, other));
        assert_eq!(bytes.taken(), 0);
    }
}
