//! The wallets of a wallet process.

pub use crate::generated::wallet::{
    AddressBookChangedCallback, AddressBookChangedCallbackClient, CanGetAddressesChangedCallback,
    CanGetAddressesChangedCallbackClient, Client, CoinControl, CreatedTransactionResult, Key,
    LoadWalletCallback, LoadWalletCallbackClient, Recipient, ShowWalletProgressCallback,
    ShowWalletProgressCallbackClient, StatusChangedCallback, StatusChangedCallbackClient,
    TransactionChangedCallback, TransactionChangedCallbackClient, TxDestination,
    UnloadWalletCallback, UnloadWalletCallbackClient, Wallet, WalletAddress, WalletBalances,
    WalletClient, WalletCommitBumpTransactionResults, WalletCreateBumpTransactionResults,
    WalletFillPSBTResults, WalletFillPSBTResultsV2026_02, WalletGetAddressResults,
    WalletGetMinimumFeeResults, WalletGetPubKeyResults, WalletGetWalletTxDetailsResults,
    WalletLoader, WalletLoaderClient, WalletLoaderCreateWalletResults,
    WalletLoaderLoadWalletResults, WalletLoaderRestoreWalletResults, WalletMigrationResult,
    WalletSignBumpTransactionResults, WalletSignMessageResults, WalletTryGetBalancesResults,
    WalletTryGetTxStatusResults, WalletTx, WalletTxOut, WalletTxStatus, WitnessUnknown,
};
