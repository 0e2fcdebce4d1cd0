//! capnp-rpc on tokio, as its own examples use it: a current-thread runtime and a LocalSet on both
//! sides, the two-party network over a unix socket, the generated raw types. It has no threads for
//! calls: methods run in the server's event loop, and the contexts of the schema stay empty.

mod gateway;

use std::future::Future;
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;

use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{Disconnector, RpcSystem, new_client, twoparty};
use futures_util::io::{AsyncReadExt, BufReader, BufWriter};
use tokio::task::LocalSet;
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::Failure;
use crate::generated::bench_capnp::{bench, callback};

pub use gateway::Gateway;

/// An event loop, in which the rest of this module runs.
pub struct Loop {
    runtime: tokio::runtime::Runtime,
    local: LocalSet,
}

impl Loop {
    /// A loop that runs only while a thread is in [`run`](Self::run).
    ///
    /// # Errors
    /// Tokio cannot watch descriptors.
    pub fn new() -> Result<Loop, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        Ok(Loop { runtime, local: LocalSet::new() })
    }

    /// Runs a future, and the connections beside it.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.local.block_on(&self.runtime, future)
    }

    /// A capability on the server's object.
    ///
    /// # Errors
    /// Tokio cannot watch the socket.
    pub fn connect(&self, socket: UnixStream) -> Result<bench::Client, Failure> {
        Ok(self.connect_for_a_while(socket)?.0)
    }

    /// The same, with a future that closes the connection when it is run in the loop.
    ///
    /// # Errors
    /// Tokio cannot watch the socket.
    pub fn connect_for_a_while(
        &self,
        socket: UnixStream,
    ) -> Result<(bench::Client, Disconnector<Side>), Failure> {
        self.run(async {
            let mut system = RpcSystem::new(Box::new(network(socket, Side::Client)?), None);
            let bench: bench::Client = system.bootstrap(Side::Server);
            let disconnector = system.get_disconnector();
            tokio::task::spawn_local(system);
            Ok((bench, disconnector))
        })
    }
}

fn network(
    socket: UnixStream,
    side: Side,
) -> Result<twoparty::VatNetwork<impl futures_util::AsyncRead>, Failure> {
    socket.set_nonblocking(true)?;
    let (reader, writer) = tokio::net::UnixStream::from_std(socket)?.compat().split();
    Ok(twoparty::VatNetwork::new(
        BufReader::new(reader),
        BufWriter::new(writer),
        side,
        Default::default(),
    ))
}

struct Server;

impl bench::Server for Server {
    async fn echo(
        self: Rc<Self>,
        params: bench::EchoParams,
        mut results: bench::EchoResults,
    ) -> capnp::Result<()> {
        results.get().set_result(params.get()?.get_text()?);
        Ok(())
    }

    async fn echo_inline(
        self: Rc<Self>,
        params: bench::EchoInlineParams,
        mut results: bench::EchoInlineResults,
    ) -> capnp::Result<()> {
        results.get().set_result(params.get()?.get_text()?);
        Ok(())
    }

    async fn bytes(
        self: Rc<Self>,
        params: bench::BytesParams,
        mut results: bench::BytesResults,
    ) -> capnp::Result<()> {
        results.get().set_result(params.get()?.get_data()?);
        Ok(())
    }

    async fn call_back(
        self: Rc<Self>,
        params: bench::CallBackParams,
        mut results: bench::CallBackResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let mut request = params.get_callback()?.echo_request();
        request.get().set_text(params.get_text()?);
        let response = request.send().promise.await?;
        results.get().set_result(response.get()?.get_result()?);
        Ok(())
    }

    async fn make_object(
        self: Rc<Self>,
        _: bench::MakeObjectParams,
        mut results: bench::MakeObjectResults,
    ) -> capnp::Result<()> {
        results.get().set_result(callback());
        Ok(())
    }
}

struct CallbackServer;

impl callback::Server for CallbackServer {
    async fn echo(
        self: Rc<Self>,
        params: callback::EchoParams,
        mut results: callback::EchoResults,
    ) -> capnp::Result<()> {
        results.get().set_result(params.get()?.get_text()?);
        Ok(())
    }
}

/// A callback to give to the server.
pub fn callback() -> callback::Client {
    new_client(CallbackServer)
}

async fn serve_socket(socket: UnixStream) -> Result<(), Failure> {
    let bench: bench::Client = new_client(Server);
    Ok(RpcSystem::new(Box::new(network(socket, Side::Server)?), Some(bench.client)).await?)
}

pub(crate) fn serve(socket: UnixStream) -> Result<(), Failure> {
    Loop::new()?.run(serve_socket(socket))
}

pub(crate) fn listen(listener: UnixListener) -> Result<(), Failure> {
    listener.set_nonblocking(true)?;
    Loop::new()?.run(async {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        loop {
            let socket = listener.accept().await?.0.into_std()?;
            tokio::task::spawn_local(serve_socket(socket));
        }
    })
}

/// The text back from the server, as a String of this process, as our client returns it.
///
/// # Errors
/// The call failed.
pub async fn echo(bench: &bench::Client, text: &str) -> capnp::Result<String> {
    let mut request = bench.echo_request();
    request.get().set_text(text);
    Ok(request.send().promise.await?.get()?.get_result()?.to_string()?)
}

/// The same by the method without a context.
///
/// # Errors
/// The call failed.
pub async fn echo_inline(bench: &bench::Client, text: &str) -> capnp::Result<String> {
    let mut request = bench.echo_inline_request();
    request.get().set_text(text);
    Ok(request.send().promise.await?.get()?.get_result()?.to_string()?)
}

/// The bytes back from the server.
///
/// # Errors
/// The call failed.
pub async fn bytes(bench: &bench::Client, data: &[u8]) -> capnp::Result<Vec<u8>> {
    let mut request = bench.bytes_request();
    request.get().set_data(data);
    Ok(request.send().promise.await?.get()?.get_result()?.to_vec())
}

/// The text back from the server, which got it from the callback.
///
/// # Errors
/// The call failed.
pub async fn call_back(
    bench: &bench::Client,
    callback: &callback::Client,
    text: &str,
) -> capnp::Result<String> {
    let mut request = bench.call_back_request();
    request.get().set_callback(callback.clone());
    request.get().set_text(text);
    Ok(request.send().promise.await?.get()?.get_result()?.to_string()?)
}

/// A new object of the server's.
///
/// # Errors
/// The call failed.
pub async fn make_object(bench: &bench::Client) -> capnp::Result<callback::Client> {
    bench.make_object_request().send().promise.await?.get()?.get_result()
}
