//! A connection to a node that is killed and started again.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use bitcoin_ipc::Error;
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::MiningClient;
use bitcoin_regtest::{Chain, NodeInit};
use multiprocess::process::Backoff;
use multiprocess::{IncomingCall, Interceptor, OutgoingCall, ReconnectState};
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

/// Counts the calls that it sees, on either side.
#[derive(Default)]
struct Counts {
    calls: AtomicUsize,
    served: AtomicUsize,
}

impl Counts {
    fn seen(&self) -> (usize, usize) {
        (self.calls.load(Ordering::SeqCst), self.served.load(Ordering::SeqCst))
    }
}

impl Interceptor for Counts {
    fn before_call(&self, _call: &mut OutgoingCall<'_>) -> bitcoin_ipc::Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn before_serve(&self, _call: &mut IncomingCall<'_>) -> bitcoin_ipc::Result<()> {
        self.served.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// On those that are made once and those that are made again, and where others connect.
#[test]
fn an_interceptor_sees_the_calls_of_all_connections() {
    let dir = TempDir::new().unwrap();
    let (ours, theirs) = (Arc::<Counts>::default(), Arc::<Counts>::default());
    let init = InitClient::new(NodeInit::new(Chain::regtest()));
    let node = IpcOptions::new("bitcoin-node", init).datadir(dir.path()).intercept(theirs.clone());
    let node = Ipc::new(node);
    node.listen_address("unix").unwrap();
    let options = IpcOptions::client("client").datadir(dir.path()).connect_timeout(LONG);
    let client = Ipc::new(options.intercept(ours.clone()));

    let init = client.connect_address("unix").unwrap().expect("an address");
    assert_eq!((ours.seen(), theirs.seen()), ((0, 0), (0, 0)));
    init.make_echo().wait().unwrap();
    assert_eq!((ours.seen(), theirs.seen()), ((1, 0), (0, 1)));

    let again = client.reconnect_address("unix").unwrap().expect("an address");
    let again = again.start(|init: &InitClient| Ok(init.clone())).unwrap();
    for generation in 1..=2 {
        let mut current = again.get(LONG).unwrap();
        wait_until("it has connected", || {
            current = again.get(LONG).unwrap();
            current.generation() == generation
        });
        current.make_echo().wait().unwrap();
        let calls = 1 + usize::try_from(generation).unwrap();
        assert_eq!((ours.seen(), theirs.seen()), ((calls, 0), (0, calls)));
        node.disconnect_incoming();
    }
}
