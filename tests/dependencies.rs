//! Each dependency of a published crate is in the tables of `docs/DEPENDENCIES.md`, with who uses it, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const TABLES: &str = include_str!("../docs/DEPENDENCIES.md");

/// Crates, and those that use them.
type Users = BTreeMap<String, BTreeSet<String>>;

/// What the manifests say, without the dependencies of tests and benches.
fn from_the_manifests() -> Users {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let own: BTreeSet<&str> = packages.iter().map(|package| text(&package["name"])).collect();

    let mut users = Users::new();
    // `publish = false` is an empty list of registries.
    for package in packages.iter().filter(|package| package["publish"].is_null()) {
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let not_of_tests = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
        for name in not_of_tests.map(|dependency| text(&dependency["name"])) {
            if !own.contains(name) {
                users.entry(name.to_owned()).or_default().insert(text(&package["name"]).to_owned());
            }
        }
    }
    users
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// What the tables say. Each row begins with the crate's name as code.
fn from_the_tables() -> Users {
    let mut users = Users::new();
    for row in TABLES.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, used_by, what_for, why] = cells[..] else { panic!("four columns: {row}") };
        assert!(!what_for.is_empty() && !why.is_empty(), "what for, and why: {row}");
        let used_by = used_by.split(", ").map(str::to_owned).collect();
        let before = users.insert(name.trim_matches('`').to_owned(), used_by);
        assert_eq!(before, None, "once: {row}");
    }
    users
}

#[test]
fn the_tables_have_each_dependency_and_who_uses_it() {
    assert_eq!(from_the_tables(), from_the_manifests(), "docs/DEPENDENCIES.md, and the manifests");
}
