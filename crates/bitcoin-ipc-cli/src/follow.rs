//! `tip --follow` and `template --follow`: one after the other, over losses of the node.

use std::fmt::Display;

use bitcoin::Amount;
use bitcoin_ipc::Result;
use bitcoin_ipc::ipc::IpcOptions;
use bitcoin_ipc::mining::{BlockCreateOptions, BlockTemplateClient, BlockWaitOptions};
use bitcoin_ipc::session::{Event, NodeSession};
use serde_json::json;

use super::args::Args;
use super::peer::datadir;
use super::waiting::Waiting;
use super::{Failure, Outcome, output};

/// Each tip, until Ctrl-C.
pub(super) fn tips(args: &Args, json: bool) -> Outcome {
    let session = session(args)?;
    for event in session.tips() {
        show(event?, json, |tip| {
            if json {
                output::line(json!({ "height": tip.height, "hash": tip.hash.to_string() }));
            } else {
                output::line(format_args!("{} {}", tip.height, tip.hash));
            }
            Ok(())
        })?;
    }
    ended()
}

/// Each better template, until Ctrl-C. `more`: the fees that make one better on the same tip.
pub(super) fn templates(args: &Args, more: Option<u64>, json: bool) -> Outcome {
    let session = session(args)?;
    let mut wait = BlockWaitOptions::default();
    if let Some(more) = more {
        wait = wait.fee_threshold(Amount::from_sat(more));
    }
    for event in session.templates(BlockCreateOptions::default(), wait) {
        show(event?, json, |template| show_template(&template, json))?;
    }
    ended()
}

fn show_template(template: &BlockTemplateClient, json: bool) -> Result<()> {
    let header = template.get_block_header().wait()?;
    let fees = template.get_tx_fees().wait()?;
    let (transactions, sum) = (fees.len() + 1, fees.into_iter().sum::<Amount>());
    if json {
        output::line(json!({
            "previous": header.prev_blockhash.to_string(),
            "time": header.time,
            "transactions": transactions,
            "fees": sum.to_sat(),
        }));
    } else {
        output::line(format_args!(
            "on {}: {transactions} transactions, {sum} in fees",
            header.prev_blockhash
        ));
    }
    Ok(())
}

/// A loss is an item, too. If the node is lost while an item is shown, the stream says so next.
fn show<T>(event: Event<T>, json: bool, item: impl FnOnce(T) -> Result<()>) -> Outcome {
    match event {
        Event::Next(value) => match item(value) {
            Err(error) if !error.is_disconnect() => Err(error.into()),
            _ => Ok(()),
        },
        Event::Lost(why) => {
            lost(&why, json);
            Ok(())
        }
    }
}

fn lost(why: &dyn Display, json: bool) {
    if json {
        output::line(json!({ "lost": why.to_string() }));
    } else {
        output::note(format_args!("the node is away: {why}"));
    }
}

fn ended() -> Outcome {
    Err(Failure("the node ended the wait: it is shutting down".to_owned()))
}

fn session(args: &Args) -> std::result::Result<NodeSession, Failure> {
    let options = IpcOptions::client("bitcoin-ipc").datadir(datadir(args)?);
    let waiting = Waiting::new("the node to answer", args.is_json());
    let session = NodeSession::builder(options.connect_timeout(args.patience()))
        .address(args.connect.as_deref().unwrap_or("unix"))
        .connect();
    drop(waiting);
    Ok(session?)
}
