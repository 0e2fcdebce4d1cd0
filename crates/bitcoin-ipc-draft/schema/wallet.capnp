# The wallets of a wallet process. The draft of Bitcoin Core as of July 2026.

@0xe234cce74feea00c;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Common = import "/common.capnp";
using Chain = import "chain.capnp";
using Handler = import "handler.capnp";
$Cxx.namespace("ipc::capnp::messages");

interface Wallet @0xc5f5ca46c6495fcf {
    # One wallet.

    destroy @0 (context :Proxy.Context) -> ();

    encryptWallet @1 (context :Proxy.Context, walletPassphrase :Data $Rust.type("::bitcoin_ipc_draft::Passphrase") $Rust.codec("::bitcoin_ipc_draft::codec::Secret") $Rust.redacted) -> (result :Bool);
    # Encrypts its keys with a passphrase. False if they are encrypted already.

    isCrypted @2 (context :Proxy.Context) -> (result :Bool);
    # Whether its keys are encrypted.

    lock @3 (context :Proxy.Context) -> (result :Bool);
    # Forgets the passphrase: what needs the keys fails from now on.

    unlock @4 (context :Proxy.Context, walletPassphrase :Data $Rust.type("::bitcoin_ipc_draft::Passphrase") $Rust.codec("::bitcoin_ipc_draft::codec::Secret") $Rust.redacted) -> (result :Bool);
    # Makes the keys usable. False if the passphrase is another.

    isLocked @5 (context :Proxy.Context) -> (result :Bool);
    # Whether its keys are encrypted, and locked.

    changeWalletPassphrase @6 (context :Proxy.Context, oldWalletPassphrase :Data $Rust.type("::bitcoin_ipc_draft::Passphrase") $Rust.codec("::bitcoin_ipc_draft::codec::Secret") $Rust.redacted, newWalletPassphrase :Data $Rust.type("::bitcoin_ipc_draft::Passphrase") $Rust.codec("::bitcoin_ipc_draft::codec::Secret") $Rust.redacted) -> (result :Bool);
    # Encrypts the keys with another passphrase. False if the old one is another.

    abortRescan @7 (context :Proxy.Context) -> ();
    # Ends a rescan of the chain early.

    backupWallet @8 (context :Proxy.Context, filename :Text) -> (result :Bool);
    # Writes a copy of the wallet to a file.

    getWalletName @9 (context :Proxy.Context) -> (result :Text);
    # Its name.

    getNewDestination @10 (context :Proxy.Context, outputType :Int32 $Rust.type("::bitcoin_ipc_draft::values::OutputType") $Rust.codec("::bitcoin_ipc_draft::codec::Number"), label :Text) -> (result :Common.Result(TxDestination));
    # A new address to be paid to.

    getPubKey @11 (context :Proxy.Context, script :Data $Rust.type("::bitcoin_ipc::bitcoin::ScriptBuf") $Rust.codec("::bitcoin_ipc::codec::Script"), address :Data $Rust.type("::bitcoin_ipc::bitcoin::PubkeyHash") $Rust.codec("::bitcoin_ipc_draft::codec::Hash20")) -> (pubKey :Data, result :Bool);
    # The public key with this hash, if it is the wallet's.

    signMessage @12 (context :Proxy.Context, message :Text, pkhash :Data $Rust.type("::bitcoin_ipc::bitcoin::PubkeyHash") $Rust.codec("::bitcoin_ipc_draft::codec::Hash20")) -> (signature :Text, result :Int32 $Rust.type("::bitcoin_ipc_draft::values::SigningResult") $Rust.codec("::bitcoin_ipc_draft::codec::Number"));
    # Signs a message with the key of this hash.

    isSpendable @13 (context :Proxy.Context, dest :TxDestination) -> (result :Bool);
    # Whether the wallet can spend what is paid to it.

    setAddressBook @14 (context :Proxy.Context, dest :TxDestination, name :Text, purpose :Int32 $Rust.type("::bitcoin_ipc_draft::values::AddressPurpose") $Rust.codec("::bitcoin_ipc_draft::codec::Number")) -> (result :Bool);
    # Gives an address a label.

    delAddressBook @15 (context :Proxy.Context, dest :TxDestination) -> (result :Bool);
    # Takes an address out of the address book.

    getAddress @16 (context :Proxy.Context, dest :TxDestination, wantName :Bool, wantPurpose :Bool) -> (name :Text, purpose :Int32 $Rust.type("::bitcoin_ipc_draft::values::AddressPurpose") $Rust.codec("::bitcoin_ipc_draft::codec::Number"), result :Bool);
    # Looks an address up in the address book. False if it is not there.

    getAddresses @17 (context :Proxy.Context) -> (result :List(WalletAddress));
    # The address book.

    getAddressReceiveRequests @18 (context :Proxy.Context) -> (result :List(Data));
    # The payment requests that a user interface has stored.

    setAddressReceiveRequest @19 (context :Proxy.Context, dest :TxDestination, id :Data, value :Data) -> (result :Bool);
    # Stores such a request with an address; an empty value deletes it.

    displayAddress @20 (context :Proxy.Context, dest :TxDestination) -> (result :Common.ResultVoid);
    # Shows an address on an external signer.

    lockCoin @21 (context :Proxy.Context, output :Data $Rust.type("::bitcoin_ipc::bitcoin::OutPoint") $Rust.codec("::bitcoin_ipc::codec::Consensus"), writeToDb :Bool) -> (result :Bool);
    # Keeps an output from being spent by transactions that the wallet makes; with `writeToDb`
    # also after a restart.

    unlockCoin @22 (context :Proxy.Context, output :Data $Rust.type("::bitcoin_ipc::bitcoin::OutPoint") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (result :Bool);
    # Ends that.

    isLockedCoin @23 (context :Proxy.Context, output :Data $Rust.type("::bitcoin_ipc::bitcoin::OutPoint") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (result :Bool);
    # Whether that is so.

    listLockedCoins @24 (context :Proxy.Context) -> (outputs :List(Data) $Rust.type("Vec<::bitcoin_ipc::bitcoin::OutPoint>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::Consensus>"));
    # All such outputs.

    createTransaction @25 (context :Proxy.Context, recipients :List(Recipient), coinControl :CoinControl, sign :Bool, changePos :UInt32, hasChangePos :Bool) -> (result :Common.Result(CreatedTransactionResult));
    # Makes a transaction, with the change at this place among its outputs (none: anywhere), and
    # signs it if asked. Nothing is stored or sent.

    commitTransaction @26 (context :Proxy.Context, tx :Data $Rust.type("::bitcoin_ipc::bitcoin::Transaction") $Rust.codec("::bitcoin_ipc::codec::Consensus"), valueMap :List(Common.Pair(Text, Text)) $Rust.type("::std::collections::BTreeMap<String, String>") $Rust.codec("::bitcoin_ipc_draft::codec::Map"), orderForm :List(Common.Pair(Text, Text))) -> ();
    # Stores a transaction, with what the user notes on it, and gives it to the node.

    transactionCanBeAbandoned @27 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (result :Bool);
    # Whether a transaction can be given up.

    abandonTransaction @28 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (result :Bool);
    # Gives a transaction up, so that what it spends can be spent by another.

    transactionCanBeBumped @29 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (result :Bool);
    # Whether a transaction can be replaced by one with a higher fee.

    createBumpTransaction @30 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32"), coinControl :CoinControl) -> (errors :List(Common.BilingualStr), oldFee :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"), newFee :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"), mtx :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::Transaction>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>"), result :Bool);
    # Makes a replacement with a higher fee, not signed. False with `errors` if there can be none.

    signBumpTransaction @31 (context :Proxy.Context, mtx :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::Transaction>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>")) -> (mtx :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::Transaction>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>"), result :Bool);
    # Signs a replacement.

    commitBumpTransaction @32 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32"), mtx :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::Transaction>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>")) -> (errors :List(Common.BilingualStr), bumpedTxid :Data, result :Bool);
    # Stores a replacement and gives it to the node.

    getTx @33 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (result :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::Transaction>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>"));
    # A transaction of the wallet's.

    getWalletTx @34 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (result :WalletTx);
    # The same with what it means to the wallet; without a transaction if it is not the wallet's.

    getWalletTxs @35 (context :Proxy.Context) -> (result :List(WalletTx));
    # All transactions of the wallet's.

    tryGetTxStatus @36 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (txStatus :WalletTxStatus, numBlocks :Int32, blockTime :Int64, result :Bool);
    # How far a transaction is confirmed. False if that cannot be told now.

    getWalletTxDetails @37 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (txStatus :WalletTxStatus, orderForm :List(Common.Pair(Text, Text)), inMempool :Bool, numBlocks :Int32, result :WalletTx);
    # All of a transaction.

    getBalances @38 (context :Proxy.Context) -> (result :WalletBalances);
    # The balances.

    fillPSBT @39 (context :Proxy.Context, options :Common.PSBTFillOptions, nSigned :UInt64, wantNSigned :Bool, psbtx :Data) -> (nSigned :UInt64, psbtx :Data, complete :Bool, result :Int32, hasResult :Bool);
    # Adds to a PSBT (BIP 174) what the wallet knows, and signs it if asked. A result is an error:
    # `values::PsbtError` as a number.

    tryGetBalances @40 (context :Proxy.Context) -> (balances :WalletBalances, blockHash :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::BlockHash>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Hash32>"), result :Bool);
    # The balances, and the block up to which they count. False if that cannot be told now.

    getBalance @41 (context :Proxy.Context) -> (result :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"));
    # What the wallet can spend.

    getAvailableBalance @42 (context :Proxy.Context, coinControl :CoinControl) -> (result :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"));
    # The same of the coins that `coinControl` allows.

    txinIsMine @43 (context :Proxy.Context, txin :Data $Rust.type("::bitcoin_ipc::bitcoin::TxIn") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (result :Bool);
    # Whether an input spends from the wallet.

    txoutIsMine @44 (context :Proxy.Context, txout :Data $Rust.type("::bitcoin_ipc::bitcoin::TxOut") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (result :Bool);
    # Whether an output pays to the wallet.

    getDebit @45 (context :Proxy.Context, txin :Data $Rust.type("::bitcoin_ipc::bitcoin::TxIn") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (result :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"));
    # What an input takes from the wallet.

    getCredit @46 (context :Proxy.Context, txout :Data $Rust.type("::bitcoin_ipc::bitcoin::TxOut") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (result :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"));
    # What an output brings to the wallet.

    listCoins @47 (context :Proxy.Context) -> (result :List(Common.Pair(TxDestination, List(Common.Pair(Data, WalletTxOut)))));
    # The wallet's unspent outputs by address; the keys within are outpoints.

    getCoins @48 (context :Proxy.Context, outputs :List(Data) $Rust.type("Vec<::bitcoin_ipc::bitcoin::OutPoint>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::Consensus>")) -> (result :List(WalletTxOut));
    # What the wallet knows of outputs, in their order; a depth of -1 for what it does not know.

    getRequiredFee @49 (context :Proxy.Context, txBytes :UInt32) -> (result :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"));
    # The least fee of a transaction of so many virtual bytes.

    getMinimumFee @50 (context :Proxy.Context, txBytes :UInt32, coinControl :CoinControl, wantReturnedTarget :Bool, wantReason :Bool) -> (returnedTarget :Int32, reason :Int32 $Rust.type("::bitcoin_ipc_draft::values::FeeReason") $Rust.codec("::bitcoin_ipc_draft::codec::Number"), result :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"));
    # The fee that the wallet would pay for it.

    getConfirmTarget @51 (context :Proxy.Context) -> (result :UInt32);
    # Within how many blocks transactions are to be confirmed unless told otherwise.

    hdEnabled @52 (context :Proxy.Context) -> (result :Bool);
    # Whether its keys are derived from a seed.

    canGetAddresses @53 (context :Proxy.Context) -> (result :Bool);
    # Whether it can make new addresses.

    privateKeysDisabled @54 (context :Proxy.Context) -> (result :Bool);
    # Whether it only watches.

    taprootEnabled @55 (context :Proxy.Context) -> (result :Bool);
    # Whether it has taproot addresses.

    hasExternalSigner @56 (context :Proxy.Context) -> (result :Bool);
    # Whether its keys are on an external signer.

    getDefaultAddressType @57 (context :Proxy.Context) -> (result :Int32 $Rust.type("::bitcoin_ipc_draft::values::OutputType") $Rust.codec("::bitcoin_ipc_draft::codec::Number"));
    # The type of address that it makes.

    getDefaultMaxTxFee @58 (context :Proxy.Context) -> (result :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"));
    # The highest fee that it pays.

    remove @59 (context :Proxy.Context) -> ();
    # Unloads it.

    handleUnload @60 (context :Proxy.Context, callback :UnloadWalletCallback) -> (result :Handler.Handler);
    # Tells when it is unloaded.

    handleShowProgress @61 (context :Proxy.Context, callback :ShowWalletProgressCallback) -> (result :Handler.Handler);
    # Tells how far something is that takes long.

    handleStatusChanged @62 (context :Proxy.Context, callback :StatusChangedCallback) -> (result :Handler.Handler);
    # Tells when it is locked, unlocked or encrypted.

    handleAddressBookChanged @63 (context :Proxy.Context, callback :AddressBookChangedCallback) -> (result :Handler.Handler);
    # Tells of changes of the address book.

    handleTransactionChanged @64 (context :Proxy.Context, callback :TransactionChangedCallback) -> (result :Handler.Handler);
    # Tells of transactions of the wallet's that are new or have changed.

    handleCanGetAddressesChanged @65 (context :Proxy.Context, callback :CanGetAddressesChangedCallback) -> (result :Handler.Handler);
    # Tells when it can make new addresses, or cannot any more.
}


interface UnloadWalletCallback @0x87a230ae23c56a66 {
    # Is told when a wallet is unloaded.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context) -> ();
    # It is.
}


interface ShowWalletProgressCallback @0xa31e41c2528bd1f1 {
    # Is told how far something is.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, title :Text, progress :Int32) -> ();
    # How far: 0 to 100, where 100 ends it.
}


interface StatusChangedCallback @0xde63c88146b7284e {
    # Is told when a wallet is locked, unlocked or encrypted.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context) -> ();
    # It is.
}


interface AddressBookChangedCallback @0xad868d169d144a1b {
    # Is told of the address book.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, address :TxDestination, label :Text, isMine :Bool, purpose :Int32 $Rust.type("::bitcoin_ipc_draft::values::AddressPurpose") $Rust.codec("::bitcoin_ipc_draft::codec::Number"), status :Int32 $Rust.type("::bitcoin_ipc_draft::values::ChangeType") $Rust.codec("::bitcoin_ipc_draft::codec::Number")) -> ();
    # An address has changed.
}


interface TransactionChangedCallback @0x96d115fd9b806538 {
    # Is told of transactions.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32"), status :Int32 $Rust.type("::bitcoin_ipc_draft::values::ChangeType") $Rust.codec("::bitcoin_ipc_draft::codec::Number")) -> ();
    # A transaction is new or has changed.
}


interface CanGetAddressesChangedCallback @0xbbfeaf2e5d6b3539 {
    # Is told when a wallet can make new addresses, or cannot any more.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context) -> ();
    # That has changed.
}


interface WalletLoader @0xba10da251bfac23a extends(Chain.ChainClient) {
    # The wallets of a wallet process.

    createWallet @0 (context :Proxy.Context, name :Text, passphrase :Text $Rust.type("::bitcoin_ipc_draft::Passphrase") $Rust.codec("::bitcoin_ipc_draft::codec::SecretText") $Rust.redacted, flags :UInt64) -> (warning :List(Common.BilingualStr), result :Common.Result(Wallet));
    # Makes a wallet; with a passphrase its keys are encrypted. `flags`: `values::wallet_flags`.

    loadWallet @1 (context :Proxy.Context, name :Text) -> (warning :List(Common.BilingualStr), result :Common.Result(Wallet));
    # Loads a wallet from its directory.

    getWalletDir @2 (context :Proxy.Context) -> (result :Text $Rust.type("::std::path::PathBuf") $Rust.codec("::bitcoin_ipc_draft::codec::PathText"));
    # The directory of the wallets.

    restoreWallet @3 (context :Proxy.Context, backupFile :Data $Rust.type("::std::path::PathBuf") $Rust.codec("::bitcoin_ipc_draft::codec::PathBytes"), name :Text, loadAfterRestore :Bool) -> (warning :List(Common.BilingualStr), result :Common.Result(Wallet));
    # Makes a wallet of a backup.

    migrateWallet @4 (context :Proxy.Context, name :Text, passphrase :Text $Rust.type("::bitcoin_ipc_draft::Passphrase") $Rust.codec("::bitcoin_ipc_draft::codec::SecretText") $Rust.redacted) -> (result :Common.Result(WalletMigrationResult));
    # Makes a wallet with descriptors of one of Bitcoin Core's older kind.

    isEncrypted @5 (context :Proxy.Context, name :Text) -> (result :Bool);
    # Whether the keys of a wallet are encrypted; it need not be loaded.

    listWalletDir @6 (context :Proxy.Context) -> (result :List(Common.Pair(Text, Text)));
    # The wallets in the directory: names and formats.

    getWallets @7 (context :Proxy.Context) -> (result :List(Wallet));
    # The wallets that are loaded.

    handleLoadWallet @8 (context :Proxy.Context, callback :LoadWalletCallback) -> (result :Handler.Handler);
    # Tells of each wallet that is loaded from now on.
}


interface LoadWalletCallback @0x868d77561f46af8f {
    # Is told of wallets.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, wallet :Wallet) -> ();
    # A wallet was loaded.
}


struct Key @0xb5c9f51176c0c62b {
    # A private key.

    secret @0 :Data $Rust.redacted;
    # Its 32 bytes.

    isCompressed @1 :Bool;
    # Whether its public key is written compressed.
}


struct TxDestination @0xe1ccbc48ef7cd882 $Rust.derive("Eq, Hash") {
    # Whom an output pays: at most one of these is set. None is set for a script that is none of
    # them.

    pubKey @0 :Data $Rust.nullable;
    # A public key.

    pkHash @1 :Data $Rust.nullable;
    # The hash of a public key (P2PKH): 20 bytes.

    scriptHash @2 :Data $Rust.nullable;
    # The hash of a script (P2SH): 20 bytes.

    witnessV0ScriptHash @3 :Data $Rust.nullable;
    # The hash of a witness script (P2WSH): 32 bytes.

    witnessV0KeyHash @4 :Data $Rust.nullable;
    # The hash of a public key (P2WPKH): 20 bytes.

    witnessV1Taproot @5 :Data $Rust.nullable;
    # A taproot output key (P2TR): 32 bytes.

    witnessUnknown @6 :WitnessUnknown $Rust.nullable;
    # A witness program of a later version.
}


struct WitnessUnknown @0xc2a6166742989d79 $Rust.derive("Eq, Hash") {
    # A witness program that has no meaning yet.

    version @0 :UInt32;
    # Its version: 1 to 16.

    program @1 :Data;
    # Its bytes: 2 to 40.
}


struct WalletAddress @0xfb0e71648708372b $Rust.derive("Default") {
    # An entry of the address book.

    dest @0 :TxDestination;
    # The address.

    isMine @1 :Bool;
    # Whether it is the wallet's own.

    name @2 :Text;
    # Its label.

    purpose @3 :Int32 $Rust.type("::bitcoin_ipc_draft::values::AddressPurpose") $Rust.codec("::bitcoin_ipc_draft::codec::Number");
    # What it is for.
}


struct Recipient @0x982b22690a3da9ea {
    # Somebody who is paid.

    dest @0 :TxDestination;
    # The address.

    amount @1 :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis");
    # How much.

    subtractFeeFromAmount @2 :Bool;
    # Whether the recipient pays (their part of) the fee.
}


struct CoinControl @0xdbc08b904bdebc60 $Rust.derive("Default") {
    # How a transaction is to be made.

    destChange @0 :TxDestination;
    # Where the change goes; to a new address of the wallet if none is set.

    hasChangeType @1 :Bool;
    # Whether `changeType` is given.

    changeType @2 :Int32 $Rust.type("::bitcoin_ipc_draft::values::OutputType") $Rust.codec("::bitcoin_ipc_draft::codec::Number");
    # The type of the change's address.

    includeUnsafeInputs @3 :Bool;
    # Whether outputs of others' transactions without a confirmation may be spent.

    allowOtherInputs @4 :Bool;
    # Whether other outputs than `setSelected` may be spent as well.

    allowWatchOnly @5 :Bool;
    # Whether outputs may be spent that the wallet only watches.

    overrideFeeRate @6 :Bool;
    # Whether `feeRate` may be below the wallet's least.

    hasFeeRate @7 :Bool;
    # Whether `feeRate` is given.

    feeRate @8 :Data $Rust.type("::bitcoin_ipc_draft::FeeRate") $Rust.codec("::bitcoin_ipc_draft::codec::PerKvb");
    # The fee rate.

    hasConfirmTarget @9 :Bool;
    # Whether `confirmTarget` is given.

    confirmTarget @10 :Int32;
    # Within how many blocks it is to be confirmed.

    hasSignalRbf @11 :Bool;
    # Whether `signalRbf` is given.

    signalRbf @12 :Bool;
    # Whether it says that it can be replaced (BIP 125).

    avoidPartialSpends @13 :Bool;
    # Whether all outputs of an address are spent together.

    avoidAddressReuse @14 :Bool;
    # Whether outputs of addresses that were used before are left alone.

    feeMode @15 :Int32;
    # How fees are estimated: 0 unset, 1 economical, 2 conservative.

    minDepth @16 :Int32;
    # The fewest confirmations of what is spent.

    maxDepth @17 :Int32;
    # The most confirmations of what is spent.

    hasLockTime @18 :UInt32;
    # Whether `lockTime` is given: 0 or 1.

    lockTime @19 :UInt32;
    # The transaction's lock time.

    hasVersion @20 :UInt32;
    # Whether `version` is given: 0 or 1.

    version @21 :UInt32;
    # The transaction's version.

    hasMaxTxWeight @22 :UInt32;
    # Whether `maxTxWeight` is given: 0 or 1.

    maxTxWeight @23 :UInt32;
    # The most weight units that it may have.

    setSelected @24 :List(Data) $Rust.type("Vec<::bitcoin_ipc::bitcoin::OutPoint>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::Consensus>");
    # Outputs that it spends in any case.
}


struct WalletTx @0x86892aeaef975f87 $Rust.derive("Default") {
    # A transaction, and what it means to the wallet.

    tx @0 :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::Transaction>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>");
    # The transaction.

    txinIsMine @1 :List(Bool);
    # For each input, whether it spends from the wallet.

    txoutIsMine @2 :List(Bool);
    # For each output, whether it pays to the wallet.

    txoutIsChange @3 :List(Bool);
    # For each output, whether it is change.

    txoutAddress @4 :List(TxDestination);
    # For each output, whom it pays.

    txoutAddressIsMine @5 :List(Bool);
    # For each output, whether that is the wallet's.

    credit @6 :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis");
    # What it brings to the wallet.

    debit @7 :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis");
    # What it takes from the wallet.

    change @8 :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis");
    # What of that comes back.

    time @9 :Int64;
    # When it was made or first seen, in seconds since 1970.

    valueMap @10 :List(Common.Pair(Text, Text)) $Rust.type("::std::collections::BTreeMap<String, String>") $Rust.codec("::bitcoin_ipc_draft::codec::Map");
    # What the user notes on it.

    isCoinbase @11 :Bool;
    # Whether it is a coinbase transaction.
}


struct WalletTxOut @0xefff1af99995c89f $Rust.derive("Default") {
    # An output of a transaction of the wallet's.

    txout @0 :Data;
    # The output (consensus serialization); empty if it is not known.

    time @1 :Int64;
    # The transaction's time, in seconds since 1970.

    depthInMainChain @2 :Int32;
    # Its confirmations; 0 in the memory pool; below 0 if it conflicts with others or is not
    # known.

    isSpent @3 :Bool;
    # Whether it is spent.
}


struct WalletTxStatus @0xac78f05d040fb9e0 $Rust.derive("Copy, Eq") {
    # How far a transaction is confirmed.

    blockHeight @0 :Int32;
    # The height of its block; -1 or the greatest number if it is in none.

    blocksToMaturity @1 :Int32;
    # In how many blocks a coinbase transaction can be spent.

    depthInMainChain @2 :Int32;
    # Its confirmations; below 0 if it conflicts with others.

    timeReceived @3 :UInt32;
    # When it was first seen, in seconds since 1970.

    lockTime @4 :UInt32;
    # Its lock time.

    isTrusted @5 :Bool;
    # Whether its outputs can be relied on before they are confirmed.

    isAbandoned @6 :Bool;
    # Whether it was given up.

    isCoinbase @7 :Bool;
    # Whether it is a coinbase transaction.

    isInMainChain @8 :Bool;
    # Whether its block is in the active chain.
}


struct WalletBalances @0xf7921ca03f2518e8 $Rust.derive("Default, Copy, Eq") {
    # What a wallet has.

    balance @0 :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis");
    # Confirmed, or of its own transactions in the memory pool: it can be spent.

    unconfirmedBalance @1 :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis");
    # Of others' transactions in the memory pool.

    immatureBalance @2 :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis");
    # Of coinbase transactions that cannot be spent yet.

    usedBalance @3 :Int64 $Rust.mayBeLost;
    # At addresses that were spent from before, where the wallet avoids these; in satoshis.

    nonmempoolBalance @4 :Int64 $Rust.mayBeLost;
    # By how much transactions that are neither confirmed nor in the memory pool would change it,
    # in satoshis.
}


struct CreatedTransactionResult @0xf0b4db97b1f942b6 $Rust.derive("Default") {
    # A transaction that was made.

    tx @0 :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::Transaction>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>");
    # The transaction.

    fee @1 :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis");
    # Its fee.

    feeCalc @2 :Common.FeeCalculation;
    # How the fee was estimated.

    changePos @3 :UInt32;
    # Which of the outputs is the change.

    hasChangePos @4 :Bool;
    # Whether there is change.
}


struct WalletMigrationResult @0x8cba75b87c124dd7 {
    # Wallets that were made of one of the older kind.

    wallet @0 :Wallet;
    # With the keys.

    watchonlyWalletName @1 :Text;
    # The name of the one with what was only watched; empty if there is none.

    solvablesWalletName @2 :Text;
    # The name of the one with scripts that were known and not watched; empty if there is none.

    backupPath @3 :Text $Rust.type("::std::path::PathBuf") $Rust.codec("::bitcoin_ipc_draft::codec::PathText");
    # The copy of the old one.
}
