//! A number of places that are taken and given back, for those who need no queue in front of them.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Places, some of which are taken.
#[derive(Debug)]
pub(crate) struct Places {
    limit: AtomicUsize,
    taken: AtomicUsize,
}

/// One of them; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a AtomicUsize);

impl Places {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            taken: AtomicUsize::new(0),
        }
    }

    /// Those who have one already keep it.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// One, if there is one left.
    pub(crate) fn take(&self) -> Option<Place<'_>> {
        let limit = self.limit();
        let one_more = |taken: usize| (taken < limit).then(|| taken + 1);
        let taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.ok().map(|_| Place(&self.taken))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_the_limit_says_now() {
        let places = Places::new(2);
        let first = places.take().unwrap();
        let _second = places.take().unwrap();
        assert!(places.take().is_none());
        drop(first);
        places.set_limit(1);
        assert!(places.take().is_none(), "one is taken still");
        places.set_limit(0);
        assert!(places.take().is_none());
        assert_eq!(places.taken(), 1);
        places.set_limit(3);
        let _more = [places.take().unwrap(), places.take().unwrap()];
        assert!(places.take().is_none());
    }
}
