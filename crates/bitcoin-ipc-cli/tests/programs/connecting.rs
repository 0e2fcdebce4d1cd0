//! A wallet process that the node has not started, but that connects to it.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::running::Running;
use crate::split::{Split, kill};
use crate::{NODE, WALLET, wait_until};

fn connect(datadir: &Path) -> Running {
    let mut wallet = Command::new(&*WALLET);
    wallet.arg("-ipcconnect").arg(format!("-datadir={}", datadir.display()));
    Running(wallet.stderr(Stdio::piped()).spawn().unwrap())
}

fn wait_for(split: &Split, wallet: &Running) {
    wait_until("the node has this wallet process", || {
        split.wallet_process() == Some(wallet.0.id())
    });
    split.wait_for_wallet();
}

#[test]
fn a_node_has_one_wallet_process_of_those_that_connect() {
    let dir = TempDir::new().unwrap();
    let split = Split::start_with(dir.path(), &["-walletbind"]);
    assert_eq!(split.wallet_process(), None);
    let first = connect(dir.path());
    wait_for(&split, &first);
    split.call("", "createwallet", json!(["w"]));
    split.fund("w");

    // Another is let go, and has its turn when the first is gone.
    let second = connect(dir.path());
    second.handles_interrupts();
    assert_eq!(split.balance("w"), json!(50.0));
    assert_eq!(split.wallet_process(), Some(first.0.id()));
    kill(first.0.id());
    let (_, errors) = first.end();
    assert_eq!(errors, "");
    wait_for(&split, &second);
    assert_eq!(split.balance("w"), json!(50.0));

    // The node comes back to the same process, and what was mined while it was connected is there.
    let address = split.call("w", "getnewaddress", json!([]));
    let txid = split.call("w", "sendtoaddress", json!([address, 1]));
    let errors = split.end();
    assert!(errors.contains("waiting for a wallet process, at "), "{errors}");
    assert!(errors.contains("bitcoin-wallet: the wallet process is gone: "), "{errors}");
    let split = Split::start_with(dir.path(), &["-walletbind"]);
    wait_for(&split, &second);
    wait_until("the wallet gives the node its payment again", || {
        split.call("", "getrawmempool", json!([])) == json!([txid])
    });
    split.call("", "generatetodescriptor", json!([1, "raw(51)"]));
    let seen = split.call("w", "gettransaction", json!([txid]));
    assert_eq!(seen["confirmations"], json!(1));

    // In order.
    second.signal(Signal::TERM);
    let (status, errors) = second.end();
    assert!(status.success(), "{errors}");
    assert!(errors.contains("the node is gone: "), "{errors}");
    wait_until("the node sees that", || split.wallet_process().is_none());
    split.end();
}

#[test]
fn a_wallet_process_that_finds_no_node_says_so_and_one_that_cannot_ends() {
    let dir = TempDir::new().unwrap();
    let wallet = connect(dir.path());
    wallet.handles_interrupts();
    let split = Split::start_with(dir.path(), &["-walletbind"]);
    wait_for(&split, &wallet);
    drop(split);
    wallet.signal(Signal::TERM);
    let (status, errors) = wallet.end();
    assert!(status.success(), "{errors}");

    let error_of = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        errors
    };
    let long = format!("-ipcconnect=unix:{}", "/long".repeat(40));
    assert!(error_of(&WALLET, &[&long]).contains("107 at most"));
    assert!(error_of(&WALLET, &["-ipcconnect=tcp:1"]).contains("Unrecognized address 'tcp:1'"));
    assert!(error_of(&WALLET, &["-chain=moon"]).contains("Unknown chain 'moon'"));
    assert!(error_of(&WALLET, &["-wallet=w"]).contains("-wallet=w is not an option"));
    let both = ["-ipcbind=unix", "-walletbind", "-walletprogram=/bin/true"];
    assert!(error_of(&NODE, &both).contains("give one of them"));
}
