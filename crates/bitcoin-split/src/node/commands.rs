//! JSON-RPC methods for a user interface, of all processes.

use bitcoin_ipc::rpc::{NodeError, Value, code};
use bitcoin_ipc_draft::CommandError;
use serde_json::json;

use crate::rpc;
use crate::split_node::SplitNode;

/// Runs a method, on the calling thread.
///
/// # Errors
/// As in Bitcoin Core all that the method answers is [`CommandError::Rpc`], also where the process that has it is gone.
/// [`CommandError::Failed`] is for an answer that is none.
pub(super) fn execute(
    node: &SplitNode,
    method: &str,
    params: Value,
    uri: &str,
) -> Result<Value, CommandError> {
    let request = json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": params });
    let answer = rpc::execute(node, &request.to_string(), uri, "");
    let mut answer: Value = serde_json::from_str(&answer)
        .map_err(|problem| CommandError::Failed(format!("{method} has no answer: {problem}")))?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        let number = error["code"].as_i64().unwrap_or(code::MISC_ERROR);
        let text = error["message"].as_str().unwrap_or_default();
        return Err(CommandError::Rpc(NodeError::new(number, text)));
    }
    Ok(answer["result"].take())
}

/// The names of all methods, in order: `help` lists them, one a line, each with its parameters.
pub(super) fn names(node: &SplitNode) -> Result<Vec<String>, CommandError> {
    let help = execute(node, "help", json!([]), "")?;
    let lines = help.as_str().unwrap_or_default().lines();
    // Bitcoin Core's has titles, too.
    let names = lines.filter(|line| !line.starts_with('='));
    let mut names: Vec<String> =
        names.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
