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
    assert_eq!(shown, 12, "pieces of code with a file's name");
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
