//! The book holds together: each chapter is in its summary and is tested, its links lead somewhere, and the files that
//! it shows are those that its programs are compiled with.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

const SUMMARY: &str = "SUMMARY.md";

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/book/src")
}

/// The names of all files of the book but its summary.
fn chapters() -> BTreeSet<String> {
    let files = book().read_dir().unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != SUMMARY).collect()
}

/// The lines that are no code.
fn prose(text: &str) -> Vec<&str> {
    let mut code = false;
    let prose = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        code ^= fence;
        !code && !fence
    });
    prose.collect()
}

/// Where the links of a text lead.
fn links(text: &str) -> Vec<String> {
    // A link may be broken over two lines.
    let prose = prose(text).join(" ");
    let ends = prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned());
    ends.collect()
}

/// The anchors of a text's headings, as mdBook and forges make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).into_iter().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn the_summary_has_every_chapter() {
    let summary = read_to_string(book().join(SUMMARY)).unwrap();
    let listed = links(&summary);
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), chapters());
    assert_eq!(listed.len(), chapters().len(), "each once");
}

#[test]
fn every_link_leads_to_a_file_and_its_heading() {
    let mut followed = 0;
    for chapter in chapters() {
        let text = read_to_string(book().join(&chapter)).unwrap();
        for link in links(&text).iter().filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { book().join(&chapter) } else { book().join(file) };
            assert!(path.is_file(), "{chapter}: {link} leads to no file");
            if !anchor.is_empty() {
                let known = anchors(&read_to_string(path).unwrap());
                assert!(known.iter().any(|known| known == anchor), "{chapter}: {link}: {known:?}");
            }
            followed += 1;
        }
    }
    assert!(followed > 40, "{followed} links were found");
}

#[test]
fn every_chapter_with_programs_is_tested() {
    let tests = read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for chapter in chapters() {
        let text = read_to_string(book().join(&chapter)).unwrap();
        let tested = tests.contains(&format!("\"{chapter}\""));
        assert_eq!(text.contains("```rust"), tested, "{chapter} in testing/book/src/lib.rs");
    }
}

/// A block of code with the name of a file above it, where this crate has that file, is its whole text.
#[test]
fn the_files_that_are_shown_are_those_of_this_crate() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut shown = BTreeSet::new();
    for chapter in chapters() {
        let text = read_to_string(book().join(&chapter)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let name = line.strip_prefix('`').and_then(|line| line.strip_suffix("`:"));
            let Some(name) =
                name.filter(|name| name.ends_with(".capnp") || name.ends_with("seconds.rs"))
            else {
                continue;
            };
            let code = lines[number + 3..].iter().take_while(|line| **line != "```");
            let code: String = code.flat_map(|line| [line, "\n"]).collect();
            let file = read_to_string(here.join(name)).unwrap();
            // A comment at its top is about this crate.
            let file = match file.split_once("\n\n") {
                Some((top, rest)) if top.starts_with("//!") => rest.to_owned(),
                _ => file,
            };
            assert_eq!(code, file, "{chapter}: {name}");
            shown.insert(name.to_owned());
        }
    }
    let expected =
        ["gallery/gallery.capnp", "schema/counters.capnp", "schema/notes.capnp", "src/seconds.rs"];
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), expected);
}
