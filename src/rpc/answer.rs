//! The text of an answer, taken apart.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{NodeError, RpcError};

/// The result in an answer, from its own text: numbers are as exact as what they are read into.
pub(super) fn result_of<R: DeserializeOwned>(method: &str, answer: &str) -> Result<R, RpcError> {
    let unreadable = |problem: String| RpcError::Answer { method: method.to_owned(), problem };
    if answer.trim() == "null" {
        return Err(unreadable(
            "the node refused it without an answer: see its -rpcwhitelist, and say as which user you call \
             (RpcClient::user)"
                .to_owned(),
        ));
    }
    let parts: HashMap<String, &RawValue> = serde_json::from_str(answer)
        .map_err(|problem| unreadable(format!("the node's answer is no JSON-RPC: {problem}")))?;
    if !parts.contains_key("result") && !parts.contains_key("error") {
        return Err(unreadable(
            "the node's answer is no JSON-RPC: it has neither result nor error".to_owned(),
        ));
    }
    let part = |name: &str| parts.get(name).map_or("null", |part| part.get());
    match part("error") {
        "null" => serde_json::from_str(part("result")).map_err(|problem| {
            unreadable(format!("the result is not what was expected: {problem}"))
        }),
        error => Err(RpcError::Node(NodeError::read(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn value(answer: &str) -> Result<Value, RpcError> {
        result_of("m", answer)
    }

    #[test]
    fn results_and_errors_are_told_apart() {
        assert_eq!(value(r#"{"result":7,"error":null,"id":1}"#).unwrap(), json!(7));
        assert_eq!(value(r#"{"jsonrpc":"2.0","result":null,"id":1}"#).unwrap(), Value::Null);
        assert_eq!(value(r#"{ "result" : [ 1 ] , "error" : null }"#).unwrap(), json!([1]));
        let error = value(r#"{"error":{"code":-8,"message":"out of range"},"id":1}"#).unwrap_err();
        assert_eq!(error.code(), Some(-8));
        assert_eq!(error.to_string(), "out of range (code -8)");
        for nonsense in ["nonsense", "[]", "7", "", "{}", r#"{"code":-5,"message":"no"}"#] {
            let error = value(nonsense).unwrap_err();
            assert!(
                matches!(&error, RpcError::Answer { method, .. } if method == "m"),
                "{error:?}"
            );
            assert!(error.to_string().contains("no JSON-RPC"), "{error}");
        }
    }

    /// Bitcoin Core answers so a user who may not call the method.
    #[test]
    fn a_refusal_without_an_answer_names_the_setting() {
        let error = value("null").unwrap_err().to_string();
        assert!(error.contains("-rpcwhitelist") && error.contains("user"), "{error}");
    }

    #[test]
    fn a_result_of_another_type_is_said_to_be_one() {
        let error = result_of::<u32>("getblockhash", r#"{"result":"00"}"#).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("getblockhash") && text.contains("expected u32"), "{text}");
    }

    #[test]
    fn numbers_are_read_from_their_text() {
        let answer = r#"{"result":18446744073709551615}"#;
        assert_eq!(result_of::<u64>("m", answer).unwrap(), u64::MAX);
        let answer = r#"{"result":20999999.97690000}"#;
        let raw: Box<RawValue> = result_of("m", answer).unwrap();
        assert_eq!(raw.get(), "20999999.97690000");
    }
}
