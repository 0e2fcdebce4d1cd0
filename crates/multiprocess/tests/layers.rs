//! Checks the layers of the runtime: no module imports from a higher layer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest to the highest. What a file imports from the crate is in its own layer or below.
const LAYERS: &[&[&str]] = &[
    &["error"],
    &["panics"],
    &["process", "wire", "poller", "pool"],
    &["driver"],
    &["memory"],
    &["connection"],
    &["threads"],
    &["session"],
    &["serving"],
    &["calls"],
    &["rt"],
];

/// The names that the root exports for users, and their layers.
const ROOT: &[(&str, &str)] =
    &[("Error", "error"), ("Result", "error"), ("Raised", "error"), ("AnyPointer", "wire")];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file without comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The names that follow `prefix` in a piece of code: one, or those of a list in braces.
fn named(code: &str, prefix: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut names = BTreeSet::new();
    for (place, _) in code.match_indices(prefix) {
        // Not `$crate::`, which is for other crates' code.
        if code[..place].ends_with('$') {
            continue;
        }
        let rest = &code[place + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split_once('}').map_or(list, |(list, _)| list);
                names.extend(list.split(',').map(|name| word(name.trim())));
            }
            None => drop(names.insert(word(rest))),
        }
    }
    names.remove("");
    names
}

#[test]
fn no_import_runs_back_up() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&source, &mut all);
    assert!(all.len() > 50, "the files of the crate are somewhere else");
    let mut wrong = Vec::new();
    for path in &all {
        let place = path.strip_prefix(&source).unwrap();
        let first = place.components().next().unwrap().as_os_str().to_str().unwrap();
        let own = first.trim_end_matches(".rs");
        if own == "lib" {
            continue;
        }
        let Some(own_layer) = layer(own) else {
            wrong.push(format!("{own} is in no layer"));
            continue;
        };
        for name in named(&code(path), "crate::") {
            let root = ROOT.iter().find(|(known, _)| *known == name).map(|(_, module)| *module);
            match layer(root.unwrap_or(&name)) {
                Some(other) if other <= own_layer => {}
                // Names of the root for generated code.
                None if own == "rt" => {}
                Some(_) => {
                    wrong.push(format!("{} imports {name}, which is above", place.display()))
                }
                None => wrong.push(format!("{}: {name} is in no layer", place.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
