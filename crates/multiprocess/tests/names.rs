//! The names of spans, fields and metrics are all in one table of the crate's documentation, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What the row has between backticks.
fn row(what: &str) -> BTreeSet<String> {
    let docs = include_str!("../src/lib.rs");
    let start = format!("//! | {what} | ");
    let row = docs.lines().find_map(|line| line.strip_prefix(&start));
    let row = row.unwrap_or_else(|| panic!("the documentation has no row for {what}"));
    row.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn source(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The texts that follow `start` up to a quotation mark.
fn quoted(code: &str, start: &str) -> BTreeSet<String> {
    let after = code.split(start).skip(1);
    after.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()).collect()
}

/// The fields of what `macro_name!(` begins: `name`, `name = value`, `%name` and `?name`.
fn fields(code: &str, macro_name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for call in code.split(macro_name).skip(1) {
        let call: String = call.split(");").next().unwrap_or_default().replace('\n', " ");
        for part in call.split(',').map(str::trim) {
            let name = part.split('=').next().unwrap_or_default().trim();
            let name = name.trim_start_matches(['%', '?']);
            let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if is_name && !name.is_empty() {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn targets_and_spans() {
    let mut targets = BTreeSet::new();
    for file in ["call_log.rs", "call_span.rs"] {
        let code = source(file);
        let named = quoted(&code, "\"multiprocess::");
        assert_eq!(named.len(), 1, "{file}: {named:?}");
        targets.extend(named.into_iter().map(|name| format!("multiprocess::{name}")));
    }
    assert_eq!(row("targets of `tracing`"), targets);
    let code = source("call_span.rs");
    assert_eq!(row("span"), set(&["call"]));
    assert!(code.contains("target: target!(), \"call\""));
    let fields = fields(&code, "debug_span!(");
    assert!(fields.len() > 5, "{fields:?}");
    assert_eq!(row("its fields"), fields);
}

#[test]
fn metrics() {
    let code = source("stats/exported.rs") + &source("diagnostics/exported.rs");
    for (what, macro_name) in [
        ("counters of `metrics`", "counter!(\""),
        ("histogram", "histogram!(\""),
        ("gauges", "gauge!(\""),
    ] {
        let named = quoted(&code, macro_name);
        assert!(!named.is_empty(), "{what}");
        assert_eq!(row(what), named, "{what}");
        // Where they are explained.
        let explained = include_str!("../src/stats/mod.rs");
        for name in named {
            assert!(explained.contains(&format!("//! | `{name}` |")), "{name} is not explained");
        }
    }
    let mut labels = quoted(&code, "(\"method\", method), (\"");
    labels.extend(quoted(&code, "(\"side\", side), (\""));
    labels.extend(code.split(" => ").filter_map(|before| {
        let name = before.strip_suffix('"')?.rsplit('"').next()?;
        Some(name.to_owned())
    }));
    labels.insert("method".to_owned());
    assert_eq!(row("labels"), labels);
}

/// The lines of calls are written by two macros of `call_log.rs`.
#[test]
fn fields_of_the_log() {
    let code = source("call_log.rs");
    let mut own = BTreeSet::new();
    for name in row("fields of the log of calls") {
        let is_there =
            [format!("%{name},"), format!("?{name},"), format!(" {name},"), format!(" {name} =")]
                .iter()
                .any(|shape| code.contains(shape));
        assert!(is_there, "no line has {name}");
        own.insert(name);
    }
    let mut written: BTreeSet<String> = fields(&code, "tracing::debug!(");
    written.extend(fields(&code, "tracing::trace!("));
    written.extend(set(&["bytes", "waited"]));
    // What the texts are made of.
    for part in ["method", "parameters", "end"] {
        written.remove(part);
    }
    assert_eq!(own, written);
}

/// Of all other lines.
#[test]
fn fields_of_other_lines() {
    let source_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source_folder.clone()];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = path.strip_prefix(&source_folder).unwrap().to_str().unwrap().to_owned();
            if file.starts_with("call_") || file.ends_with("tests.rs") {
                continue;
            }
            let code = source(&file);
            for level in ["trace", "debug", "info", "warn", "error"] {
                for call in code.split(&format!("tracing::{level}!(")).skip(1) {
                    // The fields come before the text.
                    let before = call.split("\"").next().unwrap_or_default();
                    found.extend(fields(&format!("x!({before});"), "x!("));
                }
            }
        }
    }
    assert_eq!(row("fields of other lines"), found);
}
