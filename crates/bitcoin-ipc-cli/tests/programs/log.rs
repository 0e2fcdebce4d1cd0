//! What the programs log on stderr: the command line and the node that it starts.

use std::process::{Command, Output};

use tempfile::TempDir;

use super::IPC;

fn echo(level: Option<&str>) -> Output {
    let dir = TempDir::new().unwrap();
    let mut command = Command::new(IPC);
    command.args(["echo", "these words", "--connect", "auto", "--datadir"]).arg(dir.path());
    command.env_remove("BITCOIN_IPC_LOG");
    level.map(|level| command.env("BITCOIN_IPC_LOG", level));
    command.output().unwrap()
}

#[test]
fn calls_are_logged_by_both_processes_where_it_is_asked_for() {
    const SENT: &str = "DEBUG IPC client send #";
    let log = |level| {
        let output = echo(level);
        assert!(output.status.success());
        assert_eq!(output.stdout, b"these words\n");
        String::from_utf8(output.stderr).unwrap()
    };
    for quiet in [None, Some("warn"), Some("off")] {
        let log = log(quiet);
        assert!(!log.contains("IPC client") && !log.contains("IPC server"), "{log}");
    }
    let debug = log(Some("debug"));
    assert!(debug.contains(SENT) && debug.contains("Echo.echo$Params connection="), "{debug}");
    assert!(debug.contains("DEBUG IPC server recv request #"), "{debug}");
    assert!(!debug.contains("these words"), "{debug}");
    let trace = log(Some("trace"));
    for side in ["TRACE IPC client send #", "TRACE IPC server recv request #"] {
        let line = trace.lines().find(|line| line.contains(side) && line.contains("Echo.echo"));
        assert!(line.unwrap().contains(r#"Echo.echo$Params (echo = "these words")"#), "{trace}");
    }
}

#[test]
fn a_level_that_does_not_exist_is_an_error() {
    let output = echo(Some("loud"));
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("BITCOIN_IPC_LOG=loud: it is off, error, warn"), "{error}");
}
