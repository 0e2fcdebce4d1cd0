//! Mines blocks on its own, with this computer's processor: for regtest, and signets without signatures.
//!
//! `solo-miner DATADIR SCRIPT BLOCKS`: the chain's data directory, the script to pay to in hexadecimal, and how many
//! blocks to mine.

use std::task::Poll;
use std::time::Duration;

use bitcoin_ipc::bitcoin::block::Header;
use bitcoin_ipc::bitcoin::hashes::{Hash, HashEngine, sha256d};
use bitcoin_ipc::bitcoin::{OutPoint, ScriptBuf, Transaction, TxIn, TxMerkleNode, TxOut};
use bitcoin_ipc::ipc::IpcOptions;
use bitcoin_ipc::mining::{
    BlockCreateOptions, BlockTemplateClient, BlockWaitOptions, CoinbaseTx, Outcome,
};
use bitcoin_ipc::session::{Event, NodeSession};

/// Nonces to try before looking for a better template.
const BATCH: u32 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [datadir, script, blocks] = &args[..] else {
        return Err("usage: solo-miner DATADIR SCRIPT BLOCKS".into());
    };
    let (script, mut left): (_, u32) = (ScriptBuf::from_hex(script)?, blocks.parse()?);
    let options = IpcOptions::client("solo-miner").datadir(datadir);
    let session = NodeSession::builder(options).wait_for_node(Duration::from_secs(60)).connect()?;
    let (create, wait) = (BlockCreateOptions::default(), BlockWaitOptions::default());
    let mut templates = session.templates(create, wait).into_iter();
    let mut work: Option<Work> = None;
    while left > 0 {
        // With work at hand it only looks whether there is better.
        let patience = if work.is_some() { Duration::ZERO } else { Duration::MAX };
        match templates.next_within(patience) {
            Poll::Ready(None) => return Err("the session has ended".into()),
            Poll::Ready(Some(event)) => match event? {
                // If the node is lost meanwhile the stream says so next.
                Event::Next(template) => work = unless_lost(Work::new(template, &script))?,
                Event::Lost(why) => {
                    eprintln!("lost the node: {why}");
                    work = None;
                }
            },
            Poll::Pending => {}
        }
        if !work.as_mut().is_some_and(Work::try_nonces) {
            continue;
        }
        let Some(solved) = work.take() else { continue };
        match unless_lost(solved.submit())? {
            Some(Outcome::Accepted) => {
                left -= 1;
                println!("mined {}", solved.header.block_hash());
            }
            Some(Outcome::Rejected(why)) => eprintln!("not accepted: {why}"),
            None => {}
        }
    }
    session.close();
    Ok(())
}

fn unless_lost<T>(result: bitcoin_ipc::Result<T>) -> bitcoin_ipc::Result<Option<T>> {
    match result {
        Err(error) if error.is_disconnect() => Ok(None),
        other => other.map(Some),
    }
}

/// A template with this miner's own coinbase.
struct Work {
    template: BlockTemplateClient,
    header: Header,
    coinbase: Transaction,
}

impl Work {
    fn new(template: BlockTemplateClient, script: &ScriptBuf) -> bitcoin_ipc::Result<Work> {
        let mut header = template.get_block_header().wait()?;
        let coinbase = coinbase(&template.get_coinbase_tx().wait()?, script);
        let path = template.get_coinbase_merkle_path().wait()?;
        let root = path.iter().fold(coinbase.compute_txid().to_raw_hash(), |hash, beside| {
            let mut engine = sha256d::Hash::engine();
            engine.input(&hash.to_byte_array());
            engine.input(&beside.to_byte_array());
            sha256d::Hash::from_engine(engine)
        });
        header.merkle_root = TxMerkleNode::from_raw_hash(root);
        Ok(Work { template, header, coinbase })
    }

    /// Whether one of the next nonces solves it.
    fn try_nonces(&mut self) -> bool {
        let target = self.header.target();
        for _ in 0..BATCH {
            if target.is_met_by(self.header.block_hash()) {
                return true;
            }
            self.header.nonce = self.header.nonce.wrapping_add(1);
            // After all of them, another time makes them new.
            self.header.time += u32::from(self.header.nonce == 0);
        }
        false
    }

    fn submit(&self) -> bitcoin_ipc::Result<Outcome> {
        let Header { version, time, nonce, .. } = self.header;
        self.template.submit_solution(version, time, nonce, self.coinbase.clone()).wait()
    }
}

/// The coinbase transaction that pays everything to `script`.
fn coinbase(parts: &CoinbaseTx, script: &ScriptBuf) -> Transaction {
    let mine = TxOut { value: parts.block_reward_remaining, script_pubkey: script.clone() };
    let script_sig = [parts.script_sig_prefix.as_bytes(), b"solo"].concat();
    let input = TxIn {
        previous_output: OutPoint::null(),
        script_sig: ScriptBuf::from_bytes(script_sig),
        sequence: parts.sequence,
        witness: parts.witness.clone(),
    };
    Transaction {
        version: parts.version,
        lock_time: parts.lock_time,
        input: vec![input],
        output: std::iter::once(mine).chain(parts.required_outputs.iter().cloned()).collect(),
    }
}
