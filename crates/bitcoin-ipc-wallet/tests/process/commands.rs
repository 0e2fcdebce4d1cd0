//! What each JSON-RPC command answers: the fields of Bitcoin Core's, and its errors.

use std::str::FromStr;

use bitcoin_ipc::bitcoin::{Address, Network, PublicKey};
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::CommandError;
use serde_json::json;

use super::split::Node;

const OTHER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// The names of a value's fields.
fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect()
}

/// A node with a wallet `a` that has 50 bitcoins.
fn rich(dir: &tempfile::TempDir) -> (Node, super::split::Process) {
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!(["a"]));
    node.mine(1, &node.address().script_pubkey());
    node.mine_empty(100);
    (node, process)
}

#[test]
fn commands_that_make_and_load_wallets() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let _process = node.start();
    let error = |name, params| node.error("/", name, params);
    assert_eq!(error("getbalance", json!([])).0, -18);
    let warned = node.call("createwallet", json!({ "wallet_name": "a", "passphrase": "" }));
    assert_eq!(
        warned["warnings"][0],
        json!("Empty string given as passphrase, wallet will not be encrypted.")
    );
    assert_eq!(error("createwallet", json!(["a"])).0, -36);
    assert_eq!(error("createwallet", json!(["../a"])).0, -8);
    assert_eq!(error("createwallet", json!({ "wallet_name": "b", "descriptors": false })).0, -4);
    assert_eq!(error("createwallet", json!({ "wallet_name": "b", "blank": true })).0, -4);
    assert_eq!(error("createwallet", json!([7])).0, -3);
    assert_eq!(error("loadwallet", json!(["a"])).0, -35);
    assert_eq!(error("loadwallet", json!(["none"])).0, -18);

    let info = node.call("getwalletinfo", json!([]));
    for field in [
        "walletname",
        "walletversion",
        "format",
        "txcount",
        "keypoolsize",
        "private_keys_enabled",
        "avoid_reuse",
        "scanning",
        "descriptors",
        "external_signer",
        "blank",
        "flags",
        "lastprocessedblock",
    ] {
        assert!(info.get(field).is_some(), "{field}");
    }
    assert_eq!((&info["walletname"], &info["format"]), (&json!("a"), &json!("sqlite")));
    assert_eq!(info["flags"], json!(["descriptor_wallet"]));
    assert_eq!(info.get("unlocked_until"), None);

    let copy = dir.path().join("copy.sqlite");
    let copy = copy.to_str().unwrap();
    let address = node.call("getnewaddress", json!(["mine"]));
    assert_eq!(node.call("backupwallet", json!([copy])), Value::Null);
    assert_eq!(
        error("restorewallet", json!(["b", "/none"])),
        (-8, "Backup file does not exist".to_owned())
    );
    assert_eq!(error("restorewallet", json!(["a", copy])).0, -36);
    assert_eq!(node.call("restorewallet", json!(["b", copy])), json!({ "name": "b" }));
    let restored = node.call_at("/wallet/b", "getaddressinfo", json!([address]));
    assert_eq!((&restored["ismine"], &restored["labels"]), (&json!(true), &json!(["mine"])));

    assert_eq!(node.call("listwallets", json!([])), json!(["a", "b"]));
    assert_eq!(error("unloadwallet", json!([])).0, -8);
    let of_path = node.try_call("/wallet/a", "unloadwallet", json!(["b"]));
    assert!(of_path.unwrap_err().to_string().contains("specify different wallets"));
    assert_eq!(node.call_at("/wallet/a", "unloadwallet", json!([])), json!({}));
    assert_eq!(error("unloadwallet", json!(["a"])).0, -18);
    let loaded = node.call("loadwallet", json!(["a", true]));
    assert_eq!(loaded, json!({ "name": "a" }));
    assert_eq!(node.split.settings().rw("wallet"), json!(["b", "a"]));
}

#[test]
fn commands_about_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _process) = rich(&dir);
    let error = |name, params| node.error("/", name, params);
    let address = node.call("getnewaddress", json!(["rent"]));
    let info = node.call("getaddressinfo", json!([address]));
    assert_eq!(
        fields(&info),
        [
            "address",
            "desc",
            "hdkeypath",
            "hdmasterfingerprint",
            "ischange",
            "ismine",
            "isscript",
            "iswatchonly",
            "iswitness",
            "labels",
            "parent_desc",
            "pubkey",
            "scriptPubKey",
            "solvable",
            "witness_program",
            "witness_version",
        ]
    );
    assert_eq!((&info["ismine"], &info["ischange"]), (&json!(true), &json!(false)));
    assert!(info["hdkeypath"].as_str().unwrap().starts_with("m/84"), "{info}");
    let foreign = node.call("getaddressinfo", json!([OTHER]));
    assert_eq!((&foreign["ismine"], &foreign["labels"]), (&json!(false), &json!([])));
    assert_eq!(foreign.get("pubkey"), None);

    assert_eq!(node.call("setlabel", json!([OTHER, "Alice"])), Value::Null);
    assert_eq!(
        node.call("getaddressesbylabel", json!(["Alice"])),
        json!({ OTHER: { "purpose": "send" } })
    );
    assert_eq!(node.call("listlabels", json!([])), json!(["", "Alice", "rent"]));
    assert_eq!(node.call("listlabels", json!(["send"])), json!(["Alice"]));
    assert_eq!(error("getaddressesbylabel", json!(["none"])).0, -11);
    assert_eq!(error("setlabel", json!([OTHER, "*"])).0, -11);
    assert_eq!(error("listlabels", json!(["x"])).0, -8);
    assert_eq!(error("getaddressinfo", json!(["x"])).0, -5);
    let main = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let (code, text) = error("getaddressinfo", json!([main]));
    assert!(code == -5 && text.contains("another network than regtest"), "{text}");
    assert_eq!(error("getnewaddress", json!(["", "round"])).0, -5);
    assert_eq!(error("getnewaddress", json!(["", "legacy"])).0, -4);
}

#[test]
fn commands_about_coins() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _process) = rich(&dir);
    let error = |name, params| node.error("/", name, params);
    let listed = node.call("listunspent", json!([]));
    assert_eq!(
        fields(&listed[0]),
        [
            "address",
            "amount",
            "confirmations",
            "desc",
            "label",
            "parent_descs",
            "safe",
            "scriptPubKey",
            "solvable",
            "spendable",
            "txid",
            "vout",
        ]
    );
    assert_eq!((&listed[0]["amount"], &listed[0]["confirmations"]), (&json!(50.0), &json!(101)));
    let none = [
        json!({ "minconf": 102 }),
        json!({ "maxconf": 100 }),
        json!({ "addresses": [OTHER] }),
        json!({ "query_options": { "minimumAmount": "50.00000001" } }),
        json!({ "query_options": { "maximumAmount": 49 } }),
    ];
    for params in none {
        assert_eq!(node.call("listunspent", params.clone()), json!([]), "{params}");
    }
    assert_eq!(error("listunspent", json!({ "query_options": { "x": 1 } })).0, -8);
    assert_eq!(error("listunspent", json!({ "addresses": [OTHER, OTHER] })).0, -8);

    let coin = json!({ "txid": listed[0]["txid"], "vout": listed[0]["vout"] });
    assert_eq!(node.call("lockunspent", json!([false, [coin]])), json!(true));
    assert_eq!(node.call("listlockunspent", json!([])), json!([coin]));
    assert_eq!(node.call("listunspent", json!([])), json!([]));
    assert_eq!(
        error("lockunspent", json!([false, [coin]])).1,
        "Invalid parameter, output already locked"
    );
    assert_eq!(error("sendtoaddress", json!([OTHER, 1])).0, -6);
    assert_eq!(node.call("lockunspent", json!([true])), json!(true));
    assert_eq!(node.call("listlockunspent", json!([])), json!([]));
    assert_eq!(
        error("lockunspent", json!([true, [coin]])).1,
        "Invalid parameter, expected locked output"
    );
    let beyond = json!({ "txid": listed[0]["txid"], "vout": 9 });
    assert_eq!(
        error("lockunspent", json!([false, [beyond]])).1,
        "Invalid parameter, vout index out of bounds"
    );
    let unknown = json!({ "txid": "00".repeat(32), "vout": 0 });
    assert_eq!(
        error("lockunspent", json!([false, [unknown]])).1,
        "Invalid parameter, unknown transaction"
    );
    assert_eq!(error("lockunspent", json!([false, [{ "txid": "00" }]])).0, -8);
}

#[test]
fn commands_about_transactions() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _process) = rich(&dir);
    let error = |name, params| node.error("/", name, params);
    let own = node.address().to_string();
    let sent = node.call("sendtoaddress", json!([OTHER, 1]));
    node.mine_empty(1);
    let to_itself = node.call("sendtoaddress", json!([own, 2]));
    let listed = node.call("listtransactions", json!([]));
    let rows: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["category"].as_str().unwrap(), row["amount"].as_f64().unwrap()))
        .collect();
    assert_eq!(rows, [("generate", 50.0), ("send", -1.0), ("send", -2.0), ("receive", 2.0)]);
    assert_eq!(
        fields(&listed[1]),
        [
            "abandoned",
            "address",
            "amount",
            "bip125-replaceable",
            "blockhash",
            "blockheight",
            "blocktime",
            "category",
            "confirmations",
            "fee",
            "mempoolconflicts",
            "time",
            "timereceived",
            "txid",
            "vout",
            "walletconflicts",
            "wtxid",
        ]
    );
    assert_eq!((&listed[1]["txid"], &listed[1]["bip125-replaceable"]), (&sent, &json!("no")));
    assert_eq!((&listed[3]["txid"], &listed[3]["trusted"]), (&to_itself, &json!(true)));
    assert_eq!(listed[0]["generated"], json!(true));
    let last = node.call("listtransactions", json!(["*", 1, 1]));
    assert_eq!((last.as_array().unwrap().len(), &last[0]["amount"]), (1, &json!(-2.0)));
    assert_eq!(node.call("listtransactions", json!(["none"])), json!([]));
    assert_eq!(error("listtransactions", json!(["*", -1])), (-8, "Negative count".to_owned()));

    let told = node.call("gettransaction", json!([sent]));
    for field in
        ["amount", "fee", "confirmations", "txid", "details", "hex", "lastprocessedblock", "time"]
    {
        assert!(told.get(field).is_some(), "{field}");
    }
    assert_eq!((&told["amount"], &told["details"][0]["amount"]), (&json!(-1.0), &json!(-1.0)));
    let told = node.call("gettransaction", json!([to_itself]));
    assert_eq!(told["amount"], json!(0.0), "what it paid it has again");
    assert_eq!(error("gettransaction", json!(["00".repeat(32)])).0, -5);
    assert_eq!(error("gettransaction", json!(["00"])).0, -8);
    assert_eq!(error("abandontransaction", json!([sent])).0, -5);
    assert_eq!(error("abandontransaction", json!(["00".repeat(32)])).0, -5);
}

#[test]
fn commands_that_pay() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _process) = rich(&dir);
    let error = |name, params| node.error("/", name, params);
    for (params, code) in [
        (json!([OTHER, 51]), -6),
        (json!([OTHER, 0.000_001]), -6),
        (json!([OTHER, 0]), -3),
        (json!([OTHER, -1]), -3),
        (json!([OTHER, "1.000000001"]), -3),
        (json!(["nobody", 1]), -5),
        (json!({ "address": OTHER, "amount": 1, "fee_rate": 0.5 }), -4),
        (json!({ "address": OTHER, "amount": 1, "fee_rate": 1, "conf_target": 2 }), -8),
        (json!({ "address": OTHER, "amount": 1, "conf_target": 0 }), -8),
        (json!({ "address": OTHER, "amount": 1, "estimate_mode": "quick" }), -8),
        (json!({ "address": OTHER, "amount": 1, "fee_rate": 1_000_000 }), -4),
    ] {
        let (got, text) = error("sendtoaddress", params.clone());
        assert_eq!(got, code, "{params}: {text}");
    }
    assert!(node.chain.mempool().is_empty());
    assert_eq!(node.call("listtransactions", json!([])).as_array().unwrap().len(), 1);

    let params =
        json!({ "address": OTHER, "amount": 1, "subtractfeefromamount": true, "verbose": true });
    let sent = node.call("sendtoaddress", params);
    assert_eq!(fields(&sent), ["fee_reason", "txid"]);
    let told = node.call("gettransaction", json!([sent["txid"]]));
    let paid = told["amount"].as_f64().unwrap() + told["fee"].as_f64().unwrap();
    assert_eq!(paid, -1.0, "the fee is part of it");

    let third = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry";
    let outputs = json!([{ OTHER: 1 }, { third: "0.5" }]);
    let sent = node.call("send", json!({ "outputs": outputs, "fee_rate": 5, "options": { "subtract_fee_from_outputs": [1] } }));
    assert_eq!((fields(&sent), &sent["complete"]), (vec!["complete", "txid"], &json!(true)));
    let told = node.call("gettransaction", json!([sent["txid"]]));
    assert_eq!(told["details"].as_array().unwrap().len(), 2);
    assert_eq!(error("send", json!([[{ OTHER: 1 }, { OTHER: 1 }]])).0, -8);
    assert_eq!(error("send", json!([[]])).0, -8);
    assert_eq!(error("send", json!({ "outputs": { OTHER: 1 }, "options": { "x": 1 } })).0, -8);

    let bumped = node.call("bumpfee", json!([sent["txid"], { "fee_rate": 20 }]));
    assert_eq!(fields(&bumped), ["errors", "fee", "origfee", "txid"]);
    assert!(bumped["fee"].as_f64() > bumped["origfee"].as_f64());
    let replaced = node.call("gettransaction", json!([sent["txid"]]));
    assert_eq!(replaced["walletconflicts"], json!([bumped["txid"]]));
    assert_eq!(error("bumpfee", json!(["00".repeat(32)])).0, -5);
    node.mine_empty(1);
    let confirmed = node.error("/", "bumpfee", json!([bumped["txid"]]));
    assert_eq!(confirmed.0, -4, "{}", confirmed.1);
}

#[test]
fn commands_that_sign() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _process) = rich(&dir);
    let error = |name, params| node.error("/", name, params);
    let own = node.address().to_string();
    let key = node.call("getaddressinfo", json!([own]))["pubkey"].clone();
    let key = PublicKey::from_str(key.as_str().unwrap()).unwrap();
    let legacy = Address::p2pkh(key, Network::Regtest).to_string();
    let signature = node.call("signmessage", json!([legacy, "hello"]));
    assert_eq!(signature.as_str().unwrap().len(), 88);
    assert_eq!(
        error("signmessage", json!([own, "hello"])),
        (-3, "Address does not refer to key".to_owned())
    );
    let stranger = "mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY8";
    assert_eq!(error("signmessage", json!([stranger, "hello"])).0, -5);

    let coin = node.call("listunspent", json!([]));
    let spent = node.call("gettransaction", json!([coin[0]["txid"]]));
    assert!(spent["hex"].is_string());
    let unsigned = {
        use bitcoin_ipc::bitcoin::{Amount, OutPoint, Psbt, Transaction, TxIn, TxOut};
        let txid = coin[0]["txid"].as_str().unwrap().parse().unwrap();
        let input = TxIn { previous_output: OutPoint { txid, vout: 0 }, ..TxIn::default() };
        let output =
            TxOut { value: Amount::from_int_btc(49), script_pubkey: super::split::nobody() };
        let tx = Transaction {
            version: bitcoin_ipc::bitcoin::transaction::Version::TWO,
            lock_time: bitcoin_ipc::bitcoin::absolute::LockTime::ZERO,
            input: vec![input],
            output: vec![output],
        };
        Psbt::from_unsigned_tx(tx).unwrap().to_string()
    };
    let updated = node.call("walletprocesspsbt", json!([unsigned, false]));
    assert_eq!((fields(&updated), &updated["complete"]), (vec!["complete", "psbt"], &json!(false)));
    let signed = node.call("walletprocesspsbt", json!([updated["psbt"]]));
    assert_eq!(
        (fields(&signed), &signed["complete"]),
        (vec!["complete", "hex", "psbt"], &json!(true))
    );
    assert_eq!(error("walletprocesspsbt", json!(["x"])).0, -22);
    assert_eq!(error("walletprocesspsbt", json!([unsigned, true, "NONE"])).0, -8);
}

#[test]
fn help_and_wrong_numbers_of_arguments() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _process) = rich(&dir);
    assert_eq!(node.split.commands().names().len(), 32);
    let help = node.split.commands().help("gettransaction").unwrap().unwrap();
    assert!(help.starts_with("gettransaction txid ( include_watchonly verbose )\n"), "{help}");
    for params in [json!([]), json!([null]), json!([1, 2, 3, 4])] {
        let answered = node.try_call("/", "gettransaction", params.clone());
        assert!(matches!(answered, Err(CommandError::Help(text)) if text == help), "{params}");
    }
    assert_eq!(node.error("/", "getbalance", json!({ "minconfs": 1 })).0, -8);
    assert_eq!(node.error("/", "getbalance", json!(["x"])).0, -32);
    assert_eq!(node.call("getbalance", json!(["*", 101])), json!(50.0));
    assert_eq!(node.call("getbalance", json!(["*", 102])), json!(0.0));
    let balances = node.call("getbalances", json!([]));
    assert_eq!(fields(&balances), ["lastprocessedblock", "mine"]);
    assert_eq!(
        fields(&balances["mine"]),
        ["immature", "nonmempool", "trusted", "untrusted_pending"]
    );
}
