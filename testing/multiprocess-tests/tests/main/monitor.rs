//! What a server tells of its process to those that may ask, beside its own object.

use std::path::Path;

use multiprocess::monitor::{self, MonitorClient, Snapshot};
use multiprocess::process::{PeerCredentials, connect_timeout};
use multiprocess::{Connection, Error, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, LabServer, wait_until};
use tempfile::TempDir;

fn connect(path: &Path) -> Connection {
    Connection::new(connect_timeout(path, LONG).unwrap()).unwrap()
}

fn ask(path: &Path) -> Result<Snapshot, Error> {
    connect(path).bootstrap::<MonitorClient>().unwrap().snapshot().wait()
}

#[test]
fn it_shows_connections_and_calls_under_way() {
    let dir = TempDir::new().unwrap();
    let (path, lab) = (dir.path().join("lab.sock"), LabServer::new());
    let server = Server::builder()
        .serve_also(monitor::of_this_process(), PeerCredentials::is_same_user)
        .listen(&path, lab.client())
        .unwrap();
    let calling = connect(&path);
    let client: LabClient = calling.bootstrap().unwrap();
    assert_eq!(client.add(40, 2).wait().unwrap(), 42);
    let counter = client.make_counter(1).wait().unwrap();
    let blocked = client.block("monitored").start();
    wait_until("it runs", || lab.is_blocked("monitored"));

    let now = ask(&path).unwrap();
    assert_eq!(now.pid, std::process::id());
    assert!(now.counted_for > 0 && !now.program.is_empty());
    let number = calling.number();
    let find = |number| now.connections.iter().find(move |it| it.number == number).unwrap();
    let called = &find(number).calls;
    let [call] = called.iter().filter(|it| it.method == "Lab.block").collect::<Vec<_>>()[..] else {
        panic!("{called:?}")
    };
    assert!(call.age > 0 && call.thread.contains("it_shows_connections"), "{call:?}");
    // Its other end is in this process, too; other tests have such connections of their own.
    let serves = |it: &&monitor::ConnectionNow| it.serves.iter().any(|it| it.method == "Lab.block");
    let ours = rustix::process::geteuid().as_raw();
    let of_server: Vec<_> = server.connections().iter().map(Connection::number).collect();
    let serving = now.connections.iter().filter(serves);
    let serving: Vec<_> = serving.filter(|it| of_server.contains(&it.number)).collect();
    let [serving] = serving[..] else { panic!("{serving:?}") };
    assert_eq!((serving.pid, serving.uid), (std::process::id(), ours));
    assert!(serving.has_credentials && !serving.busy && serving.age > 0);
    assert!(serving.objects >= 1 && serving.ended.is_empty(), "{serving:?}");
    assert!(now.threads.iter().any(|it| it.own && it.runs == "Lab.block"), "{:?}", now.threads);
    let sum = now.methods.iter().find(|it| it.method == "Lab.add" && it.served).unwrap();
    assert!(sum.answered >= 1 && sum.time >= sum.longest && sum.longest > 0);
    assert_eq!(sum.buckets.iter().sum::<u64>(), sum.answered + sum.failed + sum.cancelled);
    lab.let_go("monitored");
    assert!(blocked.wait().unwrap());
    drop((counter, server));
}

/// To them it is as if there were no such interface, and the object itself is as ever.
#[test]
fn others_are_told_nothing() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    let none = Server::listen(at("none"), LabServer::new().client()).unwrap();
    let refuses = Server::builder()
        .serve_also(monitor::of_this_process(), |peer| !peer.is_same_user())
        .listen(at("refuses"), LabServer::new().client())
        .unwrap();
    for name in ["none", "refuses"] {
        let error = ask(&at(name)).unwrap_err();
        assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
        let lab: LabClient = connect(&at(name)).bootstrap().unwrap();
        assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    }
    drop((none, refuses));
}
