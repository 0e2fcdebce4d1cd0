//! Balances, coins and transactions.

use std::collections::HashMap;

use bdk_wallet::KeychainKind;
use bdk_wallet::miniscript::{Descriptor, ToPublicKey};
use bitcoin::{Address, Amount, OutPoint, Script, TxIn, TxOut, Txid};
use bitcoin_ipc_draft::wallet::{CoinControl, WalletBalances};

use super::spend::may_spend;
use super::view::View;
use super::{Coin, Result, ScriptInfo, Vault, VaultError, WalletTransaction, records, total};

impl Vault {
    /// What the wallet has. `balance` and `unconfirmed_balance` count what is in the chain or the memory pool, as
    /// Bitcoin Core's do; `nonmempool_balance` is what its other valid transactions would bring. None is more than all
    /// bitcoin there are, whatever the node has told.
    ///
    /// # Errors
    /// The wallet cannot be used any more.
    pub fn balances(&self) -> Result<WalletBalances> {
        self.with(|state, _| {
            let view = View::new(state);
            let mut balances = WalletBalances::default();
            let mut elsewhere = Amount::ZERO;
            for output in view.outputs() {
                let coin = view.coin(&output);
                let place = match coin {
                    Coin { spent: true, .. } => continue,
                    Coin { available: false, .. } => &mut elsewhere,
                    Coin { immature: true, .. } => &mut balances.immature_balance,
                    Coin { trusted: true, .. } => &mut balances.balance,
                    _ => &mut balances.unconfirmed_balance,
                };
                *place = total([*place, coin.txout.value]);
            }
            let elsewhere = elsewhere.to_signed().unwrap_or(bitcoin::SignedAmount::MAX_MONEY);
            balances.nonmempool_balance = elsewhere.to_sat();
            Ok(balances)
        })
    }

    /// What a transaction with this coin control can spend.
    ///
    /// # Errors
    /// The wallet cannot be used any more.
    pub fn available_balance(&self, control: &CoinControl) -> Result<Amount> {
        self.with(|state, _| {
            let view = View::new(state);
            let coins = view.outputs().map(|output| view.coin(&output));
            let wanted = coins.filter(|coin| {
                let selected = control.set_selected.contains(&coin.outpoint);
                let others = control.set_selected.is_empty() || control.allow_other_inputs;
                selected && !coin.spent && !coin.immature || others && may_spend(coin, control)
            });
            Ok(total(wanted.map(|coin| coin.txout.value)))
        })
    }

    /// What is not spent, in the order of the addresses; locked outputs too.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub fn coins(&self) -> Result<Vec<Coin>> {
        self.with(|state, _| {
            let view = View::new(state);
            let times: HashMap<Txid, u64> =
                records::all(&state.db)?.into_iter().map(|tx| (tx.txid, tx.time)).collect();
            let coins = view.outputs().map(|output| view.coin(&output)).filter(|coin| !coin.spent);
            let time = |txid: &Txid| times.get(txid).copied().unwrap_or(0);
            Ok(coins.map(|coin| Coin { time: time(&coin.outpoint.txid), ..coin }).collect())
        })
    }

    /// One output, spent or not. None if it is not the wallet's, or its transaction is not valid.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub fn coin(&self, outpoint: OutPoint) -> Result<Option<Coin>> {
        self.with(|state, _| {
            let view = View::new(state);
            let Some(output) = view.output(outpoint) else { return Ok(None) };
            let time = records::get(&state.db, outpoint.txid)?.map_or(0, |tx| tx.time);
            Ok(Some(Coin { time, ..view.coin(&output) }))
        })
    }

    /// All transactions that pay the wallet or spend from it, also those that are not valid, in the order in which they
    /// came.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub fn transactions(&self) -> Result<Vec<WalletTransaction>> {
        self.with(|state, _| {
            let view = View::new(state);
            let records = records::all(&state.db)?.into_iter();
            Ok(records.filter_map(|record| view.transaction(record)).collect())
        })
    }

    /// One of them.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub fn transaction(&self, txid: Txid) -> Result<Option<WalletTransaction>> {
        self.with(|state, _| {
            let record = records::get(&state.db, txid)?;
            Ok(record.and_then(|record| View::new(state).transaction(record)))
        })
    }

    /// Whether a script is one of the wallet's.
    pub fn is_mine(&self, script: &Script) -> bool {
        self.read(|state| state.bdk.is_mine(script.to_owned()))
    }

    /// Whether a script is one of the wallet's for change.
    pub fn is_change(&self, script: &Script) -> bool {
        self.read(|state| {
            let own = state.bdk.derivation_of_spk(script.to_owned());
            own.is_some_and(|(keychain, _)| keychain == KeychainKind::Internal)
        })
    }

    /// The key and the descriptor of a script of the wallet's.
    ///
    /// # Errors
    /// The wallet's descriptors cannot be used.
    pub fn script_info(&self, script: &Script) -> Result<Option<ScriptInfo>> {
        self.with(|state, _| {
            let Some((keychain, index)) = state.bdk.derivation_of_spk(script.to_owned()) else {
                return Ok(None);
            };
            let parent = state.bdk.public_descriptor(keychain);
            let one = parent.at_derivation_index(index).map_err(|_| VaultError::NoKey)?;
            let Descriptor::Wpkh(key) = &one else { return Err(VaultError::NoKey) };
            let key = key.as_inner();
            Ok(Some(ScriptInfo {
                public_key: key.to_public_key(),
                fingerprint: key.master_fingerprint(),
                path: key.full_derivation_path().unwrap_or_default(),
                descriptor: one.to_string(),
                parent_descriptor: parent.to_string(),
                internal: keychain == KeychainKind::Internal,
            }))
        })
    }

    /// What an input takes from the wallet; nothing if it spends none of its outputs.
    pub fn debit(&self, txin: &TxIn) -> Amount {
        self.read(|state| {
            let own = state.bdk.spk_index().txout(txin.previous_output);
            own.map_or(Amount::ZERO, |(_, txout)| txout.value)
        })
    }

    /// What an output brings to the wallet; nothing if it pays somebody else.
    pub fn credit(&self, txout: &TxOut) -> Amount {
        match self.is_mine(&txout.script_pubkey) {
            true => txout.value,
            false => Amount::ZERO,
        }
    }

    /// Reads an address of the wallet's network.
    ///
    /// # Errors
    /// It is none, or of another network.
    pub fn parse_address(&self, text: &str) -> Result<Address> {
        let address: Address<_> = text.trim().parse().map_err(|_| VaultError::BadAddress)?;
        let network = self.network();
        address.require_network(network).map_err(|_| VaultError::OtherNetworkAddress(network))
    }
}
