//! Makes what the relay serves to clients of Bitcoin Core 30. The schemas of 30 are those of bitcoin-ipc, whose build
//! script tells where they are.

use std::path::PathBuf;

use multiprocess_build::{Builder, Error, Mark};

/// Values that have the types of bitcoin-ipc here, too: the place, the type, its codec.
const TYPES: &[(&str, &str, &str)] = &[
    ("Mining.waitTipChanged$Params.currentTip", "bitcoin::BlockHash", "Hash32"),
    ("Mining.checkBlock$Params.block", "bitcoin::Block", "Consensus"),
    ("BlockTemplate.getBlockHeader$Results.result", "bitcoin::block::Header", "Consensus"),
    ("BlockTemplate.getBlock$Results.result", "bitcoin::Block", "Consensus"),
    ("BlockTemplate.submitSolution$Params.version", "bitcoin::block::Version", "Consensus32"),
    ("BlockTemplate.submitSolution$Params.coinbase", "bitcoin::Transaction", "Consensus"),
];

fn main() -> Result<(), Error> {
    let milliseconds = |place: &str, builder: Builder| {
        let place = format!("mining.capnp:{place}");
        builder
            .mark(place.as_str(), Mark::rust_type("::std::time::Duration"))
            .mark(place, Mark::codec("::bitcoin_ipc::codec::Milliseconds"))
    };
    let schema = std::env::var_os("DEP_BITCOIN_IPC_SCHEMA").map(PathBuf::from);
    let schema = schema.expect("bitcoin-ipc tells where its schemas are");
    let mut builder = Builder::new()
        .file("schema/init.capnp")
        .file(schema.join("common.capnp"))
        .file(schema.join("older/30/mining.capnp"))
        .mark("mining.capnp:Mining.waitTipChanged$Results.result", Mark::nullable());
    for place in ["Mining.waitTipChanged$Params.timeout", "BlockWaitOptions.timeout"] {
        builder = milliseconds(place, builder);
    }
    for (place, rust_type, codec) in TYPES {
        let place = format!("mining.capnp:{place}");
        builder = builder
            .mark(place.as_str(), Mark::rust_type(format!("::bitcoin_ipc::{rust_type}")))
            .mark(place, Mark::codec(format!("::bitcoin_ipc::codec::{codec}")));
    }
    builder.compile()
}
