//! Methods that change the chain: mining, transactions, the time, branches.

use std::str::FromStr;

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::hashes::hex::FromHex;
use bitcoin::{Address, Block, Network, ScriptBuf, Transaction};
use serde_json::Value;

use super::methods::{Handler, Method};
use super::params::Params;
use super::{
    DESERIALIZATION_ERROR, Failure, INTERNAL_ERROR, INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER,
    Reply, VERIFY_ERROR, fail,
};
use crate::chain::Chain;
use crate::template::mine_block;

/// A block's time has 32 bits, and blocks may be two hours ahead.
const MAX_TIME: u64 = u32::MAX as u64 - 2 * 60 * 60;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "generatetoaddress",
        params: &["nblocks", "address", "maxtries"],
        required: 2,
        help: "Mines blocks, with the reward to a regtest address, and returns their hashes. maxtries is ignored.",
        run: Handler::Chain(generate_to_address),
    },
    Method {
        name: "generatetodescriptor",
        params: &["num_blocks", "descriptor", "maxtries"],
        required: 2,
        help: "Mines blocks, with the reward to raw(SCRIPT) or addr(ADDRESS), and returns their hashes. maxtries is ignored.",
        run: Handler::Chain(generate_to_descriptor),
    },
    Method {
        name: "invalidateblock",
        params: &["blockhash"],
        required: 1,
        help: "Treats a block and those that build on it as bad.",
        run: Handler::Chain(invalidate_block),
    },
    Method {
        name: "reconsiderblock",
        params: &["blockhash"],
        required: 1,
        help: "Takes invalidateblock back.",
        run: Handler::Chain(reconsider_block),
    },
    Method {
        name: "sendrawtransaction",
        params: &["hexstring", "maxfeerate", "maxburnamount"],
        required: 1,
        help: "Puts a transaction in the memory pool, and returns its txid. Its script and signatures are not checked; maxfeerate and maxburnamount are ignored.",
        run: Handler::Chain(send_raw_transaction),
    },
    Method {
        name: "setmocktime",
        params: &["timestamp"],
        required: 1,
        help: "Sets the time by which blocks are made and checked, in Unix seconds; 0 for this machine's clock.",
        run: Handler::Chain(set_mock_time),
    },
    Method {
        name: "submitblock",
        params: &["hexdata", "dummy"],
        required: 1,
        help: "Gives the node a block. Returns null, or why it is not the tip.",
        run: Handler::Chain(submit_block),
    },
];

fn generate_to_address(chain: &Chain, params: &Params) -> Reply {
    let script = script_of_address(params.string(1)?);
    let script = script.ok_or_else(|| fail(INVALID_ADDRESS_OR_KEY, "Error: Invalid address"))?;
    generate(chain, params.integer(0)?, &script)
}

fn generate_to_descriptor(chain: &Chain, params: &Params) -> Reply {
    let descriptor = params.string(1)?;
    // A checksum is not needed, and not checked.
    let text = descriptor.split('#').next().unwrap_or(descriptor);
    let within = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
    let raw = || Some(ScriptBuf::from_bytes(Vec::from_hex(within("raw")?).ok()?));
    let script = raw().or_else(|| script_of_address(within("addr")?));
    let script = script.ok_or_else(|| {
        let problem = format!("'{descriptor}' is not raw(SCRIPT) or addr(ADDRESS)");
        fail(INVALID_ADDRESS_OR_KEY, problem)
    })?;
    generate(chain, params.integer(0)?, &script)
}

fn script_of_address(text: &str) -> Option<ScriptBuf> {
    let address = Address::from_str(text).ok()?.require_network(Network::Regtest).ok()?;
    Some(address.script_pubkey())
}

fn generate(chain: &Chain, count: i64, script: &ScriptBuf) -> Reply {
    let mut hashes: Vec<Value> = Vec::new();
    for _ in 0..count {
        if chain.is_shut_down() {
            break;
        }
        let hash = mine_block(chain, script.clone()).map_err(|rejection| {
            fail(INTERNAL_ERROR, format!("ProcessNewBlock, block not accepted: {rejection}"))
        })?;
        hashes.push(hash.to_string().into());
    }
    Ok(hashes.into())
}

fn invalidate_block(chain: &Chain, params: &Params) -> Reply {
    known(chain.invalidate_block(&params.block_hash(0)?))
}

fn reconsider_block(chain: &Chain, params: &Params) -> Reply {
    known(chain.reconsider_block(&params.block_hash(0)?))
}

fn known(known: bool) -> Reply {
    if known { Ok(Value::Null) } else { Err(fail(INVALID_ADDRESS_OR_KEY, "Block not found")) }
}

fn send_raw_transaction(chain: &Chain, params: &Params) -> Reply {
    let transaction: Transaction = deserialize_hex(params.string(0)?).map_err(|_| {
        fail(DESERIALIZATION_ERROR, "TX decode failed. Make sure the tx has at least one input.")
    })?;
    let txid = transaction.compute_txid();
    match chain.submit_transaction(transaction) {
        Ok(()) => Ok(txid.to_string().into()),
        // As Bitcoin Core does: it is there already.
        Err(rejection) if rejection.reason == "txn-already-in-mempool" => {
            Ok(txid.to_string().into())
        }
        Err(rejection) => Err(fail(VERIFY_ERROR, rejection.to_string())),
    }
}

fn set_mock_time(chain: &Chain, params: &Params) -> Reply {
    let time = u64::try_from(params.integer(0)?);
    let time = time.ok().filter(|time| *time <= MAX_TIME).ok_or_else(wrong_time)?;
    chain.set_time(Some(time).filter(|time| *time != 0));
    Ok(Value::Null)
}

fn wrong_time() -> Failure {
    fail(INVALID_PARAMETER, format!("Mocktime must be in the range [0, {MAX_TIME}]."))
}

fn submit_block(chain: &Chain, params: &Params) -> Reply {
    let block: Block = deserialize_hex(params.string(0)?)
        .map_err(|_| fail(DESERIALIZATION_ERROR, "Block decode failed"))?;
    match chain.submit_block(&block) {
        Ok(()) => Ok(Value::Null),
        Err(rejection) => Ok(rejection.reason.into_owned().into()),
    }
}
