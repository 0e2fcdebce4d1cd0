# Block templates, and the tip that they build on, as Bitcoin Core 30 has them: some methods are at
# other ordinals or without a Context, and no field of the options has a default, which changes their
# bits on the wire.

@0xc77d03df6a41b505;

using Proxy = import "/mp/proxy.capnp";
using Common = import "../../common.capnp";

interface Mining {
    # Makes block templates and reports the chain's tip.

    isTestChain @0 (context :Proxy.Context) -> (result :Bool);
    # Whether the node is on a chain made for tests.

    isInitialBlockDownload @1 (context :Proxy.Context) -> (result :Bool);
    # Whether the node is still catching up with the chain.

    getTip @2 (context :Proxy.Context) -> (result :Common.BlockRef, hasResult :Bool);
    # The chain's last block.

    waitTipChanged @3 (context :Proxy.Context, currentTip :Data, timeout :Float64) -> (result :Common.BlockRef);
    # Waits until the tip is another than `currentTip`.

    createNewBlock @4 (options :BlockCreateOptions) -> (result :BlockTemplate);
    # Makes a template on the tip.

    checkBlock @5 (block :Data, options :BlockCheckOptions) -> (reason :Text, debug :Text, result :Bool);
    # Checks a serialized block without accepting it.
}

interface BlockTemplate {
    # A block that lacks its final coinbase transaction and its proof of work.

    destroy @0 (context :Proxy.Context) -> ();

    getBlockHeader @1 (context :Proxy.Context) -> (result :Data);
    # The header: 80 bytes.

    getBlock @2 (context :Proxy.Context) -> (result :Data);
    # The whole block, serialized, with a placeholder coinbase.

    getTxFees @3 (context :Proxy.Context) -> (result :List(Int64));
    # Each transaction's fee in satoshis, without the coinbase.

    getTxSigops @4 (context :Proxy.Context) -> (result :List(Int64));
    # Each transaction's cost in signature operations, without the coinbase.

    getCoinbaseTx @5 (context :Proxy.Context) -> (result :Data);
    # The placeholder coinbase transaction, serialized.

    getCoinbaseCommitment @6 (context :Proxy.Context) -> (result :Data);
    # The script of the coinbase transaction's output that commits to the witnesses.

    getWitnessCommitmentIndex @7 (context :Proxy.Context) -> (result :Int32);
    # The place of that output in the placeholder coinbase transaction; -1 where there is none.

    getCoinbaseMerklePath @8 (context :Proxy.Context) -> (result :List(Data));
    # The hashes (32 bytes each) that lead from the coinbase transaction to the merkle root.

    submitSolution @9 (context :Proxy.Context, version :UInt32, timestamp :UInt32, nonce :UInt32, coinbase :Data) -> (result :Bool);
    # Completes the block and gives it to the node.

    waitNext @10 (context :Proxy.Context, options :BlockWaitOptions) -> (result :BlockTemplate);
    # Waits for a template that is better than this one.

    interruptWait @11 () -> ();
    # Ends the present wait of waitNext on this template.
}

struct BlockCreateOptions {
    # Options of a template.

    useMempool @0 :Bool;
    blockReservedWeight @1 :UInt64;
    coinbaseOutputMaxAdditionalSigops @2 :UInt64;
}

struct BlockWaitOptions {
    # Options of waitNext.

    timeout @0 :Float64;
    feeThreshold @1 :Int64;
}

struct BlockCheckOptions {
    # Options of checkBlock.

    checkMerkleRoot @0 :Bool;
    checkPow @1 :Bool;
}
