//! The process of a subscriber dies: this test program, run again.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::chain::{ActorCallbackCallResults, ActorCallbackClient, RpcCommand};

use crate::support::{LONG, Recorder, chain_at, serve, serve_at, subscribe, wait_until};

/// Set where this is the subscriber's process, whose standard input is its socket.
const CHILD: &str = "BITCOIN_SPLIT_TEST_SUBSCRIBER";
const NAME: &str = "death::a_subscriber_whose_process_is_killed_is_let_go";

#[test]
fn a_subscriber_whose_process_is_killed_is_let_go() {
    if std::env::var_os(CHILD).is_some() {
        return subscribe_for_ever();
    }
    let served = serve();
    let (living, _handler) = served.subscribe();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = serve_at(&served.node, ours);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(CHILD, "")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("it has registered its command", || !served.node.commands().names().is_empty());
    served.mine(1);
    let answer = served.node.commands().execute("blocks", Value::Null, "", "").unwrap();
    assert!(answer.unwrap().is_number());

    // While it is told of many blocks.
    std::thread::scope(|scope| {
        scope.spawn(|| served.mine(200));
        child.kill().unwrap();
        child.wait().unwrap();
    });
    serving.wait_disconnected();
    wait_until("its command is gone", || served.node.commands().names().is_empty());
    assert!(served.node.commands().execute("blocks", Value::Null, "", "").is_none());
    served.chain.wait_for_notifications().timeout(LONG).wait().unwrap();
    assert_eq!(living.told().len(), 402, "the other one missed nothing");
    served.mine(1);
    served.chain.wait_for_notifications().timeout(LONG).wait().unwrap();
    assert_eq!(living.told(), ["+202", "tip"]);
}

/// Subscribes, registers a command, and waits until it is killed or the node is gone.
fn subscribe_for_ever() {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let (chain, connection) = chain_at(UnixStream::from(socket));
    let recorder = Recorder::default();
    let _handler = subscribe(&chain, &recorder);
    let told = recorder.clone();
    let actor = ActorCallbackClient::from_fn(move |_request, _response, _last| {
        Ok(ActorCallbackCallResults::new(told.blocks().len().into()).result(true))
    });
    let command = RpcCommand::default().name("blocks").actor(actor);
    let _command = chain.handle_rpc(command).wait().unwrap();
    connection.wait_disconnected();
}
