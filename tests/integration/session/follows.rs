//! Streams over the gap.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use bitcoin_ipc::Blocking;
use bitcoin_ipc::Error;
use bitcoin_ipc::init::{Init, InitClient};
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::{
    BlockCreateOptions, BlockRef, BlockTemplateClient, BlockWaitOptions, MiningClient,
};
use bitcoin_ipc::session::{Event, Follow};
use bitcoin_regtest::NodeInit;
use tempfile::TempDir;

use super::{Node, builder};
use crate::nodes::NodeProcess;
use crate::{LONG, fresh_chain, wait_until};

trait Told<T> {
    fn told(&mut self) -> T;
    fn lost(&mut self) -> Error;
}

impl<T> Told<T> for Blocking<Follow<T>> {
    #[track_caller]
    fn told(&mut self) -> T {
        match self.next() {
            Some(Ok(Event::Next(item))) => item,
            Some(Ok(Event::Lost(why))) => panic!("lost: {why}"),
            Some(Err(error)) => panic!("failed: {error}"),
            None => panic!("it has ended"),
        }
    }

    #[track_caller]
    fn lost(&mut self) -> Error {
        match self.next() {
            Some(Ok(Event::Lost(why))) => why,
            Some(Ok(Event::Next(_))) => panic!("not lost"),
            Some(Err(error)) => panic!("failed: {error}"),
            None => panic!("it has ended"),
        }
    }
}

fn templates(node: &Node) -> Blocking<Follow<BlockTemplateClient>> {
    let (create, wait) = (BlockCreateOptions::default(), BlockWaitOptions::default());
    node.session().templates(create, wait).into_iter()
}

#[test]
fn tips_go_on_after_the_node_was_killed() {
    let dir = TempDir::new().unwrap();
    let mut node = NodeProcess::start(dir.path());
    let session = builder(dir.path()).wait_for_node(LONG).connect().unwrap();
    let mut tips = session.tips().into_iter();
    for _ in 0..3 {
        assert_eq!(tips.told().height, 0);
        assert!(tips.next_within(Duration::from_millis(10)).is_pending());
        node.kill();
        assert!(tips.lost().is_disconnect());
        node = NodeProcess::start(dir.path());
    }
    assert_eq!(tips.told().height, 0);
}

#[test]
fn after_a_gap_the_present_tip_is_told() {
    let mut node = Node::new();
    let mut tips = node.session().tips().into_iter();
    let genesis = tips.told();
    let first = node.mine();
    assert_eq!(tips.told().hash, first);
    node.go();
    assert!(tips.lost().is_disconnect());
    // One loss for each gap, however long it is.
    assert!(tips.next_within(Duration::from_millis(50)).is_pending());
    node.mine();
    let last = node.mine();
    node.come();
    assert_eq!(tips.told(), BlockRef::new(last).height(genesis.height + 3));
    // Also if it is the same.
    node.go();
    tips.lost();
    node.come();
    assert_eq!(tips.told().hash, last);
}

#[test]
fn a_stream_that_nobody_polls_in_the_gap_tells_it_afterwards() {
    let mut node = Node::new();
    let session = node.session();
    let mut tips = session.tips().into_iter();
    tips.told();
    node.go();
    wait_until("the session has noticed", || session.try_get().is_none());
    node.come();
    assert_eq!(session.get(LONG).unwrap().generation(), 2);
    tips.lost();
    assert_eq!(tips.told().height, 0);
}

#[test]
fn templates_go_on_as_well() {
    let mut node = Node::new();
    let mut templates = templates(&node);
    let first = templates.told();
    assert_eq!(templates.get_ref().live(), 1);
    let mined = node.mine();
    let second = templates.told();
    assert_eq!(second.get_block_header().wait().unwrap().prev_blockhash, mined);
    assert_eq!(templates.get_ref().live(), 2);
    drop(first);
    assert_eq!(templates.get_ref().live(), 1);
    node.go();
    assert!(templates.lost().is_disconnect());
    assert!(second.get_block().wait().is_err_and(|error| error.is_disconnect()));
    node.come();
    let third = templates.told();
    assert_eq!(third.get_block_header().wait().unwrap().prev_blockhash, mined);
    assert_eq!(templates.get_ref().live(), 1, "those of the lost connection do not count");
}

#[test]
fn a_node_that_shuts_down_is_lost_and_waited_for() {
    let mut node = Node::new();
    let session = node.session();
    let mut tips = session.tips().into_iter();
    let mut templates = templates(&node);
    tips.told();
    templates.told();
    node.chain.shutdown();
    assert!(tips.lost().to_string().contains("the node is shutting down"));
    assert!(templates.lost().to_string().contains("the node is shutting down"));
    // It still answers other calls until it has ended.
    assert!(tips.next_within(Duration::from_millis(20)).is_pending());
    assert!(session.get(LONG).unwrap().init().make_echo().wait().is_ok());
    node.go();
    node.chain = fresh_chain();
    node.come();
    assert_eq!(tips.told().height, 0);
    templates.told();
}

#[test]
fn dropping_one_ends_its_own_wait_and_its_template() {
    let node = Node::new();
    let session = node.session();
    let mut tips = session.tips().into_iter();
    let mut others = session.tips().into_iter();
    for tips in [&mut tips, &mut others] {
        tips.told();
        assert!(tips.next_within(Duration::from_millis(1)).is_pending());
    }
    let mut templates = templates(&node);
    drop(templates.told());
    assert_eq!(node.live_templates(), 1);
    assert!(templates.next_within(Duration::from_millis(1)).is_pending());
    node.wait_for_waiters(3);
    drop(templates);
    node.wait_for_waiters(2);
    wait_until("the template is destroyed", || node.live_templates() == 0);
    drop(tips);
    node.wait_for_waiters(1);
    let mined = node.mine();
    assert_eq!(others.told().hash, mined);
}

/// A node whose Mining cannot be had.
struct Without;

impl Init for Without {}

#[test]
fn an_error_that_is_no_loss_is_the_last_item() {
    let dir = TempDir::new().unwrap();
    let options = IpcOptions::new("bitcoin-node", InitClient::new(Without)).datadir(dir.path());
    let node = Ipc::new(options);
    node.listen_address("unix").unwrap();
    let session = builder(dir.path()).connect().unwrap();
    let mut tips = session.tips().into_iter();
    let error = tips.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error:?}");
    assert!(tips.next().is_none());
    assert!(session.try_get().is_some(), "the session goes on");
}

/// A relay whose node is away for a while.
struct Relay {
    away: AtomicU32,
    node: NodeInit,
}

impl Init for Relay {
    fn make_mining(&self) -> bitcoin_ipc::Result<Option<MiningClient>> {
        let away = |left: u32| left.checked_sub(1);
        match self.away.fetch_update(Ordering::AcqRel, Ordering::Acquire, away) {
            Ok(_) => Err(Error::disconnected("the node is away")),
            Err(_) => self.node.make_mining(),
        }
    }
}

#[test]
fn a_node_that_is_lost_behind_its_peer_is_lost_as_well() {
    let dir = TempDir::new().unwrap();
    let relay = Relay { away: AtomicU32::new(3), node: NodeInit::new(fresh_chain()) };
    let options = IpcOptions::new("relay", InitClient::new(relay)).datadir(dir.path());
    let relay = Ipc::new(options);
    relay.listen_address("unix:node.sock").unwrap();
    let session = builder(dir.path()).connect().unwrap();
    let mut tips = session.tips().into_iter();
    // Nothing was told that could be lost.
    assert_eq!(tips.told().height, 0);
    // Each attempt has a connection of its own, so they have the session's delays.
    assert_eq!(session.get(LONG).unwrap().generation(), 4);
}

#[test]
fn waits_that_are_cut_with_their_connections_leave_nothing() {
    let node = Node::new();
    let session = node.session();
    for _ in 0..100 {
        let mut tips = session.tips().into_iter();
        let mut templates = {
            let (create, wait) = (BlockCreateOptions::default(), BlockWaitOptions::default());
            session.templates(create, wait).into_iter()
        };
        tips.told();
        templates.told();
        assert!(tips.next_within(Duration::ZERO).is_pending());
        assert!(templates.next_within(Duration::ZERO).is_pending());
        node.wait_for_waiters(2);
        assert!(node.live_templates() > 0);
        node.ipc.as_ref().unwrap().disconnect_incoming();
        tips.lost();
        templates.lost();
        node.wait_for_waiters(0);
        wait_until("its templates are destroyed", || node.live_templates() == 0);
    }
}

/// The peer keeps its connections when the node behind it shuts down, and comes back with another.
#[test]
fn a_node_that_shuts_down_behind_its_peer_is_followed_again() {
    struct Front(Arc<Mutex<NodeInit>>);
    impl Init for Front {
        fn make_mining(&self) -> bitcoin_ipc::Result<Option<MiningClient>> {
            let node = self.0.lock().unwrap();
            node.make_mining()
        }
    }
    let dir = TempDir::new().unwrap();
    let chain = fresh_chain();
    let node = Arc::new(Mutex::new(NodeInit::new(chain.clone())));
    let front = InitClient::new(Front(Arc::clone(&node)));
    let front = Ipc::new(IpcOptions::new("relay", front).datadir(dir.path()));
    front.listen_address("unix:node.sock").unwrap();
    let session = builder(dir.path()).connect().unwrap();
    let mut tips = session.tips().into_iter();
    tips.told();
    chain.shutdown();
    assert!(tips.lost().to_string().contains("shutting down"));
    *node.lock().unwrap() = NodeInit::new(fresh_chain());
    assert_eq!(tips.told().height, 0);
    assert_eq!(session.get(LONG).unwrap().generation(), 2);
}

/// What the program does to begin with templates may take as long as it likes, and may even end the session.
#[test]
fn the_session_ends_while_a_stream_runs_the_programs_code() {
    let node = Node::new();
    let session = node.session();
    let (began, begins) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let begin = move |mining: &MiningClient| {
        began.send(()).unwrap();
        let _ = goes_on.recv();
        mining.templates(BlockCreateOptions::default(), BlockWaitOptions::default())
    };
    let mut blocked = session.templates_by(begin).into_iter();
    let blocked = thread::spawn(move || blocked.next().is_none());
    begins.recv().unwrap();
    let own = session.clone();
    let begin = move |mining: &MiningClient| {
        own.close();
        mining.templates(BlockCreateOptions::default(), BlockWaitOptions::default())
    };
    let mut closing = session.templates_by(begin).into_iter();
    assert!(closing.next().is_none(), "it has closed the session itself");
    drop(go_on);
    assert!(blocked.join().unwrap(), "it ends with the session");
    node.wait_for_waiters(0);
    wait_until("no template is left", || node.live_templates() == 0);
}

/// Others learn why, too.
#[test]
fn what_ends_a_stream_is_the_reason_of_the_loss() {
    struct Gone(AtomicU32, NodeInit);
    impl Init for Gone {
        fn make_mining(&self) -> bitcoin_ipc::Result<Option<MiningClient>> {
            match self.0.fetch_add(1, Ordering::AcqRel) {
                0 => Err(Error::disconnected("the node has caught fire")),
                _ => self.1.make_mining(),
            }
        }
    }
    let dir = TempDir::new().unwrap();
    let peer = InitClient::new(Gone(AtomicU32::new(0), NodeInit::new(fresh_chain())));
    let peer = Ipc::new(IpcOptions::new("relay", peer).datadir(dir.path()));
    peer.listen_address("unix:node.sock").unwrap();
    let (told, hears) = mpsc::channel();
    let session = builder(dir.path()).on_loss(move |why| drop(told.send(why.to_string())));
    let session = session.connect().unwrap();
    session.tips().into_iter().told();
    let why = hears.recv_timeout(LONG).unwrap();
    assert!(why.contains("caught fire"), "{why}");
}
