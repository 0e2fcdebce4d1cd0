//! Peers and directories of other users. Only root can have a thread of another user, so these tests run on
//! request: `cargo test -p multiprocess-tests --test users -- --ignored`.
#![cfg(target_os = "linux")]

use std::fs::{Permissions, set_permissions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use multiprocess::{Connection, Error, Result, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LabServer, within_time};
use rustix::thread::set_thread_res_uid;

/// Two users who are not root. No account needs to have these numbers.
const OTHER: u32 = 65_533;
const ANOTHER: u32 = 65_534;

/// Runs `work` on a thread of this user. Only this thread changes: Linux keeps users by threads.
fn as_user<R: Send>(uid: u32, work: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let run = || {
            let uid = rustix::process::Uid::from_raw(uid);
            set_thread_res_uid(uid, uid, uid).expect("this test needs root");
            work()
        };
        scope.spawn(run).join().unwrap()
    })
}

/// A directory that everybody can look into.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    dir
}

fn connect_as(uid: u32, path: &Path) -> std::result::Result<UnixStream, IoError> {
    as_user(uid, || UnixStream::connect(path))
}

fn call(socket: UnixStream) -> Result<i32> {
    let lab = Connection::new(socket)?.bootstrap::<LabClient>()?;
    within_time(move || lab.add(1, 2).wait())
}

#[test]
#[ignore = "needs root"]
fn another_users_connection_is_refused_twice_over() {
    let dir = open_dir();
    let path = dir.path().join("socket");
    let server = Server::listen(&path, LabServer::new().client()).unwrap();
    // By the mode of the socket.
    assert_eq!(connect_as(OTHER, &path).unwrap_err().kind(), ErrorKind::PermissionDenied);
    // And where somebody has changed that, by who connects.
    set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    match call(connect_as(OTHER, &path).unwrap()) {
        Err(Error::Disconnected { reason, .. }) => {
            assert!(reason.contains("this server does not serve your user"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(call(UnixStream::connect(server.path()).unwrap()).unwrap(), 3);
}

#[test]
#[ignore = "needs root"]
fn a_server_serves_another_user_whom_it_knows() {
    let dir = open_dir();
    let path = dir.path().join("socket");
    let knows = |peer: &multiprocess::process::PeerCredentials| peer.uid == OTHER;
    let builder = Server::builder().accept_if(knows);
    let server = builder.listen(&path, LabServer::new().client()).unwrap();
    set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(call(connect_as(OTHER, server.path()).unwrap()).unwrap(), 3);
    assert!(call(connect_as(ANOTHER, server.path()).unwrap()).is_err());
    // Root, too, has to be known then.
    assert!(call(UnixStream::connect(server.path()).unwrap()).is_err());
}

#[test]
#[ignore = "needs root"]
fn no_socket_is_made_in_another_users_directory() {
    let dir = open_dir();
    chown(dir.path(), Some(ANOTHER), None).unwrap();
    let path = dir.path().join("socket");
    let served = LabServer::new().client();
    let refused = as_user(OTHER, || Server::listen(&path, served).map(drop)).unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("belongs to user 65534"), "{refused}");
    assert!(refused.contains("choose one that belongs to user 65533"), "{refused}");
    assert!(!path.exists());
}
