//! Whether this thread may block until a call is answered.
//!
//! A thread that polls futures may not: until it returns, none of its executor's other futures goes on, and one of
//! them may be what the call waits for. Only the executor knows which of its threads these are, so it says so by
//! [`refuse_waits`], while it polls.

use std::cell::Cell;

use crate::{Error, Result};

thread_local! {
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Until it is dropped, waits on this thread are refused or allowed. Then it is as before.
#[must_use = "dropped, it is as before"]
#[derive(Debug)]
pub struct Waits {
    before: bool,
    // It is this thread's.
    _not_send: std::marker::PhantomData<*const ()>,
}

/// From now on a wait on this thread is [`Error::ApiMisuse`].
pub fn refuse_waits() -> Waits {
    set(true)
}

/// From now on this thread may wait, within what refuses it: it is known that nothing depends on it.
pub fn allow_waits() -> Waits {
    set(false)
}

fn set(refused: bool) -> Waits {
    // In the destructor of another thread-local value the flag is there as long as the thread.
    let before = REFUSED.replace(refused);
    Waits { before, _not_send: std::marker::PhantomData }
}

impl Drop for Waits {
    fn drop(&mut self) {
        REFUSED.set(self.before);
    }
}

/// Whether this thread may wait for a call.
///
/// # Errors
/// [`Error::ApiMisuse`]: it polls a future.
#[inline]
pub fn check_may_wait() -> Result<()> {
    if REFUSED.get() { Err(refused()) } else { Ok(()) }
}

#[cold]
fn refused() -> Error {
    Error::misuse(
        "a call was waited for on a thread that runs futures, which all stand still meanwhile: use .await instead \
         of .wait(), or wait on a thread that may block (tokio: spawn_blocking, multiprocess_tokio::block_in_place)",
    )
}

#[cfg(test)]
mod tests {
    use super::{allow_waits, check_may_wait, refuse_waits};
    use crate::Error;

    #[test]
    fn what_is_refused_or_allowed_lasts_until_the_guard_is_dropped() {
        assert!(check_may_wait().is_ok());
        let refused = refuse_waits();
        let error = check_may_wait().unwrap_err();
        assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
        let allowed = allow_waits();
        assert!(check_may_wait().is_ok());
        drop(allowed);
        assert!(check_may_wait().is_err());
        drop(refused);
        assert!(check_may_wait().is_ok());
    }

    #[test]
    fn it_is_about_one_thread() {
        let _refused = refuse_waits();
        let other = std::thread::spawn(|| check_may_wait().is_ok());
        assert!(other.join().unwrap());
    }
}
