//! The layers of the runtime: no import runs back up, and within a layer none runs in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest to the highest. What a file imports from the crate is in its own layer or below.
const LAYERS: &[&[&str]] = &[
    &["count", "opaque", "timed_out"],
    &["error", "sync", "trace_context"],
    &["carried", "forked", "may_block", "moment", "panics", "wakers"],
    &["stats"],
    &["call_log", "limits_met", "process_limits", "thread_list"],
    &["call_span"],
    &["notes", "thread_start"],
    &["process", "wire", "poller", "pool"],
    &["driver"],
    &["cleanup", "delay", "memory"],
    &["closer"],
    &["connection"],
    &["threads"],
    &["session"],
    &["serving"],
    &["calls"],
    &["reconnect"],
    &["diagnostics"],
    &["monitor"],
    &["rt", "unwind"],
];

/// The names that the root exports for users, and their layers.
const ROOT: &[(&str, &str)] = &[
    ("Error", "error"),
    ("Result", "error"),
    ("Raised", "error"),
    ("TimedOut", "timed_out"),
    ("ProcessLimits", "process_limits"),
];

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

// ---- the files of one folder

/// A path without generic arguments, as its names: `["crate", "wire", "Reader"]`.
type Names = Vec<String>;

/// Splits code into names, `::`, and single characters, without comments, strings and characters.
fn tokens(text: &str) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    let at = |place: usize| all.get(place).copied().unwrap_or('\0');
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut place = 0;
    while place < all.len() {
        let c = all[place];
        if c == '/' && at(place + 1) == '/' {
            while place < all.len() && all[place] != '\n' {
                place += 1;
            }
        } else if c == '"' {
            place += 1;
            while place < all.len() && all[place] != '"' {
                place += if all[place] == '\\' { 2 } else { 1 };
            }
            place += 1;
        } else if c == '\'' && at(place + 1) == '\\' {
            place += 3;
            while place < all.len() && all[place] != '\'' {
                place += 1;
            }
            place += 1;
        } else if c == '\'' && at(place + 2) == '\'' {
            place += 3;
        } else if is_name(c) {
            let begin = place;
            while is_name(at(place)) {
                place += 1;
            }
            found.push(all[begin..place].iter().collect());
        } else if c == ':' && at(place + 1) == ':' {
            found.push("::".to_owned());
            place += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            place += 1;
        }
    }
    found
}

/// Where the bracket at `open` is closed: the place behind that.
fn behind_bracket(tokens: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place + 1;
        }
    }
    tokens.len()
}

/// Takes out the items that are compiled for tests only. Returns what is left, and the names of the
/// modules among those items, which may be files of their own.
fn without_tests(tokens: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut left, mut modules) = (Vec::new(), Vec::new());
    let mut place = 0;
    while place < tokens.len() {
        let attribute = tokens[place] == "#" && tokens.get(place + 1).is_some_and(|t| t == "[");
        let end = if attribute { behind_bracket(tokens, place + 1) } else { place };
        let inside = &tokens[(place + 2).min(end)..end];
        let for_tests = inside.first().is_some_and(|t| t == "cfg")
            && inside.iter().any(|t| t == "test")
            && !inside.iter().any(|t| t == "any" || t == "not");
        if !for_tests {
            left.push(tokens[place].clone());
            place += 1;
            continue;
        }
        // The item ends with its first `;`, or behind its first block.
        place = end;
        while place < tokens.len() {
            match tokens[place].as_str() {
                "#" | "(" | "[" => {
                    place = behind_bracket(tokens, place + usize::from(tokens[place] == "#"));
                    continue;
                }
                "mod" => modules.push(tokens[place + 1].clone()),
                "{" => {
                    place = behind_bracket(tokens, place);
                    break;
                }
                ";" => {
                    place += 1;
                    break;
                }
                _ => {}
            }
            place += 1;
        }
    }
    (left, modules)
}

/// Reads one path or list of paths that begins at `place`. Adds each, with the name it gets here, and
/// returns the place behind them.
fn paths_from(
    tokens: &[String],
    mut place: usize,
    prefix: &[String],
    found: &mut Vec<(Names, String)>,
) -> usize {
    let token = |place: usize| tokens.get(place).map_or("", String::as_str);
    let mut path = prefix.to_vec();
    loop {
        if token(place) == "{" {
            let end = behind_bracket(tokens, place);
            place += 1;
            while place < end - 1 {
                let next = paths_from(tokens, place, &path, found);
                place = if next > place { next } else { place + 1 };
            }
            return end;
        }
        let is_name = token(place).chars().all(|c| c.is_alphanumeric() || c == '_' || c == '*');
        if !is_name || token(place).is_empty() {
            break;
        }
        path.push(token(place).to_owned());
        place += 1;
        if token(place) != "::" {
            break;
        }
        place += 1;
    }
    if path.len() > prefix.len() {
        let mut known = path[path.len() - 1].clone();
        if token(place) == "as" {
            known = token(place + 1).to_owned();
            place += 2;
        }
        found.push((path, known));
    }
    place
}

/// What the `use` declarations of a module's file bring into it, and what else is in the file.
fn uses(tokens: &[String]) -> (Vec<(Names, String)>, Vec<String>) {
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    let mut place = 0;
    while place < tokens.len() {
        if tokens[place] == "use" {
            place = paths_from(tokens, place + 1, &[], &mut found);
        } else {
            rest.push(tokens[place].clone());
            place += 1;
        }
    }
    (found, rest)
}

/// All paths of a file that begin with `crate`, `super` or `self`.
fn rooted_paths(tokens: &[String]) -> Vec<Names> {
    let mut found = Vec::new();
    let mut place = 0;
    while place < tokens.len() {
        let inner = place > 0 && tokens[place - 1] == "::";
        if !inner && ["crate", "super", "self"].contains(&tokens[place].as_str()) {
            place = paths_from(tokens, place, &[], &mut found);
        } else {
            place += 1;
        }
    }
    found.into_iter().map(|(path, _)| path).filter(|path| path.len() > 1).collect()
}

/// One folder of the crate: for each of its files, the files that it imports from.
struct Imports {
    folder: String,
    files: BTreeMap<String, BTreeSet<String>>,
    /// What cannot be told.
    unclear: Vec<String>,
}

/// Reads the files of a folder. One is known by its name without `.rs`, and what is in a folder below
/// belongs to the file that is that folder's module. `root`: what the root of the crate names, for imports
/// from `crate` itself.
fn imports(source: &Path, folder: &str, root: &[(Names, String)]) -> Imports {
    let mut all = Vec::new();
    files(&source.join(folder), &mut all);
    let mut texts = BTreeMap::<Names, Vec<String>>::new();
    let mut for_tests = BTreeSet::<Names>::new();
    for path in &all {
        let place = path.strip_prefix(source).unwrap().with_extension("");
        let module: Names = place.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
        let (text, tests) = without_tests(&tokens(&fs::read_to_string(path).unwrap()));
        // A test module of a file is in the folder that is the file's, or beside it by `#[path]`.
        for test in tests {
            for_tests.insert([module.clone(), vec![test.clone()]].concat());
            let (file, folder) = module.split_last().unwrap();
            for_tests.insert([folder.to_vec(), vec![format!("{file}_{test}")]].concat());
        }
        texts.insert(module, text);
    }
    texts.retain(|module, _| !for_tests.contains(module));

    // What stands for a file: its module, or what the folder's mod.rs imports from it.
    let top: Names = vec![folder.to_owned(), "mod".to_owned()];
    let (named, own) = uses(&texts.remove(&top).unwrap());
    let names: BTreeSet<String> = texts.keys().map(|module| module[1].clone()).collect();
    let file_of = |name: &str| -> Option<String> {
        if names.contains(name) {
            return Some(name.to_owned());
        }
        let (path, _) = named.iter().find(|(_, known)| known == name)?;
        let first = path.iter().find(|name| *name != "self")?;
        names.contains(first).then(|| first.clone())
    };
    let mut found =
        Imports { folder: folder.to_owned(), files: BTreeMap::new(), unclear: Vec::new() };
    for (module, text) in &texts {
        let file = &module[1];
        let mut imported = BTreeSet::new();
        for path in rooted_paths(text) {
            // The path from the root of the crate.
            let mut whole = module.clone();
            let mut rest = path.as_slice();
            while let [first, more @ ..] = rest {
                match first.as_str() {
                    "crate" => whole.clear(),
                    "super" => drop(whole.pop()),
                    "self" => {}
                    _ => break,
                }
                rest = more;
            }
            whole.extend_from_slice(rest);
            if let [name] = whole.as_slice()
                && let Some((path, _)) = root.iter().find(|(_, known)| known == name)
            {
                whole.clone_from(path);
            }
            match whole.as_slice() {
                [first, ..] if first != folder => {}
                [_, name, ..] if name != "*" => {
                    // Else mod.rs itself has it.
                    imported.insert(file_of(name).unwrap_or_else(|| "mod".to_owned()));
                }
                _ => found.unclear.push(format!("{} imports all of {folder}", module.join("/"))),
            }
        }
        if text.windows(3).any(|three| three[0] == "mod" && three[2] == "{") {
            found.unclear.push(format!("{} has a module within it", module.join("/")));
        }
        imported.remove(file);
        found.files.entry(file.clone()).or_default().extend(imported);
    }
    // That mod.rs names something for others is no use of it; its own items are.
    let mut imported = BTreeSet::new();
    for (place, name) in own.iter().enumerate() {
        let is_path = own.get(place + 1).is_some_and(|next| next == "::");
        if is_path || !names.contains(name) {
            imported.extend(file_of(name));
        }
    }
    found.files.insert("mod".to_owned(), imported);
    found
}

/// A circle of imports, from a file back to itself; the shortest there is.
fn circle(files: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut shortest: Option<Vec<String>> = None;
    for begin in files.keys() {
        // Where each file was first reached from.
        let mut reached_from = BTreeMap::<&String, &String>::new();
        let mut queue = VecDeque::from([begin]);
        while let Some(file) = queue.pop_front() {
            for next in files.get(file).into_iter().flatten() {
                if !reached_from.contains_key(next) {
                    reached_from.insert(next, file);
                    queue.push_back(next);
                }
            }
        }
        if !reached_from.contains_key(begin) {
            continue;
        }
        let mut path = vec![begin.clone()];
        let mut file = reached_from[begin];
        while file != begin {
            path.push(file.clone());
            file = reached_from[file];
        }
        path.push(begin.clone());
        path.reverse();
        if shortest.as_ref().is_none_or(|known| path.len() < known.len()) {
            shortest = Some(path);
        }
    }
    shortest
}

/// Imports only: that a file has an `impl` whose methods another calls is not looked at.
#[test]
fn files_of_a_folder_import_each_other_in_no_circle() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let root = without_tests(&tokens(&fs::read_to_string(source.join("lib.rs")).unwrap())).0;
    let root = uses(&root).0;
    let mut seen = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&source).unwrap() {
        let entry = entry.unwrap();
        if !entry.path().is_dir() {
            continue;
        }
        let folder = imports(&source, entry.file_name().to_str().unwrap(), &root);
        seen += folder.files.values().map(BTreeSet::len).sum::<usize>();
        if let Some(circle) = circle(&folder.files) {
            wrong.push(format!("{}: {}", folder.folder, circle.join(" -> ")));
        }
        wrong.extend(folder.unclear);
    }
    assert!(seen > 150, "imports are written in some other way: only {seen} were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
