# Bitcoin Core's mining.capnp as a draft may have it: that of 32, with `hurry` on submitBlock and `getHint`. Both are made
# up for the tests of this crate, and so are their ordinals.

@0xc77d03df6a41b505;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Common = import "common.capnp";
$Cxx.namespace("ipc::capnp::messages");

const maxMoney :Int64 = 2100000000000000;
# The maximum number of satoshis.

const maxDouble :Float64 = 1.7976931348623157e308;
# The largest finite number. As a timeout it means forever.

const defaultBlockReservedWeight :UInt32 = 8000;
# Weight units that a template leaves free for the header and the coinbase transaction.

const defaultCoinbaseOutputMaxAdditionalSigops :UInt32 = 400;
# Signature operations that a template leaves free for the coinbase transaction's outputs.

interface Mining {
    # Makes block templates and reports the chain's tip.

    isTestChain @0 (context :Proxy.Context) -> (result :Bool);
    # Whether the node is on a chain made for tests (regtest, signet, testnet).

    isInitialBlockDownload @1 (context :Proxy.Context) -> (result :Bool);
    # Whether the node is still catching up with the chain.

    getTip @2 (context :Proxy.Context) -> (result :Common.BlockRef, hasResult :Bool);
    # The chain's last block; none while the node has not loaded its chain.

    waitTipChanged @3 (context :Proxy.Context, currentTip :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32"), timeout :Float64 = .maxDouble $Rust.type("::std::time::Duration") $Rust.codec("::bitcoin_ipc::codec::Milliseconds")) -> (result :Common.BlockRef $Rust.nullable) $Rust.longWait $Rust.interruptedBy("interrupt");
    # Waits until the tip is another than `currentTip`, for `timeout` at most (in milliseconds on the wire;
    # `codec::FOREVER` waits without an end). Returns the tip, which on a timeout is unchanged; none when the node shuts down or
    # `interrupt` was called.

    createNewBlock @4 (context :Proxy.Context, options :BlockCreateOptions, cooldown :Bool = true $Rust.mayBeLost) -> (result :BlockTemplate) $Rust.longWait $Rust.interruptedBy("interrupt");
    # Makes a template on the tip. With `cooldown`, a node that is catching up first waits until the
    # tip stops changing; on a chain whose last block is older than a day, as a fresh regtest chain, that is
    # until another block. None when the node shuts down or `interrupt` was called. Bitcoin Core 30 never
    # waits, whatever `cooldown` says.

    checkBlock @5 (context :Proxy.Context, block :Data $Rust.type("::bitcoin_ipc::bitcoin::Block") $Rust.codec("::bitcoin_ipc::codec::Consensus"), options :BlockCheckOptions) -> (reason :Text, debug :Text, result :Bool);
    # Checks a block that builds on the tip without accepting it. On the wire `reason` is BIP 22's word for
    # what is wrong, and `debug` says it at length.

    interrupt @6 () -> ();
    # Ends one wait of waitTipChanged or createNewBlock of this object (Bitcoin Core 31 and newer).
    # If there is none, the next one ends.

    submitBlock @7 (context :Proxy.Context, block :Data $Rust.type("::bitcoin_ipc::bitcoin::Block") $Rust.codec("::bitcoin_ipc::codec::Consensus"), hurry :Bool) -> (reason :Text, debug :Text, result :Bool);
    # Gives the node a block (Bitcoin Core 32 and newer). On the wire `result` is true where it was
    # accepted, `reason` is BIP 22's word for what is wrong, and `debug` says it at length.

    getTransactionsByTxID @8 (context :Proxy.Context, txids :List(Data) $Rust.type("Vec<::bitcoin_ipc::bitcoin::Txid>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::Hash32>")) -> (result :List(Data) $Rust.type("Vec<Option<::bitcoin_ipc::bitcoin::Transaction>>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>>"));
    # Transactions from the node's memory pool, in the order of `txids`; none (empty on the wire) where it is
    # not there (Bitcoin Core 32 and newer).

    getTransactionsByWitnessID @9 (context :Proxy.Context, wtxids :List(Data) $Rust.type("Vec<::bitcoin_ipc::bitcoin::Wtxid>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::Hash32>")) -> (result :List(Data) $Rust.type("Vec<Option<::bitcoin_ipc::bitcoin::Transaction>>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::OrEmpty<::bitcoin_ipc::codec::Consensus>>"));
    # The same by witness ids (Bitcoin Core 32 and newer).
}

interface BlockTemplate {
    # A block that lacks its final coinbase transaction and its proof of work. The node keeps it
    # until the object is dropped.

    destroy @0 (context :Proxy.Context) -> ();

    getBlockHeader @1 (context :Proxy.Context) -> (result :Data $Rust.type("::bitcoin_ipc::bitcoin::block::Header") $Rust.codec("::bitcoin_ipc::codec::Consensus"));
    # The header. Its merkle root means nothing before there is a coinbase transaction
    # (Bitcoin Core leaves it zero), nor does its nonce.

    getBlock @2 (context :Proxy.Context) -> (result :Data $Rust.type("::bitcoin_ipc::bitcoin::Block") $Rust.codec("::bitcoin_ipc::codec::Consensus"));
    # The whole block with a placeholder coinbase.

    getTxFees @3 (context :Proxy.Context) -> (result :List(Int64) $Rust.type("Vec<::bitcoin_ipc::bitcoin::Amount>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::Satoshis>"));
    # Each transaction's fee, without the coinbase.

    getTxSigops @4 (context :Proxy.Context) -> (result :List(Int64));
    # Each transaction's cost in signature operations, without the coinbase.

    getCoinbaseTx @5 (context :Proxy.Context) -> (result :CoinbaseTx);
    # What the coinbase transaction must contain.

    getCoinbaseMerklePath @6 (context :Proxy.Context) -> (result :List(Data) $Rust.type("Vec<::bitcoin_ipc::bitcoin::TxMerkleNode>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::Hash32>"));
    # The hashes that lead from the coinbase transaction to the merkle root.

    submitSolution @10 (context :Proxy.Context, version :UInt32 $Rust.type("::bitcoin_ipc::bitcoin::block::Version") $Rust.codec("::bitcoin_ipc::codec::Consensus32"), timestamp :UInt32, nonce :UInt32, coinbase :Data $Rust.type("::bitcoin_ipc::bitcoin::Transaction") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (reason :Text, debug :Text, result :Bool);
    # Completes the block with a header's fields (`timestamp` in seconds since 1970) and a coinbase
    # transaction, and gives it to the node. On the wire `result` is true where the node accepted it,
    # `reason` is BIP 22's word for what is wrong, and `debug` says it at length. A node that is older than
    # that (Bitcoin Core 30, 31, and 32 before its last changes) gives no reason.

    waitNext @8 (context :Proxy.Context, options :BlockWaitOptions) -> (result :BlockTemplate) $Rust.longWait $Rust.interruptedBy("interruptWait");
    # Waits for a template that is better than this one. None on a timeout or after interruptWait.

    interruptWait @9 () -> ();
    # Ends the present wait of waitNext on this template.

    getHint @11 (context :Proxy.Context) -> (result :Text);
    # Something that no release has.

    submitSolutionOld7 @7 (context :Proxy.Context, version :UInt32 $Rust.type("::bitcoin_ipc::bitcoin::block::Version") $Rust.codec("::bitcoin_ipc::codec::Consensus32"), timestamp :UInt32, nonce :UInt32, coinbase :Data $Rust.type("::bitcoin_ipc::bitcoin::Transaction") $Rust.codec("::bitcoin_ipc::codec::Consensus")) -> (result :Bool);
    # submitSolution as Bitcoin Core 31 and the first of 32 have it. Newer ones answer with an error: call
    # submitSolution, which does what the node can do. It is here for servers of older clients.
}

struct BlockCreateOptions {
    # Options of a template.

    useMempool @0 :Bool = true;
    # Whether to include transactions from the node's memory pool; true unless set.

    blockReservedWeight @1 :UInt64 = .defaultBlockReservedWeight;
    # Weight units to leave free for the header, the number of transactions and the coinbase transaction;
    # 8,000 unless set. Bitcoin Core takes 2,000 to 4,000,000. Core 32 refuses other values, older versions
    # take the nearest that is in the range.

    coinbaseOutputMaxAdditionalSigops @2 :UInt64 = .defaultCoinbaseOutputMaxAdditionalSigops;
    # Signature operations (as BIP 141 counts them) to leave free for the outputs of the coinbase
    # transaction; 400 unless set. Bitcoin Core takes 0 to 80,000. Core 32 refuses other values, older
    # versions take the nearest that is in the range.
}

struct BlockWaitOptions {
    # Options of waitNext.

    timeout @0 :Float64 = .maxDouble $Rust.type("::std::time::Duration") $Rust.codec("::bitcoin_ipc::codec::Milliseconds");
    # How long to wait at most (in milliseconds on the wire); without an end unless set
    # (`codec::FOREVER`). Without time the node looks once.

    feeThreshold @1 :Int64 = .maxMoney $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis");
    # How much more in fees a template on the same tip must bring; unless set, only another tip makes a new
    # template, and the node need not look at fees at all.
}

struct BlockCheckOptions {
    # Options of checkBlock.

    checkMerkleRoot @0 :Bool = true;
    # Whether the header's merkle root must be that of the transactions; true unless set.

    checkPow @1 :Bool = true;
    # Whether the header's hash must meet its target; true unless set.
}

struct CoinbaseTx {
    # The required contents of a template's coinbase transaction.

    version @0 :UInt32 $Rust.type("::bitcoin_ipc::bitcoin::transaction::Version") $Rust.codec("::bitcoin_ipc::codec::Consensus32");
    # The transaction's version.

    sequence @1 :UInt32 $Rust.type("::bitcoin_ipc::bitcoin::Sequence") $Rust.codec("::bitcoin_ipc::codec::Consensus32");
    # The input's sequence number.

    scriptSigPrefix @2 :Data $Rust.type("::bitcoin_ipc::bitcoin::ScriptBuf") $Rust.codec("::bitcoin_ipc::codec::Script");
    # The beginning of the input's script (the height, by BIP 34).

    witness @3 :Data $Rust.type("::bitcoin_ipc::bitcoin::Witness") $Rust.codec("::bitcoin_ipc::codec::WitnessItem");
    # The input's witness, which has one item; none where the block has no witness commitment.

    blockRewardRemaining @4 :Int64 $Rust.type("::bitcoin_ipc::bitcoin::Amount") $Rust.codec("::bitcoin_ipc::codec::Satoshis");
    # The subsidy and fees that are left to pay out.

    requiredOutputs @5 :List(Data) $Rust.type("Vec<::bitcoin_ipc::bitcoin::TxOut>") $Rust.codec("::multiprocess::Each<::bitcoin_ipc::codec::Consensus>");
    # Outputs that must be there (such as the witness commitment).

    lockTime @6 :UInt32 $Rust.type("::bitcoin_ipc::bitcoin::absolute::LockTime") $Rust.codec("::bitcoin_ipc::codec::Consensus32");
    # The transaction's lock time.
}
