//! A node, for a user interface.

pub use crate::generated::node::{
    Banmap, BannedListChangedCallback, BannedListChangedCallbackClient, BlockAndHeaderTipInfo,
    BlockTip, Client, ExternalSigner, ExternalSignerClient, InitMessageCallback,
    InitMessageCallbackClient, InitWalletCallback, InitWalletCallbackClient, LocalServiceInfo,
    MessageBoxCallback, MessageBoxCallbackClient, Node, NodeAppInitMainResults,
    NodeBroadcastTransactionResults, NodeClient, NodeGetBannedResults, NodeGetHeaderTipResults,
    NodeGetNodesStatsResults, NodeGetProxyResults, NodeStateStats, NodeStats,
    NotifyAlertChangedCallback, NotifyAlertChangedCallbackClient, NotifyBlockTipCallback,
    NotifyBlockTipCallbackClient, NotifyHeaderTipCallback, NotifyHeaderTipCallbackClient,
    NotifyNetworkActiveChangedCallback, NotifyNetworkActiveChangedCallbackClient,
    NotifyNumConnectionsChangedCallback, NotifyNumConnectionsChangedCallbackClient, ProxyInfo,
    QuestionCallback, QuestionCallbackClient, ShowNodeProgressCallback,
    ShowNodeProgressCallbackClient,
};
