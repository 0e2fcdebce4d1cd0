//! The methods of the RPC interface, each with its help.

use std::sync::Arc;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Block, BlockHash, OutPoint};
use serde_json::{Map, Value, json};

use super::params::Params;
use super::{Failure, INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, Reply, fail, orders, steer};
use crate::chain::Chain;
use crate::node::RegtestNode;
use crate::server::NodeInit;

/// A method, as the JSON-RPC envelope uses it.
pub(super) struct Method {
    pub(super) name: &'static str,
    /// Names of the parameters in order; those after `required` may be left out.
    pub(super) params: &'static [&'static str],
    pub(super) required: usize,
    pub(super) help: &'static str,
    pub(super) run: Handler,
}

/// What a method needs.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    Chain(fn(&Chain, &Params) -> Reply),
    Node(fn(&NodeInit, &Params) -> Reply),
    Whole(fn(&RegtestNode, &Params) -> Reply),
}

const METHODS: &[Method] = &[
    method("echo", ECHO, 0, "Returns its arguments.", echo),
    method("getbestblockhash", &[], 0, "Returns the hash of the tip.", best_block_hash),
    method("getblock", &["blockhash", "verbosity"], 1, BLOCK_HELP, get_block),
    method("getblockchaininfo", &[], 0, "Returns the state of the chain.", blockchain_info),
    method("getblockcount", &[], 0, "Returns the height of the tip.", block_count),
    method(
        "getblockhash",
        &["height"],
        1,
        "Returns the hash of the block at a height.",
        get_block_hash,
    ),
    method("getblockheader", &["blockhash", "verbose"], 1, HEADER_HELP, get_block_header),
    method("getmininginfo", &[], 0, "Returns what concerns miners.", mining_info),
    method("getrawmempool", &[], 0, "Returns the txids of the memory pool.", raw_mempool),
    method("gettxout", &["txid", "n", "include_mempool"], 2, TX_OUT_HELP, tx_out),
    method("help", &["command"], 0, "Lists all commands, or explains one.", help),
    method("uptime", &[], 0, "Returns the age of the chain in seconds.", uptime),
];

/// Most parameters of `echo`.
const ECHO: &[&str] =
    &["arg0", "arg1", "arg2", "arg3", "arg4", "arg5", "arg6", "arg7", "arg8", "arg9"];

const BLOCK_HELP: &str =
    "Returns a block: as hex (verbosity 0), or as an object with its txids (1, the default).";
const TX_OUT_HELP: &str = "Returns an output that is not spent, also not in the memory pool unless include_mempool is false; otherwise null.";
const HEADER_HELP: &str = "Returns a block header: as an object, or as hex if verbose is false.";

const fn method(
    name: &'static str,
    params: &'static [&'static str],
    required: usize,
    help: &'static str,
    run: fn(&Chain, &Params) -> Reply,
) -> Method {
    Method { name, params, required, help, run: Handler::Chain(run) }
}

/// The method of this name.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    all().into_iter().find(|method| method.name == name)
}

/// All of them, by name.
fn all() -> Vec<&'static Method> {
    let mut all: Vec<_> = METHODS.iter().chain(steer::METHODS).chain(orders::METHODS).collect();
    all.sort_by_key(|method| method.name);
    all
}

/// Name and parameters, optional ones in parentheses, then the help.
pub(super) fn usage(method: &Method) -> String {
    let mut text = method.name.to_owned();
    for (index, name) in method.params.iter().enumerate() {
        text += &if index < method.required { format!(" {name}") } else { format!(" ( {name} )") };
    }
    format!("{text}\n\n{}\n", method.help)
}

fn echo(_: &Chain, params: &Params) -> Reply {
    Ok(Value::Array(params.values.clone()))
}

fn help(_: &Chain, params: &Params) -> Reply {
    if params.get(0).is_none() {
        let lines: Vec<String> = all()
            .into_iter()
            // Those are for who has started the node, by other means.
            .filter(|method| !matches!(method.run, Handler::Whole(_)))
            .filter_map(|method| usage(method).lines().next().map(str::to_owned))
            .collect();
        return Ok(lines.join("\n").into());
    }
    let name = params.string(0)?;
    Ok(find(name).map_or_else(|| format!("help: unknown command: {name}\n"), usage).into())
}

fn uptime(chain: &Chain, _: &Params) -> Reply {
    Ok(chain.uptime().as_secs().into())
}

fn raw_mempool(chain: &Chain, _: &Params) -> Reply {
    let txids = chain.mempool().into_iter().map(|tx| tx.compute_txid().to_string());
    Ok(txids.collect::<Vec<_>>().into())
}

fn block_count(chain: &Chain, _: &Params) -> Reply {
    Ok(chain.tip().height.into())
}

fn tx_out(chain: &Chain, params: &Params) -> Reply {
    let txid = params.string(0)?;
    let txid = txid.parse().map_err(|_| {
        fail(
            INVALID_PARAMETER,
            format!("txid must be of length 64 (not {}, for '{txid}')", txid.len()),
        )
    })?;
    let vout = u32::try_from(params.integer(1)?)
        .map_err(|_| fail(INVALID_PARAMETER, "n must be the number of an output"))?;
    let outpoint = OutPoint { txid, vout };
    let with_mempool = params.get(2) != Some(&Value::Bool(false));
    let view = chain.view();
    let of_chain = view.coin(&outpoint);
    let coin = match with_mempool {
        true if view.mempool_spender(&outpoint).is_some() => None,
        true => of_chain.or_else(|| view.mempool_coin(&outpoint)),
        false => of_chain,
    };
    let Some(coin) = coin else { return Ok(Value::Null) };
    let tip = view.tip();
    Ok(json!({
        "bestblock": tip.hash.to_string(),
        "confirmations": (tip.height + 1).saturating_sub(coin.height),
        "value": coin.output.value.to_btc(),
        "scriptPubKey": { "hex": coin.output.script_pubkey.to_hex_string() },
        "coinbase": coin.coinbase,
    }))
}

fn best_block_hash(chain: &Chain, _: &Params) -> Reply {
    Ok(chain.tip().hash.to_string().into())
}

fn get_block_hash(chain: &Chain, params: &Params) -> Reply {
    let hash = u32::try_from(params.integer(0)?).ok().and_then(|height| chain.hash_at(height));
    hash.map(|hash| hash.to_string().into())
        .ok_or_else(|| fail(INVALID_PARAMETER, "Block height out of range"))
}

fn get_block_header(chain: &Chain, params: &Params) -> Reply {
    let block = find_block(chain, &params.block_hash(0)?)?;
    match params.get(1) {
        None | Some(Value::Bool(true)) => Ok(Value::Object(header_json(chain, &block)?)),
        Some(Value::Bool(false)) => Ok(serialize_hex(&block.header).into()),
        Some(_) => Err(params.wrong_type(1, "bool")),
    }
}

fn get_block(chain: &Chain, params: &Params) -> Reply {
    let hash = params.block_hash(0)?;
    let verbosity = params.verbosity(1)?;
    let block = find_block(chain, &hash)?;
    if verbosity <= 0 {
        return Ok(serialize_hex(&*block).into());
    }
    if verbosity > 1 {
        return Err(fail(INVALID_PARAMETER, "verbosity above 1 is not supported here"));
    }
    let mut object = header_json(chain, &block)?;
    let (size, weight) = (block.total_size() as u64, block.weight().to_wu());
    object.insert("strippedsize".into(), ((weight - size) / 3).into());
    object.insert("size".into(), size.into());
    object.insert("weight".into(), weight.into());
    let txids: Vec<String> = block.txdata.iter().map(|tx| tx.compute_txid().to_string()).collect();
    object.insert("tx".into(), txids.into());
    Ok(Value::Object(object))
}

fn blockchain_info(chain: &Chain, _: &Params) -> Reply {
    let tip = chain.tip();
    let block = find_block(chain, &tip.hash)?;
    let mut info = header_json(chain, &block)?;
    info.retain(|key, _| {
        ["bits", "target", "difficulty", "time", "mediantime", "chainwork"].contains(&key.as_str())
    });
    for (key, value) in [
        ("chain", json!("regtest")),
        ("blocks", json!(tip.height)),
        ("headers", json!(tip.height)),
        ("bestblockhash", json!(tip.hash.to_string())),
        ("verificationprogress", json!(1)),
        ("initialblockdownload", json!(chain.is_initial_block_download())),
        ("size_on_disk", json!(0)),
        ("pruned", json!(false)),
        ("warnings", json!([])),
    ] {
        info.insert(key.into(), value);
    }
    Ok(Value::Object(info))
}

fn mining_info(chain: &Chain, _: &Params) -> Reply {
    let tip = chain.tip();
    let header = find_block(chain, &tip.hash)?.header;
    let bits = format!("{:08x}", header.bits.to_consensus());
    let target = format!("{:x}", header.target());
    let difficulty = header.difficulty_float();
    Ok(json!({
        "blocks": tip.height,
        "bits": bits,
        "difficulty": difficulty,
        "target": target,
        "networkhashps": 0,
        "pooledtx": chain.mempool().len(),
        "chain": "regtest",
        "next": { "height": tip.height + 1, "bits": bits, "difficulty": difficulty, "target": target },
        "warnings": [],
    }))
}

fn find_block(chain: &Chain, hash: &BlockHash) -> Result<Arc<Block>, Failure> {
    chain.block_by_hash(hash).ok_or_else(|| fail(INVALID_ADDRESS_OR_KEY, "Block not found"))
}

/// The result of `getblockheader` for a block of the chain.
fn header_json(chain: &Chain, block: &Block) -> Result<Map<String, Value>, Failure> {
    let (header, hash) = (&block.header, block.block_hash());
    let missing = || fail(INVALID_ADDRESS_OR_KEY, "Block not found");
    let height = chain.height_of(&hash).ok_or_else(missing)?;
    let work = chain.work_at(height).ok_or_else(missing)?;
    let mut object = Map::new();
    for (key, value) in [
        ("hash", json!(hash.to_string())),
        ("confirmations", json!(chain.tip().height - height + 1)),
        ("height", json!(height)),
        ("version", json!(header.version.to_consensus())),
        ("versionHex", json!(format!("{:08x}", header.version.to_consensus()))),
        ("merkleroot", json!(header.merkle_root.to_string())),
        ("time", json!(header.time)),
        ("mediantime", json!(chain.median_time_past(height))),
        ("nonce", json!(header.nonce)),
        ("bits", json!(format!("{:08x}", header.bits.to_consensus()))),
        ("target", json!(format!("{:x}", header.target()))),
        ("difficulty", json!(header.difficulty_float())),
        ("chainwork", json!(format!("{work:x}"))),
        ("nTx", json!(block.txdata.len())),
    ] {
        object.insert(key.into(), value);
    }
    if height > 0 {
        object.insert("previousblockhash".into(), header.prev_blockhash.to_string().into());
    }
    if let Some(next) = chain.hash_at(height + 1) {
        object.insert("nextblockhash".into(), next.to_string().into());
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{error, result};
    use super::*;
    use crate::coins::subsidy;
    use crate::testing::{coinbase_outpoint, mine, spend};
    use bitcoin::consensus::encode::deserialize_hex;
    use bitcoin::{Address, Amount, Network};

    const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

    #[test]
    fn outputs_that_are_not_spent() {
        let chain = Chain::regtest();
        mine(&chain, 101);
        let coin = coinbase_outpoint(&chain, 1);
        let asked = |outpoint: OutPoint, mempool: bool| {
            let params = json!([outpoint.txid.to_string(), outpoint.vout, mempool]);
            result(&chain, "gettxout", params)
        };
        let told = asked(coin, true);
        assert_eq!((&told["value"], &told["confirmations"]), (&json!(50.0), &json!(101)));
        assert_eq!(told["coinbase"], true);
        let spending = spend(coin, subsidy(1) - Amount::from_sat(1000));
        let next = OutPoint { txid: spending.compute_txid(), vout: 0 };
        chain.submit_transaction(spending).unwrap();
        assert_eq!(asked(coin, true), Value::Null);
        assert_eq!(asked(coin, false)["value"], json!(50.0));
        assert_eq!(asked(next, true)["confirmations"], json!(0));
        assert_eq!(asked(next, false), Value::Null);
        let (code, problem) = error(&chain, "gettxout", json!(["x", 0]));
        assert_eq!((code, problem.as_str()), (-8, "txid must be of length 64 (not 1, for 'x')"));
    }

    #[test]
    fn mines_and_reads_blocks() {
        let chain = Chain::regtest();
        let hashes = result(&chain, "generatetoaddress", json!([3, ADDRESS]));
        assert_eq!(hashes.as_array().unwrap().len(), 3);
        assert_eq!(result(&chain, "getblockcount", json!([])), 3);
        assert_eq!(result(&chain, "getbestblockhash", json!([])), hashes[2]);
        assert_eq!(result(&chain, "getblockhash", json!([2])), hashes[1]);
        assert_eq!(result(&chain, "getblockhash", json!({ "height": 1 })), hashes[0]);
        assert_eq!(result(&chain, "generatetoaddress", json!([0, ADDRESS])), json!([]));

        let block: Block =
            deserialize_hex(result(&chain, "getblock", json!([hashes[1], 0])).as_str().unwrap())
                .unwrap();
        assert_eq!(block, *chain.block_by_height(2).unwrap());
        let paid = Address::from_script(&block.txdata[0].output[0].script_pubkey, Network::Regtest)
            .unwrap();
        assert_eq!(paid.to_string(), ADDRESS);
        let header = result(&chain, "getblockheader", json!([hashes[1], false]));
        assert_eq!(header, serialize_hex(&block.header));

        let object = result(&chain, "getblock", json!([hashes[1]]));
        assert_eq!(object["height"], 2);
        assert_eq!(object["confirmations"], 2);
        assert_eq!(object["previousblockhash"], hashes[0]);
        assert_eq!(object["nextblockhash"], hashes[2]);
        assert_eq!(object["tx"], json!([block.txdata[0].compute_txid().to_string()]));
        assert_eq!(object["size"], block.total_size());
        let stripped =
            block.total_size() - block.txdata[0].total_size() + block.txdata[0].base_size();
        assert_eq!(object["strippedsize"], stripped);
        assert_eq!(object["chainwork"], format!("{:064x}", 6));
        let header = result(&chain, "getblockheader", json!([hashes[2]]));
        assert_eq!((&header["nTx"], &header["versionHex"]), (&json!(1), &json!("20000000")));
        assert!(header.get("nextblockhash").is_none());
    }

    #[test]
    fn tells_of_chain_and_mining() {
        let chain = Chain::regtest();
        result(&chain, "generatetoaddress", json!([1, ADDRESS]));
        let info = result(&chain, "getblockchaininfo", json!([]));
        let tip = chain.block_by_height(1).unwrap();
        assert_eq!(info["chain"], "regtest");
        assert_eq!((&info["blocks"], &info["headers"]), (&json!(1), &json!(1)));
        assert_eq!(info["bestblockhash"], tip.block_hash().to_string());
        assert_eq!((&info["bits"], &info["time"]), (&json!("207fffff"), &json!(tip.header.time)));
        assert_eq!(info["mediantime"], chain.median_time_past(1).unwrap());
        assert!((info["difficulty"].as_f64().unwrap() - 4.656_542_373_906_925e-10).abs() < 1e-20);
        assert_eq!((&info["pruned"], &info["warnings"]), (&json!(false), &json!([])));
        let mining = result(&chain, "getmininginfo", json!([]));
        assert_eq!((&mining["blocks"], &mining["next"]["height"]), (&json!(1), &json!(2)));
        assert_eq!(mining["target"], format!("7fffff{}", "0".repeat(58)));
        assert!(result(&chain, "uptime", json!([])).is_u64());
        assert_eq!(result(&chain, "echo", json!(["a", 1])), json!(["a", 1]));
        let all = result(&chain, "help", json!([]));
        assert!(all.as_str().unwrap().contains("\ngetblock blockhash ( verbosity )\n"));
        assert!(
            result(&chain, "help", json!(["getblockhash"]))
                .as_str()
                .unwrap()
                .starts_with("getblockhash height\n")
        );
    }

    #[test]
    fn refuses_what_there_is_not() {
        let chain = Chain::regtest();
        let range = (-8, "Block height out of range".to_owned());
        assert_eq!(error(&chain, "getblockhash", json!([1])), range);
        assert_eq!(error(&chain, "getblockhash", json!([-1])), range);
        assert_eq!(
            error(&chain, "getblockheader", json!(["0".repeat(64)])),
            (-5, "Block not found".to_owned())
        );
        assert_eq!(error(&chain, "getblock", json!([chain.tip().hash.to_string(), 2])).0, -8);
        let mainnet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
        for address in [mainnet, "nonsense"] {
            let invalid = (-5, "Error: Invalid address".to_owned());
            assert_eq!(error(&chain, "generatetoaddress", json!([1, address])), invalid);
        }
        assert_eq!(chain.tip().height, 0);
    }
}
