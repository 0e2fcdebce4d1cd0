//! JSON-RPC of the whole node: the methods that other processes answer, then those of the chain.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin_ipc::rpc::{NodeError, Value, code};
use bitcoin_ipc_draft::CommandError;
use serde_json::json;

use crate::split_node::SplitNode;

/// Carries out a JSON-RPC request, or an array of them, and returns the answer; both are JSON texts, and errors are in the
/// answer. `uri` is where it came to, such as `/wallet/NAME`, and `user` who is logged in: both are passed on to the process
/// that answers. Waits for that on the calling thread.
///
/// ```
/// use bitcoin_regtest::Chain;
/// use bitcoin_split::{SplitNode, rpc};
///
/// # let dir = tempfile::tempdir().unwrap();
/// let node = SplitNode::new(Chain::regtest(), dir.path().to_owned()).unwrap();
/// let answer = rpc::execute(&node, r#"{"method":"getblockcount","id":1}"#, "", "");
/// assert_eq!(answer, r#"{"error":null,"id":1,"result":0}"#);
/// ```
pub fn execute(node: &SplitNode, request: &str, uri: &str, user: &str) -> String {
    bitcoin_regtest::rpc::execute_with(node.released(), request, &|method, params| {
        if method == "help" {
            return help(node, params);
        }
        let params = if params.is_null() { json!([]) } else { params.clone() };
        let answer = node.commands().execute(method, params, uri, user)?;
        Some(answer.map_err(error_of))
    })
}

/// As Bitcoin Core makes one error of all kinds.
fn error_of(error: CommandError) -> NodeError {
    match error {
        CommandError::Rpc(error) => error,
        CommandError::Type(text) => NodeError::new(code::TYPE_ERROR, text),
        CommandError::Failed(text) | CommandError::Help(text) => {
            NodeError::new(code::MISC_ERROR, text)
        }
        // None that this version has.
        other => NodeError::new(code::MISC_ERROR, other.to_string()),
    }
}

/// The help of a command of another process; of all commands, if none is named. None for what the chain explains.
fn help(node: &SplitNode, params: &Value) -> Option<Result<Value, NodeError>> {
    let name = params.get(0).or_else(|| params.get("command"));
    match name {
        Some(Value::String(name)) => {
            let help = node.commands().help(name)?;
            Some(help.map(Value::from).map_err(error_of))
        }
        None | Some(Value::Null) => Some(Ok(list(node).into())),
        // Refused there.
        Some(_) => None,
    }
}

/// The first line of each command's help: the chain's, then under a heading those of each category.
fn list(node: &SplitNode) -> String {
    let request = r#"{"method":"help"}"#;
    let answer = bitcoin_regtest::rpc::execute_with(node.released(), request, &|_, _| None);
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    let mut text = answer["result"].as_str().unwrap_or_default().to_owned();
    let mut categories: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // Processes that do not answer: each is waited for once only.
    let mut silent = BTreeSet::new();
    for (name, category) in node.commands().names_and_categories() {
        let asked = if silent.contains(&category) { None } else { node.commands().help(&name) };
        if matches!(asked, Some(Err(_))) {
            silent.insert(category.clone());
        }
        let help = asked.and_then(Result::ok);
        let line = help.as_deref().and_then(|help| help.lines().next()).unwrap_or(&name);
        categories.entry(category).or_default().push(line.to_owned());
    }
    for (category, lines) in categories {
        let mut letters = category.chars();
        let first = letters.next().map(|letter| letter.to_uppercase().to_string());
        let heading = first.unwrap_or_default() + letters.as_str();
        text += &format!("\n\n== {heading} ==\n{}", lines.join("\n"));
    }
    text
}
