//! `mine`: blocks for a regtest node, from its templates.

use bitcoin::{Address, Network, ScriptBuf};
use bitcoin_ipc::mining::{BlockCreateOptions, Outcome as Answer};
use bitcoin_regtest::{anyone_can_spend, coinbase_transaction, merkle_root, solve};
use serde_json::json;

use super::peer::{Peer, is_easy};
use super::{Failure, Outcome, output};

/// Mines so many blocks, one after the other, each on the tip of its moment.
pub(super) fn run(peer: &Peer, blocks: u32, to: Option<&str>, json: bool) -> Outcome {
    let script = to.map_or_else(|| Ok(anyone_can_spend()), script_of)?;
    let mining = peer.mining()?;
    let mut left = blocks;
    while left > 0 {
        let template = peer.ask(mining.create_new_block(BlockCreateOptions::default(), false))?;
        let template = template
            .ok_or_else(|| Failure("the node made no template: it is shutting down".to_owned()))?;
        let mut header = peer.ask(template.get_block_header())?;
        if !is_easy(header.bits) {
            return Err(Failure("this is not a regtest node: a block takes real work".to_owned()));
        }
        let parts = peer.ask(template.get_coinbase_tx())?;
        let coinbase = coinbase_transaction(&parts, b"bitcoin-ipc mine", script.clone());
        let path = peer.ask(template.get_coinbase_merkle_path())?;
        header.merkle_root = merkle_root(coinbase.compute_txid(), &path);
        if !solve(&mut header) {
            return Err(Failure("no nonce solves the template".to_owned()));
        }
        let submitted =
            template.submit_solution(header.version, header.time, header.nonce, coinbase);
        match peer.ask(submitted)? {
            Answer::Accepted => {
                left -= 1;
                let (hash, height) = (header.block_hash(), parts.lock_time.to_consensus_u32() + 1);
                if json {
                    output::line(json!({ "height": height, "hash": hash.to_string() }));
                } else {
                    output::line(format_args!("{height} {hash}"));
                }
            }
            Answer::Rejected(why) if why.is_stale() => {
                output::note(format_args!("another block was faster: {why}"));
            }
            Answer::Rejected(why) => {
                return Err(Failure(format!("the node did not accept the block: {why}")));
            }
        }
    }
    Ok(())
}

/// The script of a regtest address, or what is written in hexadecimal.
fn script_of(text: &str) -> Result<ScriptBuf, Failure> {
    if let Ok(address) = text.parse::<Address<_>>() {
        let address = address.require_network(Network::Regtest);
        return address.map(|address| address.script_pubkey()).map_err(|_| {
            Failure(format!("--to: {text} is an address of another network than regtest"))
        });
    }
    ScriptBuf::from_hex(text).map_err(|_| {
        Failure(format!("--to: {text:?} is neither an address nor a script in hexadecimal"))
    })
}
