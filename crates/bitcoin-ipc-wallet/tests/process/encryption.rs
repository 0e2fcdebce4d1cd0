//! Passphrases, over JSON-RPC and as an object.

use bitcoin_ipc_draft::Passphrase;
use serde_json::json;

use super::split::{Node, wait_until};

const OTHER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

#[test]
fn an_encrypted_wallet_pays_only_while_it_is_unlocked() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!(["a"]));
    node.mine(1, &node.address().script_pubkey());
    node.mine_empty(100);
    let error = |name, params| node.error("/", name, params);

    assert_eq!(error("walletpassphrase", json!(["open", 60])).0, -15, "it is not encrypted");
    assert_eq!(error("walletlock", json!([])).0, -15);
    assert_eq!(error("encryptwallet", json!([""])), (-8, "passphrase cannot be empty".to_owned()));
    node.call("encryptwallet", json!(["open"]));
    assert_eq!(node.call("getwalletinfo", json!([]))["unlocked_until"], json!(0));
    assert_eq!(error("encryptwallet", json!(["open"])).0, -15);
    assert_eq!(error("sendtoaddress", json!([OTHER, 1])).0, -13);
    assert!(!node.call("getnewaddress", json!([])).is_null(), "that needs no keys");

    let wrong = error("walletpassphrase", json!(["opem", 60]));
    assert_eq!(wrong, (-14, "Error: The wallet passphrase entered was incorrect.".to_owned()));
    assert_eq!(error("walletpassphrase", json!(["open", -1])).0, -8);
    process.loader.set_mock_time(1_000_000).wait().unwrap();
    node.call("walletpassphrase", json!({ "passphrase": "open", "timeout": 3600 }));
    assert_eq!(node.call("getwalletinfo", json!([]))["unlocked_until"], json!(1_003_600));
    node.call("sendtoaddress", json!([OTHER, 1]));
    node.call("walletlock", json!([]));
    assert_eq!(error("sendtoaddress", json!([OTHER, 1])).0, -13);

    node.call("walletpassphrasechange", json!(["open", "sesame"]));
    assert_eq!(error("walletpassphrasechange", json!(["open", "sesame"])).0, -14);
    assert_eq!(error("walletpassphrase", json!(["open", 60])).0, -14);
    node.call("walletpassphrase", json!(["sesame", 60]));
    node.call("sendtoaddress", json!([OTHER, 1]));
}

#[test]
fn the_deadline_of_a_passphrase_locks_the_wallet() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    node.call("createwallet", json!({ "wallet_name": "a", "passphrase": "open" }));
    let wallet = process.wallet("a");
    let locked = || wallet.is_locked().wait().unwrap();
    assert!(locked());
    node.call("walletpassphrase", json!(["open", 3600]));
    // A later one takes its place.
    node.call("walletpassphrase", json!(["open", 7200]));
    process.loader.scheduler_mock_forward(3601).wait().unwrap();
    assert!(!locked());
    process.loader.scheduler_mock_forward(3600).wait().unwrap();
    wait_until("the wallet is locked", locked);
    // Without a deadline none remains of those before.
    node.call("walletpassphrase", json!(["open", 3600]));
    assert!(wallet.unlock(Passphrase::from("open".to_owned())).wait().unwrap());
    process.loader.scheduler_mock_forward(7200).wait().unwrap();
    node.call("walletpassphrase", json!(["open", 0]));
    wait_until("the wallet is locked at once", locked);
}

#[test]
fn passphrases_as_an_object_of_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let pass = |text: &str| Passphrase::from(text.to_owned());
    let made = process.loader.create_wallet("a", pass(""), 0).wait().unwrap();
    let wallet = made.result.into_result().unwrap().unwrap();
    assert!(!wallet.unlock(pass("open")).wait().unwrap(), "it is not encrypted");
    assert!(!wallet.lock().wait().unwrap());
    assert!(!process.loader.is_encrypted("a").wait().unwrap());
    assert!(wallet.encrypt_wallet(pass("open")).wait().unwrap());
    assert!(!wallet.encrypt_wallet(pass("open")).wait().unwrap(), "it is already");
    assert!(process.loader.is_encrypted("a").wait().unwrap());
    assert!(wallet.is_crypted().wait().unwrap() && wallet.is_locked().wait().unwrap());
    assert!(!wallet.unlock(pass("opem")).wait().unwrap());
    assert!(wallet.unlock(pass("open")).wait().unwrap());
    assert!(!wallet.is_locked().wait().unwrap());
    assert!(!wallet.change_wallet_passphrase(pass("opem"), pass("sesame")).wait().unwrap());
    assert!(wallet.change_wallet_passphrase(pass("open"), pass("sesame")).wait().unwrap());
    assert!(wallet.lock().wait().unwrap());
    assert!(wallet.unlock(pass("sesame")).wait().unwrap());
    // Told of a wallet that is not loaded, too.
    wallet.remove().wait().unwrap();
    assert!(process.loader.is_encrypted("a").wait().unwrap());
    assert!(wallet.is_locked().wait().unwrap_err().to_string().contains("unloaded"));
}
