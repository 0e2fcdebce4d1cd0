# Types that several interfaces of a Bitcoin node share.

@0xcd2c6232cb484a28;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("ipc::capnp::messages");

struct BlockRef {
    # A block by its hash and its place in the chain.

    hash @0 :Data;
    # The block's hash: 32 bytes, in the order of the header's own fields (the reverse of how hashes are printed).

    height @1 :Int32;
    # Blocks before it in its chain: the genesis block has height 0.
}
