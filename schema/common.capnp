# Types that several interfaces of a Bitcoin node share.

@0xcd2c6232cb484a28;

using Cxx = import "/capnp/c++.capnp";
using Rust = import "/rust-multiprocess.capnp";
$Cxx.namespace("ipc::capnp::messages");

struct BlockRef $Rust.derive("Copy, Eq, Hash") {
    # A block by its hash and its place in the chain.

    hash @0 :Data $Rust.type("::bitcoin_ipc::bitcoin::BlockHash") $Rust.codec("::bitcoin_ipc::codec::Hash32");
    # The block's hash. It travels as 32 bytes, in the order of the header's own fields (the reverse of how
    # hashes are printed).

    height @1 :Int32;
    # Blocks before it in its chain: the genesis block has height 0.
}

struct PSBTFillOptions @0xa8d1e62f64b3c3ca $Rust.name("psbtFillOptions") $Rust.derive("Copy, Eq, Hash") {
    # How a wallet fills a partially signed transaction (BIP 174).

    sign @0 :Bool = true;
    # Whether it signs what it can.

    sighashType @1 :Int32;
    hasSighashType @2 :Bool;
    # What the signatures cover; without it what the transaction says, or everything.

    finalize @3 :Bool = true;
    # Whether inputs that have all their signatures are made ready to be sent.

    bip32Derivs @4 :Bool;
    # Whether it adds how its keys are derived (BIP 32).
}

struct FeeCalculation @0xa1146c2d9df953f0 {
    # How a fee rate was estimated.

    est @0 :EstimationResult;
    # What the estimate rests on.

    reason @1 :Int32;
    # Which of the ways of estimating it comes from: Bitcoin Core's FeeReason.

    desiredTarget @2 :Int32;
    # Within how many blocks a confirmation was wanted.

    returnedTarget @3 :Int32;
    # For how many blocks the estimate is.

    bestHeight @4 :UInt32;
    # The height up to which blocks were counted.
}

struct EstimationResult @0xb15b142936c65fa7 {
    # The statistics that an estimate rests on.

    pass @0 :EstimatorBucket;
    # The lowest fee rates that were confirmed often enough.

    fail @1 :EstimatorBucket;
    # The highest fee rates that were not.

    decay @2 :Float64;
    # By what older blocks count less, for each block.

    scale @3 :UInt32;
    # How many blocks are counted as one.
}

struct EstimatorBucket @0x9f5f7cf3583faae9 {
    # What became of transactions within a range of fee rates. The numbers are averages in which older
    # transactions count less.

    start @0 :Float64;
    end @1 :Float64;
    # The fee rates: from `start` to `end`, in satoshis for 1,000 virtual bytes; -1 without any.

    withinTarget @2 :Float64;
    # Those that were confirmed in time.

    totalConfirmed @3 :Float64;
    # Those that were confirmed.

    inMempool @4 :Float64;
    # Those that still wait for it.

    leftMempool @5 :Float64;
    # Those that were dropped.
}

struct Settings @0xf25872482c47d6d9 $Rust.derive("Eq") {
    # A node's settings, by where they come from. Values are JSON.

    forcedSettings @0 :List(Pair(Text, Text)) $Rust.btreeMap;
    # What the program itself has decided: these take precedence.

    commandLineOptions @1 :List(Pair(Text, List(Text))) $Rust.btreeMap;
    # The command line: for each name its values in order.

    rwSettings @2 :List(Pair(Text, Text)) $Rust.btreeMap;
    # The file that the programs write themselves (settings.json).

    roConfig @3 :List(Pair(Text, List(Pair(Text, List(Text))))) $Rust.btreeMap;
    # The file that the user writes (bitcoin.conf): for each of its sections names and values. What is in no
    # section has the empty name.
}

struct GlobalArgs @0xb574578dd61d491c $Rust.derive("Eq") {
    # What a process has to know of the one that started it. Who receives them sets itself up accordingly: the
    # network, the data directory, the log.

    settings @0 :Settings;
    # The settings.

    configPath @1 :Text;
    # The path of the file that the user writes; empty for the one in the data directory.
}

struct BilingualStr @0x8ab5bd30b9c0e6b8 $Rust.derive("Eq, Hash") {
    # A text for the user and for the log.

    original @0 :Text;
    # In English.

    translated @1 :Text;
    # In the user's language; the same where it is not translated.
}

struct Result @0xe9ccda4c4ecfcc58 (Value) $Rust.name("utilResult") {
    # A value, or why there is none.

    value @0 :Value;
    # The value, if there is no error; otherwise it does not matter.

    error @1 :BilingualStr $Rust.nullable;
    # The error.
}

struct ResultVoid @0xc55a33a945f4410c (Value) $Rust.name("utilResultVoid") {
    # Nothing, or an error.

    error @0 :BilingualStr $Rust.nullable;
    # The error.
}

struct Expected @0xc72bb3d5de0f2a3f (Value, Error) {
    # A value, or an error of another type.

    union {
        value @0 :Value;
        # The value.

        error @1 :Error;
        # The error.
    }
}

struct Pair @0x8ef2f6fc4199a71e (Key, Value) $Rust.derive("Eq") {
    # A key and a value.

    key @0 :Key;
    # The key.

    value @1 :Value;
    # The value.
}

struct PairInt64 @0xb6061f707b66a314 (Key) $Rust.derive("Eq") {
    # A key and a number.

    key @0 :Key;
    # The key.

    value @1 :Int64;
    # The number.
}

struct PairUInt64 @0xa23cd3610997e98d (Key) $Rust.derive("Eq") {
    # A key and a number that is not below 0.

    key @0 :Key;
    # The key.

    value @1 :UInt64;
    # The number.
}
