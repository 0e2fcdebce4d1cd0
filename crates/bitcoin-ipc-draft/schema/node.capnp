# A node, for a user interface. The draft of Bitcoin Core as of July 2026.

@0x92546c47dc734b2e;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Common = import "/common.capnp";
using Handler = import "handler.capnp";
using Wallet = import "wallet.capnp";
$Cxx.namespace("ipc::capnp::messages");

interface Node @0xece87a85e7d7c91d {
    # A node, as a user interface sees it.

    destroy @0 (context :Proxy.Context) -> ();

    initLogging @1 (context :Proxy.Context) -> ();
    # Begins to log.

    initParameterInteraction @2 (context :Proxy.Context) -> ();
    # Settles parameters that depend on each other.

    getWarnings @3 (context :Proxy.Context) -> (result :Common.BilingualStr);
    # What the user should know.

    getLogCategories @4 (context :Proxy.Context) -> (result :UInt64);
    # Which categories are logged, as bits.

    getExitStatus @5 (context :Proxy.Context) -> (result :Int32);
    # The exit status with which the process will end.

    baseInitialize @6 (context :Proxy.Context, globalArgs :Common.GlobalArgs) -> (error :Text $Proxy.exception("std::exception"), result :Bool);
    # Begins to start the node. False if that failed.

    appInitMain @7 (context :Proxy.Context) -> (tipInfo :BlockAndHeaderTipInfo, error :Text $Proxy.exception("std::exception"), result :Bool);
    # Starts the node. False if that failed.

    appShutdown @8 (context :Proxy.Context) -> ();
    # Stops the node.

    startShutdown @9 (context :Proxy.Context) -> ();
    # Asks it to stop.

    shutdownRequested @10 (context :Proxy.Context) -> (result :Bool);
    # Whether it is about to stop.

    isSettingIgnored @11 (name :Text) -> (result :Bool);
    # Whether a setting of the file is overridden elsewhere.

    getPersistentSetting @12 (name :Text) -> (result :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json"));
    # The value of a setting in the file that the programs write; null if it is not there.

    updateRwSetting @13 (name :Text, value :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json")) -> ();
    # Sets such a value; null deletes it.

    forceSetting @14 (name :Text, value :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json")) -> ();
    # Sets a setting for this run; null ends that.

    resetSettings @15 () -> ();
    # Deletes all such values, with a copy of the file.

    mapPort @16 (context :Proxy.Context, useNatPnP :Bool) -> ();
    # Whether to ask the router for a port.

    getProxy @17 (context :Proxy.Context, net :Int32) -> (proxyInfo :ProxyInfo, result :Bool);
    # The proxy of a network. False if there is none.

    getNodeCount @18 (context :Proxy.Context, flags :Int32) -> (result :UInt64);
    # The number of peers: 1 inbound, 2 outbound, 3 both.

    getNodesStats @19 (context :Proxy.Context) -> (stats :List(NodeStats), result :Bool);
    # What is known of each peer.

    getBanned @20 (context :Proxy.Context) -> (banmap :Banmap, result :Bool);
    # The addresses that are banned.

    ban @21 (context :Proxy.Context, netAddr :Data, banTimeOffset :Int64) -> (result :Bool);
    # Bans an address (BIP 155) for so many seconds.

    unban @22 (context :Proxy.Context, ip :Data) -> (result :Bool);
    # Ends that for a subnet.

    disconnectByAddress @23 (context :Proxy.Context, address :Data) -> (result :Bool);
    # Ends the connections of an address (BIP 155).

    disconnectById @24 (context :Proxy.Context, id :Int64) -> (result :Bool);
    # Ends the connection of a peer.

    listExternalSigners @25 (context :Proxy.Context) -> (result :List(ExternalSigner));
    # The external signers that are attached.

    getTotalBytesRecv @26 (context :Proxy.Context) -> (result :Int64);
    # Bytes received from peers.

    getTotalBytesSent @27 (context :Proxy.Context) -> (result :Int64);
    # Bytes sent to peers.

    getMempoolSize @28 (context :Proxy.Context) -> (result :UInt64);
    # The number of transactions in the memory pool.

    getMempoolDynamicUsage @29 (context :Proxy.Context) -> (result :UInt64);
    # Bytes of memory that it takes.

    getMempoolMaxUsage @30 (context :Proxy.Context) -> (result :UInt64);
    # Bytes of memory that it may take.

    getHeaderTip @31 (context :Proxy.Context) -> (height :Int32, blockTime :Int64, result :Bool);
    # The best header's height and time (seconds since 1970). False if there is none.

    getNumBlocks @32 (context :Proxy.Context) -> (result :Int32);
    # The height of the tip.

    getNetLocalAddresses @33 (context :Proxy.Context) -> (result :List(Common.Pair(Data, LocalServiceInfo)));
    # The node's own addresses (BIP 155).

    getBestBlockHash @34 (context :Proxy.Context) -> (result :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"));
    # The tip.

    getLastBlockTime @35 (context :Proxy.Context) -> (result :Int64);
    # The tip's time, in seconds since 1970.

    getVerificationProgress @36 (context :Proxy.Context) -> (result :Float64);
    # How much of all transactions are in the chain: 0 to 1.

    isInitialBlockDownload @37 (context :Proxy.Context) -> (result :Bool);
    # Whether the node is still catching up with the chain.

    isLoadingBlocks @38 (context :Proxy.Context) -> (result :Bool);
    # Whether it loads blocks from its files.

    setNetworkActive @39 (context :Proxy.Context, active :Bool) -> ();
    # Whether it has peers at all.

    getNetworkActive @40 (context :Proxy.Context) -> (result :Bool);
    # That.

    getDustRelayFee @41 (context :Proxy.Context) -> (result :Data $Rust.type("::bitcoin_ipc_draft::FeeRate") $Rust.codec("::bitcoin_ipc_draft::codec::PerKvb"));
    # The fee rate by which the node decides what is dust.

    executeRpc @42 (context :Proxy.Context, command :Text, params :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json") $Rust.redacted, uri :Text) -> (error :Text $Proxy.exception("std::exception"), rpcError :Text $Proxy.exception("UniValue"), result :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json"));
    # Runs a JSON-RPC method. Errors are one of `error` (a text) and `rpcError` (JSON with `code`
    # and `message`).

    listRpcCommands @43 (context :Proxy.Context) -> (result :List(Text));
    # The JSON-RPC methods.

    getUnspentOutput @44 (context :Proxy.Context, output :Data $Rust.type("::bitcoin_ipc::bitcoin::OutPoint") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (result :Data $Rust.type("Option<::bitcoin_ipc_draft::Coin>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc_draft::codec::Serialized>"));
    # An unspent output of the chain.

    broadcastTransaction @45 (context :Proxy.Context, tx :Data $Rust.type("::bitcoin_ipc::bitcoin::Transaction") $Rust.codec("::bitcoin_ipc::codec::Consensus"), maxTxFee :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis")) -> (error :Text, result :Int32);
    # Gives the node a transaction. `result` is 0, or the number of an error of Bitcoin Core's
    # TransactionError.

    customWalletLoader @46 (context :Proxy.Context) -> (result :Wallet.WalletLoader);
    # The wallets of the node's wallet process.

    handleInitMessage @47 (context :Proxy.Context, callback :InitMessageCallback) -> (result :Handler.Handler);
    # Tells what is done while the node starts.

    handleMessageBox @48 (context :Proxy.Context, callback :MessageBoxCallback) -> (result :Handler.Handler);
    # Tells what is to be shown to the user.

    handleQuestion @49 (context :Proxy.Context, callback :QuestionCallback) -> (result :Handler.Handler);
    # Asks what the user is to be asked.

    handleShowProgress @50 (context :Proxy.Context, callback :ShowNodeProgressCallback) -> (result :Handler.Handler);
    # Tells how far something is that takes long.

    handleInitWallet @51 (context :Proxy.Context, callback :InitWalletCallback) -> (result :Handler.Handler);
    # Tells when the wallets can be used.

    handleNotifyNumConnectionsChanged @52 (context :Proxy.Context, callback :NotifyNumConnectionsChangedCallback) -> (result :Handler.Handler);
    # Tells the number of peers when it changes.

    handleNotifyNetworkActiveChanged @53 (context :Proxy.Context, callback :NotifyNetworkActiveChangedCallback) -> (result :Handler.Handler);
    # Tells whether there are peers at all when that changes.

    handleNotifyAlertChanged @54 (context :Proxy.Context, callback :NotifyAlertChangedCallback) -> (result :Handler.Handler);
    # Tells when the warnings change.

    handleBannedListChanged @55 (context :Proxy.Context, callback :BannedListChangedCallback) -> (result :Handler.Handler);
    # Tells when the banned addresses change.

    handleNotifyBlockTip @56 (context :Proxy.Context, callback :NotifyBlockTipCallback) -> (result :Handler.Handler);
    # Tells of each new tip.

    handleNotifyHeaderTip @57 (context :Proxy.Context, callback :NotifyHeaderTipCallback) -> (result :Handler.Handler);
    # Tells of each new best header.
}


interface ExternalSigner @0xfbf1fccd8f75eb78 {
    # A device that signs.

    destroy @0 (context :Proxy.Context) -> ();

    getName @1 (context :Proxy.Context) -> (result :Text);
    # Its name.
}


interface InitMessageCallback @0x955d952241295e4c {
    # Is told what is done while a node starts.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, message :Text) -> ();
    # This is done now.
}


interface MessageBoxCallback @0xc4e60505ab00fed6 {
    # Shows messages to the user.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, message :Common.BilingualStr, style :UInt32) -> (result :Bool);
    # Shows one; true if it was accepted. `style` are Bitcoin Core's bits for icon, buttons and
    # urgency.
}


interface QuestionCallback @0xe2637348d576dcaf {
    # Asks the user.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, message :Common.BilingualStr, nonInteractiveMessage :Text, style :UInt32) -> (result :Bool);
    # Asks; true for yes. Without a user the other text is shown.
}


interface ShowNodeProgressCallback @0xa0c733bacdde6cac {
    # Is told how far something is.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, title :Text, progress :Int32, resumePossible :Bool) -> ();
    # How far: 0 to 100, where 100 ends it.
}


interface InitWalletCallback @0x800f919151a3d94d {
    # Is told when the wallets can be used.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context) -> ();
    # They can.
}


interface NotifyNumConnectionsChangedCallback @0xd28fa815a3700dca {
    # Is told the number of peers.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, newNumConnections :Int32) -> ();
    # It is this.
}


interface NotifyNetworkActiveChangedCallback @0x9d0290be20a9ec6c {
    # Is told whether there are peers at all.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, networkActive :Bool) -> ();
    # That has changed.
}


interface NotifyAlertChangedCallback @0xb1691cf5ab373886 {
    # Is told when the warnings change.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context) -> ();
    # They have.
}


interface BannedListChangedCallback @0x93d235d8153ab33b {
    # Is told when the banned addresses change.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context) -> ();
    # They have.
}


interface NotifyBlockTipCallback @0xd7a817fb90738585 {
    # Is told of new tips.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, syncState :Int32, tip :BlockTip, verificationProgress :Float64) -> ();
    # A new tip. `syncState`: 0 while the node reindexes, 1 while it catches up, 2 after that.
}


interface NotifyHeaderTipCallback @0x9d0b34fb1eeed2c5 {
    # Is told of new best headers.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, syncState :Int32, tip :BlockTip, verificationProgress :Float64) -> ();
    # A new best header, as in NotifyBlockTipCallback.
}


struct ProxyInfo @0xb85c2ec6d667f0df {
    # A proxy.

    proxy @0 :Data;
    # Its address (BIP 155, and a port).

    torStreamIsolation @1 :Bool;
    # Whether each connection has credentials of its own.
}


struct NodeStats @0xb45fb3131e4d7fe0 $Rust.derive("Default") {
    # What is known of a peer. Times are in seconds since 1970.

    nodeid @0 :Int64;
    # Its number.

    lastSend @1 :Int64;
    # When it was last sent something.

    lastRecv @2 :Int64;
    # When it last sent something.

    lastTXTime @3 :Int64;
    # When it last sent a transaction that was accepted.

    lastBlockTime @4 :Int64;
    # When it last sent a block that was accepted.

    timeConnected @5 :Int64;
    # When it connected.

    addrName @6 :Text;
    # Its address or name.

    version @7 :Int32;
    # The version of its protocol.

    cleanSubVer @8 :Text;
    # What it calls itself.

    inbound @9 :Bool;
    # Whether it connected to the node.

    bip152HighbandwidthTo @10 :Bool;
    # Whether the node asked it for compact blocks without being asked (BIP 152).

    bip152HighbandwidthFrom @11 :Bool;
    # Whether it asked the node for that.

    startingHeight @12 :Int32;
    # The height that it had when it connected.

    sendBytes @13 :UInt64;
    # Bytes sent to it.

    sendBytesPerMsgType @14 :List(Common.PairUInt64(Text)) $Rust.type("::std::collections::BTreeMap<String, u64>") $Rust.codec("::bitcoin_ipc_draft::codec::Map");
    # The same by type of message.

    recvBytes @15 :UInt64;
    # Bytes received from it.

    recvBytesPerMsgType @16 :List(Common.PairUInt64(Text)) $Rust.type("::std::collections::BTreeMap<String, u64>") $Rust.codec("::bitcoin_ipc_draft::codec::Map");
    # The same by type of message.

    permissionFlags @17 :Int32;
    # What it may do, as bits.

    pingTime @18 :Int64;
    # The time of the last ping, in microseconds.

    minPingTime @19 :Int64;
    # The shortest, in microseconds.

    addrLocal @20 :Text;
    # The node's address as the peer sees it.

    addr @21 :Data;
    # Its address (BIP 155).

    addrBind @22 :Data;
    # The node's address of the connection (BIP 155).

    network @23 :Int32;
    # Its network.

    mappedAs @24 :UInt32;
    # The autonomous system of its address; 0 if it is not known.

    connType @25 :Int32;
    # The kind of connection.

    transportType @26 :UInt8;
    # The version of the transport.

    sessionId @27 :Text;
    # The session of BIP 324; empty for others.

    stateStats @28 :NodeStateStats $Rust.nullable;
    # What is known of it as a source of blocks and transactions. Do not look at it if the node has the version
    # of February 2026, which has other fields there.
}


struct NodeStateStats @0xecccc20ba54fece4 {
    # What is known of a peer as a source of blocks and transactions.

    syncHeight @0 :Int32;
    # The height of the best header that both know.

    commonHeight @1 :Int32;
    # The height of the last block that both have.

    startingHeight @2 :Int32;
    # The height that it had when it connected.

    pingWait @3 :Int64;
    # For how long it has not answered a ping, in microseconds.

    heightInFlight @4 :List(Int32);
    # The heights of blocks that it was asked for.

    relayTxs @5 :Bool;
    # Whether it is sent transactions.

    invToSend @6 :Int32;
    # How many transactions are to be announced to it.

    lastInvSeq @7 :UInt64;
    # The number of the last that may be.

    feeFilterReceived @8 :Int64;
    # The lowest fee rate that it wants to hear of, in satoshis for 1,000 virtual bytes.

    addressesProcessed @9 :UInt64;
    # Addresses of it that were looked at.

    addressesRateLimited @10 :UInt64;
    # Addresses of it that were too many.

    addressRelayEnabled @11 :Bool;
    # Whether addresses are relayed with it.

    theirServices @12 :UInt64;
    # What it offers, as bits.

    presyncHeight @13 :Int64;
    # How far its headers were checked before they are kept; -1 if they are not.

    timeOffset @14 :Int64;
    # By how much its clock is ahead, in seconds.
}


struct Banmap @0x8691f5ffd4852e9c $Rust.derive("Default") {
    # The addresses that are banned.

    json @0 :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json");
    # As in Bitcoin Core's file of them.
}


struct BlockTip @0xd507949ce6c6f781 $Rust.derive("Default, Copy, Eq") {
    # A tip.

    blockHeight @0 :Int32;
    # Its height.

    blockTime @1 :Int64;
    # Its time, in seconds since 1970.

    blockHash @2 :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::BlockHash>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Hash32>");
    # Its hash.
}


struct BlockAndHeaderTipInfo @0x98f8b9129f9d8bfd $Rust.derive("Copy") {
    # Where a node is. Times are in seconds since 1970.

    blockHeight @0 :Int32;
    # The tip's height.

    blockTime @1 :Int64;
    # The tip's time.

    headerHeight @2 :Int32;
    # The best header's height.

    headerTime @3 :Int64;
    # The best header's time.

    verificationProgress @4 :Float64;
    # How much of all transactions are in the chain: 0 to 1.
}


struct LocalServiceInfo @0x9c8fff1696ce17ff $Rust.derive("Copy, Eq") {
    # What is known of an own address.

    score @0 :Int32;
    # How much it is trusted to be one.

    port @1 :UInt16;
    # The port.
}
