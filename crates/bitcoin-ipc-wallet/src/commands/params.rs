//! The arguments of a command, by position or by name.

use std::str::FromStr;

use bitcoin_ipc::bitcoin::Txid;
use bitcoin_ipc::rpc::{Value, code};
use bitcoin_ipc_draft::{CommandError, FeeRate, Passphrase};
use serde_json::Map;
use zeroize::Zeroize;

use super::amount;
use super::reply::fail;

/// Arguments by position; one that is not given is null. They are wiped when they are dropped: some are
/// passphrases.
pub(super) struct Params {
    names: &'static [&'static str],
    values: Vec<Value>,
}

impl Params {
    /// From an array, an object with names, or nothing. `names`: those of the arguments in their order; several
    /// names of one have `|` between them.
    pub(super) fn read(
        names: &'static [&'static str],
        given: Value,
    ) -> Result<Params, CommandError> {
        let values = match given {
            Value::Null => Vec::new(),
            Value::Array(values) => values,
            Value::Object(named) => positional(names, named)?,
            _ => return Err(fail(code::INVALID_REQUEST, "Params must be an array or object")),
        };
        Ok(Params { names, values })
    }

    /// How many there are, up to the last that is given.
    pub(super) fn len(&self) -> usize {
        self.values.iter().rposition(|value| !value.is_null()).map_or(0, |last| last + 1)
    }

    /// How many there are, with nulls at the end.
    pub(super) fn given(&self) -> usize {
        self.values.len()
    }

    /// One that is given and not null.
    pub(super) fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index).filter(|value| !value.is_null())
    }

    fn typed<'a, T>(
        &'a self,
        index: usize,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, CommandError> {
        match self.get(index) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.wrong_type(index, expected)),
        }
    }

    /// A text.
    pub(super) fn text(&self, index: usize) -> Result<Option<&str>, CommandError> {
        self.typed(index, "string", Value::as_str)
    }

    /// A text that has to be there.
    pub(super) fn need_text(&self, index: usize) -> Result<&str, CommandError> {
        self.text(index)?.ok_or_else(|| self.wrong_type(index, "string"))
    }

    /// True or false.
    pub(super) fn flag(&self, index: usize) -> Result<Option<bool>, CommandError> {
        self.typed(index, "bool", Value::as_bool)
    }

    /// A whole number.
    pub(super) fn integer(&self, index: usize) -> Result<Option<i64>, CommandError> {
        let number = self.typed(index, "number", |value| value.as_number())?;
        number
            .map(|number| {
                number.as_i64().ok_or_else(|| fail(code::MISC_ERROR, "JSON integer out of range"))
            })
            .transpose()
    }

    /// A list.
    pub(super) fn array(&self, index: usize) -> Result<Option<&Vec<Value>>, CommandError> {
        self.typed(index, "array", Value::as_array)
    }

    /// What has names.
    pub(super) fn object(&self, index: usize) -> Result<Option<&Map<String, Value>>, CommandError> {
        self.typed(index, "object", Value::as_object)
    }

    /// A fee rate in satoshis for a virtual byte.
    pub(super) fn fee_rate(&self, index: usize) -> Result<Option<FeeRate>, CommandError> {
        self.get(index).map(amount::fee_rate_from_json).transpose()
    }

    /// The id of a transaction, which has to be there.
    pub(super) fn need_txid(&self, index: usize) -> Result<Txid, CommandError> {
        txid(self.need_text(index)?, self.names[index])
    }

    /// A passphrase: its text is taken out of the arguments, so that there is one copy, which is wiped.
    pub(super) fn take_passphrase(&mut self, index: usize) -> Result<Passphrase, CommandError> {
        match self.values.get_mut(index) {
            None | Some(Value::Null) => Ok(Passphrase::default()),
            Some(Value::String(text)) => Ok(Passphrase::from(std::mem::take(text))),
            Some(_) => Err(self.wrong_type(index, "string")),
        }
    }

    fn wrong_type(&self, index: usize, expected: &str) -> CommandError {
        let actual = kind(self.values.get(index).unwrap_or(&Value::Null));
        let (position, name) = (index + 1, first(self.names[index]));
        let text = format!("JSON value of type {actual} is not of expected type {expected}");
        fail(
            code::TYPE_ERROR,
            format!("Wrong type passed:\n{{\n    \"Position {position} ({name})\": \"{text}\"\n}}"),
        )
    }
}

impl Drop for Params {
    fn drop(&mut self) {
        self.values.iter_mut().for_each(wipe);
    }
}

/// Overwrites the texts in a value.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(named) => named.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The id of a transaction; `name` is the argument's, for the error.
pub(super) fn txid(text: &str, name: &str) -> Result<Txid, CommandError> {
    Txid::from_str(text).map_err(|_| {
        let problem = match text.len() {
            64 => format!("{name} must be hexadecimal string (not '{text}')"),
            length => format!("{name} must be of length 64 (not {length}, for '{text}')"),
        };
        fail(code::INVALID_PARAMETER, problem)
    })
}

/// A JSON type as Bitcoin Core calls it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The first of an argument's names.
pub(super) fn first(names: &'static str) -> &'static str {
    names.split('|').next().unwrap_or(names)
}

/// Named arguments by position. `args` has those that are given by position beside them, as Bitcoin Core has it.
fn positional(
    names: &'static [&'static str],
    mut named: Map<String, Value>,
) -> Result<Vec<Value>, CommandError> {
    let mut values = match named.remove("args") {
        None => Vec::new(),
        Some(Value::Array(values)) => values,
        Some(_) => return Err(fail(code::INVALID_PARAMETER, "Parameter args must be an array")),
    };
    for (index, alternatives) in names.iter().enumerate() {
        for name in alternatives.split('|') {
            let Some(value) = named.remove(name) else { continue };
            if values.len() <= index {
                values.resize(index + 1, Value::Null);
            } else if !values[index].is_null() {
                let problem = format!(
                    "Parameter {name} specified twice both as positional and named argument"
                );
                return Err(fail(code::INVALID_PARAMETER, problem));
            }
            values[index] = value;
        }
    }
    match named.keys().next() {
        None => Ok(values),
        Some(name) => {
            let problem = format!("Unknown named parameter {name}");
            named.values_mut().for_each(wipe);
            Err(fail(code::INVALID_PARAMETER, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NAMES: &[&str] = &["address", "amount|value", "verbose"];

    fn error(given: Value) -> String {
        match Params::read(NAMES, given) {
            Ok(_) => panic!("it is read"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn arguments_have_places_or_names() {
        for given in [
            json!(["a", 1.5]),
            json!({ "address": "a", "amount": 1.5 }),
            json!({ "value": 1.5, "args": ["a"] }),
        ] {
            let params = Params::read(NAMES, given).unwrap();
            assert_eq!(params.need_text(0).unwrap(), "a");
            assert_eq!(params.get(1), Some(&json!(1.5)));
            assert_eq!((params.flag(2).unwrap(), params.len()), (None, 2));
        }
        let last = Params::read(NAMES, json!({ "verbose": true })).unwrap();
        assert_eq!(
            (last.flag(2).unwrap(), last.len(), last.text(0).unwrap()),
            (Some(true), 3, None)
        );
        assert_eq!(Params::read(NAMES, Value::Null).unwrap().len(), 0);
        assert_eq!(error(json!({ "adress": "a" })), "Unknown named parameter adress (error -8)");
        let twice = json!({ "args": ["a"], "address": "b" });
        assert!(error(twice).contains("address specified twice"));
        assert!(error(json!("a")).contains("must be an array or object"));
    }

    #[test]
    fn another_type_is_refused_with_its_place() {
        let params = Params::read(NAMES, json!([7, "1", "x"])).unwrap();
        let error = params.text(0).unwrap_err().to_string();
        assert!(error.contains(
            "\"Position 1 (address)\": \"JSON value of type number is not of expected type string\""
        ));
        assert!(params.flag(2).unwrap_err().to_string().contains("Position 3 (verbose)"));
        assert!(params.integer(1).unwrap_err().to_string().contains("not of expected type number"));
        let halves = Params::read(NAMES, json!([0.5])).unwrap();
        assert_eq!(
            halves.integer(0).unwrap_err().to_string(),
            "JSON integer out of range (error -1)"
        );
    }

    #[test]
    fn a_passphrase_is_taken_out() {
        let mut params = Params::read(NAMES, json!(["open sesame"])).unwrap();
        assert_eq!(params.take_passphrase(0).unwrap().as_bytes(), b"open sesame");
        assert_eq!(params.need_text(0).unwrap(), "", "it is not here any more");
        assert!(params.take_passphrase(2).unwrap().is_empty());
    }
}
