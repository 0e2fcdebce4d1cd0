//! Processes that are started, on either side of the bridge. This program is the processes as well.

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bridge_schemas::lab::{Init, InitClient, Lab, LabClient};
use bridge_schemas::lab_capnp::{init, lab};
use capnp::ErrorKind;
use multiprocess::process::{Child, Command, FdArgs, inherited_socket};
use multiprocess::{Connection, Error, Limits, Result};
use multiprocess_capnp_rpc::Bridge;

/// Which of the two the process is.
const KIND: &str = "SPAWNED_TEST";
const PATIENCE: Duration = Duration::from_secs(60);

struct Typed;

impl Init for Typed {
    fn make_lab(&self) -> Result<Option<LabClient>> {
        Ok(Some(LabClient::new(Typed)))
    }
}

impl Lab for Typed {
    fn echo(&self, text: String) -> Result<String> {
        Ok(format!("{} says {text}", std::process::id()))
    }
}

struct Raw;

impl lab::Server for Raw {
    async fn echo(
        self: Rc<Self>,
        params: lab::EchoParams,
        mut results: lab::EchoResults,
    ) -> capnp::Result<()> {
        let text = params.get()?.get_text()?.to_str()?;
        results.get().set_text(format!("{} says {text}", std::process::id()));
        Ok(())
    }

    async fn never(self: Rc<Self>, _: lab::NeverParams, _: lab::NeverResults) -> capnp::Result<()> {
        std::future::pending().await
    }
}

fn on_loop<R>(future: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let bounded = async { tokio::time::timeout(PATIENCE, future).await.expect("too long") };
    tokio::task::LocalSet::new().block_on(&runtime, bounded)
}

/// The process that was started: serves until its parent disconnects.
fn serve(kind: &str, fd: &str) -> Result<()> {
    let socket = inherited_socket(fd)?;
    if kind == "typed" {
        let connection = Connection::builder().serve(InitClient::new(Typed)).start(socket)?;
        connection.wait_disconnected();
        return Ok(());
    }
    on_loop(async {
        let (bridge, driver) = Bridge::new();
        tokio::task::spawn_local(driver);
        let lab: lab::Client = capnp_rpc::new_client(Raw);
        let connection = bridge.serve(socket, Limits::default(), lab)?;
        bridge.read_here(&connection);
        connection.disconnected().await;
        Ok(())
    })
}

fn start(kind: &str) -> (Arc<Child>, Connection) {
    let program = std::env::current_exe().expect("this program");
    let command = Command::new(program).env(KIND, kind).fd_args(FdArgs::Bare);
    let (child, socket) = command.spawn().expect("a process");
    (Arc::new(child), Connection::new(socket).expect("a connection"))
}

/// A capnp-rpc client of the Init of a process that was started.
fn client_of_a_process() {
    let (child, connection) = start("typed");
    let init: InitClient = connection.bootstrap_child(&child, PATIENCE).expect("it serves");
    let (pid, killed) = (child.id(), Arc::clone(&child));
    on_loop(async {
        let (bridge, driver) = Bridge::new();
        tokio::task::spawn_local(driver);
        bridge.read_here(&connection);
        let init: init::Client = bridge.client(init).expect("a client");
        let response = init.construct_request().send().promise.await.expect("a ThreadMap");
        let map = response.get().unwrap().get_thread_map().unwrap();
        let thread = map.make_thread_request().send().pipeline.get_result();
        let mut request = init.make_lab_request();
        request.get().get_context().unwrap().set_thread(thread);
        let lab = request.send().pipeline.get_lab();
        let mut request = lab.echo_request();
        request.get().set_text("hello");
        let response = request.send().promise.await.expect("an echo");
        assert_eq!(
            response.get().unwrap().get_text().unwrap(),
            format!("{pid} says hello").as_str()
        );
        killed.shutdown(Duration::ZERO).expect("it is killed");
        connection.disconnected().await;
        let error = lab.echo_request().send().promise.await.err().expect("it is gone");
        assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
    });
}

/// A handle on the capnp-rpc server of a process that was started, which is killed during a call.
fn handle_of_a_process() {
    let (child, connection) = start("raw");
    let lab: LabClient = connection.bootstrap_child(&child, PATIENCE).expect("it serves");
    assert_eq!(lab.echo("hello").wait().expect("an echo"), format!("{} says hello", child.id()));
    let never = lab.never().start();
    assert_eq!(lab.echo("still").wait().expect("an echo"), format!("{} says still", child.id()));
    child.shutdown(Duration::ZERO).expect("it is killed");
    let error = never.timeout(PATIENCE).wait().expect_err("it is gone");
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let (Ok(kind), Some(fd)) = (std::env::var(KIND), args.last()) {
        return match serve(&kind, fd) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    client_of_a_process();
    handle_of_a_process();
    println!("spawned: both ways");
    ExitCode::SUCCESS
}
