//! On the side that calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Connection, Error, TraceContext, current_call};
use multiprocess_tests::generated::lab::{CounterClient, LabClient};
use multiprocess_tests::{Relay, sink, wait_until};

use super::{Events, Lab, Notes, calls, lab, notes};

#[test]
fn the_first_is_around_the_others() {
    let events = Events::default();
    let Lab { lab, serving: _serving, .. } = lab(
        vec![notes("a", &events), notes("b", &events)],
        vec![notes("c", &events), notes("d", &events)],
    );
    let expected = [
        "a calls Lab.add",
        "b calls Lab.add",
        "c serves Lab.add",
        "d serves Lab.add",
        "d answered",
        "c answered",
        "b answered",
        "a answered",
    ];
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    assert_eq!(events.take(), expected);
    assert_eq!(lab.add(1, 2).start().wait().unwrap(), 3);
    assert_eq!(events.take(), expected);
    assert_eq!(block_on(lab.add(1, 2)).unwrap(), 3);
    assert_eq!(events.take(), expected);
}

/// Nothing is sent, and those that had begun with it are told.
#[test]
fn a_call_that_is_refused_is_not_sent() {
    let events = Events::default();
    let refuses = Notes("b", events.clone(), |method: &str| match method {
        "Lab.add" => Err(Error::failed("not today")),
        _ => Ok(()),
    });
    let interceptors = vec![notes("a", &events), Arc::new(refuses), notes("c", &events)];
    let Lab { lab, server, serving: _serving, .. } = lab(interceptors, vec![]);
    let expected = [
        "a calls Lab.add",
        "b calls Lab.add",
        "b failed: the other side failed: not today",
        "a failed: the other side failed: not today",
    ];
    let refused = |result: multiprocess::Result<i32>| {
        assert!(result.unwrap_err().to_string().contains("not today"));
        assert_eq!(events.take(), expected);
    };
    refused(lab.add(1, 2).wait());
    refused(lab.add(1, 2).start().wait());
    refused(block_on(lab.add(1, 2)));
    lab.text("").wait().unwrap();
    assert!(server.sums().is_empty());
}

#[test]
fn they_are_told_how_the_call_ended() {
    let events = Events::default();
    let Lab { lab, server, serving, .. } = lab(vec![notes("a", &events)], vec![]);
    lab.fail("as asked").wait().unwrap_err();
    assert_eq!(events.take(), ["a calls Lab.fail", "a failed: the other side failed: as asked"]);

    drop(lab.block("gate").start());
    assert_eq!(events.take()[1], format!("a cancelled: {}", Error::Cancelled));
    lab.block("gate").timeout(Duration::from_millis(1)).wait().unwrap_err();
    assert!(events.take()[1].starts_with("a timed_out: no answer within 1ms to Lab.block"));

    // One that is not made is none.
    drop(lab.add(1, 2));
    assert_eq!(events.take(), Vec::<String>::new());

    let waits = lab.block("other").start();
    wait_until("it runs", || server.is_blocked("other"));
    serving.disconnect();
    waits.wait().unwrap_err();
    assert!(events.take()[1].starts_with("a lost: "));
}

#[test]
fn the_runtimes_own_calls_and_the_end_of_an_object_are_not_intercepted() {
    let events = Events::default();
    let both = || vec![notes("a", &events)];
    let Lab { lab, server, calling, serving: _serving, .. } = lab(both(), both());
    // Threads were made, and the first object was constructed.
    let counter: CounterClient = lab.make_counter(1).wait().unwrap();
    let methods =
        ["a calls Lab.makeCounter", "a serves Lab.makeCounter", "a answered", "a answered"];
    assert_eq!(events.take(), methods);
    counter.close().wait().unwrap();
    drop(lab.make_counter(2).wait().unwrap());
    wait_until("both have ended", || server.counters() == 0);
    assert_eq!(events.take(), methods);
    drop(calling);
}

#[test]
fn one_that_streams_or_is_pipelined_to_ends_when_it_was_sent() {
    let events = Events::default();
    let Lab { lab, serving: _serving, .. } = lab(vec![notes("a", &events)], vec![]);
    let counter = lab.make_counter(5).pipelined();
    assert_eq!(events.take(), ["a calls Lab.makeCounter", "a answered"]);
    assert_eq!(counter.next().wait().unwrap(), 5);
    assert_eq!(events.take(), ["a calls Counter.next", "a answered"]);

    let sink = sink();
    sink.taken.shut();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(sink.flow).start(theirs).unwrap();
    let calling = Connection::builder().intercept(notes("b", &events)).start(ours).unwrap();
    let flow: multiprocess_tests::generated::flow::FlowClient = calling.bootstrap().unwrap();
    let further = flow.open().wait().unwrap();
    events.take();
    further.write(1, vec![]).wait().unwrap();
    assert_eq!(events.take(), ["b calls Sink.write", "b answered"]);
    assert_eq!(sink.taken.numbers(), Vec::<u32>::new(), "it was not run yet");
    sink.taken.open();
    further.close().wait().unwrap();
    drop(serving);
}

#[test]
fn they_set_the_trace_and_limit_the_time() {
    let given = TraceContext::root(true);
    let other = TraceContext::root(true);
    let sets = calls(move |call| {
        match call.method() {
            "Lab.callBack" => assert_eq!(call.trace(), Some(given)),
            _ => assert_eq!(call.trace(), None),
        }
        call.set_trace(other);
        Ok(())
    });
    let limits = calls(move |call| {
        assert_eq!(call.trace(), Some(other), "as the one before has set it");
        assert!(call.remaining().is_none_or(|left| left <= Duration::from_secs(7200)));
        call.limit(Duration::from_secs(3600));
        // More is not possible.
        call.limit(Duration::from_secs(7200));
        assert!(call.remaining().unwrap() <= Duration::from_secs(3600));
        Ok(())
    });
    let seen = Relay::client(move |_, _| {
        let call = current_call().unwrap();
        assert_eq!(call.trace(), Some(other));
        Ok(i32::try_from(call.remaining().unwrap().as_secs()).unwrap())
    });
    let Lab { lab, serving: _serving, .. } = lab(vec![sets, limits], vec![]);
    for timeout in [None, Some(Duration::from_secs(7200))] {
        let call = lab.call_back(seen.clone(), 1).trace(given);
        let call = if let Some(timeout) = timeout { call.timeout(timeout) } else { call };
        let left = call.wait().unwrap();
        assert!((1800..=3601).contains(&left), "{left}");
    }

    let late = calls(|call| {
        call.limit(Duration::from_millis(1));
        Ok(())
    });
    let Lab { lab, serving: _serving, .. } = super::lab(vec![late], vec![]);
    let error = lab.block("for ever").wait().unwrap_err();
    assert!(
        matches!(&error, Error::Timeout(late) if late.method() == Some("Lab.block")),
        "{error}"
    );
}

/// No lock is held, on the connection or of anything else.
#[test]
fn they_may_call_over_the_same_connection() {
    let (within, nested) = (AtomicBool::new(false), Arc::new(AtomicUsize::new(0)));
    let handle = Arc::new(std::sync::OnceLock::<LabClient>::new());
    let (own, counts) = (Arc::clone(&handle), Arc::clone(&nested));
    let asks = calls(move |call| {
        let Some(lab) = own.get() else { return Ok(()) };
        if !within.swap(true, Ordering::SeqCst) {
            counts.fetch_add(lab.add(1, 1).wait()? as usize, Ordering::SeqCst);
            let (lab, counts) = (lab.clone(), Arc::clone(&counts));
            call.on_end(move |_| {
                counts.fetch_add(lab.add(2, 2).wait().unwrap() as usize, Ordering::SeqCst);
            });
        }
        Ok(())
    });
    let Lab { lab, serving: _serving, .. } = lab(vec![asks], vec![]);
    handle.set(lab.clone()).unwrap();
    lab.text("").wait().unwrap();
    assert_eq!(nested.load(Ordering::SeqCst), 2 + 4);
}

#[test]
fn a_panic_before_a_call_is_its_error_and_after_it_nobodys() {
    let panics = calls(|call| {
        call.on_end(|_| panic!("after the call"));
        match call.method() {
            "Lab.text" => panic!("before the call"),
            _ => Ok(()),
        }
    });
    let events = Events::default();
    let Lab { lab, serving: _serving, .. } = lab(vec![notes("a", &events), panics], vec![]);
    let error = lab.text("").wait().unwrap_err();
    assert!(error.to_string().contains("before the call"), "{error}");
    assert!(events.take()[1].contains("before the call"));
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    assert_eq!(events.take(), ["a calls Lab.add", "a answered"]);
}
