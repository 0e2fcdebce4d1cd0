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
