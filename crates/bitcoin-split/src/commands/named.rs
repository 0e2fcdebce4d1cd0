//! Named parameters of a JSON-RPC method, put in their places.

use std::collections::BTreeMap;

use bitcoin_ipc::rpc::{NodeError, Value, code};
use bitcoin_ipc_draft::chain::RpcArg;
use serde_json::Map;

/// The positional parameters that named ones stand for, as Bitcoin Core makes them: those that are named only
/// become one object in the place after them, what is left out before one that is given is null, and `args` has
/// the first ones by their places.
pub(super) fn positional(names: &[RpcArg], given: &Map<String, Value>) -> Result<Value, NodeError> {
    let wrong = |text: String| NodeError::new(code::INVALID_PARAMETER, text);
    let mut given: BTreeMap<&str, &Value> =
        given.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let mut places = Vec::new();
    // How many were left out since the last one that was given, and before the first.
    let (mut left_out, mut first_left_out) = (0, 0);
    let mut first = None;
    let mut options = Map::new();
    for arg in names {
        let found = arg.name.split('|').find_map(|name| given.remove_entry(name));
        if arg.named_only {
            options.extend(found.map(|(name, value)| (name.to_owned(), value.clone())));
            continue;
        }
        if found.is_some() || !options.is_empty() {
            places.resize(places.len() + left_out, Value::Null);
            left_out = 0;
            first.get_or_insert(&arg.name);
        } else {
            left_out += 1;
            if places.is_empty() {
                first_left_out = left_out;
            }
        }
        match (found, options.keys().next()) {
            (Some((name, _)), Some(option)) => {
                return Err(wrong(format!("Parameter {name} conflicts with parameter {option}")));
            }
            (Some((_, value)), None) => places.push(value.clone()),
            (None, Some(_)) => places.push(Value::Object(std::mem::take(&mut options))),
            (None, None) => {}
        }
    }
    if let Some(Value::Array(args)) = given.get("args") {
        if let Some(name) = first.filter(|_| first_left_out < args.len()) {
            let text = "specified twice both as positional and named argument";
            return Err(wrong(format!("Parameter {name} {text}")));
        }
        places = args.iter().cloned().chain(places.into_iter().skip(args.len())).collect();
        given.remove("args");
    }
    match given.keys().next() {
        None => Ok(Value::Array(places)),
        Some(name) => Err(wrong(format!("Unknown named parameter {name}"))),
    }
}
