//! What travels along with a call: its deadline and its trace.

mod deadlines;
mod traces;
mod wire;

use std::os::unix::net::UnixStream;

use multiprocess::{Connection, Result, TraceContext, current_call};
use multiprocess_tests::generated::lab::{CallbackClient, Lab, LabClient};

/// A lab whose methods tell what they know of their calls.
struct Tells;

impl Lab for Tells {
    /// The trace that came with the call.
    fn text(&self, _text: String) -> Result<String> {
        Ok(told())
    }

    /// The seconds that are left, or -1.
    fn add(&self, _a: i32, _b: i32) -> Result<i32> {
        Ok(seconds_left())
    }

    fn add_inline(&self, _a: i32, _b: i32) -> Result<i32> {
        Ok(seconds_left())
    }

    /// Calls back without any word on what is to travel along.
    fn call_back(&self, callback: CallbackClient, depth: i32) -> Result<i32> {
        callback.call(None, depth).wait()
    }
}

/// The trace that came with the call which this thread serves.
fn told() -> String {
    text(current_call().and_then(|call| call.trace()))
}

fn text(trace: Option<TraceContext>) -> String {
    trace.map_or("none".to_owned(), |trace| trace.to_string())
}

fn seconds_left() -> i32 {
    let remaining = current_call().and_then(|call| call.remaining());
    remaining.map_or(-1, |left| i32::try_from(left.as_secs()).expect("a time of the tests"))
}

/// Such a lab over a socket, and both ends of it.
fn tells() -> (LabClient, [Connection; 2]) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(LabClient::new(Tells)).start(theirs).unwrap();
    let calling = Connection::new(ours).unwrap();
    (calling.bootstrap().unwrap(), [calling, serving])
}
