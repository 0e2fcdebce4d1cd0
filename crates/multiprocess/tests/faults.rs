//! docs/FAULTS.md is true to the tests: each fault has a row, and each test that a row names is one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The rows are numbered from 1 to this.
const ROWS: usize = 60;

/// What the cells of a row begin with that has no tests.
const NONE: &str = "None: ";
/// What says, in a cell, that something is missing.
const OPEN: &str = "**Open:** ";
/// The shortest reason that can say anything.
const SHORTEST_REASON: usize = 15;

/// Everything that is wrong with the table. `read` gives the text of a file, by its path from the
/// project's root.
fn problems(document: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for line in document.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Ok(number) = cells[0].parse::<usize>() else { continue };
        let mut wrong = |problem: String| problems.push(format!("row {number}: {problem}"));
        if !(1..=ROWS).contains(&number) || !seen.insert(number) {
            wrong("its number is another row's, or none of the list".to_owned());
        }
        let [_, fault, outcome, server, client] = cells[..] else {
            wrong(format!("it has {} cells", cells.len()));
            continue;
        };
        if fault.is_empty() || outcome.is_empty() {
            wrong("it does not say what happens".to_owned());
        }
        for cell in [server, client] {
            let (references, mut bad) = references(cell);
            bad.extend(references.iter().filter_map(|reference| reference.problem(&read)));
            let reason = [NONE, OPEN].iter().find_map(|mark| Some(cell.split_once(mark)?.1));
            if references.is_empty() && reason.is_none_or(|text| text.len() < SHORTEST_REASON) {
                bad.push(format!("neither tests nor a reason: {cell}"));
            }
            bad.into_iter().for_each(&mut wrong);
        }
    }
    let missing = (1..=ROWS).filter(|number| !seen.contains(number));
    problems.extend(missing.map(|number| format!("row {number} is missing")));
    problems
}

struct Reference<'a> {
    path: &'a str,
    name: &'a str,
    /// It runs only where a variable is set, or as root, and the table says so.
    needs_variable: bool,
}

/// The tests that a cell names: `path: name, name`, in code. Behind it, "(needs `VARIABLE`)". And what
/// cannot be read.
fn references(cell: &str) -> (Vec<Reference<'_>>, Vec<String>) {
    let (mut found, mut bad) = (Vec::new(), Vec::new());
    let pieces: Vec<_> = cell.split('`').collect();
    if pieces.len() % 2 == 0 {
        bad.push(format!("code that does not end: {cell}"));
    }
    for (place, code) in pieces.iter().enumerate().skip(1).step_by(2) {
        if pieces[place - 1].ends_with("(needs ") {
            continue;
        }
        let Some((path, names)) = code.split_once(": ") else {
            bad.push(format!("not a file and tests: {code}"));
            continue;
        };
        let needs_variable = pieces.get(place + 1).is_some_and(|after| after == &" (needs ");
        for name in names.split(',') {
            found.push(Reference { path, name: name.trim(), needs_variable });
        }
    }
    (found, bad)
}

impl Reference<'_> {
    fn problem(&self, read: impl Fn(&str) -> Option<String>) -> Option<String> {
        let Reference { path, name, .. } = self;
        let Some(text) = read(path) else { return Some(format!("there is no file {path}")) };
        let state = match path.rsplit_once('.') {
            Some((_, "rs")) => rust_test(&text, name),
            Some((_, "py")) if path.starts_with("tests/foreign/") => python_test(&text, name),
            Some((_, "py")) if path.starts_with("tests/chaos/") => chaos_case(&text, name),
            _ => State::Missing,
        };
        match state {
            State::Runs if self.needs_variable => Some(format!("{path}: {name} needs no variable")),
            State::Ignored if self.needs_variable => None,
            State::Runs => None,
            State::Ignored => Some(format!("{path}: {name} is not run")),
            State::Missing => Some(format!("there is no test {name} in {path}")),
        }
    }
}

enum State {
    Runs,
    Ignored,
    Missing,
}

/// A function of this name, with `#[test]` among the attributes before it.
fn rust_test(text: &str, name: &str) -> State {
    let mut attributes: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
        } else if is_function(line, name) {
            let is = |attribute: &str| attributes.iter().any(|line| line.starts_with(attribute));
            return match () {
                () if !is("#[test]") && !is("#[tokio::test") => State::Missing,
                () if is("#[ignore") => State::Ignored,
                () => State::Runs,
            };
        } else if !line.starts_with("//") {
            attributes.clear();
        }
    }
    State::Missing
}

fn is_function(line: &str, name: &str) -> bool {
    let line = line.strip_prefix("async ").unwrap_or(line);
    let rest = line.strip_prefix("fn ").and_then(|line| line.strip_prefix(name));
    rest.is_some_and(|rest| rest.starts_with('('))
}

/// A method of this name, which no decorator skips.
fn python_test(text: &str, name: &str) -> State {
    let mut before = "";
    for line in text.lines().map(str::trim) {
        let method = line.strip_prefix("async ").unwrap_or(line).strip_prefix("def ");
        let rest = method.and_then(|method| method.strip_prefix(name));
        if name.starts_with("test_") && rest.is_some_and(|rest| rest.starts_with('(')) {
            let skips = before.starts_with('@') && before.contains("skip");
            return if skips { State::Ignored } else { State::Runs };
        }
        before = line;
    }
    State::Missing
}

/// A function of this name that takes a case, and is in the list of those that `tests/chaos/run` runs.
fn chaos_case(text: &str, name: &str) -> State {
    let list = text.split_once("\nCASES = [").and_then(|(_, rest)| rest.split_once(']'));
    let listed = list.is_some_and(|(list, _)| list.split(',').any(|entry| entry.trim() == name));
    match text.contains(&format!("\ndef {name}(case):\n")) {
        true if listed => State::Runs,
        true => State::Ignored,
        false => State::Missing,
    }
}

#[test]
fn every_fault_has_a_row_and_every_test_of_a_row_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = fs::read_to_string(root.join("docs/FAULTS.md")).unwrap();
    let problems = problems(&document, |path| fs::read_to_string(root.join(path)).ok());
    assert!(problems.is_empty(), "docs/FAULTS.md:\n{}", problems.join("\n"));
}

/// A table with one row that has these two cells, and reasons in all others.
fn table(server: &str, client: &str) -> String {
    let none = "None: not of this test";
    let others = (2..=ROWS).map(|row| format!("| {row} | fault | outcome | {none} | {none} |\n"));
    format!("| 1 | fault | outcome | {server} | {client} |\n{}", others.collect::<String>())
}

#[test]
fn what_is_wrong_with_a_table_is_found() {
    let rust = "#[test]\n#[cfg(unix)]\nfn good() {\n}\n#[test]\n#[ignore = \"long\"]\nfn long() {\n}\n\
                fn helper() {\n}\n#[test]\nconst X: u8 = 1;\nfn late() {\n}\n";
    let python =
        "class A:\n    async def test_a(self):\n    @unittest.skip('no')\n    def test_b(self):\n";
    let chaos = "import a\ndef case_a(case):\n    pass\ndef case_b(case):\n    pass\ndef helper(b):\n    pass\n\
                 CASES = [case_c,\n         case_a, helper]\n";
    let read = |path: &str| match path {
        "tests/chaos/d.py" => Some(chaos.to_owned()),
        "a/b.rs" => Some(rust.to_owned()),
        "tests/foreign/c.py" | "other/c.py" => Some(python.to_owned()),
        _ => None,
    };
    let none = "None: there is no such side";
    let good = [
        "own `a/b.rs: good`; pycapnp `tests/foreign/c.py: test_a`",
        "`tests/chaos/d.py: case_a`",
        "`a/b.rs: long` (needs `VARIABLE`)",
        "**Open:** nothing shows it yet",
        "`a/b.rs: good`. **Open:** nothing shows the rest",
    ];
    for cell in good {
        assert_eq!(problems(&table(cell, none), read), [""; 0], "{cell}");
        assert_eq!(problems(&table(none, cell), read), [""; 0], "{cell}");
    }
    let bad = [
        "",
        "None: ",
        "**Open:** ",
        "some text that says nothing of a test",
        "`a/b.rs: better`",
        "`a/b.rs: helper`",
        "`a/b.rs: late`",
        "`a/b.rs: long`",
        "`a/b.rs: good` (needs `VARIABLE`)",
        "`a/b.rs: good, better`",
        "`a/none.rs: good`",
        "`a/b.rs`",
        "`a/b.rs: good",
        "`tests/foreign/c.py: test_b`",
        "`tests/foreign/c.py: test_c`",
        "`other/c.py: test_a`",
        "`tests/chaos/d.py: case_b`",
        "`tests/chaos/d.py: case_c`",
        "`tests/chaos/d.py: helper`",
    ];
    for cell in bad {
        assert_ne!(problems(&table(cell, none), read), [""; 0], "{cell}");
        assert_ne!(problems(&table(none, cell), read), [""; 0], "{cell}");
    }
    // A row that is missing, is there twice, has a cell less, or has a number of its own.
    let whole = table(none, none);
    let rows: Vec<_> = whole.lines().collect();
    assert_eq!(problems(&rows[1..].join("\n"), read), ["row 1 is missing"]);
    assert_ne!(problems(&[rows.as_slice(), &rows[3..4]].concat().join("\n"), read), [""; 0]);
    assert_ne!(problems(&whole.replacen("| outcome ", "", 1), read), [""; 0]);
    assert_ne!(problems(&format!("{whole}| 44 | a | b | {none} | {none} |"), read), [""; 0]);
}
