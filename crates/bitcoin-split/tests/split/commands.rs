//! JSON-RPC commands that another process answers.

use bitcoin_ipc::rpc::{NodeError, Value, code};
use bitcoin_ipc_draft::CommandError;
use bitcoin_ipc_draft::chain::{
    ActorCallbackCallResults, ActorCallbackClient, JsonRpcRequest, RpcArg, RpcCommand,
};
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_split::rpc;
use multiprocess::Result;
use serde_json::json;

use crate::support::{Served, serve, wait_until};

/// Registers a command that answers as `run` says.
fn register(
    served: &Served,
    name: &str,
    args: &[(&str, bool)],
    run: impl Fn(JsonRpcRequest, bool) -> Result<ActorCallbackCallResults> + Send + Sync + 'static,
) -> HandlerClient {
    let actor = ActorCallbackClient::from_fn(move |request, _response, last| run(request, last));
    let arg =
        |(name, named_only): &(&str, bool)| RpcArg::default().name(*name).named_only(*named_only);
    let command = RpcCommand::default().category("wallet").name(name).actor(actor);
    let command = command.arg_names(args.iter().map(arg).collect());
    served.chain.handle_rpc(command).wait().unwrap().unwrap()
}

fn answer(value: Value) -> Result<ActorCallbackCallResults> {
    Ok(ActorCallbackCallResults::new(value).result(true))
}

fn execute(served: &Served, name: &str, params: Value) -> Result<Value, CommandError> {
    served.node.commands().execute(name, params, "/wallet/a", "alice").unwrap()
}

/// The answer of the node's JSON-RPC.
fn ask(served: &Served, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let text = rpc::execute(&served.node, &request.to_string(), "/wallet/a", "alice");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn parameters_come_by_their_places_or_by_name() {
    let served = serve();
    let args = [
        ("address|to", false),
        ("amount", false),
        ("comment", false),
        ("fee", true),
        ("options", false),
    ];
    let _handler = register(&served, "send", &args, |request, last| {
        assert!(last);
        assert_eq!((request.uri.as_str(), request.auth_user.as_str()), ("/wallet/a", "alice"));
        assert_eq!((request.method.as_str(), request.mode), ("send", 0));
        answer(request.params)
    });
    let gives = |params: Value| execute(&served, "send", params);
    assert_eq!(gives(json!(["x", 1])), Ok(json!(["x", 1])));
    assert_eq!(gives(json!({ "amount": 1, "address": "x" })), Ok(json!(["x", 1])));
    assert_eq!(gives(json!({ "to": "x" })), Ok(json!(["x"])), "another name of the same");
    assert_eq!(gives(json!({ "comment": "c" })), Ok(json!([null, null, "c"])));
    assert_eq!(gives(json!({})), Ok(json!([])));
    let options = json!([null, null, null, { "fee": 3 }]);
    assert_eq!(gives(json!({ "fee": 3 })), Ok(options));
    assert_eq!(gives(json!({ "args": ["x"], "comment": "c" })), Ok(json!(["x", null, "c"])));
    let refused = |params: Value, text: &str| {
        let error = NodeError::new(code::INVALID_PARAMETER, text);
        assert_eq!(gives(params), Err(CommandError::Rpc(error)));
    };
    refused(json!({ "adress": "x" }), "Unknown named parameter adress");
    refused(json!({ "fee": 3, "options": {} }), "Parameter options conflicts with parameter fee");
    let twice = "Parameter address|to specified twice both as positional and named argument";
    refused(json!({ "args": ["x"], "address": "y" }), twice);
}

#[test]
fn each_kind_of_error_comes_back() {
    let served = serve();
    let _handler = register(&served, "fail", &[("how", false)], |request, _| {
        let mut with_data = NodeError::new(code::WALLET_INSUFFICIENT_FUNDS, "no money");
        with_data.data = json!({ "missing": 7 });
        let error = match request.params[0].as_str() {
            Some("failed") => CommandError::Failed("bad alloc".to_owned()),
            Some("rpc") => CommandError::Rpc(with_data),
            Some("type") => CommandError::Type("not a number".to_owned()),
            _ => CommandError::Help("fail \"how\"\n\nFails.\n".to_owned()),
        };
        Err(error.into())
    });
    let fails = |how: &str| execute(&served, "fail", json!([how])).unwrap_err();
    assert_eq!(fails("failed"), CommandError::Failed("bad alloc".to_owned()));
    assert_eq!(fails("type"), CommandError::Type("not a number".to_owned()));
    assert_eq!(fails("help"), CommandError::Help("fail \"how\"\n\nFails.\n".to_owned()));
    let error = |how: &str| ask(&served, "fail", json!([how]))["error"].take();
    let rpc = json!({ "code": -6, "message": "no money", "data": { "missing": 7 } });
    assert_eq!(error("rpc"), rpc);
    assert_eq!(error("failed"), json!({ "code": -1, "message": "bad alloc" }));
    assert_eq!(error("type"), json!({ "code": -3, "message": "not a number" }));
    assert_eq!(error("help"), json!({ "code": -1, "message": "fail \"how\"\n\nFails.\n" }));
}

#[test]
fn several_of_one_name_are_asked_in_turn() {
    let served = serve();
    let leaves = |_: JsonRpcRequest, last: bool| {
        assert!(!last);
        Ok(ActorCallbackCallResults::new(Value::Null))
    };
    let _first = register(&served, "get", &[], leaves);
    let not_mine = || NodeError::new(code::WALLET_NOT_FOUND, "no such wallet");
    let _second = register(&served, "get", &[], move |_, last| {
        assert!(!last);
        Err(CommandError::Rpc(not_mine()).into())
    });
    let _third = register(&served, "get", &[], |_, last| {
        assert!(last);
        answer(json!("third"))
    });
    assert_eq!(execute(&served, "get", json!([])), Ok(json!("third")));
    assert_eq!(served.node.commands().names(), ["get"]);
}

#[test]
fn the_last_ones_error_counts_and_nobody_is_an_unknown_method() {
    let served = serve();
    let not_mine = NodeError::new(code::WALLET_NOT_FOUND, "no such wallet");
    let error = CommandError::Rpc(not_mine);
    let raised = error.clone();
    let _one = register(&served, "get", &[], move |_, _| Err(raised.clone().into()));
    assert_eq!(execute(&served, "get", json!([])), Err(error));
    let none = |_: JsonRpcRequest, _: bool| Ok(ActorCallbackCallResults::new(Value::Null));
    let _two = register(&served, "nobody", &[], none);
    assert!(served.node.commands().execute("nobody", json!([]), "", "").is_none());
    assert_eq!(ask(&served, "nobody", json!([]))["error"]["code"], code::METHOD_NOT_FOUND);
    assert!(served.node.commands().execute("unknown", json!([]), "", "").is_none());
}

#[test]
fn a_command_goes_with_its_handler_and_with_its_connection() {
    let served = serve();
    let names = || served.node.commands().names();
    let first = register(&served, "first", &[], |_, _| answer(json!(1)));
    let second = register(&served, "second", &[], |_, _| answer(json!(2)));
    let _third = register(&served, "third", &[], |_, _| answer(json!(3)));
    assert_eq!(names(), ["first", "second", "third"]);
    first.disconnect().wait().unwrap();
    assert_eq!(names(), ["second", "third"]);
    second.close().wait().unwrap();
    assert_eq!(names(), ["third"]);
    assert_eq!(execute(&served, "third", json!([])), Ok(json!(3)));
    served.wallet.disconnect();
    wait_until("it is gone with its connection", || names().is_empty());
}

#[test]
fn the_loss_of_the_process_during_a_call_is_told() {
    let served = serve();
    let wallet = served.wallet.clone();
    let _handler = register(&served, "die", &[], move |_, _| {
        wallet.disconnect();
        answer(json!(1))
    });
    let error = execute(&served, "die", json!([])).unwrap_err();
    let CommandError::Rpc(error) = error else { panic!("{error}") };
    assert_eq!(error.code, code::MISC_ERROR);
    assert!(error.message.contains("the process that answers die is gone"), "{error}");
}

#[test]
fn what_a_lost_process_may_have_done_is_not_done_again_by_another() {
    let served = serve();
    let lost = || multiprocess::Error::disconnected("killed");
    let _old = register(&served, "send", &[], move |_, _| Err(lost()));
    let _new = register(&served, "send", &[], |_, _| panic!("a second payment"));
    let error = execute(&served, "send", json!([])).unwrap_err().to_string();
    assert!(error.contains("is gone, and may have done it: look when it is back"), "{error}");
}

#[test]
fn requests_and_help_reach_the_chain_and_the_other_process() {
    let served = serve();
    served.mine(3);
    let _handler =
        register(&served, "getbalance", &[("minconf", false)], |request, _| match request.mode {
            0 => answer(json!([request.params, request.uri])),
            1 => Err(CommandError::Help("getbalance ( minconf )\n\nThe money.\n".into()).into()),
            mode => panic!("mode {mode}"),
        });
    assert_eq!(ask(&served, "getblockcount", json!([]))["result"], 3);
    assert_eq!(
        ask(&served, "getbalance", json!({ "minconf": 1 }))["result"],
        json!([[1], "/wallet/a"])
    );
    assert_eq!(ask(&served, "nothing", json!([]))["error"]["code"], code::METHOD_NOT_FOUND);
    let batch = r#"[{"method":"getbalance","id":1},{"method":"getblockcount","id":2}]"#;
    let answers: Value = serde_json::from_str(&rpc::execute(&served.node, batch, "", "")).unwrap();
    assert_eq!((&answers[0]["result"], &answers[1]["result"]), (&json!([[], ""]), &json!(3)));

    let help = ask(&served, "help", json!([]))["result"].take();
    let help = help.as_str().unwrap();
    assert!(help.contains("\ngetblockcount\n"), "{help}");
    assert!(help.ends_with("\n\n== Wallet ==\ngetbalance ( minconf )"), "{help}");
    let one = ask(&served, "help", json!(["getbalance"]))["result"].take();
    assert_eq!(one, "getbalance ( minconf )\n\nThe money.\n");
    let other = ask(&served, "help", json!({ "command": "getblockhash" }))["result"].take();
    assert!(other.as_str().unwrap().starts_with("getblockhash height\n"));
    assert_eq!(ask(&served, "help", json!([7]))["error"]["code"], code::TYPE_ERROR);
}
