# A node's chain, for a wallet process. The draft of Bitcoin Core as of July 2026.

@0x94f21a4864bd2c65;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Common = import "/common.capnp";
using Handler = import "handler.capnp";
$Cxx.namespace("ipc::capnp::messages");

interface Chain @0xddfb1d54c24414b3 {
    # A node's chain, memory pool and settings, as a wallet process sees them.

    destroy @0 (context :Proxy.Context) -> ();

    getHeight @1 (context :Proxy.Context) -> (result :Int32, hasResult :Bool);
    # The height of the active chain's tip; none while there is no chain.

    getBlockHash @2 (context :Proxy.Context, height :Int32) -> (result :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"));
    # The block at this height of the active chain. An error where there is none.

    haveBlockOnDisk @3 (context :Proxy.Context, height :Int32) -> (result :Bool);
    # Whether the block at this height of the active chain can be read (has not been pruned).

    findLocatorFork @4 (context :Proxy.Context, locator :Data $Rust.type("::bitcoin_ipc_draft::Locator") $Rust.codec("::bitcoin_ipc_draft::codec::Serialized")) -> (result :Int32, hasResult :Bool);
    # The height of the last block of the active chain that a locator names; none if it names
    # none.

    hasBlockFilterIndex @5 (context :Proxy.Context, filterType :UInt8 $Rust.type("::bitcoin_ipc_draft::values::FilterType") $Rust.codec("::bitcoin_ipc_draft::codec::Number8")) -> (result :Bool);
    # Whether the node keeps block filters of this type (BIP 158).

    blockFilterMatchesAny @6 (context :Proxy.Context, filterType :UInt8 $Rust.type("::bitcoin_ipc_draft::values::FilterType") $Rust.codec("::bitcoin_ipc_draft::codec::Number8"), blockHash :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"), filterSet :List(Data)) -> (result :Bool, hasResult :Bool);
    # Whether a block may have one of these scripts; none where there is no filter of it.

    findBlock @7 (context :Proxy.Context, hash :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"), block :FoundBlockParam) -> (block :FoundBlockResult, result :Bool);
    # Looks a block up. False if it is not known.

    findFirstBlockWithTimeAndHeight @8 (context :Proxy.Context, minTime :Int64, minHeight :Int32, block :FoundBlockParam) -> (block :FoundBlockResult, result :Bool);
    # The first block of the active chain from this height on that is as late as this (seconds
    # since 1970), or has one so late before it. False if there is none.

    findAncestorByHeight @9 (context :Proxy.Context, blockHash :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"), ancestorHeight :Int32, ancestor :FoundBlockParam) -> (ancestor :FoundBlockResult, result :Bool);
    # The ancestor of a block at this height. False if the block is not known or is lower.

    findAncestorByHash @10 (context :Proxy.Context, blockHash :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"), ancestorHash :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"), ancestor :FoundBlockParam) -> (ancestor :FoundBlockResult, result :Bool);
    # Whether the second block is an ancestor of the first, and what is asked of it.

    findCommonAncestor @11 (context :Proxy.Context, blockHash1 :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"), blockHash2 :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"), ancestor :FoundBlockParam, block1 :FoundBlockParam, block2 :FoundBlockParam) -> (ancestor :FoundBlockResult, block1 :FoundBlockResult, block2 :FoundBlockResult, result :Bool);
    # The last block that is in the chains of both. False if there is none.

    findCoins @12 (context :Proxy.Context, coins :List(Common.Pair(Data, Data)) $Rust.type("Vec<(::bitcoin_ipc::bitcoin::OutPoint, Option<::bitcoin_ipc_draft::Coin>)>") $Rust.codec("::bitcoin_ipc_draft::codec::Coins")) -> (coins :List(Common.Pair(Data, Data)) $Rust.type("Vec<(::bitcoin_ipc::bitcoin::OutPoint, Option<::bitcoin_ipc_draft::Coin>)>") $Rust.codec("::bitcoin_ipc_draft::codec::Coins"));
    # Looks unspent outputs up, in the chain and the memory pool. None for one that is spent or
    # not known; what is given beside the outpoints does not matter.

    guessVerificationProgress @13 (context :Proxy.Context, blockHash :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (result :Float64);
    # How much of all transactions are in the chain up to this block: 0 to 1.

    hasBlocks @14 (context :Proxy.Context, blockHash :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"), minHeight :Int32, maxHeight :Int32, hasMaxHeight :Bool) -> (result :Bool);
    # Whether the blocks of this range of heights can be read, in the chain that ends with this
    # block.

    isRBFOptIn @15 (context :Proxy.Context, tx :Data $Rust.type("::bitcoin_ipc::bitcoin::Transaction") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (result :Int32 $Rust.type("::bitcoin_ipc_draft::values::Replaceability") $Rust.codec("::bitcoin_ipc_draft::codec::Number"));
    # Whether the transaction can be replaced (BIP 125).

    isInMempool @16 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (result :Bool);
    # Whether the transaction is in the memory pool.

    hasDescendantsInMempool @17 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (result :Bool);
    # Whether transactions in the memory pool spend its outputs.

    broadcastTransaction @18 (context :Proxy.Context, tx :Data $Rust.type("::bitcoin_ipc::bitcoin::Transaction") $Rust.codec("::bitcoin_ipc::codec::Consensus"), maxTxFee :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"), broadcastMethod :Int32 $Rust.type("::bitcoin_ipc_draft::values::Broadcast") $Rust.codec("::bitcoin_ipc_draft::codec::Number")) -> (error :Text, result :Bool);
    # Gives the node a transaction. False with an `error` if it does not take it, or its fee is
    # above `maxTxFee` (0: any).

    getTransactionAncestry @19 (context :Proxy.Context, txid :Data $Rust.type("::bitcoin_ipc::bitcoin::Txid") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> (ancestors :UInt64, descendants :UInt64, ancestorsize :UInt64, ancestorfees :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis"));
    # The numbers of ancestors and descendants of a transaction in the memory pool, itself
    # included, and their size and fees; 0 if it is not there.

    calculateIndividualBumpFees @20 (context :Proxy.Context, outpoints :List(Data) $Rust.type("Vec<::bitcoin_ipc::bitcoin::OutPoint>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::Consensus>"), targetFeerate :Data $Rust.type("::bitcoin_ipc_draft::FeeRate") $Rust.codec("::bitcoin_ipc_draft::codec::PerKvb")) -> (result :List(Common.PairInt64(Data)) $Rust.type("Vec<(::bitcoin_ipc::bitcoin::OutPoint, ::bitcoin_ipc::bitcoin::Amount)>") $Rust.codec("::bitcoin_ipc_draft::codec::BumpFees"));
    # For each output of the memory pool, the fee by which a transaction that spends it has to pay
    # for its ancestors to reach a fee rate.

    calculateCombinedBumpFee @21 (context :Proxy.Context, outpoints :List(Data) $Rust.type("Vec<::bitcoin_ipc::bitcoin::OutPoint>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::Consensus>"), targetFeerate :Data $Rust.type("::bitcoin_ipc_draft::FeeRate") $Rust.codec("::bitcoin_ipc_draft::codec::PerKvb")) -> (result :Int64, hasResult :Bool);
    # The same for all of them together, in satoshis; none if it cannot be calculated.

    getPackageLimits @22 (context :Proxy.Context) -> (ancestors :UInt32, descendants :UInt32);
    # How many ancestors and descendants a transaction of the memory pool may have, itself
    # included.

    checkChainLimits @23 (context :Proxy.Context, tx :Data $Rust.type("::bitcoin_ipc::bitcoin::Transaction") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (result :Common.ResultVoid);
    # Whether the transaction could be added to the memory pool without exceeding these limits.

    estimateSmartFee @24 (context :Proxy.Context, numBlocks :Int32, conservative :Bool, wantCalc :Bool) -> (calc :Common.FeeCalculation, result :Data $Rust.type("::bitcoin_ipc_draft::FeeRate") $Rust.codec("::bitcoin_ipc_draft::codec::PerKvb"));
    # The fee rate for a confirmation within so many blocks; 0 if it cannot be estimated.

    estimateMaxBlocks @25 (context :Proxy.Context) -> (result :UInt32);
    # The most blocks for which there are estimates.

    mempoolMinFee @26 (context :Proxy.Context) -> (result :Data $Rust.type("::bitcoin_ipc_draft::FeeRate") $Rust.codec("::bitcoin_ipc_draft::codec::PerKvb"));
    # The fee rate from which the memory pool takes a transaction now.

    relayMinFee @27 (context :Proxy.Context) -> (result :Data $Rust.type("::bitcoin_ipc_draft::FeeRate") $Rust.codec("::bitcoin_ipc_draft::codec::PerKvb"));
    # The fee rate from which the node relays a transaction.

    relayIncrementalFee @28 (context :Proxy.Context) -> (result :Data $Rust.type("::bitcoin_ipc_draft::FeeRate") $Rust.codec("::bitcoin_ipc_draft::codec::PerKvb"));
    # By how much a replacement has to pay more.

    relayDustFee @29 (context :Proxy.Context) -> (result :Data $Rust.type("::bitcoin_ipc_draft::FeeRate") $Rust.codec("::bitcoin_ipc_draft::codec::PerKvb"));
    # The fee rate by which the node decides what is dust.

    havePruned @30 (context :Proxy.Context) -> (result :Bool);
    # Whether the node has deleted old blocks.

    getPruneHeight @31 (context :Proxy.Context) -> (result :Int32, hasResult :Bool);
    # The height of the last block that it deleted.

    isReadyToBroadcast @32 (context :Proxy.Context) -> (result :Bool);
    # Whether the node has loaded its chain and does not catch up with the network's.

    isInitialBlockDownload @33 (context :Proxy.Context) -> (result :Bool);
    # Whether the node is still catching up with the chain.

    shutdownRequested @34 (context :Proxy.Context) -> (result :Bool);
    # Whether the node is about to stop.

    initMessage @35 (context :Proxy.Context, message :Text) -> ();
    # Tells the user what is done while the programs start.

    initWarning @36 (context :Proxy.Context, message :Common.BilingualStr) -> ();
    # Tells the user of something that does not keep the programs from starting.

    initError @37 (context :Proxy.Context, message :Common.BilingualStr) -> ();
    # Tells the user why the programs do not start.

    showProgress @38 (context :Proxy.Context, title :Text, progress :Int32, resumePossible :Bool) -> ();
    # Shows how far something is: 0 to 100, where 100 ends it.

    handleNotifications @39 (context :Proxy.Context, notifications :ChainNotifications) -> (result :Handler.Handler);
    # Tells an object of what happens in the chain and the memory pool, until the Handler ends.

    waitForNotificationsIfTipChanged @40 (context :Proxy.Context, oldTip :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32")) -> ();
    # If the tip is another than this, waits until what happened so far has been told.

    waitForNotifications @41 (context :Proxy.Context) -> ();
    # Waits until what happened so far has been told.

    handleRpc @42 (context :Proxy.Context, command :RPCCommand) -> (result :Handler.Handler);
    # Adds a command to the JSON-RPC methods of the node, until the Handler ends.

    rpcEnableDeprecated @43 (context :Proxy.Context, method :Text) -> (result :Bool);
    # Whether the user allows a JSON-RPC method or field that is deprecated.

    getSetting @44 (context :Proxy.Context, name :Text) -> (result :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json"));
    # The value of a setting, from all its sources; null if it is not set.

    getSettingsList @45 (context :Proxy.Context, name :Text) -> (result :List(Text) $Rust.type("Vec<::bitcoin_ipc::rpc::Value>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc_draft::codec::Json>"));
    # All values of a setting that can be given several times.

    getRwSetting @46 (context :Proxy.Context, name :Text) -> (result :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json"));
    # The value of a setting in the file that the programs themselves write; null if it is not
    # there.

    updateRwSetting @47 (context :Proxy.Context, name :Text, update :SettingsUpdateCallback) -> (result :Bool);
    # Changes such a value by a function. False if the file could not be written.

    overwriteRwSetting @48 (context :Proxy.Context, name :Text, value :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json"), action :Int32 $Rust.type("::bitcoin_ipc_draft::values::SettingsAction") $Rust.codec("::bitcoin_ipc_draft::codec::Number")) -> (result :Bool);
    # Sets such a value; null deletes it. False if the file could not be written.

    deleteRwSettings @49 (context :Proxy.Context, name :Text, action :Int32 $Rust.type("::bitcoin_ipc_draft::values::SettingsAction") $Rust.codec("::bitcoin_ipc_draft::codec::Number")) -> (result :Bool);
    # Deletes such a value. False if the file could not be written.

    requestMempoolTransactions @50 (context :Proxy.Context, notifications :ChainNotifications) -> ();
    # Tells an object of each transaction that is in the memory pool now.

    hasAssumedValidChain @51 (context :Proxy.Context) -> (result :Bool);
    # Whether the chain began with a snapshot whose history is not verified yet.
}


interface ChainNotifications @0x9ac9db48ba219039 {
    # What an object is told of the chain and the memory pool, in the order in which it happens.

    destroy @0 (context :Proxy.Context) -> ();

    transactionAddedToMempool @1 (context :Proxy.Context, tx :Data $Rust.type("::bitcoin_ipc::bitcoin::Transaction") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> ();
    # A transaction is in the memory pool.

    transactionRemovedFromMempool @2 (context :Proxy.Context, tx :Data $Rust.type("::bitcoin_ipc::bitcoin::Transaction") $Rust.codec("::bitcoin_ipc::codec::Consensus"), reason :Int32 $Rust.type("::bitcoin_ipc_draft::values::RemovalReason") $Rust.codec("::bitcoin_ipc_draft::codec::Number")) -> ();
    # It is not there any more, for another reason than a block.

    blockConnected @3 (context :Proxy.Context, role :ChainstateRole, block :BlockInfo) -> ();
    # The block is the active chain's tip.

    blockDisconnected @4 (context :Proxy.Context, block :BlockInfo) -> ();
    # The block was the tip, and is not in the active chain any more.

    updatedBlockTip @5 (context :Proxy.Context) -> ();
    # The tip has changed, after any number of blocks.

    chainStateFlushed @6 (context :Proxy.Context, role :ChainstateRole, locator :Data $Rust.type("::bitcoin_ipc_draft::Locator") $Rust.codec("::bitcoin_ipc_draft::codec::Serialized")) -> ();
    # The node has written its state to disk, up to the first block of this locator.
}


interface ChainClient @0xe12e54f4b0c4b578 {
    # What a node starts and stops with itself. The calls come in this order.

    destroy @0 (context :Proxy.Context) -> ();

    registerRpcs @1 (context :Proxy.Context) -> ();
    # Add your JSON-RPC methods, by `Chain.handleRpc`.

    verify @2 (context :Proxy.Context) -> (result :Bool);
    # Check your data. False keeps the node from starting.

    load @3 (context :Proxy.Context) -> (result :Bool);
    # Load your data. False keeps the node from starting.

    start @4 (context :Proxy.Context, scheduler :Void) -> ();
    # The node runs: begin.

    stop @5 (context :Proxy.Context) -> ();
    # Write your data and stop.

    setMockTime @6 (context :Proxy.Context, time :Int64) -> ();
    # For tests: the time is this, in seconds since 1970.

    schedulerMockForward @7 (context :Proxy.Context, deltaSeconds :Int64) -> ();
    # For tests: do what is due within so many seconds.
}


struct RPCCommand @0xcf447f100da2859a $Rust.name("rpcCommand") {
    # A JSON-RPC method that another process answers.

    category @0 :Text;
    # Under which heading `help` lists it.

    name @1 :Text;
    # The method.

    actor @2 :ActorCallback;
    # What answers it.

    argNames @3 :List(RPCArg);
    # Its parameters, in order.

    uniqueId @4 :Int64;
    # Tells commands of one name apart (several may answer one name).
}


struct RPCArg @0x8cb8812c575d5584 $Rust.name("rpcArg") {
    # A parameter of a JSON-RPC method.

    name @0 :Text;
    # Its name; several, with `|` between them, are names of the same.

    namedOnly @1 :Bool;
    # Whether it has no place and is given by its name only.
}


interface ActorCallback @0xef421ff8403487a5 {
    # What answers a JSON-RPC method.

    call @0 (context :Proxy.Context, request :JSONRPCRequest, response :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json"), lastCallback :Bool) -> (error :Text $Proxy.exception("std::exception"), rpcError :Text $Proxy.exception("UniValue"), typeError :Text $Proxy.exception("UniValue::type_error"), helpResult :HelpResult $Proxy.exception("HelpResult"), response :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json"), result :Bool);
    # Answers a request. False if this is for another command of the same name; the last of them
    # has to answer. Errors are one of `error` (a text), `rpcError` (JSON with `code` and
    # `message`), `typeError` (a parameter of another type than it should have) or `helpResult`:
    # `Error::raised_in` says which.
}


struct HelpResult @0xc38a63499212f3e4 $Rust.derive("Eq") {
    # Help that was asked for instead of an answer.

    message @0 :Text;
    # The text.
}


struct JSONRPCRequest @0xd804f4dad81929c9 $Rust.name("jsonRpcRequest") $Rust.derive("Default") {
    # A request of a JSON-RPC client.

    id @0 :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json");
    # The client's id of it.

    method @1 :Text;
    # The method.

    params @2 :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json") $Rust.redacted;
    # An array, or an object of named parameters. Not in the log: some are passphrases.

    mode @3 :Int32;
    # 0 to execute it, 1 for its help, 2 for the names of its parameters.

    uri @4 :Text;
    # The path it came to, such as `/wallet/name`.

    authUser @5 :Text;
    # The user who is logged in.

    peerAddr @6 :Text;
    # From where it came.

    version @7 :Int32;
    # 1 or 2: the version of JSON-RPC (Bitcoin Core's number for the older one is 1).
}


struct FoundBlockParam @0xedde51f40e3cad2a $Rust.derive("Eq") {
    # What is asked of a block that is looked up.

    wantHash @0 :Bool;
    # Its hash.

    wantHeight @1 :Bool;
    # Its height.

    wantTime @2 :Bool;
    # The time in its header.

    wantMaxTime @3 :Bool;
    # The latest time of it and those before it.

    wantMtpTime @4 :Bool;
    # The median of the times of it and the ten before it.

    wantInActiveChain @5 :Bool;
    # Whether it is in the active chain.

    wantLocator @6 :Bool;
    # A locator that begins with it.

    nextBlock @7 :FoundBlockParam $Rust.nullable;
    # This of the block after it in the active chain.

    wantData @8 :Bool;
    # The whole block.
}


struct FoundBlockResult @0x980d6d9f8f8630fe $Rust.derive("Default") {
    # What was asked for; what was not has its default.

    hash @0 :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::BlockHash>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Hash32>");
    # Its hash.

    height @1 :Int32;
    # Its height.

    time @2 :Int64;
    # The time in its header, in seconds since 1970.

    maxTime @3 :Int64;
    # The latest time of it and those before it, in seconds since 1970.

    mtpTime @4 :Int64;
    # The median time, in seconds since 1970.

    inActiveChain @5 :Bool;
    # Whether it is in the active chain.

    locator @6 :Data $Rust.type("Option<::bitcoin_ipc_draft::Locator>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc_draft::codec::Serialized>");
    # A locator that begins with it.

    nextBlock @7 :FoundBlockResult $Rust.nullable;
    # The block after it in the active chain.

    data @8 :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::Block>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>");
    # The whole block; none where it cannot be read.

    found @9 :Bool;
    # Whether there is such a block. If not, nothing else is set.
}


struct BlockInfo @0x9515caf33b457880 $Rust.derive("Default") {
    # A block that is told of.

    hash @0 :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::BlockHash>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Hash32>");
    # Its hash.

    prevHash @1 :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::BlockHash>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Hash32>");
    # The hash of the one before it; none for the genesis block.

    height @2 :Int32 = -1;
    # Its height.

    fileNumber @3 :Int32 = -1;
    # In which of the node's files it is; -1 if that is not told.

    dataPos @4 :UInt32 = 0;
    # Where in this file.

    data @5 :Data $Rust.type("Option<::bitcoin_ipc::bitcoin::Block>") $Rust.codec("::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>");
    # The block, where the whole of it is told.

    undoData @6 :Data $Rust.nullable;
    # What its transactions spent, as the node writes it to disk (the serialization of
    # CBlockUndo), where that is told.

    chainTimeMax @7 :UInt32 = 0;
    # The latest time of it and those before it, in seconds since 1970.
}


struct ChainstateRole @0xfc64a127a9c6d56a $Rust.derive("Copy, Eq") {
    # Which of the node's chains a notification is about.

    validated @0 :Bool;
    # Whether its history was verified.

    historical @1 :Bool;
    # Whether it is the history of a snapshot, which catches up behind the active chain.
}


interface SettingsUpdateCallback @0x995e7b64fb44bec5 {
    # A change of a setting.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, value :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json")) -> (value :Text $Rust.type("::bitcoin_ipc::rpc::Value") $Rust.codec("::bitcoin_ipc_draft::codec::Json"), result :Int32, hasResult :Bool);
    # Gets the value and returns the new one (null deletes it), with what to do:
    # `values::SettingsAction` as a number; none changes nothing.
}
