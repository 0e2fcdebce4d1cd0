//! Tips and templates one after the other: as streams and in loops, cut off at any moment, without anything
//! that is left in the node.

mod leaks;
mod odd_nodes;
mod tips;
mod updates;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bitcoin_ipc::bitcoin::{BlockHash, ScriptBuf};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::mining::MiningClient;
use bitcoin_regtest::{Chain, NodeInit, mine_block};
use futures_core::Stream;
use multiprocess::Connection;

use crate::{fresh_chain, wait_until};

/// A node in this process, at the other end of a socket pair.
struct Node {
    chain: Arc<Chain>,
    mining: MiningClient,
    init: InitClient,
    /// What the node serves, which counts its templates.
    served: NodeInit,
    /// The client's, and the node's.
    client: Connection,
    _server: Connection,
}

impl Node {
    fn new() -> Node {
        let chain = fresh_chain();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let served = NodeInit::new(Arc::clone(&chain));
        let init = InitClient::new(served.clone());
        let server = Connection::builder().serve(init).start(theirs).unwrap();
        let client = Connection::new(ours).unwrap();
        let init: InitClient = client.bootstrap().unwrap();
        let mining = init.make_mining().wait().unwrap().unwrap();
        Node { chain, mining, init, served, client, _server: server }
    }

    fn mine(&self) -> BlockHash {
        mine_block(&self.chain, ScriptBuf::new_op_return([])).unwrap()
    }

    /// Waits until so many calls wait in the node for another tip.
    fn wait_for_waiters(&self, count: usize) {
        wait_until(&format!("{count} calls wait in the node"), || self.chain.waiters() == count);
    }

    /// Waits until the node has so many templates.
    fn wait_for_templates(&self, count: usize) {
        let templates = || self.served.live_templates();
        wait_until(&format!("{count} templates live in the node"), || templates() == count);
    }

    /// Waits until this side has no call under way.
    fn wait_for_no_calls(&self) {
        wait_until("all calls have ended", || self.client.table_sizes()[0] == 0);
    }
}

/// Polls a stream once, with nobody to wake.
fn poll_once<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    std::pin::Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
}
