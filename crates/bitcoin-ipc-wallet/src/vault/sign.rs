//! Signatures: of transactions, PSBTs (BIP 174) and messages.

use bdk_wallet::KeychainKind;
use bdk_wallet::miniscript::psbt::PsbtExt;
use bitcoin::hashes::Hash;
use bitcoin::psbt::{Psbt, PsbtSighashType};
use bitcoin::secp256k1::Message;
use bitcoin::sign_message::{MessageSignature, signed_msg_hash};
use bitcoin::{
    EcdsaSighashType, PubkeyHash, PublicKey, ScriptBuf, Transaction, WPubkeyHash, Witness,
};

use super::state::State;
use super::{FillOptions, Filled, Result, Vault, VaultError};

impl Vault {
    /// Signs the inputs that spend from the wallet. Whether all inputs have their signatures then.
    ///
    /// # Errors
    /// The wallet is locked.
    pub fn sign(&self, tx: &mut Transaction) -> Result<bool> {
        self.with(|state, _| state.sign(tx))
    }

    /// Adds to a PSBT what the wallet knows of its inputs and outputs, signs those inputs that spend from the wallet if
    /// asked, and finalizes those that have all their signatures if asked.
    ///
    /// # Errors
    /// It is to be signed and the wallet is locked, an input asks for signatures that do not sign everything, or comes
    /// with another transaction than the one that it spends from.
    pub fn fill_psbt(&self, psbt: &mut Psbt, options: FillOptions) -> Result<Filled> {
        self.with(|state, _| state.fill(psbt, options))
    }

    /// Signs a message with the key of this hash, as Bitcoin Core's `signmessage`: in base64.
    ///
    /// # Errors
    /// The wallet is locked, or the key is none of its addresses'.
    pub fn sign_message(&self, message: &str, hash: PubkeyHash) -> Result<String> {
        self.with(|state, _| {
            let (keychain, index) = derivation(state, hash).ok_or(VaultError::NoKey)?;
            let secp = state.bdk.secp_ctx();
            let mut key = state.keys.private_key(secp, keychain, index)?;
            let digest = Message::from_digest(signed_msg_hash(message).to_byte_array());
            let signature = secp.sign_ecdsa_recoverable(&digest, &key.inner);
            key.inner.non_secure_erase();
            Ok(MessageSignature::new(signature, true).to_base64())
        })
    }

    /// The public key with this hash, if it is one of the wallet's addresses'.
    ///
    /// # Errors
    /// The wallet's descriptors cannot be used.
    pub fn pub_key(&self, hash: PubkeyHash) -> Result<Option<PublicKey>> {
        Ok(self.script_info(&script(hash))?.map(|info| info.public_key))
    }
}

/// The wallet's addresses are those of hashes of keys.
fn script(hash: PubkeyHash) -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&WPubkeyHash::from_raw_hash(hash.to_raw_hash()))
}

fn derivation(state: &State, hash: PubkeyHash) -> Option<(KeychainKind, u32)> {
    state.bdk.derivation_of_spk(script(hash))
}

/// Refuses a PSBT that has for an input another transaction than the one that it spends from, or one without that output.
/// What signs takes for granted that they fit.
fn check_spent(psbt: &Psbt) -> Result<()> {
    for (place, (txin, input)) in psbt.unsigned_tx.input.iter().zip(&psbt.inputs).enumerate() {
        let outpoint = txin.previous_output;
        let fits = |tx: &Transaction| {
            tx.compute_txid() == outpoint.txid && tx.tx_out(outpoint.vout as usize).is_ok()
        };
        if input.non_witness_utxo.as_ref().is_some_and(|tx| !fits(tx)) {
            return Err(VaultError::BadRequest(format!(
                "the PSBT's input {place} does not have the transaction that it spends from: make the PSBT again"
            )));
        }
    }
    Ok(())
}

impl State {
    /// Signs the inputs that spend from the wallet. Whether all inputs have their signatures then.
    pub(super) fn sign(&self, tx: &mut Transaction) -> Result<bool> {
        let mut unsigned = tx.clone();
        for txin in &mut unsigned.input {
            txin.script_sig = ScriptBuf::new();
            txin.witness = Witness::new();
        }
        let mut psbt = Psbt::from_unsigned_tx(unsigned)
            .map_err(|error| VaultError::BadRequest(error.to_string()))?;
        self.fill(&mut psbt, FillOptions { sign: true, finalize: true, bip32_derivs: true })?;
        let mut complete = true;
        for (txin, input) in tx.input.iter_mut().zip(psbt.inputs) {
            match input.final_script_witness {
                Some(witness) => txin.witness = witness,
                None => complete &= !txin.witness.is_empty() || !txin.script_sig.is_empty(),
            }
        }
        Ok(complete)
    }

    fn fill(&self, psbt: &mut Psbt, options: FillOptions) -> Result<Filled> {
        if options.sign {
            self.keys.seed()?;
        }
        check_spent(psbt)?;
        let own = self.describe(psbt)?;
        let signed = if options.sign { self.sign_inputs(psbt, &own)? } else { 0 };
        let secp = self.bdk.secp_ctx();
        let mut complete = true;
        for place in 0..psbt.inputs.len() {
            let is_final = |psbt: &Psbt| {
                let input = &psbt.inputs[place];
                input.final_script_witness.is_some() || input.final_script_sig.is_some()
            };
            // Whether it can be finalized is tried with a copy, if it is not to be.
            complete &= is_final(psbt)
                || match options.finalize {
                    true => psbt.finalize_inp_mut(secp, place).is_ok(),
                    false => psbt.clone().finalize_inp_mut(secp, place).is_ok(),
                };
        }
        if !options.bip32_derivs {
            for place in own {
                psbt.inputs[place].bip32_derivation.clear();
            }
            for output in &mut psbt.outputs {
                output.bip32_derivation.clear();
            }
        }
        Ok(Filled { signed, complete })
    }

    /// Adds what the wallet knows of inputs and outputs. Gives the inputs that spend from it: their amounts are those
    /// of the wallet, whatever the PSBT said.
    fn describe(&self, psbt: &mut Psbt) -> Result<Vec<usize>> {
        let (graph, index) = (self.bdk.tx_graph(), self.bdk.spk_index());
        let problem = |error: &dyn std::fmt::Display| VaultError::BadRequest(error.to_string());
        let mut own = Vec::new();
        for place in 0..psbt.inputs.len() {
            let outpoint = psbt.unsigned_tx.input[place].previous_output;
            let Some(((keychain, number), txout)) = index.txout(outpoint) else { continue };
            let input = &mut psbt.inputs[place];
            if input.final_script_witness.is_some() {
                continue;
            }
            let all = PsbtSighashType::from(EcdsaSighashType::All);
            if input.sighash_type.is_some_and(|asked| asked != all) {
                return Err(VaultError::SighashMismatch);
            }
            input.witness_utxo = Some(txout.clone());
            input.non_witness_utxo = graph.get_tx(outpoint.txid).map(|tx| tx.as_ref().clone());
            let descriptor = self.bdk.public_descriptor(keychain);
            let descriptor =
                descriptor.at_derivation_index(number).map_err(|_| VaultError::NoKey)?;
            psbt.update_input_with_descriptor(place, &descriptor)
                .map_err(|error| problem(&error))?;
            own.push(place);
        }
        for place in 0..psbt.outputs.len() {
            let script = psbt.unsigned_tx.output[place].script_pubkey.clone();
            let Some((keychain, number)) = self.bdk.derivation_of_spk(script) else { continue };
            let descriptor = self.bdk.public_descriptor(keychain);
            let descriptor =
                descriptor.at_derivation_index(number).map_err(|_| VaultError::NoKey)?;
            psbt.update_output_with_descriptor(place, &descriptor)
                .map_err(|error| problem(&error))?;
        }
        Ok(own)
    }

    /// Signs these inputs and no others, also if the PSBT has paths of the wallet's keys there. Gives their number.
    fn sign_inputs(&self, psbt: &mut Psbt, own: &[usize]) -> Result<u64> {
        let secp = self.bdk.secp_ctx();
        let mut all = psbt.clone();
        let mut master = self.keys.master()?;
        // Inputs of others are errors here; what it signs beyond the wallet's own is not taken over.
        let _signed = all.sign(&master, secp);
        master.private_key.non_secure_erase();
        let mut signed = 0;
        for place in own {
            let signatures = std::mem::take(&mut all.inputs[*place].partial_sigs);
            signed += u64::from(!signatures.is_empty());
            psbt.inputs[*place].partial_sigs.extend(signatures);
        }
        Ok(signed)
    }
}
