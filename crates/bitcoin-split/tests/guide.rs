//! What `docs/SPLIT.md` shows of schemas is in them, and the files that it names are there. Its programs are run as
//! documentation tests.

use std::fs;
use std::path::{Path, PathBuf};

const GUIDE: &str = include_str!("../../../docs/SPLIT.md");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_schemas_are_those_that_are_compiled() {
    let mut schemas = String::new();
    for entry in fs::read_dir(root().join("crates/bitcoin-ipc-draft/schema")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "capnp") {
            schemas += &fs::read_to_string(path).unwrap();
        }
    }
    let known: Vec<&str> = schemas.lines().map(str::trim).collect();
    let mut shown = 0;
    for block in GUIDE.split("```capnp\n").skip(1) {
        let lines = block.lines().take_while(|line| *line != "```").map(str::trim);
        for line in lines.filter(|line| !line.is_empty()) {
            assert!(known.contains(&line), "no schema has {line}");
            shown += 1;
        }
    }
    assert_eq!(shown, 13, "lines of schemas");
}

#[test]
fn the_files_that_it_names_are_there() {
    let names = GUIDE.split('`').filter(|name| name.starts_with("crates/") && !name.contains(' '));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(root().join(name).exists(), "there is no {name}");
    }
}
