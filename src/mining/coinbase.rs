//! The coinbase of a template, as nodes of all versions tell it.

use bitcoin::Transaction;
use multiprocess::{Codec, Error, Rest, Result};

use super::CoinbaseTx;
use crate::codec::Consensus;

impl CoinbaseTx {
    /// The same parts from the whole placeholder transaction that Bitcoin Core 30 gives in their place
    /// ([`get_coinbase_tx_v30`](super::BlockTemplateClient::get_coinbase_tx_v30)). Its first output pays out the
    /// reward, and the others are required.
    ///
    /// ```
    /// use bitcoin_ipc::mining::{BlockTemplateClient, CoinbaseTx};
    /// use bitcoin_ipc::{Error, Result};
    ///
    /// /// Whichever version the node has.
    /// fn coinbase(template: &BlockTemplateClient) -> Result<CoinbaseTx> {
    ///     match template.get_coinbase_tx().wait() {
    ///         Err(Error::Unimplemented { .. }) => {
    ///             CoinbaseTx::from_v30(&template.get_coinbase_tx_v30().wait()?)
    ///         }
    ///         parts => parts,
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Decode`] if the bytes are no transaction with an input and an output.
    pub fn from_v30(bytes: &[u8]) -> Result<CoinbaseTx> {
        let wrong = |problem: String| Error::decode("BlockTemplate.getCoinbaseTx.result", problem);
        let whole: Transaction =
            Consensus::decode(bytes.to_vec()).map_err(|problem| wrong(problem.to_string()))?;
        let (Some(input), Some((reward, required))) =
            (whole.input.first(), whole.output.split_first())
        else {
            return Err(wrong("it has no input or no output".to_owned()));
        };
        Ok(CoinbaseTx {
            version: whole.version,
            sequence: input.sequence,
            script_sig_prefix: input.script_sig.clone(),
            witness: input.witness.clone(),
            block_reward_remaining: reward.value,
            required_outputs: required.to_vec(),
            lock_time: whole.lock_time,
            rest: Rest::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::consensus::serialize;
    use bitcoin::{Amount, Network, ScriptBuf, TxOut, blockdata::constants::genesis_block};

    #[test]
    fn a_whole_transaction_has_the_parts() {
        let mut whole = genesis_block(Network::Regtest).txdata.swap_remove(0);
        let required = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return([7]) };
        whole.output.push(required.clone());
        whole.input[0].witness.push([9; 32]);
        let parts = CoinbaseTx::from_v30(&serialize(&whole)).unwrap();
        assert_eq!((parts.version, parts.lock_time), (whole.version, whole.lock_time));
        let input = &whole.input[0];
        assert_eq!((parts.sequence, &parts.witness), (input.sequence, &input.witness));
        assert_eq!(parts.script_sig_prefix, input.script_sig);
        assert_eq!(parts.block_reward_remaining, Amount::from_int_btc(50));
        assert_eq!(parts.required_outputs, [required]);
    }

    #[test]
    fn what_is_no_coinbase_is_refused() {
        let mut without = genesis_block(Network::Regtest).txdata.swap_remove(0);
        without.output.clear();
        for bytes in [&[][..], &[1, 2, 3], &serialize(&without)] {
            let error = CoinbaseTx::from_v30(bytes).unwrap_err();
            assert!(error.to_string().contains("BlockTemplate.getCoinbaseTx.result"), "{error}");
        }
    }
}
