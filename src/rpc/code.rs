//! The numbers of Bitcoin Core's JSON-RPC errors ([`NodeError::code`](super::NodeError::code)). A node may use
//! others.

macro_rules! codes {
    ($($(#[$docs:meta])* $name:ident = $code:literal;)*) => { $(
        $(#[$docs])*
        pub const $name: i64 = $code;
    )* };
}

codes! {
    /// The text is no JSON.
    PARSE_ERROR = -32700;
    /// It is no request.
    INVALID_REQUEST = -32600;
    /// There is no method of this name.
    METHOD_NOT_FOUND = -32601;
    /// The node could not do it, for a reason of its own.
    INTERNAL_ERROR = -32603;
    /// An exception in the method; the text of the method's help for the wrong number of arguments.
    MISC_ERROR = -1;
    /// An argument has another type than the method takes.
    TYPE_ERROR = -3;
    /// There is no such address, key, block or transaction.
    INVALID_ADDRESS_OR_KEY = -5;
    /// The wallet does not have enough money.
    WALLET_INSUFFICIENT_FUNDS = -6;
    /// An argument has a value that the method does not take.
    INVALID_PARAMETER = -8;
    /// The node has no peers.
    CLIENT_NOT_CONNECTED = -9;
    /// The node is catching up with the chain.
    CLIENT_IN_INITIAL_DOWNLOAD = -10;
    /// The wallet is locked: it needs its passphrase first.
    WALLET_UNLOCK_NEEDED = -13;
    /// There is no such wallet, or it is not loaded.
    WALLET_NOT_FOUND = -18;
    /// Several wallets are loaded: [`RpcClient::wallet`](super::RpcClient::wallet) says which.
    WALLET_NOT_SPECIFIED = -19;
    /// The database does not work.
    DATABASE_ERROR = -20;
    /// What was given does not decode.
    DESERIALIZATION_ERROR = -22;
    /// A transaction or block is not valid.
    VERIFY_ERROR = -25;
    /// A transaction or block was refused by the node's rules.
    VERIFY_REJECTED = -26;
    /// The transaction is in the chain already.
    VERIFY_ALREADY_IN_UTXO_SET = -27;
    /// The node is starting: try again later.
    IN_WARMUP = -28;
    /// The method is not offered any more.
    METHOD_DEPRECATED = -32;
}
