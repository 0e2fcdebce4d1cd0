//! Why a JSON-RPC method failed.

use std::collections::HashMap;
use std::fmt;

use multiprocess::Error;
use serde_json::Value;

/// Why a JSON-RPC method failed. As an [`Error`], which `?` makes of it, the node's own error is an
/// [`Error::Raised`] with a [`NodeError`].
///
/// ```
/// use bitcoin_ipc::Error;
/// use bitcoin_ipc::rpc::{NodeError, RpcClient, RpcError, code};
///
/// fn height_of(rpc: &RpcClient, hash: &str) -> Result<Option<u32>, RpcError> {
///     match rpc.call::<bitcoin_ipc::rpc::Value>("getblockheader", [hash]).wait() {
///         Err(error) if error.code() == Some(code::INVALID_ADDRESS_OR_KEY) => Ok(None),
///         other => Ok(other?["height"].as_u64().and_then(|height| height.try_into().ok())),
///     }
/// }
/// # let init = bitcoin_ipc::init::InitClient::new(bitcoin_regtest::NodeInit::new(bitcoin_regtest::Chain::regtest()));
/// # let rpc = init.make_rpc().wait().unwrap().unwrap();
/// # assert_eq!(height_of(&rpc, &"00".repeat(32)).unwrap(), None);
/// # let best: String = rpc.call("getbestblockhash", ()).wait().unwrap();
/// # assert_eq!(height_of(&rpc, &best).unwrap(), Some(0));
///
/// let error: Error = RpcError::Node(NodeError::new(code::IN_WARMUP, "Loading block index")).into();
/// assert_eq!(error.raised_as::<NodeError>().map(|error| error.code), Some(code::IN_WARMUP));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RpcError {
    /// The node's own error: the method failed, or there is none of this name.
    Node(NodeError),
    /// The answer is not what the program expects, such as a text where it wants a number.
    #[non_exhaustive]
    Answer {
        /// The method.
        method: String,
        /// What is wrong, with the place in the answer.
        problem: String,
    },
    /// There is no answer: the connection was lost, the time has passed, the node does not have `Rpc`, or the
    /// arguments cannot be sent.
    Call(Error),
}

/// A node's error, in its own words.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct NodeError {
    /// Its number; [`code`](super::code) has names for those of Bitcoin Core. 0 where the node gives none.
    pub code: i64,
    /// What the node says.
    pub message: String,
    /// What else it says; null mostly.
    pub data: Value,
}

impl RpcError {
    /// The number of the node's own error.
    pub fn code(&self) -> Option<i64> {
        match self {
            RpcError::Node(error) => Some(error.code),
            RpcError::Answer { .. } | RpcError::Call(_) => None,
        }
    }
}

impl NodeError {
    /// An error without more data.
    pub fn new(code: i64, message: impl Into<String>) -> NodeError {
        NodeError { code, message: message.into(), data: Value::Null }
    }

    /// From the text of an `error` in an answer, whatever it is.
    pub(super) fn read(text: &str) -> NodeError {
        let parts: HashMap<String, Value> = serde_json::from_str(text).unwrap_or_default();
        let part = |name: &str| parts.get(name).cloned().unwrap_or_default();
        let message = match part("message") {
            Value::String(message) => message,
            _ => format!("an error without a message: {text}"),
        };
        let code = part("code").as_i64().unwrap_or_default();
        NodeError { code, message, data: part("data") }
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)?;
        if self.data.is_null() { Ok(()) } else { write!(f, ": {}", self.data) }
    }
}

/// As `Display`, because an [`Error::Raised`] is shown so.
impl fmt::Debug for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NodeError {}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RpcError::Node(error) => error.fmt(f),
            RpcError::Answer { method, problem } => write!(f, "{method}: {problem}"),
            RpcError::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RpcError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RpcError::Node(error) => Some(error),
            RpcError::Answer { .. } => None,
            RpcError::Call(error) => Some(error),
        }
    }
}

impl From<Error> for RpcError {
    fn from(error: Error) -> RpcError {
        RpcError::Call(error)
    }
}

impl From<RpcError> for Error {
    fn from(error: RpcError) -> Error {
        match error {
            RpcError::Node(error) => Error::raised(error),
            RpcError::Answer { method, problem } => Error::decode(method, problem),
            RpcError::Call(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_a_node_says_is_an_error() {
        let read = |text: &str| NodeError::read(text);
        assert_eq!(read(r#"{"code":-5,"message":"no"}"#), NodeError::new(-5, "no"));
        let whole = read(r#"{"code":-5,"message":"no","data":[1]}"#);
        assert_eq!((&whole.data, whole.to_string().as_str()), (&json!([1]), "no (code -5): [1]"));
        for odd in [r#""broken""#, "{}", r#"{"message":7}"#] {
            let error = read(odd);
            assert_eq!(error.code, 0);
            assert!(error.message.ends_with(odd), "{error}");
        }
    }

    #[test]
    fn as_an_error_of_a_call_it_keeps_what_it_is() {
        let error: Error = RpcError::Node(NodeError::new(-8, "out of range")).into();
        assert_eq!(error.to_string(), "out of range (code -8)");
        assert_eq!(error.raised_as::<NodeError>().unwrap().code, -8);
        let problem = || "not a number".to_owned();
        let error: Error =
            RpcError::Answer { method: "uptime".to_owned(), problem: problem() }.into();
        assert!(matches!(&error, Error::Decode { path, .. } if path == "uptime"), "{error:?}");
        let error: Error = RpcError::Call(Error::Cancelled).into();
        assert!(matches!(error, Error::Cancelled));
    }
}
