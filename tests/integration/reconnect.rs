//! A connection to a node that is killed and started again. The node is this test program, run again.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc;

use bitcoin_ipc::Error;
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::MiningClient;
use bitcoin_regtest::{Chain, NodeInit};
use multiprocess::{ReconnectState, process::Backoff};
use tempfile::TempDir;

use crate::{LONG, wait_until};

/// The data directory of the process that is to be a node.
const DATADIR: &str = "BITCOIN_IPC_TEST_NODE";

/// Does nothing where the variable is not set, as when all tests are run.
#[test]
fn serve_as_a_node() {
    let Some(datadir) = std::env::var_os(DATADIR) else { return };
    let init = InitClient::new(NodeInit::new(Chain::regtest()));
    let node = Ipc::new(IpcOptions::new("bitcoin-node", init).datadir(datadir));
    node.listen_address("unix").unwrap();
    // Until it is killed, or until the test has gone, which has the other end of this pipe.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

fn start_node(datadir: &Path) -> Child {
    let test = "reconnect::serve_as_a_node";
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "-q"])
        .env(DATADIR, datadir)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

fn client(datadir: &Path) -> Ipc {
    Ipc::new(IpcOptions::client("client").datadir(datadir).connect_timeout(LONG))
}

#[test]
fn a_node_that_is_killed_and_started_again() {
    let dir = TempDir::new().unwrap();
    let (tell, losses) = mpsc::channel();
    let first = std::time::Duration::from_millis(1);
    let backoff = Backoff { first, longest: 10 * first, ..Backoff::default() };
    let reconnect = client(dir.path()).reconnect_address("unix").unwrap().expect("an address");
    let mining = reconnect
        .backoff(backoff)
        .on_loss(move |reason| tell.send(reason).unwrap())
        .start(|init: &InitClient| {
            init.make_mining().wait()?.ok_or_else(|| Error::failed("no mining"))
        })
        .unwrap();
    wait_until("an attempt has failed", || match mining.state() {
        ReconnectState::Connecting { last_error: Some(error), .. } => {
            error.to_string().contains("node.sock")
        }
        _ => false,
    });
    let mut before: Option<MiningClient> = None;
    for generation in 1..=3 {
        let mut node = start_node(dir.path());
        let current = mining.get(LONG).unwrap();
        assert_eq!(current.generation(), generation);
        let tip = current.get_tip().wait().unwrap().expect("a tip");
        assert_eq!(tip.height, 0);
        if let Some(before) = before.replace(MiningClient::clone(&current)) {
            assert!(matches!(before.get_tip().wait(), Err(Error::Disconnected { .. })));
        }
        node.kill().unwrap();
        node.wait().unwrap();
        losses.recv_timeout(LONG).expect("the hook runs");
        assert!(matches!(current.get_tip().wait(), Err(Error::Disconnected { .. })));
    }
    assert!(mining.close(LONG));
}

#[test]
fn addresses_without_a_connection() {
    let dir = TempDir::new().unwrap();
    let client = client(dir.path());
    for address in ["", "0"] {
        assert!(client.reconnect_address(address).unwrap().is_none(), "{address:?}");
    }
    for address in ["unix", "unix:", "unix:other.sock", "auto"] {
        assert!(client.reconnect_address(address).unwrap().is_some(), "{address:?}");
    }
    let error = client.reconnect_address("tcp:1").unwrap_err();
    assert_eq!(error.to_string(), "Unrecognized address 'tcp:1'");
}
