//! A connection to a node that is killed and started again.

use std::path::Path;
use std::sync::mpsc;

use bitcoin_ipc::Error;
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::MiningClient;
use multiprocess::{ReconnectState, process::Backoff};
use tempfile::TempDir;

use crate::nodes::NodeProcess;
use crate::{LONG, wait_until};

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
        let node = NodeProcess::start(dir.path());
        let current = mining.get(LONG).unwrap();
        assert_eq!(current.generation(), generation);
        let tip = current.get_tip().wait().unwrap().expect("a tip");
        assert_eq!(tip.height, 0);
        if let Some(before) = before.replace(MiningClient::clone(&current)) {
            assert!(matches!(before.get_tip().wait(), Err(Error::Disconnected { .. })));
        }
        node.kill();
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
