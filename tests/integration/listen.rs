//! Listening and connecting: addresses, several clients, and the removal of sockets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use bitcoin_ipc::Error;
use bitcoin_ipc::codec::FOREVER;
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_regtest::{Chain, NodeInit};
use tempfile::TempDir;

use crate::wait_until;

fn node(datadir: &Path) -> Ipc {
    let init = InitClient::new(NodeInit::new(Chain::regtest()));
    Ipc::new(IpcOptions::new("bitcoin-node", init).datadir(datadir))
}

fn client(datadir: &Path) -> Ipc {
    Ipc::new(IpcOptions::client("client").datadir(datadir).spawn_timeout(Duration::from_secs(10)))
}

#[test]
fn every_form_of_address() {
    let dir = TempDir::new().unwrap();
    let node = node(dir.path());
    let path = node.listen_address("unix").unwrap();
    assert_eq!(path, dir.path().join("node.sock"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let other = node.listen_address("unix:other.sock").unwrap();
    assert_eq!(other, dir.path().join("other.sock"));

    let client = client(dir.path());
    let absolute = format!("unix:{}", other.display());
    for address in ["unix", "unix:", "unix:node.sock", "unix:other.sock", "auto", &absolute] {
        let init = client.connect_address(address).unwrap().expect(address);
        assert_eq!(init.make_echo().pipelined().echo(address).wait().unwrap(), address);
    }
    for address in ["", "0"] {
        assert!(client.connect_address(address).unwrap().is_none(), "{address:?}");
    }
    for address in ["tcp:1", "unixx", "UNIX", "auto:x"] {
        let error = client.connect_address(address).unwrap_err();
        assert_eq!(error.to_string(), format!("Unrecognized address '{address}'"));
    }
    drop(node);
    assert!(!path.exists() && !other.exists(), "the sockets are removed");
}

#[test]
fn auto_takes_absence_for_no_node_and_unix_does_not() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    // A stale socket file.
    drop(UnixListener::bind(dir.path().join("node.sock")).unwrap());
    let long = dir.path().join("x".repeat(200));
    for (datadir, missing) in [
        (dir.path().to_owned(), false),
        (dir.path().join("nowhere"), true),
        (dir.path().join("file"), false),
        (long, false),
    ] {
        let client = client(&datadir);
        assert!(client.connect_address("auto").unwrap().is_none(), "{}", datadir.display());
        let error = client.connect_address("unix").unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{error:?}");
        assert!(error.to_string().contains("node.sock"), "{error}");
        // A node that runs has none unless it is told to.
        assert_eq!(
            error.to_string().ends_with("if it is started with -ipcbind=unix"),
            missing,
            "{error}"
        );
    }
}

#[test]
fn a_socket_that_is_not_ours() {
    let dir = TempDir::new().unwrap();
    let listener = UnixListener::bind(dir.path().join("node.sock")).unwrap();
    let client = client(dir.path());
    // A peer that closes at once.
    let closes = std::thread::spawn({
        let listener = listener.try_clone().unwrap();
        move || drop(listener.accept().unwrap())
    });
    // The first call gets the error, or `connect_address` if it is known by then.
    let first_call = |address| match client.connect_address(address) {
        Ok(init) => init.unwrap().make_echo().pipelined().echo("who is there").wait().unwrap_err(),
        Err(error) => error,
    };
    let error = first_call("unix");
    assert!(matches!(error, Error::Disconnected { .. }), "{error:?}");
    assert!(error.to_string().contains("node.sock"), "{error}");
    closes.join().unwrap();
    // A peer with another protocol.
    let speaks = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = first_call("auto");
    assert!(matches!(error, Error::PeerMisbehaved { .. }), "{error:?}");
    speaks.join().unwrap();
}

/// The server listens, and its queue is full: connecting used to block for ever.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_does_not_accept() {
    use multiprocess::process::connect_timeout;

    let dir = TempDir::new().unwrap();
    let path = dir.path().join("node.sock");
    let listener = UnixListener::bind(&path).unwrap();
    // The shortest queue that there is.
    rustix::net::listen(&listener, 0).unwrap();
    let full = std::iter::from_fn(|| connect_timeout(&path, Duration::ZERO).ok());
    let _waiting: Vec<_> = full.collect();
    let options = IpcOptions::client("client").datadir(dir.path());
    let client = Ipc::new(options.connect_timeout(Duration::from_millis(50)));
    for address in ["unix", "auto"] {
        let error = client.connect_address(address).unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{error:?}");
        assert!(error.to_string().contains("does not accept connections"), "{error}");
    }
}

#[test]
fn disconnect_incoming_ends_the_clients_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let node = node(dir.path());
    node.listen_address("unix").unwrap();
    let connect = || client(dir.path()).connect_address("unix").unwrap().unwrap();

    let (first, second) = (connect(), connect());
    let mining = first.make_mining().wait().unwrap().unwrap();
    let tip = mining.get_tip().wait().unwrap().unwrap();
    let waiting = std::thread::spawn(move || mining.wait_tip_changed(tip.hash, FOREVER).wait());
    wait_until("the node has the second client, too", || second.make_echo().wait().is_ok());

    node.disconnect_incoming();
    assert!(matches!(waiting.join().unwrap(), Err(Error::Disconnected { .. })));
    wait_until("the second client has noticed", || {
        matches!(second.make_echo().wait(), Err(Error::Disconnected { .. }))
    });
    // The server still listens.
    assert_eq!(connect().make_echo().pipelined().echo("again").wait().unwrap(), "again");
}

#[test]
fn a_path_that_cannot_be_listened_on() {
    let dir = TempDir::new().unwrap();
    let first = node(dir.path());
    first.listen_address("unix").unwrap();
    let error = node(dir.path()).listen_address("unix").unwrap_err().to_string();
    assert!(
        error.contains("node.sock") && error.contains(&std::process::id().to_string()),
        "{error}"
    );
    // The refused server has removed nothing.
    assert!(client(dir.path()).connect_address("unix").unwrap().is_some());

    fs::write(dir.path().join("file"), "").unwrap();
    for address in
        ["unix:file", "unix:nowhere/node.sock", &format!("unix:{}", "x".repeat(150)), "tcp:1"]
    {
        let error = first.listen_address(address).unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{address}: {error:?}");
    }
    assert!(dir.path().join("file").is_file());
}

#[test]
fn the_number_of_clients_has_a_limit() {
    let dir = TempDir::new().unwrap();
    let init = InitClient::new(NodeInit::new(Chain::regtest()));
    let options = IpcOptions::new("bitcoin-node", init).datadir(dir.path()).max_connections(1);
    let node = Ipc::new(options);
    node.listen_address("unix").unwrap();
    let ask = |ipc: &Ipc| {
        let init = ipc.connect_address("unix")?.expect("a node listens");
        init.make_echo().pipelined().echo("here").wait()
    };
    let first = client(dir.path());
    let kept = first.connect_address("unix").unwrap().unwrap();
    assert_eq!(kept.make_echo().pipelined().echo("here").wait().unwrap(), "here");
    let refused = ask(&client(dir.path())).unwrap_err();
    assert!(refused.to_string().contains("this server has 1 connection, its maximum"), "{refused}");
    drop((kept, first));
    wait_until("there is a place", || ask(&client(dir.path())).is_ok());
}
