//! capnp-rpc on tokio, as its own examples use it: a current-thread runtime and a LocalSet on both
//! sides, the two-party network over a unix socket, the generated raw types. It has no threads for
//! calls: methods run in the server's event loop, and the contexts of the schema stay empty.

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, new_client, twoparty};
use futures_util::io::{AsyncReadExt, BufReader, BufWriter};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::generated::bench_capnp::{bench, callback};
use crate::{Failure, Peer, TEXT};

/// An event loop: what the rest of this module runs in.
pub struct Loop {
    runtime: tokio::runtime::Runtime,
    local: LocalSet,
}

impl Loop {
    /// A loop that stands while nobody is in [`run`](Self::run).
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
        self.run(async {
            let mut system = RpcSystem::new(Box::new(network(socket, Side::Client)?), None);
            let bench: bench::Client = system.bootstrap(Side::Server);
            tokio::task::spawn_local(system);
            Ok(bench)
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

pub(crate) fn serve(socket: UnixStream) -> Result<(), Failure> {
    let events = Loop::new()?;
    events.run(async {
        let bench: bench::Client = new_client(Server);
        Ok(RpcSystem::new(Box::new(network(socket, Side::Server)?), Some(bench.client)).await?)
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

/// The text back from the server, which had it from the callback.
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

/// Keeps `count` echoes under way for this long. How many were answered.
///
/// # Errors
/// A call failed.
pub async fn in_flight(bench: &bench::Client, count: usize, time: Duration) -> capnp::Result<u64> {
    let mut calls: FuturesUnordered<_> = (0..count).map(|_| echo(bench, TEXT)).collect();
    let (end, mut answered) = (Instant::now() + time, 0);
    while let Some(answer) = calls.next().await {
        answer?;
        answered += 1;
        if Instant::now() < end {
            calls.push(echo(bench, TEXT));
        }
    }
    Ok(answered)
}

type Request = (String, oneshot::Sender<capnp::Result<String>>);

/// How threads call through capnp-rpc, whose objects belong to one thread: that one runs the loop,
/// and the others hand it their calls through a channel and wait for the answers at another.
#[derive(Clone)]
pub struct Gateway(mpsc::UnboundedSender<Request>);

impl Gateway {
    /// Starts a server and the thread that talks to it; both end with the last clone of the
    /// gateway.
    ///
    /// # Errors
    /// The server cannot be started.
    pub fn start() -> Result<(Gateway, JoinHandle<()>), Failure> {
        let (sender, mut requests) = mpsc::unbounded_channel::<Request>();
        let (started, outcome) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let connected = || {
                let (child, socket) = Peer::Plain.start()?;
                let events = Loop::new()?;
                let bench = events.connect(socket)?;
                Ok::<_, Failure>((child, events, bench))
            };
            let (_child, events, bench) = match connected() {
                Ok(connected) => connected,
                Err(error) => {
                    let _ = started.send(Err(error));
                    return;
                }
            };
            let _ = started.send(Ok(()));
            events.run(async move {
                while let Some((text, answer)) = requests.recv().await {
                    let bench = bench.clone();
                    tokio::task::spawn_local(async move {
                        let _ = answer.send(echo(&bench, &text).await);
                    });
                }
            });
        });
        outcome.recv()??;
        Ok((Gateway(sender), thread))
    }

    /// Echoes a text, from any thread but that of a loop.
    ///
    /// # Errors
    /// The call failed.
    pub fn echo(&self, text: &str) -> Result<String, Failure> {
        let (answer, answered) = oneshot::channel();
        self.0.send((text.to_owned(), answer))?;
        Ok(answered.blocking_recv()??)
    }
}
