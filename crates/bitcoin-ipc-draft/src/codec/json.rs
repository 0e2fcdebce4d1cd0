//! JSON.

use bitcoin_ipc::rpc::Value;
use multiprocess::{Codec, CodecError};
use zeroize::Zeroizing;

/// For a [`Value`] that travels as JSON text. Null is sent as `null`; a text that is empty or absent is null as
/// well. What arrives is wiped when it has been read: the arguments of a command can be passphrases.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Codec<Value> for Json {
    type Wire = String;

    fn decode(wire: String) -> Result<Value, CodecError> {
        let wire = Zeroizing::new(wire);
        if wire.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&wire).map_err(|error| format!("this is not JSON: {error}").into())
    }

    fn encode(value: &Value) -> Result<String, CodecError> {
        Ok(value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_json() {
        for (value, text) in [
            (Value::Null, "null"),
            (json!(true), "true"),
            (json!("a \"b\" \u{20bf}"), "\"a \\\"b\\\" \u{20bf}\""),
            (json!([1, -2, 0.5, {"a": null}]), "[1,-2,0.5,{\"a\":null}]"),
        ] {
            assert_eq!(Json::encode(&value).unwrap(), text);
            assert_eq!(Json::decode(text.to_owned()).unwrap(), value);
        }
    }

    #[test]
    fn nothing_is_null_and_anything_else_is_refused() {
        assert_eq!(Json::decode(String::new()).unwrap(), Value::Null);
        for text in [" ", "{", "nul", "1 2", "'a'"] {
            let error = Json::decode(text.to_owned()).unwrap_err().to_string();
            assert!(error.starts_with("this is not JSON: "), "{error}");
        }
    }
}
