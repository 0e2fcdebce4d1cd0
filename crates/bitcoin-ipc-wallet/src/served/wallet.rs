//! The methods of a wallet.
//!
//! What is left out answers `Error::Unimplemented`: addresses on an external signer, and the PSBT of February 2026,
//! whose method has no place for the PSBT.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use bitcoin_ipc::bitcoin::consensus::encode::serialize;
use bitcoin_ipc::bitcoin::{
    Amount, OutPoint, Psbt, PubkeyHash, ScriptBuf, Transaction, TxIn, TxOut, Txid,
};
use bitcoin_ipc::common::{BilingualStr, Pair, PsbtFillOptions, UtilResult};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::chain::FoundBlockParam;
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::values::{
    AddressPurpose, OutputType, PsbtError, SigningResult, wallet_flags,
};
use bitcoin_ipc_draft::wallet::{
    AddressBookChangedCallbackClient, CanGetAddressesChangedCallbackClient, CoinControl,
    CreatedTransactionResult, Recipient, ShowWalletProgressCallbackClient,
    StatusChangedCallbackClient, TransactionChangedCallbackClient, TxDestination,
    UnloadWalletCallbackClient, Wallet, WalletAddress, WalletBalances,
    WalletCommitBumpTransactionResults, WalletCreateBumpTransactionResults, WalletFillPSBTResults,
    WalletGetAddressResults, WalletGetMinimumFeeResults, WalletGetPubKeyResults,
    WalletGetWalletTxDetailsResults, WalletSignBumpTransactionResults, WalletSignMessageResults,
    WalletTryGetBalancesResults, WalletTryGetTxStatusResults, WalletTx, WalletTxOut,
};
use multiprocess::{Error, Result};

use super::transactions::{coin, status, unknown_coin, wallet_tx};
use super::{failed, no_callback, unless};
use crate::fees;
use crate::loader::Wallets;
use crate::open::InUse;
use crate::vault::{AddressBookChange, FillOptions, TxState, VaultError};
use crate::wallet::LoadedWallet;

/// The number of SIGHASH_ALL, and of what a taproot signature covers without a number of its own: what the wallet
/// signs with.
const SIGHASH_ALL: i32 = 1;
const SIGHASH_DEFAULT: i32 = 0;

/// A wallet.
pub(super) struct Served {
    wallets: Weak<Wallets>,
    wallet: Arc<LoadedWallet>,
}

impl Served {
    pub(super) fn new(wallets: Weak<Wallets>, wallet: Arc<LoadedWallet>) -> Served {
        Served { wallets, wallet }
    }

    fn vault(&self) -> Result<InUse<'_>> {
        self.wallet.vault().map_err(failed)
    }

    fn height(&self) -> Result<i32> {
        Ok(i32::try_from(self.vault()?.tip().height).unwrap_or(i32::MAX))
    }
}

fn script(dest: &TxDestination) -> Result<ScriptBuf> {
    dest.script().map_err(|error| Error::failed(error.to_string()))
}

impl Wallet for Served {
    // ---- keys

    fn encrypt_wallet(&self, wallet_passphrase: Passphrase) -> Result<bool> {
        let done = self.vault()?.encrypt(&wallet_passphrase).map_err(Into::into);
        unless(done, |error| matches!(error, VaultError::AlreadyEncrypted))
    }

    fn is_crypted(&self) -> Result<bool> {
        Ok(self.vault()?.is_encrypted())
    }

    fn lock(&self) -> Result<bool> {
        unless(self.wallet.lock(), |error| matches!(error, VaultError::NotEncrypted))
    }

    fn unlock(&self, wallet_passphrase: Passphrase) -> Result<bool> {
        let refused = |error: &VaultError| {
            matches!(error, VaultError::WrongPassphrase | VaultError::NotEncrypted)
        };
        unless(self.wallet.unlock(&wallet_passphrase, None), refused)
    }

    fn is_locked(&self) -> Result<bool> {
        Ok(self.vault()?.is_locked())
    }

    fn change_wallet_passphrase(
        &self,
        old_wallet_passphrase: Passphrase,
        new_wallet_passphrase: Passphrase,
    ) -> Result<bool> {
        let done = self.vault()?.change_passphrase(&old_wallet_passphrase, &new_wallet_passphrase);
        let refused = |error: &VaultError| {
            matches!(error, VaultError::WrongPassphrase | VaultError::NotEncrypted)
        };
        unless(done.map_err(Into::into), refused)
    }

    fn get_pub_key(
        &self,
        _script: ScriptBuf,
        address: PubkeyHash,
    ) -> Result<WalletGetPubKeyResults> {
        let key = self.vault()?.pub_key(address).map_err(failed)?;
        Ok(key.map_or_else(WalletGetPubKeyResults::default, |key| {
            WalletGetPubKeyResults::default().pub_key(key.to_bytes()).result(true)
        }))
    }

    fn sign_message(
        &self,
        message: String,
        pkhash: PubkeyHash,
    ) -> Result<WalletSignMessageResults> {
        Ok(match self.vault()?.sign_message(&message, pkhash) {
            Ok(signature) => WalletSignMessageResults::new(SigningResult::Ok).signature(signature),
            Err(VaultError::NoKey | VaultError::Locked) => {
                WalletSignMessageResults::new(SigningResult::PrivateKeyNotAvailable)
            }
            Err(error) => {
                tracing::warn!("a message could not be signed: {error}");
                WalletSignMessageResults::new(SigningResult::SigningFailed)
            }
        })
    }

    fn fill_psbt(
        &self,
        options: PsbtFillOptions,
        _n_signed: u64,
        want_n_signed: bool,
        psbtx: Vec<u8>,
    ) -> Result<WalletFillPSBTResults> {
        if !matches!(options.sighash_type, None | Some(SIGHASH_ALL | SIGHASH_DEFAULT)) {
            let refused = WalletFillPSBTResults::default().psbtx(psbtx);
            return Ok(refused.result(i32::from(PsbtError::SighashMismatch)));
        }
        let mut psbt = Psbt::deserialize(&psbtx)
            .map_err(|error| Error::failed(format!("this is no PSBT: {error}")))?;
        let fill = FillOptions {
            sign: options.sign,
            finalize: options.finalize,
            bip32_derivs: options.bip32_derivs,
        };
        let filled = self.vault()?.fill_psbt(&mut psbt, fill).map_err(failed)?;
        Ok(WalletFillPSBTResults::default()
            .psbtx(psbt.serialize())
            .n_signed(want_n_signed.then_some(filled.signed))
            .complete(filled.complete))
    }

    // ---- what it is

    fn get_wallet_name(&self) -> Result<String> {
        Ok(self.wallet.name().to_owned())
    }

    fn hd_enabled(&self) -> Result<bool> {
        Ok(true)
    }

    fn can_get_addresses(&self) -> Result<bool> {
        Ok(self.vault()?.can_get_addresses())
    }

    fn private_keys_disabled(&self) -> Result<bool> {
        Ok(self.vault()?.flags() & wallet_flags::DISABLE_PRIVATE_KEYS != 0)
    }

    fn taproot_enabled(&self) -> Result<bool> {
        Ok(false)
    }

    fn has_external_signer(&self) -> Result<bool> {
        Ok(false)
    }

    fn get_default_address_type(&self) -> Result<OutputType> {
        Ok(OutputType::Bech32)
    }

    fn get_default_max_tx_fee(&self) -> Result<Amount> {
        Ok(fees::MAX_FEE)
    }

    fn get_confirm_target(&self) -> Result<u32> {
        Ok(fees::CONFIRM_TARGET)
    }

    // ---- its life

    fn abort_rescan(&self) -> Result<()> {
        self.wallet.follower.abort_rescan();
        Ok(())
    }

    fn backup_wallet(&self, filename: String) -> Result<bool> {
        match self.vault()?.backup(Path::new(&filename)) {
            Ok(()) => Ok(true),
            Err(error) => {
                tracing::warn!("the wallet {:?} is not backed up: {error}", self.wallet.name());
                Ok(false)
            }
        }
    }

    fn remove(&self) -> Result<()> {
        let Some(wallets) = self.wallets.upgrade() else { return Ok(()) };
        match wallets.unload(self.wallet.name(), Some(false)) {
            Ok(warnings) => {
                warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                Ok(())
            }
            Err(error) => Err(Error::failed(error.to_string())),
        }
    }

    // ---- addresses

    fn get_new_destination(
        &self,
        output_type: OutputType,
        label: String,
    ) -> Result<UtilResult<TxDestination>> {
        Ok(match self.vault()?.new_address(output_type, &label) {
            Ok(address) => UtilResult::new(TxDestination::from(&address)),
            Err(error) => UtilResult::failed(error.to_string()),
        })
    }

    fn is_spendable(&self, dest: TxDestination) -> Result<bool> {
        let is_mine = self.vault()?.is_mine(&script(&dest)?);
        Ok(is_mine && !self.private_keys_disabled()?)
    }

    fn set_address_book(
        &self,
        dest: TxDestination,
        name: String,
        purpose: AddressPurpose,
    ) -> Result<bool> {
        self.vault()?.set_address_book(&script(&dest)?, &name, Some(purpose)).map_err(failed)?;
        Ok(true)
    }

    fn del_address_book(&self, dest: TxDestination) -> Result<bool> {
        self.vault()?.del_address_book(&script(&dest)?).map_err(failed)
    }

    fn get_address(
        &self,
        dest: TxDestination,
        want_name: bool,
        want_purpose: bool,
    ) -> Result<WalletGetAddressResults> {
        // What is no address is not in the address book.
        let Ok(script) = dest.script() else { return Ok(WalletGetAddressResults::default()) };
        let entry = self.vault()?.address(&script).map_err(failed)?;
        Ok(entry.map_or_else(WalletGetAddressResults::default, |entry| {
            WalletGetAddressResults::default()
                .name(want_name.then_some(entry.label))
                .purpose(want_purpose.then_some(entry.purpose))
                .result(true)
        }))
    }

    fn get_addresses(&self) -> Result<Vec<WalletAddress>> {
        let entries = self.vault()?.addresses().map_err(failed)?;
        let travels = entries.into_iter().map(|entry| {
            WalletAddress::default()
                .dest(TxDestination::from(&entry.script))
                .is_mine(entry.is_mine)
                .name(entry.label)
                .purpose(entry.purpose)
        });
        Ok(travels.collect())
    }

    fn get_address_receive_requests(&self) -> Result<Vec<Vec<u8>>> {
        self.vault()?.receive_requests().map_err(failed)
    }

    fn set_address_receive_request(
        &self,
        dest: TxDestination,
        id: Vec<u8>,
        value: Vec<u8>,
    ) -> Result<bool> {
        self.vault()?.set_receive_request(&script(&dest)?, &id, &value).map_err(failed)
    }

    // ---- coins

    fn lock_coin(&self, output: OutPoint, write_to_db: bool) -> Result<bool> {
        // One that is locked already is locked, too.
        self.vault()?.lock_coin(output, write_to_db).map_err(failed)?;
        Ok(true)
    }

    fn unlock_coin(&self, output: OutPoint) -> Result<bool> {
        self.vault()?.unlock_coin(output).map_err(failed)?;
        Ok(true)
    }

    fn is_locked_coin(&self, output: OutPoint) -> Result<bool> {
        Ok(self.vault()?.is_locked_coin(output))
    }

    fn list_locked_coins(&self) -> Result<Vec<OutPoint>> {
        Ok(self.vault()?.locked_coins())
    }

    fn list_coins(&self) -> Result<Vec<Pair<TxDestination, Vec<Pair<Vec<u8>, WalletTxOut>>>>> {
        let mut by_script = BTreeMap::<ScriptBuf, Vec<Pair<Vec<u8>, WalletTxOut>>>::new();
        for own in self.vault()?.coins().map_err(failed)? {
            if own.available && !own.spent && !own.immature {
                let travels = Pair::new(serialize(&own.outpoint), coin(&own));
                by_script.entry(own.txout.script_pubkey).or_default().push(travels);
            }
        }
        let groups = by_script.into_iter();
        Ok(groups.map(|(script, coins)| Pair::new(TxDestination::from(&script), coins)).collect())
    }

    fn get_coins(&self, outputs: Vec<OutPoint>) -> Result<Vec<WalletTxOut>> {
        let vault = self.vault()?;
        let found = outputs.into_iter().map(|output| vault.coin(output).map_err(failed));
        found.map(|own| Ok(own?.as_ref().map_or_else(unknown_coin, coin))).collect()
    }

    fn txin_is_mine(&self, txin: TxIn) -> Result<bool> {
        Ok(self.vault()?.coin(txin.previous_output).map_err(failed)?.is_some())
    }

    fn txout_is_mine(&self, txout: TxOut) -> Result<bool> {
        Ok(self.vault()?.is_mine(&txout.script_pubkey))
    }

    fn get_debit(&self, txin: TxIn) -> Result<Amount> {
        Ok(self.vault()?.debit(&txin))
    }

    fn get_credit(&self, txout: TxOut) -> Result<Amount> {
        Ok(self.vault()?.credit(&txout))
    }

    // ---- balances

    fn get_balances(&self) -> Result<WalletBalances> {
        self.vault()?.balances().map_err(failed)
    }

    fn try_get_balances(&self) -> Result<WalletTryGetBalancesResults> {
        let vault = self.vault()?;
        let balances = vault.balances().map_err(failed)?;
        let block = WalletTryGetBalancesResults::new(Some(vault.tip().hash));
        Ok(block.balances(balances).result(true))
    }

    fn get_balance(&self) -> Result<Amount> {
        Ok(self.get_balances()?.balance)
    }

    fn get_available_balance(&self, coin_control: CoinControl) -> Result<Amount> {
        self.vault()?.available_balance(&coin_control).map_err(failed)
    }

    // ---- transactions

    fn get_tx(&self, txid: Txid) -> Result<Option<Transaction>> {
        let own = self.vault()?.transaction(txid).map_err(failed)?;
        Ok(own.map(|own| (*own.tx).clone()))
    }

    fn get_wallet_tx(&self, txid: Txid) -> Result<WalletTx> {
        let own = self.vault()?.transaction(txid).map_err(failed)?;
        Ok(own.as_ref().map(wallet_tx).unwrap_or_default())
    }

    fn get_wallet_txs(&self) -> Result<Vec<WalletTx>> {
        Ok(self.vault()?.transactions().map_err(failed)?.iter().map(wallet_tx).collect())
    }

    fn try_get_tx_status(&self, txid: Txid) -> Result<WalletTryGetTxStatusResults> {
        let Some(own) = self.vault()?.transaction(txid).map_err(failed)? else {
            return Ok(WalletTryGetTxStatusResults::default());
        };
        let tip = self.vault()?.tip();
        let asked = FoundBlockParam::default().want_time(true);
        let block = self.wallet.chain.find_block(tip.hash, asked).wait()?.block;
        Ok(WalletTryGetTxStatusResults::default()
            .tx_status(status(&own))
            .num_blocks(i32::try_from(tip.height).unwrap_or(i32::MAX))
            .block_time(if block.found { block.time } else { -1 })
            .result(true))
    }

    fn get_wallet_tx_details(&self, txid: Txid) -> Result<WalletGetWalletTxDetailsResults> {
        let Some(own) = self.vault()?.transaction(txid).map_err(failed)? else {
            return Ok(WalletGetWalletTxDetailsResults::default());
        };
        let order = own.order_form.iter().cloned().map(|(key, value)| Pair::new(key, value));
        Ok(WalletGetWalletTxDetailsResults::default()
            .tx_status(status(&own))
            .order_form(order.collect())
            .in_mempool(own.state == TxState::InMempool)
            .num_blocks(self.height()?)
            .result(wallet_tx(&own)))
    }

    fn transaction_can_be_abandoned(&self, txid: Txid) -> Result<bool> {
        self.vault()?.can_be_abandoned(txid).map_err(failed)
    }

    fn abandon_transaction(&self, txid: Txid) -> Result<bool> {
        let done = self.vault()?.abandon(txid).map_err(Into::into);
        unless(done, |error| {
            matches!(error, VaultError::NotAbandonable(_) | VaultError::UnknownTransaction)
        })
    }

    // ---- paying

    fn get_required_fee(&self, tx_bytes: u32) -> Result<Amount> {
        fees::required(&self.wallet.chain, tx_bytes).map_err(failed)
    }

    fn get_minimum_fee(
        &self,
        tx_bytes: u32,
        coin_control: CoinControl,
        want_returned_target: bool,
        want_reason: bool,
    ) -> Result<WalletGetMinimumFeeResults> {
        let network = self.vault()?.network();
        let chosen = fees::choose(&self.wallet.chain, network, &coin_control).map_err(failed)?;
        let target = chosen.calculation.returned_target;
        Ok(WalletGetMinimumFeeResults::new(chosen.of(tx_bytes))
            .returned_target(want_returned_target.then_some(target))
            .reason(want_reason.then_some(chosen.reason)))
    }

    fn create_transaction(
        &self,
        recipients: Vec<Recipient>,
        coin_control: CoinControl,
        sign: bool,
        change_pos: Option<u32>,
    ) -> Result<UtilResult<CreatedTransactionResult>> {
        Ok(match self.wallet.create(&recipients, &coin_control, sign, change_pos) {
            Ok((made, chosen)) => UtilResult::new(
                CreatedTransactionResult::default()
                    .tx(Some(made.tx))
                    .fee(made.fee)
                    .fee_calc(chosen.calculation)
                    .change_pos(made.change_pos),
            ),
            Err(error) => UtilResult::failed(error.to_string()),
        })
    }

    fn commit_transaction(
        &self,
        tx: Transaction,
        value_map: BTreeMap<String, String>,
        order_form: Vec<Pair<String, String>>,
    ) -> Result<()> {
        let order = order_form.into_iter().map(|pair| (pair.key, pair.value)).collect();
        self.wallet.commit(&tx, value_map, order).map_err(failed)
    }

    fn transaction_can_be_bumped(&self, txid: Txid) -> Result<bool> {
        self.vault()?.can_be_bumped(txid).map_err(failed)
    }

    fn create_bump_transaction(
        &self,
        txid: Txid,
        coin_control: CoinControl,
    ) -> Result<WalletCreateBumpTransactionResults> {
        let none = |error: VaultError| {
            WalletCreateBumpTransactionResults::new(Amount::ZERO, Amount::ZERO, None)
                .errors(vec![BilingualStr::from(error.to_string())])
        };
        Ok(match self.vault()?.bump_fee(txid, &coin_control) {
            Ok(made) => {
                WalletCreateBumpTransactionResults::new(made.old_fee, made.new_fee, Some(made.tx))
                    .result(true)
            }
            Err(error) => none(error),
        })
    }

    fn sign_bump_transaction(
        &self,
        mtx: Option<Transaction>,
    ) -> Result<WalletSignBumpTransactionResults> {
        let mut tx = mtx.ok_or_else(|| Error::failed("there is no transaction to sign"))?;
        let complete = self.vault()?.sign(&mut tx).map_err(failed)?;
        Ok(WalletSignBumpTransactionResults::new(Some(tx)).result(complete))
    }

    fn commit_bump_transaction(
        &self,
        txid: Txid,
        mtx: Option<Transaction>,
    ) -> Result<WalletCommitBumpTransactionResults> {
        let tx = mtx.ok_or_else(|| Error::failed("there is no transaction to store"))?;
        Ok(match self.wallet.commit_bump(txid, &tx) {
            Ok(bumped) => {
                let bumped: &[u8] = bumped.as_ref();
                WalletCommitBumpTransactionResults::default().bumped_txid(bumped).result(true)
            }
            Err(error) => WalletCommitBumpTransactionResults::default()
                .errors(vec![BilingualStr::from(error.to_string())]),
        })
    }

    // ---- telling others

    fn handle_unload(
        &self,
        callback: Option<UnloadWalletCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        let callback = callback.ok_or_else(no_callback)?;
        self.wallet.events.unload.add(move |()| callback.call().wait()).map(Some)
    }

    fn handle_show_progress(
        &self,
        callback: Option<ShowWalletProgressCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        let callback = callback.ok_or_else(no_callback)?;
        let tell = move |(title, percent): (String, i32)| callback.call(title, percent).wait();
        self.wallet.events.progress.add(tell).map(Some)
    }

    fn handle_status_changed(
        &self,
        callback: Option<StatusChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        let callback = callback.ok_or_else(no_callback)?;
        self.wallet.events.status.add(move |()| callback.call().wait()).map(Some)
    }

    fn handle_address_book_changed(
        &self,
        callback: Option<AddressBookChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        let callback = callback.ok_or_else(no_callback)?;
        let tell = move |changed: AddressBookChange| {
            let dest = TxDestination::from(&changed.script);
            let (is_mine, purpose) = (changed.is_mine, changed.purpose);
            callback.call(dest, changed.label, is_mine, purpose, changed.change).wait()
        };
        self.wallet.events.address_book.add(tell).map(Some)
    }

    fn handle_transaction_changed(
        &self,
        callback: Option<TransactionChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        let callback = callback.ok_or_else(no_callback)?;
        let tell = move |(txid, change)| callback.call(txid, change).wait();
        self.wallet.events.transactions.add(tell).map(Some)
    }

    fn handle_can_get_addresses_changed(
        &self,
        callback: Option<CanGetAddressesChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        // It always can: nobody is ever told.
        let callback = callback.ok_or_else(no_callback)?;
        self.wallet.events.can_get_addresses.add(move |()| callback.call().wait()).map(Some)
    }
}
