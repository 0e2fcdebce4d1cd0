//! The connections of this process, for the dump of what is under way.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::conn::{ArcConn, WeakConn};

static ALL: Mutex<BTreeMap<u64, WeakConn>> = Mutex::new(BTreeMap::new());

fn all() -> MutexGuard<'static, BTreeMap<u64, WeakConn>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a connection that has begun on the list.
pub(crate) fn register(conn: &ArcConn) {
    all().insert(conn.number(), ArcConn::downgrade(conn));
}

pub(super) fn remove(number: u64) {
    let removed = all().remove(&number);
    drop(removed);
}

/// Those that live, without waiting. None while another thread changes the list.
pub(crate) fn try_connections() -> Option<Vec<ArcConn>> {
    let weak: Vec<WeakConn> = match ALL.try_lock() {
        Ok(all) => all.values().cloned().collect(),
        Err(TryLockError::Poisoned(all)) => all.into_inner().values().cloned().collect(),
        Err(TryLockError::WouldBlock) => return None,
    };
    // Outside the lock: the last reference on a connection may be dropped here, which takes it off.
    Some(weak.iter().filter_map(WeakConn::upgrade).collect())
}
