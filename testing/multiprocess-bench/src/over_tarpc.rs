//! tarpc over a unix socket with bincode, as its own examples use it, on a current-thread tokio on
//! either side, which for one connection is the faster choice. It has no callbacks, and no objects
//! but the one that is served.

use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use futures_util::StreamExt;
use serde_bytes::ByteBuf;
use tarpc::context::{self, Context};
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::LengthDelimitedCodec;
use tarpc::{client, serde_transport};

use crate::Failure;
use service::Bench;

pub use service::BenchClient;
pub use tokio::runtime::Runtime;

/// The longest message: 32 MiB are echoed.
const LONGEST: usize = 64 << 20;

#[allow(missing_docs, reason = "generated")]
mod service {
    use serde_bytes::ByteBuf;

    #[tarpc::service]
    pub trait Bench {
        /// Returns its argument.
        async fn echo(text: String) -> String;
        /// Returns its argument, which is long. A plain Vec would be written byte by byte.
        async fn bytes(data: ByteBuf) -> ByteBuf;
    }
}

#[derive(Clone)]
struct Server;

impl Bench for Server {
    async fn echo(self, _: Context, text: String) -> String {
        text
    }

    async fn bytes(self, _: Context, data: ByteBuf) -> ByteBuf {
        data
    }
}

/// The runtime for this module.
///
/// # Errors
/// Tokio cannot watch descriptors.
pub fn runtime() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// To be used inside a runtime. A macro, because the type of the transport contains the types of
/// its messages.
macro_rules! transport {
    ($socket:expr) => {{
        let socket: UnixStream = $socket;
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UnixStream::from_std(socket)?;
        let framed = LengthDelimitedCodec::builder().max_frame_length(LONGEST).new_framed(socket);
        serde_transport::new(framed, Bincode::default())
    }};
}

/// A client whose connection is served whenever the runtime runs.
///
/// # Errors
/// Tokio cannot watch the socket.
pub fn connect(runtime: &Runtime, socket: UnixStream) -> Result<BenchClient, Failure> {
    let _inside = runtime.enter();
    Ok(BenchClient::new(client::Config::default(), transport!(socket)).spawn())
}

/// A client for any thread: another one serves the connection, and ends with the client's last
/// clone.
///
/// # Errors
/// Tokio cannot watch the socket.
pub fn connect_on_thread(socket: UnixStream) -> Result<(BenchClient, JoinHandle<()>), Failure> {
    let runtime = runtime()?;
    let made = {
        let _inside = runtime.enter();
        BenchClient::new(client::Config::default(), transport!(socket))
    };
    let dispatch = made.dispatch;
    let thread = std::thread::spawn(move || {
        // The calls fail with the same error.
        let _ = runtime.block_on(dispatch);
    });
    Ok((made.client, thread))
}

async fn serve_socket(socket: UnixStream) -> Result<(), Failure> {
    let requests = BaseChannel::with_defaults(transport!(socket)).execute(Server.serve());
    requests.for_each(|answer| async { drop(tokio::spawn(answer)) }).await;
    Ok(())
}

pub(crate) fn serve(socket: UnixStream) -> Result<(), Failure> {
    runtime()?.block_on(serve_socket(socket))
}

pub(crate) fn listen(listener: UnixListener) -> Result<(), Failure> {
    listener.set_nonblocking(true)?;
    runtime()?.block_on(async {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        loop {
            let socket = listener.accept().await?.0.into_std()?;
            tokio::spawn(serve_socket(socket));
        }
    })
}

/// The text back from the server.
///
/// # Errors
/// The call failed.
pub async fn echo(bench: &BenchClient, text: &str) -> Result<String, Failure> {
    Ok(bench.echo(context::current(), text.to_owned()).await?)
}

/// The bytes back from the server.
///
/// # Errors
/// The call failed.
pub async fn bytes(bench: &BenchClient, data: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(bench.bytes(context::current(), ByteBuf::from(data)).await?.into_vec())
}
