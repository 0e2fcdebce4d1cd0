//! A table with ids that the peer chooses.

use std::collections::HashMap;

/// Peers mostly reuse small ids: these are in an array, others in a hash map.
pub(crate) struct IdMap<T> {
    low: Vec<Option<T>>,
    high: HashMap<u32, T>,
    len: usize,
}

const LOW: u32 = 1024;

impl<T> Default for IdMap<T> {
    fn default() -> IdMap<T> {
        IdMap { low: Vec::new(), high: HashMap::new(), len: 0 }
    }
}

impl<T> IdMap<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn for_each(self, take: impl FnMut(T)) {
        self.low.into_iter().flatten().chain(self.high.into_values()).for_each(take);
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        match id < LOW {
            true => self.low.get(id as usize)?.as_ref(),
            false => self.high.get(&id),
        }
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        match id < LOW {
            true => self.low.get_mut(id as usize)?.as_mut(),
            false => self.high.get_mut(&id),
        }
    }

    /// Returns the value that the id had before.
    pub(crate) fn insert(&mut self, id: u32, value: T) -> Option<T> {
        let before = if id < LOW {
            let place = id as usize;
            if self.low.len() <= place {
                self.low.resize_with(place + 1, || None);
            }
            self.low[place].replace(value)
        } else {
            self.high.insert(id, value)
        };
        self.len += usize::from(before.is_none());
        before
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let before = match id < LOW {
            true => self.low.get_mut(id as usize)?.take(),
            false => self.high.remove(&id),
        };
        self.len -= usize::from(before.is_some());
        before
    }
}

#[cfg(test)]
mod tests {
    use super::IdMap;

    #[test]
    fn small_and_large_numbers_are_kept_apart() {
        let mut map = IdMap::default();
        for id in [0, 5, 1023, 1024, u32::MAX] {
            assert!(map.insert(id, id).is_none());
        }
        assert_eq!(map.len(), 5);
        assert_eq!(map.insert(5, 6), Some(5));
        assert_eq!(map.get(1024), Some(&1024));
        assert_eq!(map.get(4), None);
        assert_eq!(map.remove(u32::MAX), Some(u32::MAX));
        assert_eq!(map.remove(u32::MAX), None);
        *map.get_mut(5).unwrap() += 1;
        assert_eq!(map.remove(5), Some(7));
        assert_eq!(map.len(), 3);
    }
}
