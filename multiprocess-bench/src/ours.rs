//! The `multiprocess` runtime on both sides.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use multiprocess::{Connection, Result};

use crate::generated::bench::{Bench, BenchClient, Callback, CallbackClient};
use crate::{Failure, TEXT};

struct Server;

impl Bench for Server {
    fn echo(&self, text: String) -> Result<String> {
        Ok(text)
    }

    fn echo_inline(&self, text: String) -> Result<String> {
        Ok(text)
    }

    fn bytes(&self, data: Vec<u8>) -> Result<Vec<u8>> {
        Ok(data)
    }

    fn call_back(&self, callback: CallbackClient, text: String) -> Result<String> {
        callback.echo(text).wait()
    }
}

struct CallbackServer;

impl Callback for CallbackServer {
    fn echo(&self, text: String) -> Result<String> {
        Ok(text)
    }
}

/// A callback to give to the server.
pub fn callback() -> CallbackClient {
    CallbackClient::new(CallbackServer)
}

pub(crate) fn serve(socket: UnixStream) -> std::result::Result<(), Failure> {
    Connection::builder().serve(BenchClient::new(Server)).start(socket)?.wait_disconnected();
    Ok(())
}

/// A handle on the server's object.
///
/// # Errors
/// The connection cannot be made.
pub fn connect(socket: UnixStream) -> Result<BenchClient> {
    Connection::new(socket)?.bootstrap()
}

/// Keeps `count` echoes under way from one thread for this long. How many were answered.
///
/// # Errors
/// A call failed.
pub fn in_flight(bench: &BenchClient, count: usize, time: Duration) -> Result<u64> {
    futures_executor::block_on(async {
        let mut calls: FuturesUnordered<_> = (0..count).map(|_| bench.echo(TEXT)).collect();
        let (end, mut answered) = (Instant::now() + time, 0);
        while let Some(answer) = calls.next().await {
            answer?;
            answered += 1;
            if Instant::now() < end {
                calls.push(bench.echo(TEXT));
            }
        }
        Ok(answered)
    })
}
