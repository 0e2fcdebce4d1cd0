//! A chain on disk whose process is killed, and whose disk is full.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitcoin::BlockHash;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::rpc::RpcClient;
use bitcoin_regtest::{Chain, OpenError};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bitcoin-regtest");
const LONG: Duration = Duration::from_secs(60);

/// A node of the program, with its chain in a file.
struct Node {
    process: Child,
    socket: PathBuf,
    file: PathBuf,
}

impl Node {
    fn start(dir: &Path) -> Node {
        Node::start_by(Command::new(PROGRAM), dir)
    }

    fn start_by(mut command: Command, dir: &Path) -> Node {
        let (socket, file) = (dir.join("node.sock"), dir.join("chain"));
        // Left by one that was killed.
        let _ = std::fs::remove_file(&socket);
        command.arg(&socket).arg(&file).stderr(Stdio::piped());
        Node { process: command.spawn().unwrap(), socket, file }
    }

    fn rpc(&self) -> RpcClient {
        let ipc = Ipc::new(IpcOptions::client("test"));
        let address = format!("unix:{}", self.socket.display());
        let deadline = Instant::now() + LONG;
        loop {
            match ipc.connect_address(&address) {
                Ok(init) => return init.unwrap().make_rpc().wait().unwrap().unwrap(),
                Err(error) if Instant::now() > deadline => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn kill(self) {}
}

/// Also where a test fails: the process has this one's output, for whose end others wait.
impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn mine(rpc: &RpcClient) -> Result<BlockHash, String> {
    let mined: Result<Vec<String>, _> = rpc.call("generatetodescriptor", (1, "raw(51)")).wait();
    mined.map(|hashes| hashes[0].parse().unwrap()).map_err(|error| error.to_string())
}

#[test]
fn every_block_that_was_acknowledged_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<BlockHash> = Vec::new();
    for round in 0..30_u64 {
        let node = Node::start(dir.path());
        let rpc = node.rpc();
        std::thread::scope(|scope| {
            // It is killed at some moment of this loop, a later one in each round.
            let miner = scope.spawn(|| {
                let mut mined = Vec::new();
                while let Ok(hash) = mine(&rpc) {
                    mined.push(hash);
                }
                mined
            });
            std::thread::sleep(Duration::from_micros(3_000 + round * 700));
            node.kill();
            acknowledged.extend(miner.join().unwrap());
        });
        let chain = Chain::open(&dir.path().join("chain")).unwrap();
        let lost = acknowledged.iter().filter(|hash| chain.height_of(hash).is_none());
        assert_eq!(lost.count(), 0, "round {round}, {} acknowledged", acknowledged.len());
        // The one that was written and not acknowledged may be there.
        assert!(chain.tip().height as usize <= acknowledged.len() + round as usize + 1);
    }
    assert!(acknowledged.len() > 30, "{} blocks in 30 rounds", acknowledged.len());
}

#[test]
fn a_full_disk_refuses_the_block_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // A file of this process may have 8 units of `ulimit`: 4 or 8 KiB. Without the signal it is an error of the write.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh", PROGRAM]);
    let node = Node::start_by(shell, dir.path());
    let rpc = node.rpc();
    let length = || std::fs::metadata(&node.file).unwrap().len();
    let (mut mined, mut written) = (Vec::new(), 0);
    let refused = loop {
        match mine(&rpc) {
            Ok(hash) => {
                mined.push(hash);
                written = length();
            }
            Err(error) => break error,
        }
        assert!(mined.len() < 100, "the limit has no effect");
    };
    assert!(refused.contains("disk-failed, the chain's file"), "{refused}");
    assert!(refused.contains("make room there and try again"), "{refused}");
    let tip = |rpc: &RpcClient| rpc.call::<String>("getbestblockhash", ()).wait().unwrap();
    let last = *mined.last().unwrap();
    assert_eq!(tip(&rpc), last.to_string());
    assert_eq!(length(), written, "no half block");
    assert!(mine(&rpc).is_err());
    assert_eq!(length(), written, "no half block");
    node.kill();

    // With room it goes on from there.
    let node = Node::start(dir.path());
    let rpc = node.rpc();
    assert_eq!(tip(&rpc), last.to_string());
    mine(&rpc).unwrap();
    node.kill();
}

#[test]
fn a_second_node_is_told_so_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    let hash = mine(&node.rpc()).unwrap();
    let refused: OpenError = Chain::open(&node.file).unwrap_err();
    let second = Command::new(PROGRAM).arg(dir.path().join("other.sock")).arg(&node.file).output();
    let second = second.unwrap();
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8(second.stderr).unwrap();
    assert_eq!(told, format!("bitcoin-regtest: error: {refused}\n"));
    assert!(told.contains("is in use by another node: end that one"), "{told}");
    assert!(mine(&node.rpc()).is_ok(), "the first one goes on");
    let file = node.file.clone();
    node.kill();
    assert!(Chain::open(&file).unwrap().height_of(&hash).is_some());
}
