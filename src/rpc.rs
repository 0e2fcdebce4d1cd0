//! A node's JSON-RPC methods.

pub use crate::generated::rpc::{Client, Rpc, RpcClient};

use std::time::Duration;

use multiprocess::{Call, Error, Result};
use serde_json::{Value, json};

/// Runs one JSON-RPC method on `rpc` and returns its result.
///
/// # Errors
/// The node's own error, as `MESSAGE (code CODE)`, or the error of the call.
pub fn execute(rpc: &RpcClient, method: &str, params: &Value) -> Result<Value> {
    parse_response(&request(rpc, method, params).wait()?)
}

/// The same, for `timeout` at most.
///
/// # Errors
/// As [`execute`], and [`Error::Timeout`] where there is no answer in time.
pub fn execute_within(
    rpc: &RpcClient,
    method: &str,
    params: &Value,
    timeout: Duration,
) -> Result<Value> {
    parse_response(&request(rpc, method, params).timeout(timeout).wait()?)
}

fn request(rpc: &RpcClient, method: &str, params: &Value) -> Call<String> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    rpc.execute_rpc(request.to_string(), "/", "")
}

fn parse_response(response: &str) -> Result<Value> {
    let mut response: Value = serde_json::from_str(response)
        .map_err(|error| Error::failed(format!("the node's answer is not JSON: {error}")))?;
    match response.get("error") {
        None | Some(Value::Null) => Ok(response.get_mut("result").map_or(Value::Null, Value::take)),
        Some(error) => {
            let message = error
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or("an error without a message");
            let code = error.get("code").and_then(Value::as_i64);
            let code = code.map(|code| format!(" (code {code})")).unwrap_or_default();
            Err(Error::failed(format!("{message}{code}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_errors_are_told_apart() {
        assert_eq!(parse_response(r#"{"result":7,"error":null,"id":1}"#).unwrap(), json!(7));
        assert_eq!(
            parse_response(r#"{"jsonrpc":"2.0","result":null,"id":1}"#).unwrap(),
            Value::Null
        );
        let error =
            parse_response(r#"{"error":{"code":-8,"message":"out of range"},"id":1}"#).unwrap_err();
        assert!(error.to_string().contains("out of range (code -8)"), "{error}");
        assert!(parse_response("nonsense").unwrap_err().to_string().contains("not JSON"));
    }
}
