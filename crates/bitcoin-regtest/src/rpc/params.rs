//! Parameters of a method, by position or by name.

use std::str::FromStr;

use bitcoin::BlockHash;
use serde_json::{Map, Value};

use super::{Failure, INVALID_PARAMETER, MISC_ERROR, TYPE_ERROR, fail};

/// Parameters by position; a missing one is null.
pub(super) struct Params {
    pub(super) names: &'static [&'static str],
    pub(super) values: Vec<Value>,
}

impl Params {
    pub(super) fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index).filter(|value| !value.is_null())
    }

    pub(super) fn string(&self, index: usize) -> Result<&str, Failure> {
        self.get(index).and_then(Value::as_str).ok_or_else(|| self.wrong_type(index, "string"))
    }

    pub(super) fn integer(&self, index: usize) -> Result<i64, Failure> {
        let number = self.get(index).filter(|value| value.is_number());
        let number = number.ok_or_else(|| self.wrong_type(index, "number"))?;
        number.as_i64().ok_or_else(|| fail(MISC_ERROR, "JSON integer out of range"))
    }

    /// A Boolean parameter that may also be a number; `true` is 1.
    pub(super) fn verbosity(&self, index: usize) -> Result<i64, Failure> {
        match self.get(index) {
            None => Ok(1),
            Some(Value::Bool(verbose)) => Ok(i64::from(*verbose)),
            Some(_) => self.integer(index),
        }
    }

    pub(super) fn block_hash(&self, index: usize) -> Result<BlockHash, Failure> {
        let (text, name) = (self.string(index)?, self.names[index]);
        BlockHash::from_str(text).map_err(|_| {
            fail(
                INVALID_PARAMETER,
                match text.len() {
                    64 => format!("{name} must be hexadecimal string (not '{text}')"),
                    len => format!("{name} must be of length 64 (not {len}, for '{text}')"),
                },
            )
        })
    }

    pub(super) fn wrong_type(&self, index: usize, expected: &str) -> Failure {
        let actual = match self.values.get(index) {
            None | Some(Value::Null) => "null",
            Some(Value::Bool(_)) => "bool",
            Some(Value::Number(_)) => "number",
            Some(Value::String(_)) => "string",
            Some(Value::Array(_)) => "array",
            Some(Value::Object(_)) => "object",
        };
        let (position, name) = (index + 1, self.names[index]);
        let text = format!("JSON value of type {actual} is not of expected type {expected}");
        fail(
            TYPE_ERROR,
            format!("Wrong type passed:\n{{\n    \"Position {position} ({name})\": \"{text}\"\n}}"),
        )
    }
}

/// Named parameters by position, without the nulls at the end.
pub(super) fn positional(
    names: &[&str],
    named: &Map<String, Value>,
) -> Result<Vec<Value>, Failure> {
    if let Some(name) = named.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(fail(INVALID_PARAMETER, format!("Unknown named parameter {name}")));
    }
    let mut values: Vec<Value> =
        names.iter().map(|name| named.get(*name).cloned().unwrap_or_default()).collect();
    while values.last().is_some_and(Value::is_null) {
        values.pop();
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::super::testing::error;
    use crate::Chain;
    use serde_json::json;

    #[test]
    fn refuses_bad_parameters() {
        let chain = Chain::regtest();
        assert_eq!(
            error(&chain, "getblockhash", json!([1.5])),
            (-1, "JSON integer out of range".to_owned())
        );
        for params in [json!([]), json!([null]), json!([1, 2])] {
            let (code, message) = error(&chain, "getblockhash", params);
            assert!(code == -1 && message.starts_with("getblockhash height\n"), "{code} {message}");
        }
        let (code, message) = error(&chain, "getblockhash", json!(["x"]));
        assert!(
            code == -3 && message.contains("type string is not of expected type number"),
            "{message}"
        );
        let (code, message) = error(&chain, "getblockhash", json!({ "hite": 1 }));
        assert_eq!((code, message.as_str()), (-8, "Unknown named parameter hite"));
        let (code, message) = error(&chain, "getblock", json!(["ab"]));
        assert_eq!(
            (code, message.as_str()),
            (-8, "blockhash must be of length 64 (not 2, for 'ab')")
        );
        assert_eq!(error(&chain, "getblock", json!(["z".repeat(64)])).0, -8);
    }
}
