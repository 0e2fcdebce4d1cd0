//! The spans of both processes are one trace, each the child of the one that caused it. Without a network: the program
//! keeps its spans in memory, and prints them.

use std::collections::BTreeSet;
use std::process::Command;

#[derive(Debug)]
struct Span {
    process: String,
    trace: String,
    id: String,
    parent: String,
    kind: String,
    name: String,
}

fn span(line: &str) -> Span {
    let mut words = line.splitn(6, ' ').map(str::to_owned);
    let mut next = || words.next().unwrap_or_else(|| panic!("{line}"));
    let [process, trace, id, parent, kind, name] = std::array::from_fn(|_| next());
    Span { process, trace, id, parent, kind, name }
}

#[test]
fn one_trace_goes_through_both_processes() {
    let output = Command::new(env!("CARGO_BIN_EXE_traced")).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let said: Vec<_> = printed.lines().filter(|line| !line.starts_with("span: ")).collect();
    assert_eq!(said, ["served: soup", "soup, enjoy", "the other side failed: not on the menu"]);

    let spans: Vec<_> =
        printed.lines().filter_map(|line| line.strip_prefix("span: ")).map(span).collect();
    let named = |kind: &str, name: &str| -> Vec<&Span> {
        spans.iter().filter(|span| (&*span.kind, &*span.name) == (kind, name)).collect()
    };
    let [dinner] = named("Internal", "dinner")[..] else { panic!("{spans:#?}") };
    assert_eq!(dinner.parent, "0000000000000000");
    let of_trace: Vec<_> = spans.iter().filter(|span| span.trace == dinner.trace).collect();
    // The call for the spans is another trace, and has not ended where it is served.
    assert_eq!(of_trace.len(), 8, "{spans:#?}");

    // Two calls from here, each served there.
    let (asked, cooked) = (named("Client", "Kitchen.cook"), named("Server", "Kitchen.cook"));
    assert_eq!((asked.len(), cooked.len()), (2, 2), "{spans:#?}");
    assert!(asked.iter().all(|span| span.parent == dinner.id && span.process == dinner.process));
    let there = &cooked[0].process;
    assert_ne!(*there, dinner.process);
    let parents: BTreeSet<_> = cooked.iter().map(|span| &span.parent).collect();
    assert_eq!(parents, asked.iter().map(|span| &span.id).collect());

    // And back, from a span of the method's own.
    let [stove] = named("Internal", "at the stove")[..] else { panic!("{spans:#?}") };
    let [calls] = named("Client", "Waiter.serve")[..] else { panic!("{spans:#?}") };
    let [serves] = named("Server", "Waiter.serve")[..] else { panic!("{spans:#?}") };
    assert_eq!(stove.parent, cooked[0].id);
    assert_eq!((&calls.parent, &calls.process), (&stove.id, there));
    assert_eq!((&serves.parent, &serves.process), (&calls.id, &dinner.process));
}
