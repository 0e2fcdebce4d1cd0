//! The JSON-RPC methods that the wallets add to the node's: Bitcoin Core's names, arguments, results and errors.
//!
//! Each command has an entry in the table of its file; the tables are joined here, and registered at the node one by
//! one. The node calls the actor of a command, which reads the arguments, finds the wallet, and runs the command on
//! the thread of that call.

mod addresses;
mod amount;
mod balances;
mod coins;
mod keys;
mod params;
mod reply;
mod rescan;
mod select;
mod spending;
mod transactions;
mod wallets;

use std::ops::Deref;
use std::sync::{Arc, Weak};

use bitcoin_ipc::bitcoin::Network;
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::CommandError;
use bitcoin_ipc_draft::chain::{
    ActorCallbackCallResults, ActorCallbackClient, JsonRpcRequest, RpcArg, RpcCommand,
};
use bitcoin_ipc_draft::handler::HandlerClient;
use serde_json::json;

use crate::loader::Wallets;
use crate::open::InUse;
use crate::wallet::LoadedWallet;
use params::{Params, first, wipe};
use reply::{Reply, fail, refused, wallet_code};

/// Bitcoin Core's numbers for what a request wants besides to be carried out: its help, and its arguments' names.
const MODE_HELP: i32 = 1;
const MODE_ARGUMENTS: i32 = 2;

/// A JSON-RPC method.
struct Command {
    name: &'static str,
    /// Its arguments in their order; several names of one have `|` between them.
    args: &'static [&'static str],
    /// How many of them have to be there.
    required: usize,
    /// What it does, in one line.
    about: &'static str,
    run: Run,
}

/// Carries a command of a wallet out.
type WalletRun = fn(&Target, &mut Params) -> Reply;
/// What a wallet does before that.
type Before = fn(&Target) -> Result<(), CommandError>;

/// What a command needs.
#[derive(Clone, Copy)]
enum Run {
    /// No wallet; or it finds its wallet itself, by the request's path.
    Process(fn(&Arc<Wallets>, &str, &mut Params) -> Reply),
    /// A wallet.
    Wallet(WalletRun),
    /// A wallet that has taken in all that has happened so far.
    Synced(WalletRun),
    /// The same, unless it looks at the chain for long: for commands that tell of that.
    SyncedUnlessScanning(WalletRun),
}

/// The wallet that a command is for.
struct Target {
    wallets: Arc<Wallets>,
    wallet: Arc<LoadedWallet>,
}

impl Target {
    fn vault(&self) -> Result<InUse<'_>, CommandError> {
        self.wallet.vault().map_err(refused)
    }

    fn network(&self) -> Network {
        self.wallets.dir.network()
    }
}

impl Deref for Target {
    type Target = LoadedWallet;

    fn deref(&self) -> &LoadedWallet {
        &self.wallet
    }
}

/// All commands.
fn all() -> impl Iterator<Item = &'static Command> {
    [
        wallets::COMMANDS,
        addresses::COMMANDS,
        balances::COMMANDS,
        coins::COMMANDS,
        transactions::COMMANDS,
        spending::COMMANDS,
        keys::COMMANDS,
        rescan::COMMANDS,
    ]
    .into_iter()
    .flatten()
}

/// Adds all commands to the node's. They are there until the handles are dropped.
pub(crate) fn register(wallets: &Arc<Wallets>) -> multiprocess::Result<Vec<HandlerClient>> {
    let mut handlers = Vec::new();
    for (number, command) in (1..).zip(all()) {
        let weak = Arc::downgrade(wallets);
        let actor = ActorCallbackClient::from_fn(move |request, _response, _last| {
            let response = answer(command, &weak, request)?;
            Ok(ActorCallbackCallResults::new(response).result(true))
        });
        let names = command.args.iter().map(|name| RpcArg::default().name(*name));
        let registered = RpcCommand::default()
            .category("wallet")
            .name(command.name)
            .actor(actor)
            .arg_names(names.collect())
            .unique_id(number);
        // A node that gives no handle has it until the connection ends.
        handlers.extend(wallets.chain.handle_rpc(registered).wait()?);
    }
    Ok(handlers)
}

/// Carries a request out.
fn answer(command: &Command, wallets: &Weak<Wallets>, mut request: JsonRpcRequest) -> Reply {
    match request.mode {
        MODE_HELP => return Err(CommandError::Help(usage(command))),
        MODE_ARGUMENTS => {
            wipe(&mut request.params);
            return Ok(argument_names(command));
        }
        _ => {}
    }
    let mut params = Params::read(command.args, request.params)?;
    if params.given() > command.args.len() || params.len() < command.required {
        return Err(CommandError::Help(usage(command)));
    }
    let wallets = wallets.upgrade().ok_or_else(|| {
        CommandError::Failed("the wallet process is ending: start it again".to_owned())
    })?;
    let (before, run): (Before, WalletRun) = match command.run {
        Run::Process(run) => return run(&wallets, &request.uri, &mut params),
        Run::Wallet(run) => (|_| Ok(()), run),
        Run::Synced(run) => (sync, run),
        Run::SyncedUnlessScanning(run) => (sync_unless_scanning, run),
    };
    let wallet = select::wallet(&wallets, &request.uri)?;
    let target = Target { wallets, wallet };
    before(&target)?;
    run(&target, &mut params)
}

/// Waits until the wallet has taken in all that has happened so far.
fn sync(target: &Target) -> Result<(), CommandError> {
    target.follower.sync().map_err(|problem| match target.vault() {
        Ok(_) => fail(wallet_code::WALLET_ERROR, problem),
        // It was unloaded meanwhile.
        Err(closed) => closed,
    })
}

/// The same unless the wallet looks at the chain for long, or cannot.
fn sync_unless_scanning(target: &Target) -> Result<(), CommandError> {
    if let Err(problem) = target.follower.sync_unless_scanning() {
        tracing::debug!("a wallet tells how it is now: {problem}");
    }
    Ok(())
}

/// How a command is called.
fn usage(command: &Command) -> String {
    let names: Vec<&str> = command.args.iter().map(|names| first(names)).collect();
    let (needed, others) = names.split_at(command.required);
    let mut text = [&[command.name], needed].concat().join(" ");
    if !others.is_empty() {
        text = format!("{text} ( {} )", others.join(" "));
    }
    format!("{text}\n\n{}\n", command.about)
}

/// The arguments of a command as Bitcoin Core's clients ask for them: name of the method, place, name, and whether
/// it is a text for certain.
fn argument_names(command: &Command) -> Value {
    let mut rows = Vec::new();
    for (place, names) in command.args.iter().enumerate() {
        rows.extend(names.split('|').map(|name| json!([command.name, place, name, false])));
    }
    Value::Array(rows)
}

/// The block that a wallet has seen last.
fn last_block(target: &Target) -> Reply {
    let tip = target.vault()?.tip();
    Ok(json!({ "hash": tip.hash.to_string(), "height": tip.height }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_there_once() {
        let mut names: Vec<&str> = all().map(|command| command.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), count), (count, 32));
        for command in all() {
            assert!(command.required <= command.args.len(), "{}", command.name);
            assert!(
                !command.about.contains('\n') && command.about.ends_with('.'),
                "{}",
                command.name
            );
        }
    }

    #[test]
    fn help_says_how_a_command_is_called() {
        let command = all().find(|command| command.name == "listtransactions").unwrap();
        let text = usage(command);
        assert!(
            text.starts_with("listtransactions ( label count skip include_watchonly )\n\n"),
            "{text}"
        );
        let command = all().find(|command| command.name == "gettransaction").unwrap();
        assert!(usage(command).starts_with("gettransaction txid ( include_watchonly verbose )\n"));
        assert_eq!(
            argument_names(command)[1],
            json!(["gettransaction", 1, "include_watchonly", false])
        );
    }
}
