//! A call through the bridge beside one of capnp-rpc alone, over a unix socket between two threads, in one run:
//! `cargo bench -p multiprocess-capnp-rpc --bench call`. Prints the median of the rounds and the ratio.
//!
//! - `capnp-rpc`: capnp-rpc's own connection at both ends;
//! - `client`: a capnpc client of an object with a generated trait;
//! - `server`: a handle on a capnpc server, called by `.wait()`;
//! - `both`: a capnpc client, a capnpc server, and the bridge at both ends.
//!
//! The bridge's threads read their connections (`Bridge::read_here`), or the runtime's thread does.

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bridge_schemas::lab::{Lab, LabClient};
use bridge_schemas::lab_capnp::lab;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, new_client, twoparty};
use futures_util::io::{AsyncReadExt, BufReader, BufWriter};
use multiprocess::{Connection, Limits, Result};
use multiprocess_capnp_rpc::Bridge;
use tokio::task::LocalSet;
use tokio_util::compat::TokioAsyncReadCompatExt;

const ROUNDS: usize = 21;
const CALLS: u32 = 3000;

struct RawLab;

impl lab::Server for RawLab {
    async fn echo(
        self: Rc<Self>,
        params: lab::EchoParams,
        mut results: lab::EchoResults,
    ) -> capnp::Result<()> {
        results.get().set_text(params.get()?.get_text()?);
        Ok(())
    }
}

struct TypedLab;

impl Lab for TypedLab {
    fn echo(&self, text: String) -> Result<String> {
        Ok(text)
    }
}

fn on_loop<R>(future: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    LocalSet::new().block_on(&runtime, future)
}

fn network(
    socket: UnixStream,
    side: Side,
) -> Box<twoparty::VatNetwork<impl futures_util::AsyncRead + Unpin>> {
    socket.set_nonblocking(true).unwrap();
    let socket = tokio::net::UnixStream::from_std(socket).unwrap();
    let (read, write) = TokioAsyncReadCompatExt::compat(socket).split();
    let (read, write) = (BufReader::new(read), BufWriter::new(write));
    Box::new(twoparty::VatNetwork::new(read, write, side, Default::default()))
}

async fn timed(lab: &lab::Client) -> Duration {
    let start = Instant::now();
    for _ in 0..CALLS {
        let mut request = lab.echo_request();
        request.get().set_text("hello");
        let response = request.send().promise.await.unwrap();
        assert_eq!(response.get().unwrap().get_text().unwrap(), "hello");
    }
    start.elapsed() / CALLS
}

fn plain() -> Duration {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = std::thread::spawn(move || {
        on_loop(async {
            let lab: lab::Client = new_client(RawLab);
            let _ = RpcSystem::new(network(theirs, Side::Server), Some(lab.client)).await;
        });
    });
    let took = on_loop(async {
        let mut system = RpcSystem::new(network(ours, Side::Client), None);
        let lab: lab::Client = system.bootstrap(Side::Server);
        let disconnect = system.get_disconnector();
        tokio::task::spawn_local(system);
        let took = timed(&lab).await;
        disconnect.await.unwrap();
        took
    });
    server.join().unwrap();
    took
}

fn client_of(ours: UnixStream, read_here: bool) -> Duration {
    on_loop(async {
        let (bridge, driver) = Bridge::new();
        tokio::task::spawn_local(driver);
        let connection = Connection::new(ours).unwrap();
        if read_here {
            bridge.read_here(&connection);
        }
        let lab: lab::Client = bridge.bootstrap(&connection).unwrap();
        timed(&lab).await
    })
}

fn serve(theirs: UnixStream, read_here: bool) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        on_loop(async {
            let (bridge, driver) = Bridge::new();
            tokio::task::spawn_local(driver);
            let lab: lab::Client = new_client(RawLab);
            let connection = bridge.serve(theirs, Limits::default(), lab).unwrap();
            if read_here {
                bridge.read_here(&connection);
            }
            connection.disconnected().await;
        });
    })
}

fn client(read_here: bool) -> Duration {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let lab = LabClient::new(TypedLab);
    let _served = Connection::builder().serve(lab).start(theirs).unwrap();
    client_of(ours, read_here)
}

fn server(read_here: bool) -> Duration {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = serve(theirs, read_here);
    let lab: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let start = Instant::now();
    for _ in 0..CALLS {
        assert_eq!(lab.echo("hello").wait().unwrap(), "hello");
    }
    let took = start.elapsed() / CALLS;
    drop(lab);
    server.join().unwrap();
    took
}

fn both(read_here: bool) -> Duration {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = serve(theirs, read_here);
    let took = client_of(ours, read_here);
    server.join().unwrap();
    took
}

fn main() {
    type Row = (&'static str, Box<dyn Fn() -> Duration>, Vec<Duration>);
    let row = |name, run: Box<dyn Fn() -> Duration>| -> Row { (name, run, Vec::new()) };
    let mut rows = [
        row("capnp-rpc", Box::new(plain)),
        row("client", Box::new(|| client(true))),
        row("server", Box::new(|| server(true))),
        row("both", Box::new(|| both(true))),
        row("client, runtime reads", Box::new(|| client(false))),
        row("server, runtime reads", Box::new(|| server(false))),
        row("both, runtime reads", Box::new(|| both(false))),
    ];
    // One after the other in each round, so that all have the machine as it is then.
    for _ in 0..ROUNDS {
        for (_, run, times) in &mut rows {
            times.push(run());
        }
    }
    let medians = rows.map(|(name, _, mut times)| {
        times.sort();
        (name, times[times.len() / 2])
    });
    for (name, median) in medians {
        let ratio = median.as_secs_f64() / medians[0].1.as_secs_f64();
        println!("{name:<22} {:>7.1} us {ratio:>6.2}", median.as_secs_f64() * 1e6);
    }
}
