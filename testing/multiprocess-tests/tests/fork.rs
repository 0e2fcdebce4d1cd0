//! Processes that fork: the child may use nothing of the parent's, and harms nothing of it.

use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, exit};

use multiprocess::{Connection, Error, Reconnect, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, LabServer, pair, within_time};

/// Runs `child` in a fork of this process, which then exits as programs do. Returns its exit status.
fn in_a_fork(child: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child has one thread. It allocates, which the C library allows after a fork, and takes
    // no lock that another thread of this process may have: that is what is tested.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => exit(if child() { 0 } else { 1 }),
        pid => within_time(move || {
            let mut status = 0;
            // SAFETY: writes the status.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            assert!(libc::WIFEXITED(status), "status {status}");
            libc::WEXITSTATUS(status)
        }),
    }
}

fn says_why(error: &Error) -> bool {
    matches!(error, Error::ApiMisuse { problem } if problem.contains("was forked from one"))
}

#[test]
fn a_fork_gets_errors_and_harms_nothing() {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let path = std::env::temp_dir().join(format!("mp-fork-{}.sock", std::process::id()));
    let lab = LabServer::new();
    let server = Server::listen(&path, lab.client()).unwrap();
    let connect = || -> LabClient {
        Connection::new(UnixStream::connect(&path).unwrap()).unwrap().bootstrap().unwrap()
    };
    let connected = connect();
    assert_eq!(connected.add(1, 2).wait().unwrap(), 3);
    let again = Reconnect::to_path(&path).start(|lab: &LabClient| Ok(lab.clone())).unwrap();
    assert_eq!(again.wait_connected().unwrap().add(1, 2).wait().unwrap(), 3);
    let end = pair.calling.disconnected();
    let mut mine = Some((pair, counter, server, connected, again, end));
    let status = in_a_fork(|| {
        // Of the child's copy: here they are still there.
        let (pair, counter, server, connected, again, end) = mine.take().unwrap();
        let start = Reconnect::to_path("/nowhere").start(|lab: &LabClient| Ok(lab.clone()));
        let errors = [
            again.wait_connected().unwrap_err(),
            futures_executor::block_on(again.connected()).unwrap_err(),
            start.unwrap_err(),
            futures_executor::block_on(end),
            pair.lab.add(1, 2).wait().unwrap_err(),
            pair.lab.add(1, 2).start().wait().unwrap_err(),
            counter.next().wait().unwrap_err(),
            pair.calling.bootstrap::<LabClient>().unwrap_err(),
            Connection::new(UnixStream::pair().unwrap().0).unwrap_err(),
        ];
        pair.calling.disconnect();
        pair.serving.wait_disconnected();
        let gone = again.try_get().is_none() && !again.close(LONG);
        drop((pair, counter, server, connected, again));
        gone && errors.iter().all(says_why)
    });
    assert_eq!(status, 0);
    let (pair, counter, server, connected, again, _end) = mine.unwrap();
    assert_eq!(again.wait_connected().unwrap().add(1, 2).wait().unwrap(), 3);
    assert_eq!(again.try_get().unwrap().generation(), 1);
    assert_eq!(pair.lab.add(1, 2).wait().unwrap(), 3);
    assert_eq!(counter.next().wait().unwrap(), 1);
    assert_eq!(connected.add(1, 2).wait().unwrap(), 3);
    assert!(path.exists());
    assert_eq!(connect().add(1, 2).wait().unwrap(), 3);
    drop(server);
    assert!(!path.exists());
}

/// A program that becomes a daemon before its first connection.
#[test]
fn a_fork_before_the_first_connection_is_as_any_process() -> ExitCode {
    const VARIABLE: &str = "MP_TEST_DAEMON";
    if std::env::var_os(VARIABLE).is_some() {
        let status = in_a_fork(|| {
            let pair = pair();
            pair.lab.add(1, 2).wait().is_ok_and(|sum| sum == 3)
        });
        return ExitCode::from(u8::try_from(status).unwrap_or(2));
    }
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "a_fork_before_the_first_connection_is_as_any_process"]);
    let status = program.env(VARIABLE, "1").status().unwrap();
    assert!(status.success(), "{status}");
    ExitCode::SUCCESS
}
