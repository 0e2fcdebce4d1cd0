//! What a test does with a node, whether it is in this process or one of its own.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{Amount, Block, BlockHash, ScriptBuf, Txid};
use multiprocess::{Error, Result};
use serde_json::{Value, json};

use super::chain::Tip;
use super::solve::anyone_can_spend;

/// What a test does with a node: [`RegtestNode`](super::RegtestNode) in its own process, or
/// [`SpawnedNode`](super::SpawnedNode).
///
/// Everything but [`socket`](Self::socket) is an order in JSON-RPC. A program in another language gives the same
/// ones over the node's socket, by `Rpc.executeRpc`: `help` lists them.
///
/// ```
/// use std::time::Duration;
/// use bitcoin_ipc::ipc::IpcOptions;
/// use bitcoin_ipc::session::{Event, NodeSession};
/// use bitcoin_regtest::{RegtestNode, TestNode};
///
/// /// Written once, for both forms.
/// fn tips_are_told(node: &impl TestNode) -> bitcoin_ipc::Result<()> {
///     node.mine(2)?;
///     let session = NodeSession::builder(IpcOptions::client("test").datadir(node.datadir())).connect()?;
///     let mut tips = session.tips().into_iter();
///     assert!(matches!(tips.next(), Some(Ok(Event::Next(tip))) if tip.height == 2));
///     node.go_away()?;
///     assert!(matches!(tips.next(), Some(Ok(Event::Lost(_)))));
///     node.come_back()?;
///     node.delay("Mining.waitTipChanged", Duration::from_millis(1))?;
///     assert!(matches!(tips.next(), Some(Ok(Event::Next(tip))) if tip.hash == node.tip().unwrap().hash));
///     Ok(())
/// }
///
/// # fn main() -> bitcoin_ipc::Result<()> {
/// tips_are_told(&RegtestNode::start()?)
/// # }
/// ```
///
/// # Errors
/// All methods: what the node says to the order; for one in a process of its own also that it is gone.
pub trait TestNode {
    /// The path of the socket, for the program that is tested.
    fn socket(&self) -> &Path;

    /// Has the node run a JSON-RPC method: one of Bitcoin Core's, as far as the node has it, or one whose name
    /// begins with `regtest.`. `params` is an array, an object or null.
    fn order(&self, method: &str, params: Value) -> Result<Value>;

    /// The directory of the socket: the chain's own, for
    /// [`IpcOptions::datadir`](bitcoin_ipc::ipc::IpcOptions::datadir), where the socket is named `node.sock`.
    fn datadir(&self) -> &Path {
        self.socket().parent().unwrap_or(Path::new("/"))
    }

    /// Its address, for [`Ipc::connect_address`](bitcoin_ipc::ipc::Ipc) and the programs' `--connect`.
    fn address(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// The chain's last block.
    fn tip(&self) -> Result<Tip> {
        let state = state(self)?;
        Ok(Tip { hash: read(&state["hash"])?, height: number(&state["height"])? })
    }

    /// The block at this height of the chain.
    fn block(&self, height: u32) -> Result<Block> {
        let hash = self.order("getblockhash", json!([height]))?;
        let block = self.order("getblock", json!([hash, 0]))?;
        deserialize_hex(block.as_str().unwrap_or_default()).map_err(odd)
    }

    /// Mines so many blocks, whose rewards anyone can spend; returns their hashes.
    fn mine(&self, blocks: u32) -> Result<Vec<BlockHash>> {
        self.mine_to(blocks, &anyone_can_spend())
    }

    /// The same with the rewards to this script.
    fn mine_to(&self, blocks: u32, script: &ScriptBuf) -> Result<Vec<BlockHash>> {
        let script = format!("raw({})", script.to_hex_string());
        hashes(&self.order("generatetodescriptor", json!([blocks, script]))?)
    }

    /// Takes so many blocks out of the chain and mines one more than that in their place; returns the hashes of the
    /// new ones. Transactions of the old ones are mined again, if they can be in a block of that height.
    fn reorganize(&self, blocks: u32) -> Result<Vec<BlockHash>> {
        hashes(&self.order("regtest.reorganize", json!([blocks]))?)
    }

    /// Puts a transaction with this fee in the memory pool, from which templates take it; returns its id. It spends
    /// the reward of a block that [`mine`](Self::mine) made 100 blocks ago or earlier.
    fn pay_fee(&self, fee: Amount) -> Result<Txid> {
        read(&self.order("regtest.payfee", json!([fee.to_sat()]))?)
    }

    /// Sets the time that blocks are made and checked by, in Unix seconds; none for this machine's clock.
    fn set_time(&self, time: Option<u64>) -> Result<()> {
        self.order("setmocktime", json!([time.unwrap_or_default()])).map(drop)
    }

    /// Each call of the method takes so much longer from now on. Methods are named as in the schema, such as
    /// `Mining.getTip`; here and below, one that the node does not have is an error that lists them.
    fn delay(&self, method: &str, time: Duration) -> Result<()> {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.order("regtest.delay", json!([method, milliseconds])).map(drop)
    }

    /// The next calls of the method fail with this message, and do nothing.
    fn fail(&self, method: &str, times: u32, message: &str) -> Result<()> {
        self.order("regtest.fail", json!([method, times, message])).map(drop)
    }

    /// Takes all delays and failures back.
    fn clear_faults(&self) -> Result<()> {
        self.order("regtest.clearfaults", Value::Null).map(drop)
    }

    /// How often the method was called, over all connections.
    fn calls(&self, method: &str) -> Result<u64> {
        number(&self.order("regtest.calls", json!([method]))?)
    }

    /// How many block templates it holds for its clients.
    fn live_templates(&self) -> Result<usize> {
        number(&state(self)?["live_templates"])
    }

    /// How many calls of its clients wait for another block or a better template.
    fn waiters(&self) -> Result<usize> {
        number(&state(self)?["waiters"])
    }

    /// Ends all connections and removes the socket, as a node does that ends in order. The chain stays.
    fn go_away(&self) -> Result<()> {
        self.order("regtest.goaway", Value::Null).map(drop)
    }

    /// Listens again after [`go_away`](Self::go_away).
    fn come_back(&self) -> Result<()> {
        self.order("regtest.comeback", Value::Null).map(drop)
    }
}

fn state<N: TestNode + ?Sized>(node: &N) -> Result<Value> {
    node.order("regtest.state", Value::Null)
}

fn hashes(answer: &Value) -> Result<Vec<BlockHash>> {
    answer.as_array().into_iter().flatten().map(read).collect()
}

fn read<T: FromStr<Err: Display>>(answer: &Value) -> Result<T> {
    answer.as_str().unwrap_or_default().parse().map_err(odd)
}

fn number<T: TryFrom<u64>>(answer: &Value) -> Result<T> {
    let number = answer.as_u64().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| odd(format!("{answer} is no number of that kind")))
}

fn odd(problem: impl Display) -> Error {
    Error::failed(format!("the node's answer makes no sense, is it of another version? {problem}"))
}
