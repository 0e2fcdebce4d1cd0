//! A call of a JSON-RPC method.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use multiprocess::{Call, Error};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::result_of;
use super::{RpcClient, RpcError};

impl RpcClient {
    /// A call of a method, which is made when it is waited for or awaited. Its result is deserialized into an
    /// `R`.
    ///
    /// `params` is what serializes into an array (a tuple, a list), into an object (a struct, a map) for
    /// arguments by name, or into nothing (`()`).
    pub fn call<R: DeserializeOwned>(&self, method: &str, params: impl Serialize) -> RpcCall<R> {
        RpcEndpoint::new(self).call(method, params)
    }

    /// The methods of a wallet that the node has loaded. Its name may be empty, as that of Bitcoin Core's first
    /// wallets.
    ///
    /// ```
    /// use bitcoin_ipc::rpc::{RpcClient, RpcError};
    ///
    /// fn balance(rpc: &RpcClient) -> Result<f64, RpcError> {
    ///     rpc.wallet("savings").call("getbalance", ()).wait()
    /// }
    /// ```
    pub fn wallet(&self, name: &str) -> RpcEndpoint {
        RpcEndpoint::new(self).wallet(name)
    }

    /// The same methods in the name of a user, which the node logs and looks up in its `-rpcwhitelist`.
    pub fn user(&self, user: impl Into<String>) -> RpcEndpoint {
        RpcEndpoint::new(self).user(user)
    }
}

/// Where calls go and in whose name, from [`RpcClient::wallet`] and [`RpcClient::user`].
#[derive(Debug, Clone)]
pub struct RpcEndpoint {
    rpc: RpcClient,
    uri: String,
    user: String,
}

impl RpcEndpoint {
    fn new(rpc: &RpcClient) -> RpcEndpoint {
        RpcEndpoint { rpc: rpc.clone(), uri: "/".to_owned(), user: String::new() }
    }

    /// As [`RpcClient::wallet`].
    pub fn wallet(mut self, name: &str) -> RpcEndpoint {
        self.uri = wallet_uri(name);
        self
    }

    /// As [`RpcClient::user`].
    pub fn user(mut self, user: impl Into<String>) -> RpcEndpoint {
        self.user = user.into();
        self
    }

    /// As [`RpcClient::call`].
    pub fn call<R: DeserializeOwned>(&self, method: &str, params: impl Serialize) -> RpcCall<R> {
        let call = request(method, params)
            .map(|request| self.rpc.execute_rpc(request, self.uri.as_str(), self.user.as_str()));
        RpcCall { method: method.to_owned(), call: call.map_err(Some), result: PhantomData }
    }
}

/// A call of a JSON-RPC method, from [`RpcClient::call`]: for [`wait`](Self::wait) on a thread or `.await` on any
/// executor. As for any [`Call`], nothing is sent before, and dropping it cancels it; the node may run the
/// method to its end nevertheless.
#[must_use = "a call is made by waiting for it: use .wait() or .await"]
pub struct RpcCall<R> {
    method: String,
    /// Or why it cannot be made; none once that was told.
    call: Result<Call<String>, Option<RpcError>>,
    result: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> RpcCall<R> {
    /// Makes the call and blocks until its answer arrives.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub fn wait(self) -> Result<R, RpcError> {
        match self.call {
            Ok(call) => result_of(&self.method, &call.wait()?),
            Err(error) => Err(told(error)),
        }
    }

    /// Bounds the call, as [`Call::timeout`] does: with [`Error::Timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call = self.call.map(|call| call.timeout(timeout));
        self
    }
}

impl<R: DeserializeOwned> Future for RpcCall<R> {
    type Output = Result<R, RpcError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let RpcCall { method, call, .. } = self.get_mut();
        Poll::Ready(match call {
            Ok(call) => {
                let answer = ready!(Pin::new(call).poll(context));
                answer.map_err(RpcError::Call).and_then(|answer| result_of(method, &answer))
            }
            Err(error) => Err(told(error.take())),
        })
    }
}

impl<R> fmt::Debug for RpcCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RpcCall({})", self.method)
    }
}

fn told(error: Option<RpcError>) -> RpcError {
    error.unwrap_or_else(|| misuse("this call was polled after it had ended".to_owned()))
}

/// The text of a request.
fn request(method: &str, params: impl Serialize) -> Result<String, RpcError> {
    let params = serde_json::to_value(params)
        .map_err(|problem| misuse(format!("the arguments of {method} are no JSON: {problem}")))?;
    let params = match params {
        Value::Null => Value::Array(Vec::new()),
        Value::Array(_) | Value::Object(_) => params,
        one => {
            return Err(misuse(format!(
                "the arguments of {method} must be a list or have names: instead of {one} give [{one}]"
            )));
        }
    };
    Ok(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string())
}

fn misuse(problem: String) -> RpcError {
    RpcError::Call(Error::misuse(problem))
}

/// The path of a wallet's endpoint. The node decodes what is escaped.
fn wallet_uri(name: &str) -> String {
    use fmt::Write;

    let mut uri = "/wallet/".to_owned();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                uri.push(char::from(byte));
            }
            // Writing to a String never fails.
            other => drop(write!(uri, "%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_a_list_or_have_names() {
        #[derive(Serialize)]
        struct Named {
            height: u32,
        }
        fn params(params: impl Serialize) -> Value {
            let text = request("m", params).unwrap();
            let mut request: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&request["method"], &request["jsonrpc"]), (&json!("m"), &json!("2.0")));
            request["params"].take()
        }
        assert_eq!(params(()), json!([]));
        assert_eq!(params((1, "a")), json!([1, "a"]));
        assert_eq!(params([1]), json!([1]));
        assert_eq!(params(Named { height: 3 }), json!({ "height": 3 }));
        assert_eq!(params(json!({})), json!({}));
        let error = request("getblockhash", 7).unwrap_err();
        assert!(matches!(error, RpcError::Call(Error::ApiMisuse { .. })), "{error:?}");
        assert!(error.to_string().contains("instead of 7 give [7]"), "{error}");
        let error = request("m", std::collections::HashMap::from([(vec![1], 1)])).unwrap_err();
        assert!(error.to_string().contains("the arguments of m are no JSON"), "{error}");
    }

    #[test]
    fn wallets_have_escaped_names() {
        assert_eq!(wallet_uri(""), "/wallet/");
        assert_eq!(wallet_uri("a-b_c.d~9"), "/wallet/a-b_c.d~9");
        assert_eq!(wallet_uri("my wallet/ä%?"), "/wallet/my%20wallet%2F%C3%A4%25%3F");
    }
}
