//! JSON-RPC over the chain: text in, text out, as Core's `Rpc.executeRpc`.
//!
//! A request without `"jsonrpc": "2.0"` gets Core's older answer, with `result` and `error` both
//! present. Batches (arrays) and named parameters work; a 2.0 request without `id` is carried out
//! and answered with `null`.
//!
//! The envelope is here, the methods are in `methods` and, those that change the chain, in `steer`; those that
//! Bitcoin Core does not have, for tests, in `orders`. Reading their parameters is in `params`.

use bitcoin_ipc::rpc::NodeError;
use multiprocess::Error;
use serde_json::{Map, Value, json};

use super::chain::Chain;
use super::node::RegtestNode;
use super::server::NodeInit;
use methods::Handler;
use params::Params;

mod methods;
mod orders;
mod params;
mod steer;

// Core's error codes (src/rpc/protocol.h). Those under -32000 are defined by JSON-RPC.
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INTERNAL_ERROR: i64 = -32603;
/// The code with which Core also returns the usage text.
const MISC_ERROR: i64 = -1;
const TYPE_ERROR: i64 = -3;
const INVALID_ADDRESS_OR_KEY: i64 = -5;
const INVALID_PARAMETER: i64 = -8;
const DESERIALIZATION_ERROR: i64 = -22;
const VERIFY_ERROR: i64 = -25;

type Reply = Result<Value, Failure>;

struct Failure {
    code: i64,
    message: String,
    /// Null mostly.
    data: Value,
}

/// Answers methods that the chain does not have, by their name and parameters (an array, an object or null); none for what
/// is not one of them. They come before the chain's own.
pub type OtherMethods<'a> = dyn Fn(&str, &Value) -> Option<Result<Value, NodeError>> + 'a;

/// What a request is for: the more of a node there is, the more methods it has.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    Chain(&'a Chain),
    /// For its clients.
    Node(&'a NodeInit),
    /// The same, with methods of others.
    With(&'a NodeInit, &'a OtherMethods<'a>),
    /// For who has started it.
    Whole(&'a RegtestNode),
}

impl<'a> Target<'a> {
    fn chain(self) -> &'a Chain {
        match self {
            Target::Chain(chain) => chain,
            Target::Node(node) | Target::With(node, _) => node.chain(),
            Target::Whole(node) => node.chain(),
        }
    }
}

/// Carries out a JSON-RPC request, or an array of them, and returns the answer; both are JSON
/// texts.
///
/// Errors are in the answer. Blocks the calling thread while the method runs, which is long only
/// for `generatetoaddress` with many blocks; shutting the chain down ends that.
pub fn execute(chain: &Chain, request: &str) -> String {
    execute_for(Target::Chain(chain), request)
}

/// The same for a node and methods of others, such as those that another process answers.
///
/// ```
/// use bitcoin_regtest::{Chain, NodeInit, rpc};
///
/// let node = NodeInit::new(Chain::regtest());
/// let answer = rpc::execute_with(&node, r#"{"method":"balance","id":1}"#, &|method, _params| {
///     (method == "balance").then(|| Ok(7.into()))
/// });
/// assert_eq!(answer, r#"{"error":null,"id":1,"result":7}"#);
/// ```
pub fn execute_with(node: &NodeInit, request: &str, others: &OtherMethods<'_>) -> String {
    execute_for(Target::With(node, others), request)
}

/// The same for a node, which has more methods than a chain.
pub(super) fn execute_for(target: Target<'_>, request: &str) -> String {
    let answer = match serde_json::from_str(request) {
        Ok(Value::Array(batch)) => {
            let answers: Vec<Value> =
                batch.iter().filter_map(|request| answer(target, request)).collect();
            if answers.is_empty() && !batch.is_empty() {
                Value::Null
            } else {
                Value::Array(answers)
            }
        }
        Ok(request @ Value::Object(_)) => answer(target, &request).unwrap_or_default(),
        Ok(_) => {
            reply(Err(fail(PARSE_ERROR, "Top-level object parse error")), Some(Value::Null), false)
        }
        Err(_) => reply(Err(fail(PARSE_ERROR, "Parse error")), Some(Value::Null), false),
    };
    answer.to_string()
}

/// Carries out a method without the texts.
///
/// # Errors
/// The method's own, with its words.
pub(super) fn order(
    target: Target<'_>,
    method: &str,
    params: Value,
) -> multiprocess::Result<Value> {
    let request = Map::from_iter([("method".into(), method.into()), ("params".into(), params)]);
    run(target, &request).map_err(|failure| Error::failed(failure.message))
}

/// The answer to one request; none for a notification.
fn answer(target: Target<'_>, request: &Value) -> Option<Value> {
    let Value::Object(request) = request else {
        return Some(reply(
            Err(fail(INVALID_REQUEST, "Invalid Request object")),
            Some(Value::Null),
            false,
        ));
    };
    let id = request.get("id").cloned();
    let mut is_v2 = false;
    let result = match request.get("jsonrpc") {
        None | Some(Value::Null) => run(target, request),
        Some(Value::String(version)) if version == "1.0" => run(target, request),
        Some(Value::String(version)) if version == "2.0" => {
            is_v2 = true;
            run(target, request)
        }
        Some(Value::String(_)) => Err(fail(INVALID_REQUEST, "JSON-RPC version not supported")),
        Some(_) => Err(fail(INVALID_REQUEST, "jsonrpc field must be a string")),
    };
    if is_v2 && id.is_none() { None } else { Some(reply(result, id, is_v2)) }
}

fn run(target: Target<'_>, request: &Map<String, Value>) -> Reply {
    let name = match request.get("method") {
        None | Some(Value::Null) => return Err(fail(INVALID_REQUEST, "Missing method")),
        Some(Value::String(name)) => name,
        Some(_) => return Err(fail(INVALID_REQUEST, "Method must be a string")),
    };
    let params = request.get("params").unwrap_or(&Value::Null);
    if !matches!(params, Value::Null | Value::Array(_) | Value::Object(_)) {
        return Err(fail(INVALID_REQUEST, "Params must be an array or object"));
    }
    if let Target::With(_, others) = target
        && let Some(answer) = others(name, params)
    {
        return answer.map_err(|error| Failure {
            code: error.code,
            message: error.message,
            data: error.data,
        });
    }
    let method = methods::find(name).ok_or_else(not_found)?;
    let values = match params {
        Value::Array(values) => values.clone(),
        Value::Object(named) => params::positional(method.params, named)?,
        _ => Vec::new(),
    };
    let given = values.iter().filter(|value| !value.is_null()).count();
    if values.len() > method.params.len() || given < method.required {
        return Err(fail(MISC_ERROR, methods::usage(method)));
    }
    let params = Params { names: method.params, values };
    match (method.run, target) {
        (Handler::Chain(run), _) => run(target.chain(), &params),
        (Handler::Node(run), Target::Node(node) | Target::With(node, _)) => run(node, &params),
        (Handler::Node(run), Target::Whole(node)) => run(node.served(), &params),
        (Handler::Whole(run), Target::Whole(node)) => run(node, &params),
        (Handler::Node(_) | Handler::Whole(_), _) => Err(not_found()),
    }
}

fn reply(result: Reply, id: Option<Value>, is_v2: bool) -> Value {
    let mut reply = Map::new();
    if is_v2 {
        reply.insert("jsonrpc".into(), "2.0".into());
    }
    let (result, error) = match result {
        Ok(result) => (Some(result), None),
        Err(failure) => (None, Some(failure.json())),
    };
    for (key, value) in [("result", result), ("error", error)] {
        if value.is_some() || !is_v2 {
            reply.insert(key.into(), value.unwrap_or_default());
        }
    }
    if let Some(id) = id {
        reply.insert("id".into(), id);
    }
    Value::Object(reply)
}

fn not_found() -> Failure {
    fail(METHOD_NOT_FOUND, "Method not found")
}

fn fail(code: i64, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into(), data: Value::Null }
}

impl Failure {
    fn json(self) -> Value {
        let mut json = json!({ "code": self.code, "message": self.message });
        if !self.data.is_null() {
            json["data"] = self.data;
        }
        json
    }
}

#[cfg(test)]
mod testing {
    use super::*;

    fn call(chain: &Chain, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let answer: Value = serde_json::from_str(&execute(chain, &request.to_string())).unwrap();
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)));
        answer
    }

    pub(super) fn result(chain: &Chain, method: &str, params: Value) -> Value {
        call(chain, method, params)["result"].take()
    }

    pub(super) fn error(chain: &Chain, method: &str, params: Value) -> (i64, String) {
        let error = call(chain, method, params)["error"].take();
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_answers_as_core_does() {
        let chain = Chain::regtest();
        let says = |request, answer| assert_eq!(execute(&chain, request), answer);
        says(r#"{"method":"getblockcount","id":1}"#, r#"{"error":null,"id":1,"result":0}"#);
        says(r#"{"method":"getblockcount"}"#, r#"{"error":null,"result":0}"#);
        says(
            r#"{"jsonrpc":"2.0","method":"getblockcount","id":"a","params":[]}"#,
            r#"{"id":"a","jsonrpc":"2.0","result":0}"#,
        );
        says(
            r#"{"jsonrpc":"2.0","method":"nope","id":1}"#,
            r#"{"error":{"code":-32601,"message":"Method not found"},"id":1,"jsonrpc":"2.0"}"#,
        );
        says(
            r#"{"jsonrpc":"1.0","method":"nope","id":1}"#,
            r#"{"error":{"code":-32601,"message":"Method not found"},"id":1,"result":null}"#,
        );
        says("{", r#"{"error":{"code":-32700,"message":"Parse error"},"id":null,"result":null}"#);
        says(
            "3",
            r#"{"error":{"code":-32700,"message":"Top-level object parse error"},"id":null,"result":null}"#,
        );
        says(r#"{"jsonrpc":"2.0","method":"getblockcount"}"#, "null");
        says("[]", "[]");
        says(
            r#"[{"jsonrpc":"2.0","method":"uptime"},{"method":"getblockcount","id":2},5]"#,
            r#"[{"error":null,"id":2,"result":0},{"error":{"code":-32600,"message":"Invalid Request object"},"id":null,"result":null}]"#,
        );
        says(r#"[{"jsonrpc":"2.0","method":"uptime"}]"#, "null");
        for (request, message) in [
            (r#"{"id":1}"#, "Missing method"),
            (r#"{"id":1,"method":5}"#, "Method must be a string"),
            (r#"{"id":1,"method":"uptime","params":5}"#, "Params must be an array or object"),
            (r#"{"id":1,"method":"uptime","jsonrpc":2}"#, "jsonrpc field must be a string"),
            (r#"{"id":1,"method":"uptime","jsonrpc":"3.0"}"#, "JSON-RPC version not supported"),
        ] {
            let answer: Value = serde_json::from_str(&execute(&chain, request)).unwrap();
            assert_eq!(answer["error"], json!({ "code": -32600, "message": message }));
        }
    }
}
