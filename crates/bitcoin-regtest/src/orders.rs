//! What a test orders of a chain: blocks, another branch, fees.

use bitcoin::absolute::LockTime;
use bitcoin::{
    Amount, BlockHash, OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Txid, transaction,
};
use multiprocess::{Error, Result};

use super::chain::Chain;
use super::rejection::Rejection;
use super::solve::anyone_can_spend;
use super::template::mine_block;

/// Mines so many blocks that pay to this script.
pub(super) fn mine(chain: &Chain, blocks: u32, script: &ScriptBuf) -> Result<Vec<BlockHash>> {
    let refused = |rejection: Rejection| Error::failed(rejection.to_string());
    (0..blocks).map(|_| mine_block(chain, script.clone()).map_err(refused)).collect()
}

/// Takes so many blocks out of the chain and mines one more than that in their place.
pub(super) fn reorganize(chain: &Chain, blocks: u32) -> Result<Vec<BlockHash>> {
    let height = chain.tip().height;
    let first = height.checked_sub(blocks).and_then(|height| chain.hash_at(height + 1));
    let Some(first) = first.filter(|_| blocks > 0) else {
        return Err(Error::failed(format!(
            "cannot take {blocks} blocks out of a chain of {height}, without the genesis block"
        )));
    };
    chain.invalidate_block(&first);
    mine(chain, blocks + 1, &anyone_can_spend())
}

/// Puts a transaction with this fee in the memory pool, which spends a reward that anyone can spend.
pub(super) fn pay_fee(chain: &Chain, fee: Amount) -> Result<Txid> {
    let newest = (chain.tip().height + 1).saturating_sub(100);
    for height in 1..=newest {
        let Some(block) = chain.block_by_height(height) else { continue };
        let Some(coinbase) = block.txdata.first() else { continue };
        let reward = coinbase.output.first();
        let reward = reward.filter(|output| output.script_pubkey == anyone_can_spend());
        let change = reward.and_then(|output| output.value.checked_sub(fee));
        let Some(change) = change else { continue };
        let coin = OutPoint { txid: coinbase.compute_txid(), vout: 0 };
        // It would replace the one that spends it.
        if chain.view().mempool_spender(&coin).is_some() {
            continue;
        }
        let transaction = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn { previous_output: coin, ..TxIn::default() }],
            output: vec![TxOut { value: change, script_pubkey: anyone_can_spend() }],
        };
        let txid = transaction.compute_txid();
        // Else it is spent already.
        if chain.submit_transaction(transaction).is_ok() {
            return Ok(txid);
        }
    }
    Err(Error::failed(format!(
        "no reward of {fee} or more is there to spend: mine more blocks (100 at the first time)"
    )))
}
