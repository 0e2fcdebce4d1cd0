//! Whether this process was forked from one that uses the runtime. The child has the parent's sockets and
//! memory and none of its threads: what it did there would be the parent's loss, and it could wait for ever
//! for a lock that another thread had. So nothing of the runtime is touched, and uses are errors.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result};

static FORKED: AtomicBool = AtomicBool::new(false);

/// From now on forks of this process are noticed.
pub(crate) fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only sets a flag. It stays valid, as this code is not unloaded while its
        // threads run.
        let watched = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        if watched != 0 {
            tracing::warn!("forks of this process cannot be noticed: no memory");
        }
    });
}

/// In the child, before fork returns there.
unsafe extern "C" fn in_child() {
    FORKED.store(true, Ordering::Relaxed);
}

/// Whether this is a fork of a process that used the runtime.
pub(crate) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Fails where this is a fork of a process that used the runtime.
pub(crate) fn check_forked() -> Result<()> {
    if !is_forked() {
        return Ok(());
    }
    Err(Error::misuse(
        "this process was forked from one that uses connections or child processes, and has none of \
         its threads: fork before the first of them is made, or start a program (process::Command)",
    ))
}
