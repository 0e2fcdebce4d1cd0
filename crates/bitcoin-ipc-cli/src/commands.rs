//! The commands of `bitcoin-ipc`.

use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, TxOut};
use clap::CommandFactory;
use serde_json::{Value, json};

use super::args::{Args, Command};
use super::peer::Peer;
use super::waiting::Waiting;
use super::{Failure, Outcome, demo, demo_wallet, follow, mine, output, relay, signals, top, view};
use bitcoin_ipc::codec::FOREVER;
use bitcoin_ipc::mining::{BlockCreateOptions, BlockRef, BlockTemplateClient};
use bitcoin_ipc::rpc::code;

pub(super) fn run(args: &Args) -> Outcome {
    signals::dump_on_usr1()?;
    // It ends in order on Ctrl-C, others at once.
    if let Some(Command::Relay { listen, log }) = &args.command {
        return relay::run(args, listen, *log);
    }
    if let Some(Command::Top { interval, json, once }) = &args.command {
        return top::run(args, *interval, *json, *once);
    }
    if let Some(Command::View { interval, json, once }) = &args.command {
        return view::run(args, *interval, *json, *once);
    }
    signals::end_on_interrupt()?;
    match &args.command {
        Some(Command::Tip { follow: true, json }) => return follow::tips(args, *json),
        Some(Command::Template { follow: true, more_fees, json }) => {
            return follow::templates(args, *more_fees, *json);
        }
        _ => {}
    }
    let command = match &args.command {
        Some(Command::Demo { wallet: true }) => return demo_wallet::run(args),
        None | Some(Command::Demo { .. }) => return demo::run(args),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "bitcoin-ipc", &mut script);
            output::script(&script);
            return Ok(());
        }
        Some(command) => command,
    };
    let peer = Peer::find(args)?;
    let outcome = run_with(&peer, command, args.given_timeout());
    peer.close();
    outcome
}

/// `tip`: how long to wait for one.
fn run_with(peer: &Peer, command: &Command, tip: Option<Duration>) -> Outcome {
    match command {
        Command::Echo { text, json } => {
            let echo = peer.ask(peer.init.make_echo())?;
            let echo = echo.ok_or_else(|| Failure("the node does not offer Echo".to_owned()))?;
            let answer = peer.ask(echo.echo(text.as_str()))?;
            if *json { output::line(json!(answer)) } else { output::line(answer) }
        }
        Command::Tip { json, .. } => {
            let tip = peer.ask(peer.mining()?.get_tip())?;
            let tip = tip.ok_or_else(|| {
                Failure("the node has no tip yet: it is still loading its chain".to_owned())
            })?;
            show_tip(tip, *json);
        }
        Command::WaitTip { json } => wait_tip(peer, tip, *json)?,
        Command::Template { json, .. } => show_template(peer, *json)?,
        Command::Mine { blocks, to, json } => mine::run(peer, *blocks, to.as_deref(), *json)?,
        Command::Rpc { method, args, wallet, stdin } => {
            rpc(peer, method, args, wallet.as_deref(), *stdin)?;
        }
        // Handled before there is a node.
        Command::Demo { .. }
        | Command::Completions { .. }
        | Command::Relay { .. }
        | Command::Top { .. }
        | Command::View { .. } => {}
    }
    Ok(())
}

fn show_tip(tip: BlockRef, json: bool) {
    if json {
        output::line(json!({ "height": tip.height, "hash": tip.hash.to_string() }));
    } else {
        output::row("height", tip.height);
        output::row("hash", tip.hash);
    }
}

/// Waits for `timeout`, or until Ctrl-C.
fn wait_tip(peer: &Peer, timeout: Option<Duration>, json: bool) -> Outcome {
    let mining = peer.mining()?;
    // No block has this hash, so for a node without a tip the wait ends with its first one.
    let none = BlockRef::new(BlockHash::all_zeros());
    let before = peer.ask(mining.get_tip())?.unwrap_or(none);
    let waiting = Waiting::new(format_args!("the block after {}", before.height), json);
    // The node ends the wait in time; one that is stuck does not.
    let call = mining.wait_tip_changed(before.hash, timeout.unwrap_or(FOREVER));
    let after = match timeout {
        Some(timeout) => call.timeout(timeout.saturating_add(peer.patience)).wait()?,
        None => call.wait()?,
    };
    drop(waiting);
    match after {
        Some(tip) if tip.hash != before.hash => {
            show_tip(tip, json);
            Ok(())
        }
        Some(_) => Err(Failure("the tip did not change in time".to_owned())),
        None => Err(Failure("the node ended the wait: it is shutting down".to_owned())),
    }
}

fn rpc(peer: &Peer, method: &str, args: &[String], wallet: Option<&str>, stdin: bool) -> Outcome {
    let rpc = peer.ask(peer.init.make_rpc()).map_err(|error| match error {
        multiprocess::Error::Unimplemented { .. } => Failure(
            "the node does not offer JSON-RPC over IPC; Bitcoin Core 32 and newer do".to_owned(),
        ),
        other => other.into(),
    })?;
    let rpc = rpc.ok_or_else(|| Failure("the node does not offer JSON-RPC over IPC".to_owned()))?;
    let further: Vec<String> = match stdin {
        true => std::io::stdin().lines().collect::<Result<_, _>>()?,
        false => Vec::new(),
    };
    let params = args
        .iter()
        .chain(&further)
        .map(|arg| serde_json::from_str(arg).unwrap_or_else(|_| Value::from(arg.as_str())));
    let params: Vec<Value> = params.collect();
    let call = match wallet {
        Some(wallet) => rpc.wallet(wallet).call(method, params),
        None => rpc.call(method, params),
    };
    let answer = call.timeout(peer.patience).wait().map_err(|error| match error.code() {
        Some(code::WALLET_NOT_SPECIFIED) => {
            Failure("several wallets are loaded: say --wallet NAME before the method".to_owned())
        }
        _ => error.into(),
    });
    match answer? {
        Value::String(text) => output::line(text),
        other => output::line(format_args!("{other:#}")),
    }
    Ok(())
}

/// The content of a template.
struct Template {
    header: Header,
    transactions: usize,
    fees: Amount,
    sigops: i64,
    reward: Amount,
    outputs: Vec<TxOut>,
    merkle_path: usize,
}

impl Template {
    fn read(peer: &Peer, template: &BlockTemplateClient) -> Result<Template, Failure> {
        let header = peer.ask(template.get_block_header())?;
        let block = peer.ask(template.get_block())?;
        let coinbase = peer.ask(template.get_coinbase_tx())?;
        Ok(Template {
            header,
            transactions: block.txdata.len(),
            fees: peer.ask(template.get_tx_fees())?.into_iter().sum(),
            sigops: peer.ask(template.get_tx_sigops())?.iter().sum(),
            reward: coinbase.block_reward_remaining,
            outputs: coinbase.required_outputs,
            merkle_path: peer.ask(template.get_coinbase_merkle_path())?.len(),
        })
    }
}

fn show_template(peer: &Peer, json: bool) -> Outcome {
    let mining = peer.mining()?;
    let waiting = Waiting::new("a block template", json);
    let template = peer.ask(mining.create_new_block(BlockCreateOptions::default(), false))?;
    drop(waiting);
    let template = template
        .ok_or_else(|| Failure("the node made no template: it is shutting down".to_owned()))?;
    let height = peer.ask(mining.get_tip())?.map(|tip| tip.height + 1);
    let shown = Template::read(peer, &template)?;
    peer.ask(template.close())?;
    let Template { header, transactions, fees, sigops, reward, outputs, merkle_path } = shown;
    if json {
        let outputs: Vec<Value> = outputs
            .iter()
            .map(|output| json!({ "value": output.value.to_sat(), "script": output.script_pubkey.to_hex_string() }))
            .collect();
        let template = json!({
            "height": height,
            "version": header.version.to_consensus(),
            "previous": header.prev_blockhash.to_string(),
            "time": header.time,
            "bits": format!("{:08x}", header.bits.to_consensus()),
            "transactions": transactions,
            "fees": fees.to_sat(),
            "sigops": sigops,
            "reward": reward.to_sat(),
            "required_outputs": outputs,
            "merkle_path_length": merkle_path,
        });
        output::line(template);
        return Ok(());
    }
    if let Some(height) = height {
        output::row("height", height);
    }
    output::row("previous block", header.prev_blockhash);
    output::row("version", format_args!("{:#010x}", header.version.to_consensus()));
    output::row("time", header.time);
    output::row("bits", format_args!("{:08x}", header.bits.to_consensus()));
    output::row("transactions", transactions);
    output::row("fees", fees);
    output::row("sigops", sigops);
    output::row("coinbase pays", reward);
    for txout in outputs {
        output::row(
            "required output",
            format_args!("{} to {}", txout.value, txout.script_pubkey.to_asm_string()),
        );
    }
    output::row("merkle path", format_args!("{merkle_path} hashes"));
    Ok(())
}
