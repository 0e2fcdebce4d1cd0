//! A moment as a future, on the driver's timers: for futures of libraries, which have no executor of their own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::driver::{Driver, TimerId, driver};

/// Ready when its time has passed.
pub struct Delay {
    until: Instant,
    waker: Arc<Mutex<Option<Waker>>>,
    /// None if there is no driver: then it is seen only when it is polled again.
    timer: Option<(&'static Driver, TimerId)>,
}

impl Delay {
    /// Of so long from now on.
    pub fn new(time: Duration) -> Delay {
        let (until, waker) = (Instant::now() + time, Arc::<Mutex<Option<Waker>>>::default());
        let timer = driver().ok().map(|driver| {
            let waker = Arc::clone(&waker);
            let wake = move || {
                let waker = waker.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            };
            (driver, driver.add_timer(until, Box::new(wake)))
        });
        Delay { until, waker, timer }
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // The waker first: the timer may come before the look at the clock.
        let waker = context.waker().clone();
        let last = self.waker.lock().unwrap_or_else(PoisonError::into_inner).replace(waker);
        drop(last);
        if Instant::now() >= self.until { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        if let Some((driver, timer)) = self.timer.take() {
            driver.remove_timer(timer);
        }
    }
}

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delay").field("until", &self.until).finish_non_exhaustive()
    }
}
