//! The demonstration of a split node: a node and its wallet in two processes, which pay each other, are killed, and
//! come back with the same balance.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::rpc::{RpcClient, Value};
use multiprocess::Connection;
use multiprocess::process::{self, Child};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::args::Args;
use super::{Failure, Outcome, output};

/// The wallets: who is paid for blocks, and who is paid by them.
const MINER: &str = "miner";
const SHOP: &str = "shop";
/// Of blocks on a coinbase until it can be spent.
const MATURITY: u32 = 100;
/// How long each wait lasts, such as for a process that comes back.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(5);

pub(super) fn run(args: &Args) -> Outcome {
    let start = Instant::now();
    let own;
    let datadir = match &args.datadir {
        Some(datadir) => datadir.as_path(),
        None => {
            own = tempfile::tempdir().map_err(|error| {
                Failure(format!("cannot make a directory for the demonstration: {error}"))
            })?;
            own.path()
        }
    };
    output::title("A node and its wallet, in two processes");
    let mut node = Node::start(datadir, args.patience())?;
    node.make_wallets()?;

    let miner = node.call(MINER, "getnewaddress", json!(["mined"]))?;
    let (_, time) = timed(|| node.call("", "generatetoaddress", json!([1, miner])))?;
    output::step(time, format_args!("mined a block that pays the {MINER}, at {}", text(&miner)));
    let anyone = json!([MATURITY, "raw(51)"]);
    let (_, time) = timed(|| node.call("", "generatetodescriptor", anyone.clone()))?;
    output::step(time, format_args!("mined {MATURITY} more, so that the coin can be spent"));
    node.balances(&[(MINER, "50"), (SHOP, "0")])?;

    let shop = node.call(SHOP, "getnewaddress", json!(["sold"]))?;
    let (txid, time) = timed(|| node.call(MINER, "sendtoaddress", json!([shop, 12.5])))?;
    output::step(time, format_args!("the {MINER} pays 12.5 BTC to the {SHOP}: {}", text(&txid)));
    let (_, time) = timed(|| node.call("", "generatetoaddress", json!([1, miner])))?;
    output::step(time, "the payment is mined");
    let paid = node.balances(&[(SHOP, "12.5")])?;

    let began = Instant::now();
    node.kill_wallet()?;
    node.wait_for_wallet(PATIENCE)?;
    output::step(began.elapsed(), "the node has started it again, and it has caught up");
    node.same_balances(&paid)?;

    let began = Instant::now();
    node.kill()?;
    output::step(began.elapsed(), "killed the node (kill -9): the wallet has seen that, and ended");
    let began = Instant::now();
    node = Node::start(datadir, args.patience())?;
    node.wait_for_wallet(PATIENCE)?;
    output::step(began.elapsed(), "both are back");
    node.same_balances(&paid)?;

    let began = Instant::now();
    let status = node.stop()?;
    output::step(began.elapsed(), format_args!("stopped in order: the node ended ({status})"));
    if !status.success() {
        return Err(Failure(format!("the node ended with {status}")));
    }
    output::title(format_args!(
        "Done: paid, killed and counted in {:.1} s; nothing was lost",
        start.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// The node's process.
struct Node {
    child: Arc<Child>,
    connection: Connection,
    rpc: RpcClient,
    patience: Duration,
}

/// What each wallet has.
type Balances = Vec<(&'static str, Value)>;

impl Node {
    /// Starts a node that starts a wallet process, with this program as both.
    fn start(datadir: &Path, patience: Duration) -> Result<Node, Failure> {
        let began = Instant::now();
        let own = std::env::current_exe()
            .map_err(|error| Failure(format!("cannot find this program's own file: {error}")))?;
        let mut option = std::ffi::OsString::from("-datadir=");
        option.push(datadir);
        let command = process::Command::new(own)
            .arg0("bitcoin-node")
            .arg(option)
            .arg("-wallet")
            .parent_death_signal(true);
        let ipc = Ipc::new(IpcOptions::client("bitcoin-ipc").spawn_timeout(patience));
        let spawned = ipc.spawn_command(command, Path::new("bitcoin-node"))?;
        let init: InitClient = spawned.init;
        let rpc = init.make_rpc().timeout(patience).wait()?;
        let rpc = rpc.ok_or_else(|| Failure("the node has no Rpc".to_owned()))?;
        let node = Node { child: spawned.child, connection: spawned.connection, rpc, patience };
        node.wait_for_wallet(patience)?;
        let what = format!(
            "process {} is the node, and has started process {}, the wallet",
            node.child.id(),
            node.wallet_process()?
        );
        output::step(began.elapsed(), what);
        Ok(node)
    }

    /// Runs a JSON-RPC method, of this wallet unless it has no name.
    fn call(&self, wallet: &str, method: &str, params: Value) -> Result<Value, Failure> {
        let call = match wallet {
            "" => self.rpc.call(method, params),
            name => self.rpc.wallet(name).call(method, params),
        };
        call.timeout(self.patience).wait().map_err(|error| Failure(format!("{method}: {error}")))
    }

    fn make_wallets(&self) -> Outcome {
        let has = self.call("", "listwallets", json!([]))?;
        for name in [MINER, SHOP] {
            if has.as_array().is_some_and(|has| has.contains(&json!(name))) {
                continue;
            }
            let (_, time) = timed(|| self.call("", "createwallet", json!([name])))?;
            output::step(time, format_args!("made a wallet for the {name}"));
        }
        Ok(())
    }

    /// The process id of the wallet.
    fn wallet_process(&self) -> Result<i32, Failure> {
        let info = self.call("", "getwalletprocess", json!([]))?;
        let id = info["pid"].as_i64().and_then(|id| i32::try_from(id).ok());
        id.ok_or_else(|| Failure("the node has no wallet process".to_owned()))
    }

    /// Waits until the wallet answers, and has seen the node's tip.
    fn wait_for_wallet(&self, time: Duration) -> Outcome {
        let deadline = Instant::now() + time;
        loop {
            let info = self.call("", "getwalletprocess", json!([]))?;
            if info["ready"] == true {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Failure("the wallet process does not come back".to_owned()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What the wallets have, once they have as much as is expected.
    fn balances(&self, expected: &[(&'static str, &str)]) -> Result<Balances, Failure> {
        let (began, deadline) = (Instant::now(), Instant::now() + PATIENCE);
        let of = |name| self.call(name, "getbalance", json!([]));
        for (name, amount) in expected {
            let amount: f64 = amount.parse().unwrap_or_default();
            while of(name)?.as_f64() != Some(amount) {
                if Instant::now() > deadline {
                    return Err(Failure(format!("the {name} has {}, not {amount}", of(name)?)));
                }
                std::thread::sleep(LOOK);
            }
        }
        let all = vec![(MINER, of(MINER)?), (SHOP, of(SHOP)?)];
        output::step(began.elapsed(), format_args!("balances: {}", shown(&all)));
        Ok(all)
    }

    fn same_balances(&self, before: &Balances) -> Outcome {
        let (began, deadline) = (Instant::now(), Instant::now() + PATIENCE);
        loop {
            let now: Result<Balances, Failure> = before
                .iter()
                .map(|(name, _)| Ok((*name, self.call(name, "getbalance", json!([]))?)))
                .collect();
            let late = Instant::now() > deadline;
            match now {
                Ok(now) if now == *before => break,
                Ok(now) if late => {
                    return Err(Failure(format!(
                        "before there were {}, now {}",
                        shown(before),
                        shown(&now)
                    )));
                }
                Err(error) if late => return Err(error),
                _ => std::thread::sleep(LOOK),
            }
        }
        output::step(began.elapsed(), format_args!("the same balances: {}", shown(before)));
        Ok(())
    }

    fn kill_wallet(&self) -> Outcome {
        let id = self.wallet_process()?;
        kill(id)?;
        output::step(Duration::ZERO, format_args!("killed the wallet (kill -9 {id})"));
        // Until the node has seen it.
        let deadline = Instant::now() + PATIENCE;
        while self.wallet_process().is_ok_and(|now| now == id) && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Kills the node, and waits until its wallet has ended, too.
    fn kill(self) -> Outcome {
        let wallet = self.wallet_process()?;
        kill(i32::try_from(self.child.id()).unwrap_or_default())?;
        self.child.wait()?;
        let deadline = Instant::now() + PATIENCE;
        while Path::new(&format!("/proc/{wallet}")).exists() {
            if Instant::now() > deadline {
                return Err(Failure(format!("the wallet (process {wallet}) goes on without its node")));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Ends the node in order.
    fn stop(self) -> Result<std::process::ExitStatus, Failure> {
        let Node { child, connection, rpc, .. } = self;
        drop(rpc);
        connection.disconnect();
        Ok(child.end()?)
    }
}

fn kill(id: i32) -> Outcome {
    let pid = Pid::from_raw(id).ok_or_else(|| Failure(format!("{id} is no process")))?;
    kill_process(pid, Signal::KILL)
        .map_err(|error| Failure(format!("cannot kill process {id}: {error}")))
}

fn shown(balances: &Balances) -> String {
    let each = balances.iter().map(|(name, amount)| format!("{name} {amount} BTC"));
    each.collect::<Vec<_>>().join(", ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn timed<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Duration), Failure> {
    let started = Instant::now();
    let value = work()?;
    Ok((value, started.elapsed()))
}
