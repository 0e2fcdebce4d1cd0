//! `bitcoin-ipc relay`: what its clients may do, what they see of a node that goes away, and what they leave.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bitcoin_ipc::Blocking;
use bitcoin_ipc::codec::FOREVER;
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::{
    BlockCreateOptions, BlockRef, BlockTemplateClient, BlockWaitOptions, MiningClient,
};
use bitcoin_ipc::session::{Event, Follow, NodeSession, SessionBuilder};
use bitcoin_regtest::RegtestNode;
use multiprocess::process::Backoff;
use multiprocess::{Error, Result};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::running::{Running, node, socket_in};
use crate::{IPC, LONG, wait_until};

struct Relayed {
    node: RegtestNode,
    relay: Running,
    dir: TempDir,
}

/// A relay to the node at the path `node`.
pub(crate) fn relay_at(socket: &Path, node: &Path, rules: &str) -> Running {
    let mut relay = Command::new(IPC);
    relay.arg("--connect").arg(format!("unix:{}", node.display()));
    relay.arg("relay").arg("--listen").arg(format!("unix:{}{rules}", socket.display()));
    let relay = Running(relay.stderr(Stdio::null()).spawn().unwrap());
    wait_until("it listens", || socket.exists());
    relay
}

impl Relayed {
    /// `rules`: of the socket `relay.sock`; there is another one without rules, `other.sock`.
    fn start(rules: &str) -> Relayed {
        let (node, dir) = (RegtestNode::start().unwrap(), TempDir::new().unwrap());
        let at = |name: &str| format!("unix:{}", dir.path().join(name).display());
        let mut relay = Command::new(IPC);
        relay.args(["--connect", &node.address(), "relay"]);
        relay.args(["--listen", &(at("relay.sock") + rules), "--listen", &at("other.sock")]);
        let relay = Running(relay.stderr(Stdio::piped()).spawn().unwrap());
        wait_until("it listens", || dir.path().join("other.sock").exists());
        let relayed = Relayed { node, relay, dir };
        wait_until("it has a node", || relayed.mining("relay.sock").get_tip().wait().is_ok());
        relayed
    }

    fn init(&self, socket: &str) -> InitClient {
        let ipc = Ipc::new(IpcOptions::client("client"));
        let address = format!("unix:{}", self.dir.path().join(socket).display());
        ipc.connect_address(&address).unwrap().unwrap()
    }

    fn mining(&self, socket: &str) -> MiningClient {
        self.init(socket).make_mining().wait().unwrap().unwrap()
    }
}

fn template(mining: &MiningClient) -> Result<BlockTemplateClient> {
    Ok(mining.create_new_block(BlockCreateOptions::default(), false).wait()?.unwrap())
}

/// The client's own connection is as before: the error is the call's.
#[track_caller]
fn is_told<T: std::fmt::Debug>(outcome: Result<T>, told: &str) {
    let error = outcome.unwrap_err();
    let Error::Remote { message, .. } = &error else { panic!("{error}") };
    assert!(message.contains(told), "{message}");
}

/// The node is lost, which is another kind of error; the client's own connection is as before.
#[track_caller]
fn is_lost<T: std::fmt::Debug>(outcome: Result<T>, told: &str) {
    let error = outcome.unwrap_err();
    let Error::Disconnected { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains(told), "{reason}");
}

#[test]
fn each_socket_has_rules_of_its_own() {
    let relayed = Relayed::start(",read-only,templates=2");
    let (init, mining) = (relayed.init("relay.sock"), relayed.mining("relay.sock"));
    let held = [template(&mining).unwrap(), template(&mining).unwrap()];
    is_told(template(&mining), "have 2 templates, their maximum");
    let block = held[0].get_block().wait().unwrap();
    is_told(mining.submit_block(block.clone()).wait(), "Mining.submitBlock is not allowed at");
    let coinbase = block.txdata[0].clone();
    let header = block.header;
    let submitted = held[0].submit_solution(header.version, header.time, 0, coinbase).wait();
    is_told(submitted, "BlockTemplate.submitSolution is not allowed");
    let rpc = init.make_rpc().wait().unwrap().unwrap();
    is_told(rpc.execute_rpc("{}", "/", "").wait(), "Rpc.executeRpc is not allowed");
    held[0].close().wait().unwrap();
    wait_until("there is a place", || template(&mining).is_ok());

    let free = relayed.mining("other.sock");
    assert!(!free.submit_block(block).wait().unwrap().is_accepted(), "the node says so itself");
    assert_eq!(relayed.node.faults().calls("Mining.submitBlock"), 1, "only that one has arrived");
}

#[test]
fn only_what_is_allowed_is() {
    let relayed = Relayed::start(",allow=getTip,max-connections=2");
    let mining = relayed.mining("relay.sock");
    assert!(mining.get_tip().wait().unwrap().is_some());
    is_told(mining.is_test_chain().wait(), "Mining.isTestChain is not allowed at");
    is_told(template(&mining), "Mining.createNewBlock is not allowed at");
    assert_eq!(relayed.node.faults().calls("Mining.createNewBlock"), 0);
}

#[test]
fn a_node_goes_away_and_comes_back() {
    let relayed = Relayed::start("");
    relayed.node.mine(1).unwrap();
    let init = relayed.init("relay.sock");
    let mining = init.make_mining().wait().unwrap().unwrap();
    let tip = mining.get_tip().wait().unwrap().unwrap();
    let template = template(&mining).unwrap();
    let waits = mining.wait_tip_changed(tip.hash, FOREVER).start();
    wait_until("it waits", || relayed.node.chain().waiters() == 1);
    relayed.node.go_away();
    is_lost(waits.wait(), "the node behind the relay has gone");
    wait_until("it knows", || {
        let away = mining.get_tip().wait().unwrap_err().to_string();
        away.contains("the node behind the relay is away; the relay connects again")
    });
    is_lost(template.get_block().wait(), "the node behind the relay has gone");
    // While it is away, clients come, and get their objects.
    let later = relayed.mining("other.sock");
    is_lost(later.get_tip().wait(), "is away");

    relayed.node.come_back().unwrap();
    wait_until("it has the node again", || mining.get_tip().wait().is_ok());
    assert_eq!(mining.get_tip().wait().unwrap(), Some(tip), "the same object");
    assert_eq!(later.get_tip().wait().unwrap(), Some(tip));
    is_lost(template.get_block().wait(), "has gone");
    assert_eq!(init.make_echo().wait().unwrap().unwrap().echo("x").wait().unwrap(), "x");
}

/// What a program sees of a `NodeSession`'s streams, without those that say nothing new.
struct Streams {
    tips: Blocking<Follow<BlockRef>>,
    templates: Blocking<Follow<BlockTemplateClient>>,
}

impl Streams {
    fn of(socket: &Path) -> Streams {
        let first = Duration::from_millis(1);
        let backoff = Backoff { first, longest: 10 * first, ..SessionBuilder::BACKOFF };
        let session = NodeSession::builder(IpcOptions::client("client"));
        let session = session.address(format!("unix:{}", socket.display())).backoff(backoff);
        let session = session.connect().unwrap();
        let (create, wait) = (BlockCreateOptions::default(), BlockWaitOptions::default());
        let templates = session.templates(create, wait).into_iter();
        Streams { tips: session.tips().into_iter(), templates }
    }

    /// Both tell what the node has.
    fn are_told(&mut self) {
        assert!(matches!(self.tips.next(), Some(Ok(Event::Next(_)))));
        let Some(Ok(Event::Next(template))) = self.templates.next() else { panic!("a template") };
        template.get_block_header().wait().unwrap();
    }

    /// Both tell that the node is lost, and that it is the relay's.
    fn are_lost(&mut self) {
        let Some(Ok(Event::Lost(why))) = self.tips.next() else { panic!("the tips go on") };
        assert!(why.to_string().contains("the node behind the relay"), "{why}");
        // On an old tip there may be another template.
        let lost = self.templates.find(|event| !matches!(event, Ok(Event::Next(_))));
        assert!(matches!(&lost, Some(Ok(Event::Lost(_)))), "{lost:?}");
    }
}

#[test]
fn the_streams_of_a_session_go_on_when_the_node_was_killed() {
    let dir = TempDir::new().unwrap();
    socket_in(dir.path());
    let (path, mut node) = node(dir.path(), "killed.sock");
    let socket = dir.path().join("relay.sock");
    let relay = relay_at(&socket, &path, "");
    let mut streams = Streams::of(&socket);
    for _ in 0..3 {
        streams.are_told();
        // As kill -9 does.
        drop(node);
        streams.are_lost();
        // One loss for each gap.
        assert!(streams.tips.next_within(Duration::from_millis(50)).is_pending());
        node = self::node(dir.path(), "killed.sock").1;
    }
    streams.are_told();
    drop(relay);
}

#[test]
fn an_error_that_is_no_loss_ends_a_sessions_streams() {
    let relayed = Relayed::start(",allow=getTip");
    // What the node says.
    relayed.node.faults().fail("Mining.waitTipChanged", 1, "no disk");
    let mut streams = Streams::of(&relayed.dir.path().join("other.sock"));
    is_told(streams.tips.next().unwrap(), "no disk");
    assert!(streams.tips.next().is_none());
    assert_eq!(relayed.node.faults().calls("Mining.waitTipChanged"), 1, "it is not tried again");
    // What the relay says.
    let mut streams = Streams::of(&relayed.dir.path().join("relay.sock"));
    is_told(streams.tips.next().unwrap(), "Mining.waitTipChanged is not allowed");
    assert!(streams.tips.next().is_none());
}

/// Clients that are cut off, or end in the middle of everything, leave nothing in the node.
#[test]
fn clients_leave_nothing_in_the_node() {
    let relayed = Relayed::start("");
    relayed.node.mine(1).unwrap();
    let mining = relayed.mining("relay.sock");
    let tip = mining.get_tip().wait().unwrap().unwrap();
    let node = &relayed.node;
    // Waits that are given up.
    for _ in 0..20 {
        let moment = Duration::from_millis(5);
        let cut = mining.wait_tip_changed(tip.hash, FOREVER).timeout(moment).wait();
        assert!(matches!(cut, Err(Error::Timeout(_))), "{cut:?}");
    }
    wait_until("the waits have ended", || node.chain().waiters() == 0);
    // Whole clients.
    for _ in 0..5 {
        let mining = relayed.mining("other.sock");
        let held: Vec<_> = (0..5).map(|_| template(&mining).unwrap()).collect();
        let waits = held[0].wait_next(BlockWaitOptions::default()).start();
        wait_until("it waits", || node.chain().waiters() == 1);
        assert_eq!(node.live_templates(), 5);
        // The connection goes with the handles.
        drop((waits, held, mining));
        wait_until("nothing is left", || node.live_templates() == 0 && node.chain().waiters() == 0);
    }
    let held = template(&mining).unwrap();
    assert_eq!(mining.get_tip().wait().unwrap(), Some(tip), "others go on");
    drop(held);
}

/// A process that is killed while it waits.
#[test]
fn a_killed_client_leaves_nothing_in_the_node() {
    let relayed = Relayed::start("");
    relayed.node.mine(1).unwrap();
    let address = format!("unix:{}", relayed.dir.path().join("relay.sock").display());
    for _ in 0..3 {
        let mut client = Command::new(IPC);
        client
            .args(["--connect", &address, "wait-tip"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let client = Running(client.spawn().unwrap());
        wait_until("it waits", || relayed.node.chain().waiters() == 1);
        drop(client);
        wait_until("its wait has ended", || relayed.node.chain().waiters() == 0);
    }
}

#[test]
fn it_ends_in_order() {
    let relayed = Relayed::start("");
    let mining = relayed.mining("relay.sock");
    let tip = mining.get_tip().wait().unwrap().unwrap();
    let waits = mining.wait_tip_changed(tip.hash, FOREVER).timeout(LONG).start();
    wait_until("it waits", || relayed.node.chain().waiters() == 1);
    relayed.relay.signal(Signal::TERM);
    assert!(waits.wait().is_err());
    let Relayed { relay, dir, node } = relayed;
    let (status, errors) = relay.end();
    assert!(status.success(), "{errors}");
    assert!(errors.contains("relaying at") && !errors.contains("panicked"), "{errors}");
    assert!(!Path::new(&dir.path().join("relay.sock")).exists(), "the sockets are removed");
    wait_until("the wait has ended", || node.chain().waiters() == 0);
}

#[test]
fn what_is_wrong_is_told_in_one_line() {
    let dir = TempDir::new().unwrap();
    let run = |args: &[&str]| {
        let output =
            Command::new(IPC).arg("--datadir").arg(dir.path()).args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, errors) = run(&["relay", "--listen", "unix:/x,readonly"]);
    assert!(status == Some(2) && errors.contains("is none of read-only"), "{errors}");
    let (status, errors) = run(&["relay"]);
    assert!(status == Some(2) && errors.contains("--listen"), "{errors}");
    let (status, errors) = run(&["relay", "--listen", "unix:/nowhere/x.sock"]);
    let last = errors.lines().last().unwrap();
    assert!(status == Some(1) && last.contains("/nowhere/x.sock"), "{errors}");
}
