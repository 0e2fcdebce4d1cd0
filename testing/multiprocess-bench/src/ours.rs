//! The `multiprocess` runtime on both sides.

use std::os::unix::net::UnixStream;
use std::path::Path;

use multiprocess::{Connection, Result};

use crate::Failure;
use crate::generated::bench::{Bench, BenchClient, Callback, CallbackClient};

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

    fn make_object(&self) -> Result<CallbackClient> {
        Ok(callback())
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

/// Serves all who connect, until the server is dropped.
pub(crate) fn listen(path: &Path) -> Result<multiprocess::Server> {
    multiprocess::Server::listen(path, BenchClient::new(Server))
}

/// A handle on the server's object.
///
/// # Errors
/// The connection cannot be made.
pub fn connect(socket: UnixStream) -> Result<BenchClient> {
    Connection::new(socket)?.bootstrap()
}
