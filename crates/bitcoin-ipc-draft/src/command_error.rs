//! The errors of JSON-RPC methods that another process answers.

use std::fmt;

use bitcoin_ipc::rpc::{NodeError, Value};
use multiprocess::Error;
use serde_json::json;

use crate::chain::HelpResult;

/// How a JSON-RPC method fails that an [`ActorCallback`](crate::chain::ActorCallback) answers. `executeRpc` of a
/// [`Node`](crate::node::Node) has the first two.
///
/// ```
/// use bitcoin_ipc::rpc::{NodeError, code};
/// use bitcoin_ipc_draft::CommandError;
/// use multiprocess::Error;
///
/// // The answering side returns an `Error`, which `?` and `into` make of it.
/// let error: Error = CommandError::Rpc(NodeError::new(code::INVALID_PARAMETER, "no such label")).into();
/// // The asking side.
/// let Ok(CommandError::Rpc(told)) = CommandError::try_from(error) else { unreachable!() };
/// assert_eq!((told.code, told.message.as_str()), (code::INVALID_PARAMETER, "no such label"));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CommandError {
    /// It failed for a reason of its own (std::exception).
    Failed(String),
    /// An error with a number, which the client gets as it is (UniValue).
    Rpc(NodeError),
    /// An argument has another type than the method takes (UniValue::type_error).
    Type(String),
    /// The method's help, which was asked for, or is due because the number of arguments is wrong (HelpResult).
    Help(String),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Rpc(error) => write!(f, "{} (error {})", error.message, error.code),
            CommandError::Failed(text) | CommandError::Type(text) | CommandError::Help(text) => {
                f.write_str(text)
            }
        }
    }
}

impl std::error::Error for CommandError {}

/// For a method to return.
impl From<CommandError> for Error {
    fn from(error: CommandError) -> Error {
        match error {
            CommandError::Failed(text) => Error::raised_in("error", text),
            CommandError::Rpc(error) => Error::raised_in("rpcError", text_of(&error)),
            CommandError::Type(text) => Error::raised_in("typeError", text),
            CommandError::Help(message) => {
                Error::raised_in("helpResult", HelpResult::default().message(message))
            }
        }
    }
}

/// What a call came back with. An error that is none of these, such as a lost connection, stays what it is.
impl TryFrom<Error> for CommandError {
    type Error = Error;

    fn try_from(error: Error) -> Result<CommandError, Error> {
        let Error::Raised(raised) = &error else { return Err(error) };
        if let Some(help) = raised.get::<HelpResult>() {
            return Ok(CommandError::Help(help.message.clone()));
        }
        match (raised.result(), raised.get::<String>()) {
            (Some("error"), Some(text)) => Ok(CommandError::Failed(text.clone())),
            (Some("rpcError"), Some(text)) => Ok(CommandError::Rpc(read(text))),
            (Some("typeError"), Some(text)) => Ok(CommandError::Type(text.clone())),
            _ => Err(error),
        }
    }
}

/// The JSON of an error.
fn text_of(error: &NodeError) -> String {
    let mut json = json!({ "code": error.code, "message": error.message });
    if !error.data.is_null() {
        json["data"] = error.data.clone();
    }
    json.to_string()
}

/// An error from its JSON. What lacks a number or a message has 0 or the whole text for it.
fn read(text: &str) -> NodeError {
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let message = json["message"].as_str().unwrap_or(text);
    let mut error = NodeError::new(json["code"].as_i64().unwrap_or(0), message);
    error.data = json["data"].clone();
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_comes_back_as_it_was() {
        let mut with_data = NodeError::new(-4, "broken \"disk\"");
        with_data.data = json!({ "path": "/a" });
        for error in [
            CommandError::Failed("bad alloc".to_owned()),
            CommandError::Rpc(NodeError::new(-8, "no such label")),
            CommandError::Rpc(with_data),
            CommandError::Type("JSON value of type string is not a number".to_owned()),
            CommandError::Help("getbalance\n".to_owned()),
        ] {
            let sent = Error::from(error.clone());
            assert_eq!(CommandError::try_from(sent).unwrap(), error);
        }
    }

    #[test]
    fn other_errors_stay_what_they_are() {
        let lost = CommandError::try_from(Error::failed("lost")).unwrap_err();
        assert!(lost.to_string().contains("lost"), "{lost}");
        for other in [Error::raised("text".to_owned()), Error::raised_in("denied", String::new())] {
            assert!(CommandError::try_from(other).is_err());
        }
        let number = Error::raised_in("rpcError", 7);
        assert!(CommandError::try_from(number).is_err());
    }

    #[test]
    fn an_error_without_its_parts_is_read() {
        for (text, code, message) in [
            (r#"{"code":-5,"message":"no"}"#, -5, "no"),
            (r#"{"message":"no"}"#, 0, "no"),
            (r#"{"code":-5}"#, -5, r#"{"code":-5}"#),
            ("\"text\"", 0, "\"text\""),
            ("broken", 0, "broken"),
        ] {
            let error = CommandError::try_from(Error::raised_in("rpcError", text.to_owned()));
            assert_eq!(error.unwrap(), CommandError::Rpc(NodeError::new(code, message)), "{text}");
        }
    }
}
