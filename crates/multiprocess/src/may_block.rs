//! Whether this thread may block until a call is answered.
//!
//! A thread that polls futures may not: until it returns, none of its executor's other futures goes on, and one of
//! them may be what the call waits for. Only the executor knows which of its threads these are, so it says so by
//! [`refuse_waits`], while it polls. And a thread that serves the objects of a connection may never wait for their
//! calls: it says so by [`serve_here`].

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

use crate::{Error, Result};

thread_local! {
    static REFUSED: Cell<bool> = const { Cell::new(false) };
    /// The numbers of the connections whose objects this thread serves.
    static SERVED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Until it is dropped, waits on this thread are refused or allowed. Then it is as before.
#[must_use = "dropped, it is as before"]
#[derive(Debug)]
pub struct Waits {
    before: bool,
    // It is this thread's.
    _not_send: PhantomData<*const ()>,
}

/// Until it is dropped, this thread may not wait for calls over a connection, whose objects it serves.
#[must_use = "dropped, it is as before"]
#[derive(Debug)]
pub struct ServesHere {
    number: u64,
    // It is this thread's.
    _not_send: PhantomData<*const ()>,
}

/// From now on a wait on this thread for a call over the connection with this number is [`Error::ApiMisuse`].
pub(crate) fn serve_here(number: u64) -> ServesHere {
    // At the end of the thread nobody is served any more.
    let _ = SERVED.try_with(|served| served.borrow_mut().push(number));
    ServesHere { number, _not_send: PhantomData }
}

impl Drop for ServesHere {
    fn drop(&mut self) {
        let _ = SERVED.try_with(|served| {
            let mut served = served.borrow_mut();
            if let Some(place) = served.iter().position(|number| *number == self.number) {
                served.swap_remove(place);
            }
        });
    }
}

/// Whether this thread may wait for a call over the connection with this number.
///
/// # Errors
/// [`Error::ApiMisuse`]: it serves the connection's objects itself.
#[inline]
pub(crate) fn check_may_wait_for(number: u64) -> Result<()> {
    let served = SERVED.try_with(|served| served.borrow().contains(&number)).unwrap_or(false);
    if served { Err(waits_for_itself()) } else { Ok(()) }
}

#[cold]
fn waits_for_itself() -> Error {
    Error::misuse(
        "a call was waited for on the thread that is to run it, so it would wait for ever: use .await instead of \
         .wait(), or wait on another thread (tokio: spawn_blocking)",
    )
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
    Waits { before, _not_send: PhantomData }
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
    use super::{allow_waits, check_may_wait, check_may_wait_for, refuse_waits, serve_here};
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

    #[test]
    fn a_thread_that_serves_a_connection_may_wait_for_others_and_other_threads_for_it() {
        let served = (serve_here(1), serve_here(2));
        let error = check_may_wait_for(1).unwrap_err();
        assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
        assert!(check_may_wait_for(3).is_ok() && check_may_wait().is_ok());
        assert!(std::thread::spawn(|| check_may_wait_for(1).is_ok()).join().unwrap());
        drop(served.0);
        assert!(check_may_wait_for(1).is_ok());
        assert!(check_may_wait_for(2).is_err());
    }
}
