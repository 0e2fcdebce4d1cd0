//! A node that is served as its process does it, and what its peers have.

use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use bitcoin_ipc_draft::init::InitClient;
use bitcoin_ipc_draft::node::NodeClient;
use bitcoin_regtest::{Chain, anyone_can_spend, mine_block};
use bitcoin_split::SplitNode;
use multiprocess::{Connection, Interface, PeerVersion};
use tempfile::TempDir;

/// No test waits longer.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A node, and a user interface's connection to it.
pub(crate) struct Served {
    pub(crate) node: SplitNode,
    pub(crate) init: InitClient,
    pub(crate) ui: Connection,
    _serving: Connection,
    pub(crate) dir: TempDir,
}

pub(crate) fn serve() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let node = SplitNode::new(Chain::regtest(), dir.path().to_owned()).unwrap();
    let (init, ui, serving) = connect::<InitClient>(&node);
    PeerVersion::assume(&init, "2026-07").unwrap();
    Served { node, init, ui, _serving: serving, dir }
}

/// One more process that is connected to the node, its Init as that one knows it, and the node's end.
pub(crate) fn connect<I: Interface>(node: &SplitNode) -> (I, Connection, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(bitcoin_split::init(node)).start(theirs).unwrap();
    let peer = Connection::new(ours).unwrap();
    (peer.bootstrap().unwrap(), peer, serving)
}

impl Served {
    pub(crate) fn ui_node(&self) -> NodeClient {
        self.init.make_node().wait().unwrap().unwrap()
    }

    pub(crate) fn mine(&self, blocks: u32) {
        for _ in 0..blocks {
            mine_block(self.node.chain(), anyone_can_spend()).unwrap();
        }
    }
}

/// What callbacks tell, in the order in which they do.
pub(crate) struct Told<T> {
    told: Receiver<T>,
}

impl<T> Told<T> {
    pub(crate) fn new() -> (Sender<T>, Told<T>) {
        let (tell, told) = channel();
        (tell, Told { told })
    }

    #[track_caller]
    pub(crate) fn next(&self) -> T {
        self.told.recv_timeout(LONG).expect("nothing is told")
    }

    /// Until all who could tell are gone.
    pub(crate) fn rest(self) -> Vec<T> {
        let mut rest = Vec::new();
        loop {
            match self.told.recv_timeout(LONG) {
                Ok(next) => rest.push(next),
                Err(RecvTimeoutError::Disconnected) => return rest,
                Err(RecvTimeoutError::Timeout) => panic!("a callback is not let go"),
            }
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
