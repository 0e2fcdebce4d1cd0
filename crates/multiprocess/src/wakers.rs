//! The wakers of futures that wait for the same thing. Each future has a key, so that it can replace its
//! waker and take it away.
//!
//! Wakers are the user's code, also when they are cloned and dropped. So nothing here does either: it is
//! done by the caller, without the lock that guards this.

use std::task::Waker;

/// Wakers, each with the key of its future.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    wakers: Vec<(u64, Waker)>,
    last_key: u64,
}

impl Wakers {
    /// Sets the waker of the future that has `key`; one without a key gets one. Returns the one that it
    /// had, for the caller to drop.
    #[must_use = "it is to be dropped without the lock"]
    pub(crate) fn set(&mut self, key: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let last = &mut self.last_key;
        let key = *key.get_or_insert_with(|| {
            *last += 1;
            *last
        });
        match self.wakers.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => Some(std::mem::replace(old, waker)),
            None => {
                self.wakers.push((key, waker));
                None
            }
        }
    }

    /// Takes out the waker of a future that was dropped, for the caller to drop.
    #[must_use = "it is to be dropped without the lock"]
    pub(crate) fn remove(&mut self, key: u64) -> Option<Waker> {
        let place = self.wakers.iter().position(|(other, _)| *other == key)?;
        Some(self.wakers.swap_remove(place).1)
    }

    /// Takes all of them out, to be woken.
    #[must_use = "they are to be woken"]
    pub(crate) fn take(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers).into_iter().map(|(_, waker)| waker).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.wakers.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Counting>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_future_has_one_waker_the_last() {
        let counts: [Arc<Counting>; 3] = Default::default();
        let waker = |number: usize| Waker::from(Arc::clone(&counts[number]));
        let mut wakers = Wakers::default();
        let (mut first, mut second) = (None, None);
        assert!(wakers.set(&mut first, waker(0)).is_none());
        assert!(wakers.set(&mut second, waker(1)).is_none());
        let old = wakers.set(&mut first, waker(2));
        assert!(old.unwrap().will_wake(&waker(0)));
        assert_eq!(wakers.len(), 2);
        assert!(wakers.remove(second.unwrap()).is_some());
        assert!(wakers.remove(second.unwrap()).is_none());
        wakers.take().into_iter().for_each(Waker::wake);
        let woken = counts.each_ref().map(|count| count.0.load(Ordering::Relaxed));
        assert_eq!((woken, wakers.is_empty()), ([0, 0, 1], true));
    }
}
