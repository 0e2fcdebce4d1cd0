//! The three programs together, and each exchanged with its C++ counterpart.
//!
//! `LIBMULTIPROCESS_EXAMPLE` is the folder of libmultiprocess's built example (`mpexample`,
//! `mpcalculator`, `mpprinter`). Without it the test of the exchange is shown as ignored.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

const PROGRAMS: [(&str, &str); 3] = [
    ("mpexample", env!("CARGO_BIN_EXE_mpexample")),
    ("mpcalculator", env!("CARGO_BIN_EXE_mpcalculator")),
    ("mpprinter", env!("CARGO_BIN_EXE_mpprinter")),
];

/// Runs a program in its own folder with these lines typed.
fn run(program: &Path, typed: &str) -> Output {
    let mut child = Command::new(program)
        .current_dir(program.parent().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn three_processes_calculate() -> Result<(), Failed> {
    let output = run(Path::new(PROGRAMS[0].1), "1 + 2 * 3\n(4\nexit\n");
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}{}", text(&output.stderr));
    assert!(shown.contains("mpprinter: 1 + 2 * 3 = 7\n"), "{shown}");
    assert!(shown.contains("mpprinter: (4? a ) is missing\n"), "{shown}");
    assert!(shown.ends_with("Bye!\n"), "{shown}");
    Ok(())
}

fn the_end_of_the_input_ends_it() -> Result<(), Failed> {
    let output = run(Path::new(PROGRAMS[0].1), "6 / 4\n");
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("6 / 4 = 1.5"));
    Ok(())
}

fn a_missing_program_is_named() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let alone = dir.path().join("mpexample");
    symlink(PROGRAMS[0].1, &alone)?;
    let output = run(&alone, "exit\n");
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("mpprinter") && errors.contains("os error 2"), "{errors}");
    Ok(())
}

/// A child that is stopped before it answers: the program gives up in time, and leaves nobody behind.
fn a_stopped_child_does_not_hang_it() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let (example, pid) = (dir.path().join("mpexample"), dir.path().join("pid"));
    symlink(PROGRAMS[0].1, &example)?;
    let printer = dir.path().join("mpprinter");
    std::fs::write(&printer, format!("#!/bin/sh\necho $$ > {}\nkill -STOP $$\n", pid.display()))?;
    std::fs::set_permissions(&printer, std::fs::Permissions::from_mode(0o700))?;
    let mut program = Command::new(&example);
    let mut running = program.args(["--timeout", "1"]).stderr(Stdio::piped()).spawn()?;
    wait_until("it has given up", || running.try_wait().unwrap().is_some());
    let output = running.wait_with_output()?;
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("no answer within 1s"), "{errors}");
    let pid = std::fs::read_to_string(pid)?;
    let process = Path::new("/proc").join(pid.trim());
    wait_until("the child is gone", || !process.exists());
    Ok(())
}

/// Looks again and again until `done`, for 20 seconds at most.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn servers_say_how_they_are_used() -> Result<(), Failed> {
    for (_, program) in &PROGRAMS[1..] {
        for (args, told) in
            [(&[][..], "Usage"), (&["x"], "\"x\""), (&["999"], "not open"), (&["3", "4"], "Usage")]
        {
            let output = Command::new(program).args(args).output()?;
            assert_eq!(output.status.code(), Some(1), "{program} {args:?}");
            assert!(text(&output.stderr).contains(told), "{}", text(&output.stderr));
        }
    }
    Ok(())
}

/// All eight combinations of our programs and C++'s.
fn each_is_interchangeable_with_its_counterpart() -> Result<(), Failed> {
    let theirs = std::env::var_os("LIBMULTIPROCESS_EXAMPLE")
        .ok_or("only run with LIBMULTIPROCESS_EXAMPLE")?;
    for choice in 0..8 {
        let dir = TempDir::new()?;
        for (index, (name, ours)) in PROGRAMS.iter().enumerate() {
            let is_theirs = choice >> index & 1 == 1;
            let program = if is_theirs { Path::new(&theirs).join(name) } else { ours.into() };
            symlink(program, dir.path().join(name))?;
        }
        let output = run(&dir.path().join("mpexample"), "1 + 2\nexit\n");
        let shown = text(&output.stdout);
        assert!(output.status.success(), "{choice:03b}: {shown}{}", text(&output.stderr));
        let answer = if choice & 2 == 0 { "mpprinter: 1 + 2 = 3" } else { "mpprinter: Wow 1 + 2" };
        assert!(shown.contains(answer) && shown.ends_with("Bye!\n"), "{choice:03b}: {shown}");
    }
    Ok(())
}

fn main() -> ExitCode {
    let alone = std::env::var_os("LIBMULTIPROCESS_EXAMPLE").is_none();
    let tests = vec![
        Trial::test("three_processes_calculate", three_processes_calculate),
        Trial::test("the_end_of_the_input_ends_it", the_end_of_the_input_ends_it),
        Trial::test("a_missing_program_is_named", a_missing_program_is_named),
        Trial::test("a_stopped_child_does_not_hang_it", a_stopped_child_does_not_hang_it),
        Trial::test("servers_say_how_they_are_used", servers_say_how_they_are_used),
        Trial::test(
            "each_is_interchangeable_with_its_counterpart",
            each_is_interchangeable_with_its_counterpart,
        )
        .with_kind("LIBMULTIPROCESS_EXAMPLE")
        .with_ignored_flag(alone),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}
