//! A node's chain, memory pool and settings, for a wallet process; and how a wallet process is started, and
//! answers JSON-RPC methods of the node.

pub use crate::generated::chain::{
    ActorCallback, ActorCallbackCallResults, ActorCallbackClient, BlockInfo, Chain,
    ChainBroadcastTransactionResults, ChainClient, ChainClientClient, ChainEstimateSmartFeeResults,
    ChainFindAncestorByHashResults, ChainFindAncestorByHeightResults, ChainFindBlockResults,
    ChainFindCommonAncestorResults, ChainFindFirstBlockWithTimeAndHeightResults,
    ChainGetPackageLimitsResults, ChainGetTransactionAncestryResults, ChainHandle,
    ChainNotifications, ChainNotificationsClient, ChainstateRole, FoundBlockParam,
    FoundBlockResult, HelpResult, JsonRpcRequest, RpcArg, RpcCommand, SettingsUpdateCallback,
    SettingsUpdateCallbackCallResults, SettingsUpdateCallbackClient,
};
