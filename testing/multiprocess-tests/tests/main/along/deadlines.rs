//! The time that is left travels with a call, and bounds what it calls.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Call, Connection, Error, Result, current_call};
use multiprocess_tests::generated::lab::{CounterClient, Lab, LabClient};
use multiprocess_tests::generated::waits::{SumAsync, WaitsAsync, WaitsClient};
use multiprocess_tests::{LabServer, Pair, Relay, pair, wait_until, within_time};

use super::{seconds_left, tells};

const HOUR: Duration = Duration::from_secs(3600);
/// Of an hour, so many seconds are left however slow the machine is.
const OF_AN_HOUR: std::ops::RangeInclusive<i32> = 1800..=3600;

#[test]
fn a_method_is_told_the_time_that_is_left() {
    let (lab, _ends) = tells();
    // The first call goes out before anything is known of the peer.
    let left = lab.add(0, 0).timeout(HOUR).wait().unwrap();
    assert!(OF_AN_HOUR.contains(&left), "{left}");
    for call in [lab.add(0, 0).timeout(HOUR).start(), lab.add(0, 0).timeout(HOUR)] {
        let left = block_on(call).unwrap();
        assert!(OF_AN_HOUR.contains(&left), "{left}");
    }
    assert_eq!(lab.add(0, 0).wait().unwrap(), -1);
    // A time that no clock can hold is none.
    assert_eq!(lab.add(0, 0).timeout(Duration::MAX).wait().unwrap(), -1);
    // Nor is there a place for it where the method has no Context.
    assert_eq!(lab.add_inline(0, 0).timeout(HOUR).wait().unwrap(), -1);
}

#[test]
fn the_calls_that_a_method_makes_have_its_deadline() {
    let (lab, _ends) = tells();
    let seen = lab.call_back(Relay::client(|_, _| Ok(seconds_left())), 0);
    let left = seen.timeout(HOUR).wait().unwrap();
    assert!(OF_AN_HOUR.contains(&left), "{left}");
    // From there on as well, with a connection in between, and whatever they are given themselves.
    let (further, _further_ends) = tells();
    for (own, most) in [(None, 3600), (Some(HOUR * 24), 3600), (Some(HOUR / 60), 60)] {
        let further = further.clone();
        let seen = lab.call_back(
            Relay::client(move |_, _| {
                let call = further.add(0, 0);
                match own {
                    Some(own) => call.timeout(own).wait(),
                    None => call.start().wait(),
                }
            }),
            0,
        );
        let left = seen.timeout(HOUR).wait().unwrap();
        assert!((0..=most).contains(&left), "{left}, of {own:?}");
    }
    let seen = lab.call_back(Relay::client(|_, _| Ok(seconds_left())), 0);
    assert_eq!(seen.wait().unwrap(), -1);
}

/// A method that was called with a timeout, and made a call.
struct Nested {
    timeout: Duration,
    outer: Result<i32>,
    inner: Result<()>,
    server: Arc<LabServer>,
    far: LabClient,
    _ends: [Connection; 2],
}

fn nested(run: impl Fn(&LabClient) -> Result<()> + Send + Sync + 'static) -> Nested {
    let Pair { lab: far, server, serving, calling } = pair();
    let (lab, _own_ends) = tells();
    assert_eq!(lab.add(0, 0).wait().unwrap() + far.add(-5, 5).wait().unwrap(), -1);
    let run = Arc::new(run);
    let mut timeout = Duration::from_millis(25);
    // On a busy machine the callback may not begin in time.
    loop {
        timeout *= 2;
        let (tell, told) = mpsc::channel();
        let (run, called) = (Arc::clone(&run), far.clone());
        let begun = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&begun);
        let callback = Relay::client(move |_, _| {
            begins.store(true, Ordering::SeqCst);
            tell.send(run(&called)).unwrap();
            Ok(0)
        });
        let outer = lab.call_back(callback, 0).timeout(timeout).wait();
        if let Ok(inner) = told.recv_timeout(Duration::from_secs(60)) {
            let _ends = [serving, calling];
            return Nested { timeout, outer, inner, server, far, _ends };
        }
        assert!(!begun.load(Ordering::SeqCst), "the callback has failed");
        assert!(timeout < HOUR, "no callback has begun");
    }
}

#[test]
fn a_wait_within_a_call_ends_with_its_deadline() {
    let forms: [fn(Call<bool>) -> Call<bool>; 4] = [
        |call| call,
        |call| call.timeout(HOUR),
        |call| call.start().timeout(HOUR),
        |call| call.timeout(HOUR).start().timeout(HOUR * 2),
    ];
    for form in forms {
        let Nested { timeout, outer, inner, server, _ends, .. } =
            within_time(move || nested(move |far| form(far.block("for ever")).wait().map(drop)));
        // Although the call in between has failed for the same reason, and was answered.
        assert!(matches!(outer, Err(Error::Timeout(_))), "{outer:?}");
        let Err(Error::Timeout(late)) = inner else { panic!("{inner:?}") };
        assert!(late.after() <= timeout, "{late} of {timeout:?}");
        assert_eq!(late.method(), Some("Lab.block"));
        wait_until("the cancel has gone on", || server.was_cancelled("for ever"));
    }
}

#[test]
fn a_wait_for_an_object_of_this_process_ends_with_it_too() {
    /// Answers when the test is over.
    struct Local(Mutex<mpsc::Receiver<()>>);
    impl Lab for Local {
        fn block(&self, _gate: String) -> Result<bool> {
            let _over = self.0.lock().unwrap().recv();
            Ok(true)
        }
    }
    let (_over, waits) = mpsc::channel();
    let local = LabClient::new(Local(Mutex::new(waits)));
    let Nested { timeout, inner, _ends, .. } = within_time(move || {
        nested(move |_| local.block("for ever").start().timeout(HOUR).wait().map(drop))
    });
    let Err(Error::Timeout(late)) = inner else { panic!("{inner:?}") };
    assert!(late.after() <= timeout, "{late} of {timeout:?}");
}

#[test]
fn a_call_after_the_deadline_is_not_sent() {
    let Nested { inner, server, far, _ends, .. } = nested(|far| {
        let late = || current_call().and_then(|call| call.remaining()) == Some(Duration::ZERO);
        wait_until("the deadline has passed", late);
        assert!(matches!(far.add(1, 1).start().wait(), Err(Error::Timeout(_))));
        // Without a Context the peer would not know that it is late, and run it.
        far.call_back_inline(Relay::client(|_, _| Ok(0)), 0).wait().map(drop)
    });
    let Err(Error::Timeout(late)) = inner else { panic!("{inner:?}") };
    assert_eq!(late.method(), Some("Lab.callBackInline"));
    // Behind it, if it had been sent.
    assert_eq!(far.add_inline(1, 1).wait().unwrap(), 2);
    assert_eq!(server.take_threads().len(), 1);
    assert_eq!(server.sums(), [-5], "only that of before");
}

/// It is closed however late it is: nothing else would end it.
#[test]
fn an_object_is_closed_after_the_deadline_as_well() {
    let Nested { inner, server, _ends, .. } = nested(|far| {
        let counter: CounterClient = far.make_counter(1).wait()?;
        let late = || current_call().and_then(|call| call.remaining()) == Some(Duration::ZERO);
        wait_until("the deadline has passed", late);
        let closed = counter.close().wait();
        assert!(matches!(closed, Ok(()) | Err(Error::Timeout(_))), "{closed:?}");
        Ok(())
    });
    inner.unwrap();
    wait_until("it has ended", || server.counters() == 0);
}

struct Adds {
    far: LabClient,
    polled: Arc<AtomicUsize>,
}

impl SumAsync for Adds {
    async fn add(&self, a: i32, b: i32) -> Result<i32> {
        self.polled.fetch_add(1, Ordering::SeqCst);
        let own = seconds_left();
        let far = self.far.add(a, b).await?;
        tokio::task::yield_now().await;
        assert_eq!(far < 0, own < 0, "{far} and {own}");
        Ok(self.far.add(a, b).timeout(HOUR * 24).await?.min(far))
    }
}

impl WaitsAsync for Adds {}

#[test]
fn a_method_that_is_a_future_hands_it_on_wherever_it_is_polled() {
    let (far, _far_ends) = tells();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let polled = Arc::new(AtomicUsize::new(0));
    let adds = Adds { far, polled: Arc::clone(&polled) };
    let spawn = |task| drop(std::thread::spawn(|| block_on(task)));
    let serving = Connection::builder().serve(WaitsClient::new_async(adds, spawn)).start(theirs);
    let sum: WaitsClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let left = sum.add(1, 2).timeout(HOUR).wait().unwrap();
    assert!(OF_AN_HOUR.contains(&left), "{left}");
    assert_eq!(sum.add(1, 2).wait().unwrap(), -1);
    assert_eq!(polled.load(Ordering::SeqCst), 2);
    drop(serving);
}

/// As an object of another process does.
#[test]
fn an_object_of_this_process_hands_it_on_from_another_thread() {
    struct Local(LabClient);
    impl Lab for Local {
        fn add(&self, a: i32, b: i32) -> Result<i32> {
            self.0.add(a, b).wait()
        }
    }
    let (far, _far_ends) = tells();
    let local = LabClient::new(Local(far));
    let left = local.add(0, 0).timeout(HOUR).start().wait().unwrap();
    assert!(OF_AN_HOUR.contains(&left), "{left}");
    assert_eq!(local.add(0, 0).start().wait().unwrap(), -1);
    // Within a call of a peer's.
    let (lab, _ends) = tells();
    let kept = local.clone();
    let seen = lab.call_back(Relay::client(move |_, _| kept.add(0, 0).start().wait()), 0);
    let left = seen.timeout(HOUR).wait().unwrap();
    assert!(OF_AN_HOUR.contains(&left), "{left}");
}
