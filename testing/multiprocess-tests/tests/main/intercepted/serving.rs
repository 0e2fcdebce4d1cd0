//! On the side that serves.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Connection, Error, Result, Server, TraceContext, current_call, process};
use multiprocess_tests::generated::flow::FlowClient;
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::generated::waits::{SumAsync, WaitsAsync, WaitsClient};
use multiprocess_tests::{LabServer, Relay, sink, wait_until};

use super::{Events, Lab, Notes, lab, notes, serves};

/// As an authorization does it.
#[test]
fn a_call_that_is_refused_is_not_begun() {
    let events = Events::default();
    let refuses = Notes("b", events.clone(), |method: &str| match method {
        "Lab.add" => Err(Error::failed("not for you")),
        _ => Ok(()),
    });
    let interceptors = vec![notes("a", &events), Arc::new(refuses), notes("c", &events)];
    let Lab { lab, server, serving: _serving, .. } = lab(vec![], interceptors);
    let refused = |result: Result<i32>| {
        assert!(result.unwrap_err().to_string().contains("not for you"));
        let expected = [
            "a serves Lab.add",
            "b serves Lab.add",
            "b failed: the other side failed: not for you",
            "a failed: the other side failed: not for you",
        ];
        assert_eq!(events.take(), expected);
    };
    refused(lab.add(1, 2).wait());
    refused(lab.add(1, 2).start().wait());
    refused(block_on(lab.add(1, 2)));
    lab.text("").wait().unwrap();
    // But for the one that was let through.
    events.take();
    assert!(server.sums().is_empty());
}

/// An object must not get a stream with a gap.
#[test]
fn after_a_streaming_call_that_is_refused_none_runs() {
    let seen = Arc::new(Mutex::new(0));
    let refuses = serves(move |call| {
        let mut seen = seen.lock().unwrap();
        *seen += usize::from(call.method() == "Sink.write");
        if *seen == 2 && call.method() == "Sink.write" {
            return Err(Error::failed("the second is refused"));
        }
        Ok(())
    });
    let pair = sink();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().intercept(refuses).serve(pair.flow).start(theirs).unwrap();
    let flow: FlowClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let further = flow.open().wait().unwrap();
    for number in 1..=3 {
        // The caller may learn of it before the third.
        let _ = further.write(number, vec![]).wait();
    }
    let error = further.done().wait().unwrap_err();
    assert!(error.to_string().contains("the second is refused"), "{error}");
    // The sink is behind another connection: what was taken before arrives there in its time.
    wait_until("the first is taken", || pair.taken.numbers() == [1]);
    pair.sink.close().wait().unwrap();
    assert_eq!(pair.taken.numbers(), [1]);
    drop(serving);
}

#[test]
fn they_are_told_how_the_method_ended() {
    let events = Events::default();
    let Lab { lab, server, serving: _serving, .. } = lab(vec![], vec![notes("a", &events)]);
    lab.fail("as asked").wait().unwrap_err();
    assert_eq!(events.take(), ["a serves Lab.fail", "a failed: the other side failed: as asked"]);
    lab.panics().wait().unwrap_err();
    assert!(events.take()[1].contains("the method panicked: as it was asked to"));

    let blocks = lab.block("gate").start();
    wait_until("it runs", || server.is_blocked("gate"));
    drop(blocks);
    wait_until("its end is told", || events.0.lock().unwrap().len() == 2);
    // It has returned results, for which nobody waits.
    assert_eq!(events.take()[1], "a cancelled");
}

/// On the thread that runs the method, as part of its call.
#[test]
fn it_runs_where_the_method_runs() {
    let (tell, told) = mpsc::channel();
    let notes = serves(move |call| {
        let own = current_call().unwrap();
        assert_eq!(own.connection().number(), call.connection().number());
        assert_eq!(own.trace(), call.trace());
        assert!(call.parameter_bytes() > 0 && call.waited() > Duration::ZERO);
        assert_eq!(call.remaining().is_some(), own.remaining().is_some());
        assert!(call.connection().peer_credentials()?.is_same_user());
        tell.send(std::thread::current().id()).unwrap();
        let tell = tell.clone();
        call.on_end(move |_| tell.send(std::thread::current().id()).unwrap());
        Ok(())
    });
    let Lab { lab, server, serving: _serving, .. } = lab(vec![], vec![notes]);
    let trace = TraceContext::root(true);
    lab.add(1, 2).trace(trace).timeout(Duration::from_secs(3600)).wait().unwrap();
    let [before, after] = [told.recv().unwrap(), told.recv().unwrap()];
    assert_eq!(vec![before], server.take_threads());
    assert_eq!(before, after);
}

#[test]
fn what_the_method_calls_has_the_trace_that_is_set() {
    let (caller, span) = (TraceContext::root(true), TraceContext::root(true));
    let sets = serves(move |call| {
        assert_eq!(call.trace(), Some(caller));
        call.set_trace(span);
        Ok(())
    });
    let Lab { lab, serving: _serving, .. } = lab(vec![], vec![sets]);
    let seen = Relay::client(move |_, _| {
        assert_eq!(current_call().unwrap().trace(), Some(span));
        assert!(current_call().unwrap().remaining().is_some());
        Ok(0)
    });
    let call = lab.call_back(seen, 1).trace(caller).timeout(Duration::from_secs(3600));
    assert_eq!(call.wait().unwrap(), 1);
}

struct Adds {
    events: Events,
    far: LabClient,
}

impl SumAsync for Adds {
    async fn add(&self, a: i32, b: i32) -> Result<i32> {
        self.events.add("begins");
        tokio::task::yield_now().await;
        if a == 0 {
            std::future::pending::<()>().await;
        }
        let seen = Relay::client(move |_, _| {
            let trace = current_call().unwrap().trace();
            Ok(i32::from(trace.is_some()))
        });
        Ok(a + b + self.far.call_back(seen, 1).await? - 1)
    }
}

impl WaitsAsync for Adds {}

#[test]
fn a_method_that_is_a_future_is_intercepted_where_it_is_polled() {
    let events = Events::default();
    let refuses = Notes("a", events.clone(), |_: &str| {
        assert!(current_call().is_some());
        Ok(())
    });
    let sets = serves(|call| {
        call.set_trace(TraceContext::root(true));
        if call.remaining().is_some() {
            return Err(Error::failed("in no hurry"));
        }
        Ok(())
    });
    let Lab { lab: far, serving: _serving, .. } = lab(vec![], vec![]);
    let adds = Adds { events: events.clone(), far };
    let spawn = |task| drop(std::thread::spawn(|| block_on(task)));
    let (ours, theirs) = UnixStream::pair().unwrap();
    let builder = Connection::builder().intercept(Arc::new(refuses)).intercept(sets);
    let serving = builder.serve(WaitsClient::new_async(adds, spawn)).start(theirs).unwrap();
    let sum: WaitsClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    // Its own calls have the trace that was set.
    assert_eq!(sum.add(1, 2).wait().unwrap(), 1 + 2 + 1);
    assert_eq!(events.take(), ["a serves Sum.add", "begins", "a answered"]);
    let refused = sum.add(1, 2).timeout(Duration::from_secs(3600)).wait().unwrap_err();
    assert!(refused.to_string().contains("in no hurry"), "{refused}");
    assert_eq!(events.take(), ["a serves Sum.add", "a failed: the other side failed: in no hurry"]);
    // Dropped while it waits.
    let call = sum.add(0, 0).start();
    wait_until("it has begun", || events.0.lock().unwrap().len() == 2);
    drop(call);
    wait_until("its end is told", || events.0.lock().unwrap().len() == 3);
    assert_eq!(events.take()[2], format!("a cancelled: {}", Error::Cancelled));
    drop(serving);
}

#[test]
fn a_server_has_them_for_each_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lab.sock");
    let events = Events::default();
    let builder = Server::builder().intercept(notes("a", &events)).intercept(notes("b", &events));
    let server = builder.listen(&path, LabServer::new().client()).unwrap();
    for _ in 0..2 {
        let socket = process::connect_timeout(&path, Duration::from_secs(60)).unwrap();
        let lab: LabClient = Connection::new(socket).unwrap().bootstrap().unwrap();
        assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
        let expected = ["a serves Lab.add", "b serves Lab.add", "b answered", "a answered"];
        assert_eq!(events.take(), expected);
    }
    drop(server);
}

#[test]
fn a_panic_is_the_calls_error_before_it_and_nobodys_after_it() {
    let panics = serves(|call| {
        call.on_end(|_| panic!("after the call"));
        match call.method() {
            "Lab.text" => panic!("before the call"),
            _ => Ok(()),
        }
    });
    let Lab { lab, serving: _serving, .. } = lab(vec![], vec![panics]);
    let error = lab.text("").wait().unwrap_err();
    assert!(error.to_string().contains("before the call"), "{error}");
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
}
