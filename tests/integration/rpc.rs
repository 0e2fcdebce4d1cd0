//! JSON-RPC over a connection.

use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use bitcoin_ipc::Error;
use bitcoin_ipc::init::{Init, InitClient};
use bitcoin_ipc::rpc::{NodeError, Rpc, RpcClient, RpcError, Value, code};
use bitcoin_regtest::{Chain, NodeInit};
use futures_executor::block_on;
use multiprocess::Connection;

/// The Rpc of a node, and the node's side of the connection.
fn connect(init: InitClient) -> (RpcClient, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let node = Connection::builder().serve(init).start(theirs).unwrap();
    let init: InitClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    (init.make_rpc().wait().unwrap().unwrap(), node)
}

fn regtest() -> (RpcClient, Connection) {
    connect(InitClient::new(NodeInit::new(Chain::regtest())))
}

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Info {
    chain: String,
    blocks: u32,
}

#[derive(serde::Serialize)]
struct ByName {
    height: u32,
}

#[test]
fn results_are_whatever_they_are_read_into() {
    let (rpc, _node) = regtest();
    let info: Info = rpc.call("getblockchaininfo", ()).wait().unwrap();
    assert_eq!(info, Info { chain: "regtest".to_owned(), blocks: 0 });
    let info: Value = block_on(rpc.call("getblockchaininfo", ())).unwrap();
    assert_eq!(info["chain"], "regtest");
    let best: String = rpc.call("getbestblockhash", ()).wait().unwrap();
    let hash: bitcoin_ipc::bitcoin::BlockHash = best.parse().unwrap();
    let by_place: String = rpc.call("getblockhash", (0,)).wait().unwrap();
    let by_name: String = block_on(rpc.call("getblockhash", ByName { height: 0 })).unwrap();
    assert_eq!((by_place, by_name), (hash.to_string(), hash.to_string()));
    let echoed: Vec<Value> = rpc.call("echo", (1, "two", [3])).wait().unwrap();
    assert_eq!(Value::from(echoed).to_string(), r#"[1,"two",[3]]"#);
}

#[test]
fn results_have_the_types_of_a_crate_for_them() {
    use bitcoin_ipc::rpc::types::v30;

    let (rpc, _node) = regtest();
    let info: v30::GetBlockchainInfo = rpc.call("getblockchaininfo", ()).wait().unwrap();
    let info = info.into_model().unwrap();
    assert_eq!(info.chain, bitcoin_ipc::bitcoin::Network::Regtest);
    let hash: v30::GetBlockHash = rpc.call("getblockhash", [0]).wait().unwrap();
    assert_eq!(hash.into_model().unwrap().0, info.best_block_hash);
}

#[test]
fn errors_have_their_code() {
    let (rpc, _node) = regtest();
    let error = rpc.call::<Value>("nope", ()).wait().unwrap_err();
    assert_eq!(error.code(), Some(code::METHOD_NOT_FOUND));
    assert_eq!(error.to_string(), "Method not found (code -32601)");
    let error = block_on(rpc.call::<Value>("getblockhash", [7])).unwrap_err();
    assert_eq!(error.code(), Some(code::INVALID_PARAMETER));
    // Kept where the program has one kind of error.
    let error = Error::from(error);
    assert_eq!(error.raised_as::<NodeError>().unwrap().code, code::INVALID_PARAMETER);
    let error = rpc.call::<u32>("getbestblockhash", ()).wait().unwrap_err();
    assert!(matches!(&error, RpcError::Answer { method, .. } if method == "getbestblockhash"));
    assert_eq!(error.code(), None);
}

/// An Rpc that tells what it gets, and answers only where there is an answer.
struct Asked(mpsc::Sender<[String; 3]>);

impl Rpc for Asked {
    fn execute_rpc(
        &self,
        request: String,
        uri: String,
        user: String,
    ) -> bitcoin_ipc::Result<String> {
        let request: Value = serde_json::from_str(&request).unwrap();
        let slow = request["method"] == "slow";
        self.0.send([request.to_string(), uri, user]).unwrap();
        if slow {
            let token = multiprocess::current_call().unwrap().cancel_token();
            let (cancelled, wait) = mpsc::channel();
            token.on_cancel(move || cancelled.send(()).unwrap());
            let _ = wait.recv_timeout(crate::LONG);
        }
        Ok(r#"{"jsonrpc":"2.0","result":0.12345678,"id":1}"#.to_owned())
    }
}

struct AskedInit(mpsc::Sender<[String; 3]>);

impl Init for AskedInit {
    fn make_rpc(&self) -> bitcoin_ipc::Result<Option<RpcClient>> {
        Ok(Some(RpcClient::new(Asked(self.0.clone()))))
    }
}

fn asked() -> (RpcClient, mpsc::Receiver<[String; 3]>, Connection) {
    let (tell, asked) = mpsc::channel();
    let (rpc, node) = connect(InitClient::new(AskedInit(tell)));
    (rpc, asked, node)
}

#[test]
fn wallets_have_a_uri_and_users_a_name() {
    let (rpc, asked, _node) = asked();
    let balance: f64 = rpc.wallet("my savings").call("getbalance", ["*"]).wait().unwrap();
    assert_eq!(balance, 0.123_456_78);
    let request = r#"{"id":1,"jsonrpc":"2.0","method":"getbalance","params":["*"]}"#;
    let got = asked.recv().unwrap();
    assert_eq!(got, [request, "/wallet/my%20savings", ""].map(str::to_owned));
    let _: Value = rpc.call("uptime", ()).wait().unwrap();
    assert_eq!(asked.recv().unwrap()[1..], ["/".to_owned(), String::new()]);
    let _: Value = rpc.user("alice").wallet("").call("uptime", ()).wait().unwrap();
    assert_eq!(asked.recv().unwrap()[1..], ["/wallet/", "alice"].map(str::to_owned));
}

#[test]
fn a_call_that_takes_too_long_is_a_timeout() {
    let (rpc, asked, _node) = asked();
    let short = Duration::from_millis(20);
    let error = rpc.call::<Value>("slow", ()).timeout(short).wait().unwrap_err();
    assert!(matches!(&error, RpcError::Call(Error::Timeout(_))), "{error:?}");
    let error = block_on(rpc.call::<Value>("slow", ()).timeout(short)).unwrap_err();
    assert!(matches!(&error, RpcError::Call(Error::Timeout(_))), "{error:?}");
    assert_eq!(asked.iter().take(2).count(), 2);
}

#[test]
fn nothing_is_sent_before_it_is_waited_for_or_with_wrong_arguments() {
    let (rpc, asked, _node) = asked();
    drop(rpc.call::<Value>("uptime", ()));
    let error = rpc.call::<Value>("uptime", 7).wait().unwrap_err();
    assert!(matches!(&error, RpcError::Call(Error::ApiMisuse { .. })), "{error:?}");
    let mut call = rpc.call::<Value>("uptime", "seven");
    let error = block_on(&mut call).unwrap_err();
    assert!(error.to_string().contains("must be a list or have names"), "{error}");
    let error = block_on(&mut call).unwrap_err();
    assert!(error.to_string().contains("polled after it had ended"), "{error}");
    assert!(asked.try_recv().is_err());
}
