//! Methods that Bitcoin Core does not have: what a test orders of the node. Their names begin with `regtest.`.
//!
//! All clients have them, so a test in any language can give orders over the node's own socket; but for those that
//! end its connections, which only who has started the node has.

use std::time::Duration;

use bitcoin::{Amount, BlockHash};
use multiprocess::{Error, Result};
use serde_json::{Value, json};

use super::methods::{Handler, Method};
use super::params::Params;
use super::{Failure, INVALID_PARAMETER, MISC_ERROR, Reply, fail};
use crate::chain::Chain;
use crate::faults;
use crate::node::RegtestNode;
use crate::orders;
use crate::server::NodeInit;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "regtest.calls",
        params: &["method"],
        required: 1,
        help: "Returns how often a method of the schema, such as Mining.getTip, was called.",
        run: Handler::Node(calls),
    },
    Method {
        name: "regtest.clearfaults",
        params: &[],
        required: 0,
        help: "Takes all delays and failures back.",
        run: Handler::Node(clear_faults),
    },
    Method {
        name: "regtest.comeback",
        params: &[],
        required: 0,
        help: "Listens again. Only for who has started the node.",
        run: Handler::Whole(come_back),
    },
    Method {
        name: "regtest.delay",
        params: &["method", "milliseconds"],
        required: 2,
        help: "Has each call of a method take so much longer.",
        run: Handler::Node(delay),
    },
    Method {
        name: "regtest.fail",
        params: &["method", "times", "message"],
        required: 3,
        help: "Has the next calls of a method fail with a message.",
        run: Handler::Node(fail_calls),
    },
    Method {
        name: "regtest.goaway",
        params: &[],
        required: 0,
        help: "Ends all connections and removes the socket. Only for who has started the node.",
        run: Handler::Whole(go_away),
    },
    Method {
        name: "regtest.payfee",
        params: &["satoshis"],
        required: 1,
        help: "Puts a transaction with this fee in the memory pool, and returns its txid.",
        run: Handler::Chain(pay_fee),
    },
    Method {
        name: "regtest.reorganize",
        params: &["nblocks"],
        required: 1,
        help: "Takes blocks out of the chain and mines one more in their place; returns the hashes of the new ones.",
        run: Handler::Chain(reorganize),
    },
    Method {
        name: "regtest.state",
        params: &[],
        required: 0,
        help: "Returns the tip, how many templates live, how many calls wait for a block or a template, and the time that was set.",
        run: Handler::Node(state),
    },
];

fn reorganize(chain: &Chain, params: &Params) -> Reply {
    let blocks = number(params, 0)?;
    hashes(orders::reorganize(chain, blocks))
}

fn pay_fee(chain: &Chain, params: &Params) -> Reply {
    let fee = Amount::from_sat(number(params, 0)?);
    let paid = orders::pay_fee(chain, fee).map_err(refused)?;
    Ok(paid.to_string().into())
}

fn delay(node: &NodeInit, params: &Params) -> Reply {
    let (method, time) = (method(params)?, Duration::from_millis(number(params, 1)?));
    node.faults().delay(method, time);
    Ok(Value::Null)
}

fn fail_calls(node: &NodeInit, params: &Params) -> Reply {
    let (method, times) = (method(params)?, number(params, 1)?);
    node.faults().fail(method, times, params.string(2)?);
    Ok(Value::Null)
}

fn clear_faults(node: &NodeInit, _: &Params) -> Reply {
    node.faults().clear();
    Ok(Value::Null)
}

fn calls(node: &NodeInit, params: &Params) -> Reply {
    Ok(node.faults().calls(method(params)?).into())
}

fn state(node: &NodeInit, _: &Params) -> Reply {
    let tip = node.chain().tip();
    Ok(json!({
        "height": tip.height,
        "hash": tip.hash.to_string(),
        "live_templates": node.live_templates(),
        "waiters": node.chain().waiters(),
        "mocktime": node.chain().scripted_time(),
    }))
}

fn go_away(node: &RegtestNode, _: &Params) -> Reply {
    node.go_away();
    Ok(Value::Null)
}

fn come_back(node: &RegtestNode, _: &Params) -> Reply {
    node.come_back().map_err(refused)?;
    Ok(Value::Null)
}

fn hashes(mined: Result<Vec<BlockHash>>) -> Reply {
    let mined = mined.map_err(refused)?;
    Ok(mined.iter().map(ToString::to_string).collect::<Vec<_>>().into())
}

fn refused(error: Error) -> Failure {
    match error {
        Error::Remote { message, .. } => fail(MISC_ERROR, message),
        other => fail(MISC_ERROR, other.to_string()),
    }
}

/// The method that the first parameter names.
fn method(params: &Params) -> std::result::Result<&'static str, Failure> {
    faults::find(params.string(0)?).map_err(|problem| fail(INVALID_PARAMETER, problem))
}

/// A number that is not negative.
fn number<T: TryFrom<i64>>(params: &Params, index: usize) -> std::result::Result<T, Failure> {
    let number = params.integer(index)?;
    let problem = || format!("{} is out of range: {number}", params.names[index]);
    T::try_from(number).map_err(|_| fail(INVALID_PARAMETER, problem()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{error, result};
    use super::super::{Target, order};
    use super::*;
    use crate::testing::mine;

    #[test]
    fn a_chain_has_those_that_need_no_node() {
        let chain = Chain::regtest();
        mine(&chain, 101);
        let txid = result(&chain, "regtest.payfee", json!([700]));
        assert_eq!(chain.mempool()[0].compute_txid().to_string(), txid);
        let mined = result(&chain, "regtest.reorganize", json!([1]));
        assert_eq!(mined[1], chain.tip().hash.to_string());
        assert_eq!(chain.tip().height, 102);
        for (params, told) in [
            (json!([-1]), "nblocks is out of range: -1"),
            (json!([0]), "cannot take 0 blocks out of a chain of 102"),
        ] {
            let (_, message) = error(&chain, "regtest.reorganize", params);
            assert!(message.starts_with(told), "{message}");
        }
        for method in ["regtest.state", "regtest.goaway"] {
            assert_eq!(error(&chain, method, json!([])), (-32601, "Method not found".to_owned()));
        }
    }

    #[test]
    fn clients_cannot_send_the_node_away() {
        let node = NodeInit::new(Chain::regtest());
        let target = Target::Node(&node);
        let refused = order(target, "regtest.goaway", Value::Null).unwrap_err().to_string();
        assert!(refused.contains("Method not found"), "{refused}");
        assert_eq!(order(target, "regtest.state", Value::Null).unwrap()["waiters"], 0);
        let odd = order(target, "regtest.delay", json!(["Mining.tip", 1])).unwrap_err().to_string();
        assert!(odd.contains("the node has no method Mining.tip; it has Init.makeEcho"), "{odd}");
        // Faults can be given by position or by name.
        let order_fault = json!({ "method": "Mining.getTip", "times": 1, "message": "no disk" });
        order(target, "regtest.fail", order_fault).unwrap();
        let failed = node.faults().meet("Mining.getTip").unwrap_err().to_string();
        assert!(failed.contains("no disk"), "{failed}");
        assert_eq!(order(target, "regtest.calls", json!(["Mining.getTip"])).unwrap(), 1);
        order(target, "regtest.fail", json!(["Mining.getTip", 1, "again"])).unwrap();
        order(target, "regtest.clearfaults", Value::Null).unwrap();
        node.faults().meet("Mining.getTip").unwrap();
    }
}
