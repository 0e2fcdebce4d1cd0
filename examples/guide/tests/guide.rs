//! The guide of `multiprocess-build` shows these programs, and they do what it says.

use std::path::Path;
use std::process::Command;

const GUIDE: &str = include_str!("../../../crates/multiprocess-build/docs/guide.md");

#[test]
fn what_the_guide_shows_is_what_is_compiled_here() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines: Vec<&str> = GUIDE.lines().collect();
    let mut shown = 0;
    for (number, line) in lines.iter().enumerate() {
        let Some(file) = line.strip_prefix('`').and_then(|line| line.strip_suffix("`:")) else {
            continue;
        };
        assert!(lines[number + 2].starts_with("```"), "line {}: no code follows", number + 1);
        let code = lines[number + 3..].iter().take_while(|line| **line != "```");
        let code = code.copied().collect::<Vec<_>>().join("\n");
        let text = std::fs::read_to_string(here.join(file)).unwrap();
        assert!(text.contains(&code), "{file} has not what the guide shows at line {}", number + 1);
        shown += 1;
    }
    assert_eq!(shown, 22, "pieces of code with a file's name");
}

#[test]
fn two_processes_take_under_60_lines() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own =
        ["schema/hello.capnp", "build.rs", "src/lib.rs", "src/generated.rs", "src/bin/hello.rs"];
    let count = |file: &&str| std::fs::read_to_string(here.join(file)).unwrap().lines().count();
    let lines: usize = own.iter().map(count).sum();
    assert!(lines < 60, "{lines} lines");
}

/// The examples in the documentation of `multiprocess` have no generator: they include what it makes of this
/// crate's first schema.
#[test]
fn the_documentation_of_multiprocess_uses_what_is_generated_here() {
    let used = include_str!("../../../crates/multiprocess/tests/doc/hello.rs");
    assert_eq!(used, include_str!(concat!(env!("OUT_DIR"), "/hello.rs")));
}

#[test]
fn one_process_greets_the_other() {
    let output = Command::new(env!("CARGO_BIN_EXE_hello")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let child = said.strip_prefix("Hello, World, from process ").unwrap();
    assert!(child.trim_end().trim_end_matches('!').parse::<u32>().is_ok(), "{said}");
    assert!(output.status.success());
}

#[test]
fn the_shop_sells() {
    let output = Command::new(env!("CARGO_BIN_EXE_shop")).output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "the shop sold for 4\npaid 4\nno gold: Some(SoldOut { name: \"gold\", left: 10 })\n"
    );
    assert!(output.status.success());
}

/// Runs a program that succeeds; what it printed, and what it logged.
fn run(program: &str) -> (String, String) {
    // With colours, if another crate of the build has them, the log is no plain text.
    let output = Command::new(program).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (printed, logged) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{printed}{logged}");
    (printed, logged)
}

#[test]
fn the_service_has_room_for_one_and_ends_in_order() {
    assert_eq!(
        run(env!("CARGO_BIN_EXE_service")).0,
        "Hello, World!\n\
         disconnected: the other side gave the connection up: this server has 1 connection, its maximum: \
         try again later\n\
         not sent: true\n\
         Hello, World!\n\
         nothing is served any more: true\n"
    );
}

#[test]
fn the_connection_is_made_again() {
    let printed = run(env!("CARGO_BIN_EXE_again")).0;
    // The hook runs beside the call that fails.
    let mut lines: Vec<_> = printed.lines().collect();
    let lost: Vec<_> = lines.extract_if(.., |line| line.starts_with("lost: ")).collect();
    assert!(lost.len() == 1 && lost[0].starts_with("lost: disconnected: "), "{printed}");
    assert_eq!(
        lines,
        ["connection 1: Hello, you who came!", "true", "connection 2: Hello, World!"]
    );
}

#[test]
fn the_program_that_falls_over_is_started_again() {
    let printed = run(env!("CARGO_BIN_EXE_watched")).0;
    // Hooks run on threads of their own, and the last one may have no time to.
    let mut lines: Vec<_> = printed.lines().collect();
    let exits: Vec<_> = lines.extract_if(.., |line| line.starts_with("it exited")).collect();
    assert_eq!(exits.first(), Some(&"it exited: exit status: 3"), "{printed}");
    assert_eq!(
        lines,
        ["Hello, World!", "lost: true", "Hello, World again!", "restarts: 1, now: Serving"]
    );
}

#[test]
fn the_log_and_the_dump_tell_of_the_call_that_is_late() {
    let (printed, logged) = run(env!("CARGO_BIN_EXE_look"));
    for told in [
        "no answer within 50ms to Hello.greet from the greeter\n",
        "  serves Hello.greet for ",
        "cancelled, and the peer has not ended it",
        "calls refused: 0\nHello, World!\n",
    ] {
        assert!(printed.contains(told), "{told} is not in\n{printed}");
    }
    for told in [
        "DEBUG multiprocess::calls: IPC client send #",
        " Hello.greet timed out: no answer within 50ms ",
        " Hello.greet$Results ",
    ] {
        assert!(logged.contains(told), "{told} is not in\n{logged}");
    }
}
