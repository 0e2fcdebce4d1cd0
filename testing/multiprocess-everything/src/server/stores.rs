//! The generic stores.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use multiprocess::rt::Argument;
use multiprocess::{Error, Result};

use crate::generated::objects::{
    CountedStore, Store, StoreEntry, StoreGetResults, StoreVisitorClient,
};
use crate::generated::types::Point;

/// Keeps values of any type that can be an argument for the schema's type parameter.
pub(super) struct StoreServer<T> {
    values: Mutex<BTreeMap<String, T>>,
}

impl<T> StoreServer<T> {
    pub(super) fn new() -> StoreServer<T> {
        StoreServer { values: Mutex::default() }
    }

    fn values(&self) -> MutexGuard<'_, BTreeMap<String, T>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Argument> Store<T> for StoreServer<T> {
    fn put(&self, name: String, value: T) -> Result<u32> {
        let mut values = self.values();
        values.insert(name, value);
        u32::try_from(values.len()).map_err(|_| Error::failed("too many"))
    }

    fn get(&self, name: String) -> Result<StoreGetResults<T>> {
        match self.values().get(&name) {
            Some(value) => Ok(StoreGetResults { value: value.clone(), found: true }),
            None => Err(Error::failed(format!("there is no {name}"))),
        }
    }

    fn all(&self) -> Result<Vec<StoreEntry<T>>> {
        let values = self.values();
        let entry =
            |(name, value): (&String, &T)| StoreEntry { name: name.clone(), value: value.clone() };
        Ok(values.iter().map(entry).collect())
    }

    fn each(&self, visitor: StoreVisitorClient<T>) -> Result<()> {
        for entry in self.all()? {
            visitor.visit(entry.name, entry.value).wait()?;
        }
        Ok(())
    }
}

/// A store of points that counts the values put into it.
pub(super) struct CountedStoreServer {
    store: StoreServer<Point>,
    puts: AtomicU32,
}

impl CountedStoreServer {
    pub(super) fn new() -> CountedStoreServer {
        CountedStoreServer { store: StoreServer::new(), puts: AtomicU32::new(0) }
    }
}

impl Store<Point> for CountedStoreServer {
    fn put(&self, name: String, value: Point) -> Result<u32> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        self.store.put(name, value)
    }

    fn get(&self, name: String) -> Result<StoreGetResults<Point>> {
        self.store.get(name)
    }

    fn all(&self) -> Result<Vec<StoreEntry<Point>>> {
        self.store.all()
    }

    fn each(&self, visitor: StoreVisitorClient<Point>) -> Result<()> {
        self.store.each(visitor)
    }
}

impl CountedStore for CountedStoreServer {
    fn puts(&self) -> Result<u32> {
        Ok(self.puts.load(Ordering::SeqCst))
    }
}
