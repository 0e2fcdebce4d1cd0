//! The trace of a call: where it comes from, and how far it goes.

use std::sync::{Arc, Mutex};

use futures_executor::block_on;
use multiprocess::{Connection, Result, TraceContext};
use multiprocess_tests::Relay;
use multiprocess_tests::generated::flow::{
    Flow, FlowClient, PlainSink, PlainSinkClient, SinkClient,
};
use multiprocess_tests::generated::lab::{Lab, LabClient};
use multiprocess_tests::generated::waits::{SumAsync, WaitsAsync, WaitsClient};

use super::{tells, text, told};

#[test]
fn a_call_has_the_trace_that_it_was_given_or_that_is_in_force() {
    let (lab, _ends) = tells();
    let (outer, own) = (TraceContext::root(true), TraceContext::root(false));
    let ask = || lab.text("");
    // The first goes out before anything is known of the peer.
    assert_eq!(ask().trace(own).wait().unwrap(), own.to_string());
    assert_eq!(ask().wait().unwrap(), "none");
    outer.in_scope(|| {
        assert_eq!(TraceContext::current(), Some(outer));
        assert_eq!(ask().wait().unwrap(), outer.to_string());
        assert_eq!(ask().start().wait().unwrap(), outer.to_string());
        assert_eq!(block_on(ask()).unwrap(), outer.to_string());
        assert_eq!(ask().trace(own).wait().unwrap(), own.to_string());
        own.in_scope(|| assert_eq!(ask().wait().unwrap(), own.to_string()));
        assert_eq!(ask().wait().unwrap(), outer.to_string());
    });
    assert_eq!(TraceContext::current(), None);
    assert_eq!(ask().wait().unwrap(), "none");
}

#[test]
fn a_future_has_its_trace_wherever_it_is_polled() {
    let (lab, _ends) = tells();
    let (trace, other) = (TraceContext::root(true), TraceContext::root(true));
    let asks = || async {
        tokio::task::yield_now().await;
        let first = lab.text("").await.unwrap();
        (first, lab.text("").await.unwrap())
    };
    // Both on this thread, by turns.
    let both =
        futures_util::future::join3(trace.instrument(asks()), other.instrument(asks()), asks());
    let of = |trace: TraceContext| (trace.to_string(), trace.to_string());
    let none = ("none".to_owned(), "none".to_owned());
    assert_eq!(block_on(both), (of(trace), of(other), none));
}

#[test]
fn the_calls_that_a_method_makes_are_part_of_its_trace() {
    let (lab, _ends) = tells();
    let (further, _further_ends) = tells();
    let trace = TraceContext::root(true);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let callback = || {
        let (seen, further) = (Arc::clone(&seen), further.clone());
        Relay::client(move |_, _| {
            let there = further.text("").wait()?;
            let pooled = further.text("").start().wait()?;
            seen.lock().unwrap().extend([told(), text(TraceContext::current()), there, pooled]);
            Ok(0)
        })
    };
    lab.call_back(callback(), 0).trace(trace).wait().unwrap();
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), vec![trace.to_string(); 4]);
    lab.call_back(callback(), 0).wait().unwrap();
    assert_eq!(*seen.lock().unwrap(), vec!["none"; 4]);
}

/// A callback is another's call, although it runs on the thread that has the scope.
#[test]
fn a_callback_is_not_in_the_scope_of_the_thread_that_runs_it() {
    /// Its callbacks are not part of its caller's trace.
    struct Other(TraceContext);
    impl Lab for Other {
        fn call_back(
            &self,
            callback: multiprocess_tests::generated::lab::CallbackClient,
            depth: i32,
        ) -> Result<i32> {
            callback.call(None, depth).trace(self.0).wait()
        }
    }
    let (mine, theirs) = (TraceContext::root(true), TraceContext::root(true));
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(LabClient::new(Other(theirs))).start(far).unwrap();
    let lab: LabClient = Connection::new(near).unwrap().bootstrap().unwrap();
    let thread = std::thread::current().id();
    let callback = Relay::client(move |_, _| {
        assert_eq!(std::thread::current().id(), thread);
        assert_eq!(TraceContext::current(), Some(theirs));
        let inner = TraceContext::root(true);
        inner.in_scope(|| assert_eq!(TraceContext::current(), Some(inner)));
        assert_eq!(TraceContext::current(), Some(theirs));
        Ok(7)
    });
    mine.in_scope(|| {
        assert_eq!(lab.call_back(callback, 0).wait().unwrap(), 7);
        assert_eq!(TraceContext::current(), Some(mine));
    });
    drop(serving);
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Flow for Seen {
    fn open_plain(&self) -> Result<PlainSinkClient> {
        self.0.lock().unwrap().push(told());
        Ok(PlainSinkClient::new(self.clone()))
    }

    fn open(&self) -> Result<SinkClient> {
        unreachable!("the tests have no use for it")
    }
}

impl PlainSink for Seen {
    fn write(&self, _number: u32) -> Result<()> {
        self.0.lock().unwrap().push(told());
        Ok(())
    }
}

#[test]
fn calls_that_stream_or_are_pipelined_to_are_part_of_it() {
    let seen = Seen::default();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(FlowClient::new(seen.clone())).start(theirs).unwrap();
    let flow: FlowClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let [opens, writes] = [TraceContext::root(true), TraceContext::root(true)];
    let sink = flow.open_plain().trace(opens).pipelined();
    writes.in_scope(|| sink.write(1).wait()).unwrap();
    sink.write(2).trace(opens).wait().unwrap();
    sink.close().wait().unwrap();
    let expected = [opens, writes, opens].map(|trace| trace.to_string());
    assert_eq!(*seen.0.lock().unwrap(), expected);
    drop(serving);
}

#[test]
fn a_call_of_an_object_of_this_process_takes_it_along() {
    struct Here;
    impl Lab for Here {
        fn text(&self, _text: String) -> Result<String> {
            Ok(text(TraceContext::current()))
        }
    }
    let (trace, own) = (TraceContext::root(true), TraceContext::root(true));
    let here = LabClient::new(Here);
    assert_eq!(here.text("").wait().unwrap(), "none");
    trace.in_scope(|| {
        assert_eq!(here.text("").wait().unwrap(), trace.to_string());
        assert_eq!(here.text("").start().wait().unwrap(), trace.to_string());
        assert_eq!(here.text("").trace(own).wait().unwrap(), own.to_string());
        assert_eq!(here.text("").trace(own).start().wait().unwrap(), own.to_string());
        assert_eq!(TraceContext::current(), Some(trace));
    });
    assert_eq!(here.text("").start().wait().unwrap(), "none");
}

struct Adds(LabClient);

impl SumAsync for Adds {
    async fn add(&self, _a: i32, _b: i32) -> Result<i32> {
        let (before, own) = (told(), TraceContext::current());
        let there = self.0.text("").await?;
        tokio::task::yield_now().await;
        let again = self.0.text("").await?;
        let told = [before, text(own), there, again];
        let first = told[0].clone();
        Ok(i32::from(told.iter().all(|trace| *trace == first) && first != "none"))
    }
}

impl WaitsAsync for Adds {}

#[test]
fn a_method_that_is_a_future_hands_it_on() {
    let (far, _far_ends) = tells();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let spawn = |task| drop(std::thread::spawn(|| block_on(task)));
    let adds = WaitsClient::new_async(Adds(far), spawn);
    let serving = Connection::builder().serve(adds).start(theirs).unwrap();
    let sum: WaitsClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    assert_eq!(sum.add(0, 0).trace(TraceContext::root(true)).wait().unwrap(), 1);
    assert_eq!(sum.add(0, 0).wait().unwrap(), 0);
    drop(serving);
}
