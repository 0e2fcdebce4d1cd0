//! The threads that tell other processes what happens: so many for each connection, and no more.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;

use multiprocess::{Error, Result, current_call};

use crate::split_node::lock;

/// How many subscriptions one connection can have at once.
const MOST: usize = 64;

/// How many each connection has, by its number.
static THREADS: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());

/// Starts a thread for whoever makes the present call. Calls within this process are not counted.
///
/// # Errors
/// Its connection has as many as it can, or there is no thread to be had.
pub(crate) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let place = current_call().map(|call| Place::take(call.connection().number())).transpose()?;
    let run = move || {
        work();
        drop(place);
    };
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map_err(|problem| Error::failed(format!("cannot start a thread: {problem}")))?;
    Ok(())
}

/// One thread of a connection's, until it is dropped.
struct Place {
    connection: u64,
}

impl Place {
    fn take(connection: u64) -> Result<Place> {
        let mut threads = lock(&THREADS);
        let taken = threads.entry(connection).or_default();
        if *taken >= MOST {
            let message = format!(
                "your connection has {MOST} subscriptions, its maximum: end one of them first, by its handler"
            );
            return Err(Error::overloaded(message));
        }
        *taken += 1;
        Ok(Place { connection })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut threads = lock(&THREADS);
        if let Some(taken) = threads.get_mut(&self.connection) {
            *taken -= 1;
            if *taken == 0 {
                threads.remove(&self.connection);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_so_many() {
        // Numbers that no connection of a test has.
        let (one, other) = (u64::MAX, u64::MAX - 1);
        let mut places: Vec<_> = (0..MOST).map(|_| Place::take(one).unwrap()).collect();
        let refused = Place::take(one).map(drop).unwrap_err();
        assert!(refused.to_string().contains("64 subscriptions"), "{refused}");
        drop(Place::take(other).unwrap());
        places.pop();
        places.push(Place::take(one).unwrap());
        assert!(Place::take(one).is_err());
        drop(places);
        let threads = lock(&THREADS);
        assert!(!threads.contains_key(&one) && !threads.contains_key(&other));
    }
}
