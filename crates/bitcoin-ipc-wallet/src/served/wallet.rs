//! The methods of a wallet. What takes more than a line is in the files beside this one.
//!
//! What is left out answers `Error::Unimplemented`: addresses on an external signer, and the PSBT of February 2026,
//! whose method has no place for the PSBT.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use bitcoin_ipc::bitcoin::{
    Amount, OutPoint, PubkeyHash, ScriptBuf, Transaction, TxIn, TxOut, Txid,
};
use bitcoin_ipc::common::{Pair, PsbtFillOptions, UtilResult};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::values::{AddressPurpose, OutputType, wallet_flags};
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
use multiprocess::Result;

use super::{addresses, callbacks, coins, failed, keys, life, paying, transactions, vault};
use crate::fees;
use crate::loader::Wallets;
use crate::wallet::LoadedWallet;

/// A wallet.
pub(super) struct Served {
    wallets: Weak<Wallets>,
    wallet: Arc<LoadedWallet>,
}

impl Served {
    pub(super) fn new(wallets: Weak<Wallets>, wallet: Arc<LoadedWallet>) -> Served {
        Served { wallets, wallet }
    }
}

impl Wallet for Served {
    // ---- keys

    fn encrypt_wallet(&self, wallet_passphrase: Passphrase) -> Result<bool> {
        keys::encrypt(&self.wallet, &wallet_passphrase)
    }

    fn is_crypted(&self) -> Result<bool> {
        Ok(vault(&self.wallet)?.is_encrypted())
    }

    fn lock(&self) -> Result<bool> {
        keys::lock(&self.wallet)
    }

    fn unlock(&self, wallet_passphrase: Passphrase) -> Result<bool> {
        keys::unlock(&self.wallet, &wallet_passphrase)
    }

    fn is_locked(&self) -> Result<bool> {
        Ok(vault(&self.wallet)?.is_locked())
    }

    fn change_wallet_passphrase(&self, old: Passphrase, new: Passphrase) -> Result<bool> {
        keys::change_passphrase(&self.wallet, &old, &new)
    }

    fn get_pub_key(&self, _: ScriptBuf, hash: PubkeyHash) -> Result<WalletGetPubKeyResults> {
        keys::pub_key(&self.wallet, hash)
    }

    fn sign_message(&self, text: String, hash: PubkeyHash) -> Result<WalletSignMessageResults> {
        keys::sign_message(&self.wallet, &text, hash)
    }

    fn fill_psbt(
        &self,
        options: PsbtFillOptions,
        _n_signed: u64,
        want_n_signed: bool,
        psbtx: Vec<u8>,
    ) -> Result<WalletFillPSBTResults> {
        keys::fill_psbt(&self.wallet, &options, want_n_signed, psbtx)
    }

    // ---- what it is

    fn get_wallet_name(&self) -> Result<String> {
        Ok(self.wallet.name().to_owned())
    }

    fn hd_enabled(&self) -> Result<bool> {
        Ok(true)
    }

    fn can_get_addresses(&self) -> Result<bool> {
        Ok(vault(&self.wallet)?.can_get_addresses())
    }

    fn private_keys_disabled(&self) -> Result<bool> {
        Ok(vault(&self.wallet)?.flags() & wallet_flags::DISABLE_PRIVATE_KEYS != 0)
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
        life::backup(&self.wallet, &filename)
    }

    fn remove(&self) -> Result<()> {
        life::unload(&self.wallets, &self.wallet)
    }

    // ---- addresses

    fn get_new_destination(
        &self,
        output_type: OutputType,
        label: String,
    ) -> Result<UtilResult<TxDestination>> {
        addresses::new_destination(&self.wallet, output_type, &label)
    }

    fn is_spendable(&self, dest: TxDestination) -> Result<bool> {
        Ok(addresses::is_mine(&self.wallet, &dest)? && !self.private_keys_disabled()?)
    }

    fn set_address_book(
        &self,
        dest: TxDestination,
        name: String,
        purpose: AddressPurpose,
    ) -> Result<bool> {
        addresses::set(&self.wallet, &dest, &name, purpose)
    }

    fn del_address_book(&self, dest: TxDestination) -> Result<bool> {
        addresses::delete(&self.wallet, &dest)
    }

    fn get_address(
        &self,
        dest: TxDestination,
        want_name: bool,
        want_purpose: bool,
    ) -> Result<WalletGetAddressResults> {
        addresses::get(&self.wallet, &dest, want_name, want_purpose)
    }

    fn get_addresses(&self) -> Result<Vec<WalletAddress>> {
        addresses::all(&self.wallet)
    }

    fn get_address_receive_requests(&self) -> Result<Vec<Vec<u8>>> {
        vault(&self.wallet)?.receive_requests().map_err(failed)
    }

    fn set_address_receive_request(
        &self,
        dest: TxDestination,
        id: Vec<u8>,
        value: Vec<u8>,
    ) -> Result<bool> {
        addresses::set_receive_request(&self.wallet, &dest, &id, &value)
    }

    // ---- coins and balances

    fn lock_coin(&self, output: OutPoint, write_to_db: bool) -> Result<bool> {
        coins::lock(&self.wallet, output, write_to_db)
    }

    fn unlock_coin(&self, output: OutPoint) -> Result<bool> {
        coins::unlock(&self.wallet, output)
    }

    fn is_locked_coin(&self, output: OutPoint) -> Result<bool> {
        Ok(vault(&self.wallet)?.is_locked_coin(output))
    }

    fn list_locked_coins(&self) -> Result<Vec<OutPoint>> {
        Ok(vault(&self.wallet)?.locked_coins())
    }

    fn list_coins(&self) -> Result<Vec<Pair<TxDestination, Vec<Pair<Vec<u8>, WalletTxOut>>>>> {
        coins::list(&self.wallet)
    }

    fn get_coins(&self, outputs: Vec<OutPoint>) -> Result<Vec<WalletTxOut>> {
        coins::get(&self.wallet, outputs)
    }

    fn txin_is_mine(&self, txin: TxIn) -> Result<bool> {
        Ok(vault(&self.wallet)?.coin(txin.previous_output).map_err(failed)?.is_some())
    }

    fn txout_is_mine(&self, txout: TxOut) -> Result<bool> {
        Ok(vault(&self.wallet)?.is_mine(&txout.script_pubkey))
    }

    fn get_debit(&self, txin: TxIn) -> Result<Amount> {
        Ok(vault(&self.wallet)?.debit(&txin))
    }

    fn get_credit(&self, txout: TxOut) -> Result<Amount> {
        Ok(vault(&self.wallet)?.credit(&txout))
    }

    fn get_balances(&self) -> Result<WalletBalances> {
        vault(&self.wallet)?.balances().map_err(failed)
    }

    fn try_get_balances(&self) -> Result<WalletTryGetBalancesResults> {
        coins::try_balances(&self.wallet)
    }

    fn get_balance(&self) -> Result<Amount> {
        Ok(self.get_balances()?.balance)
    }

    fn get_available_balance(&self, coin_control: CoinControl) -> Result<Amount> {
        vault(&self.wallet)?.available_balance(&coin_control).map_err(failed)
    }

    // ---- transactions

    fn get_tx(&self, txid: Txid) -> Result<Option<Transaction>> {
        transactions::raw(&self.wallet, txid)
    }

    fn get_wallet_tx(&self, txid: Txid) -> Result<WalletTx> {
        transactions::get(&self.wallet, txid)
    }

    fn get_wallet_txs(&self) -> Result<Vec<WalletTx>> {
        transactions::all(&self.wallet)
    }

    fn try_get_tx_status(&self, txid: Txid) -> Result<WalletTryGetTxStatusResults> {
        transactions::try_status(&self.wallet, txid)
    }

    fn get_wallet_tx_details(&self, txid: Txid) -> Result<WalletGetWalletTxDetailsResults> {
        transactions::details(&self.wallet, txid)
    }

    fn transaction_can_be_abandoned(&self, txid: Txid) -> Result<bool> {
        vault(&self.wallet)?.can_be_abandoned(txid).map_err(failed)
    }

    fn abandon_transaction(&self, txid: Txid) -> Result<bool> {
        transactions::abandon(&self.wallet, txid)
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
        paying::minimum_fee(
            &self.wallet,
            tx_bytes,
            &coin_control,
            want_returned_target,
            want_reason,
        )
    }

    fn create_transaction(
        &self,
        recipients: Vec<Recipient>,
        coin_control: CoinControl,
        sign: bool,
        change_pos: Option<u32>,
    ) -> Result<UtilResult<CreatedTransactionResult>> {
        Ok(paying::create(&self.wallet, &recipients, &coin_control, sign, change_pos))
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
        vault(&self.wallet)?.can_be_bumped(txid).map_err(failed)
    }

    fn create_bump_transaction(
        &self,
        txid: Txid,
        coin_control: CoinControl,
    ) -> Result<WalletCreateBumpTransactionResults> {
        paying::create_bump(&self.wallet, txid, &coin_control)
    }

    fn sign_bump_transaction(
        &self,
        mtx: Option<Transaction>,
    ) -> Result<WalletSignBumpTransactionResults> {
        paying::sign_bump(&self.wallet, mtx)
    }

    fn commit_bump_transaction(
        &self,
        txid: Txid,
        mtx: Option<Transaction>,
    ) -> Result<WalletCommitBumpTransactionResults> {
        paying::commit_bump(&self.wallet, txid, mtx)
    }

    // ---- telling others

    fn handle_unload(
        &self,
        callback: Option<UnloadWalletCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        callbacks::unload(&self.wallet, callback)
    }

    fn handle_show_progress(
        &self,
        callback: Option<ShowWalletProgressCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        callbacks::show_progress(&self.wallet, callback)
    }

    fn handle_status_changed(
        &self,
        callback: Option<StatusChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        callbacks::status_changed(&self.wallet, callback)
    }

    fn handle_address_book_changed(
        &self,
        callback: Option<AddressBookChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        callbacks::address_book_changed(&self.wallet, callback)
    }

    fn handle_transaction_changed(
        &self,
        callback: Option<TransactionChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        callbacks::transaction_changed(&self.wallet, callback)
    }

    fn handle_can_get_addresses_changed(
        &self,
        callback: Option<CanGetAddressesChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        callbacks::can_get_addresses_changed(&self.wallet, callback)
    }
}
