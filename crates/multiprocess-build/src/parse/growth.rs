//! How the model grows with the depth of a schema: by counts, from shallow schemas to deep ones. If
//! something doubles with every level, the shallow schemas show it before the deep ones use up the
//! memory.

use super::inherit::All;
use super::tests::{Result, interface, model};

/// Each has twice the levels of the one before.
const DEPTHS: [usize; 5] = [3, 6, 12, 24, 48];

/// By what factor a count may grow when the depth doubles. n levels have up to n ancestors each, so
/// a count is a polynomial of the second degree without negative coefficients.
const SQUARE: usize = 4;

/// A level for each number, from one schema's text for it.
fn levels(depth: usize, level: impl Fn(usize) -> String) -> String {
    let first = "interface L0 { m0 @0 (n :Int32); }\n".to_owned();
    first + &(1..=depth).map(level).collect::<String>()
}

fn chain(depth: usize) -> String {
    levels(depth, |n| format!("interface L{n} extends(L{}) {{ m{n} @0 (); }}\n", n - 1))
}

/// Two paths from each level to the one before.
fn diamonds(depth: usize) -> String {
    levels(depth, |n| {
        let before = n - 1;
        format!(
            "interface A{n} extends(L{before}) {{ a{n} @0 (); }}
             interface B{n} extends(L{before}) {{ b{n} @0 (); }}
             interface L{n} extends(A{n}, B{n}) {{ m{n} @0 (); }}\n"
        )
    })
}

/// Each level extends the two before.
fn ladder(depth: usize) -> String {
    levels(depth, |n| match n {
        1 => "interface L1 extends(L0) { m1 @0 (); }\n".to_owned(),
        _ => format!("interface L{n} extends(L{}, L{}) {{ m{n} @0 (); }}\n", n - 1, n - 2),
    })
}

/// Each level has two structs, and lists of structs, that refer to the level before.
fn structs(depth: usize) -> String {
    let level = |n: usize| {
        let before = n - 1;
        format!(
            "struct S{n}(T) {{ a @0 :S{before}(P(T)); b @1 :List(S{before}(P(T))); \
             g :group {{ c @2 :S{before}(T); }} }}\n"
        )
    };
    "struct P(T) { t @0 :T; }\nstruct S0(T) { t @0 :T; }\n".to_owned()
        + &(1..=depth).map(level).collect::<String>()
        + &format!("interface I {{ m @0 (s :S{depth}(Text)) -> (s :S{depth}(Data)); }}")
}

/// Asserts that the count grows no faster than the square of the depth.
#[track_caller]
fn assert_square(what: &str, counts: &[(usize, usize)]) {
    if let [.., (before, few), (depth, many)] = counts {
        assert!(*many <= SQUARE * few, "{what}: {few} of {before} levels, and {many} of {depth}");
    }
}

#[test]
fn neither_the_model_nor_the_work_doubles_with_each_level() -> Result {
    for (name, text) in [
        ("chain", chain as fn(usize) -> String),
        ("diamonds", diamonds),
        ("ladder", ladder),
        ("structs", structs),
    ] {
        let (mut sizes, mut visits) = (Vec::new(), Vec::new());
        for depth in DEPTHS {
            let schema = model(&format!("growth-{name}"), &text(depth))?;
            // The size of the model, as the length of its Debug text.
            sizes.push((depth, format!("{schema:?}").len()));
            assert_square(&format!("what is held of {name}"), &sizes);

            let all = All::of(&schema);
            let interfaces = schema.files.iter().map(|file| file.interfaces.len()).sum::<usize>();
            assert_eq!(all.parents_first(&schema).len(), interfaces, "{name}, {depth} levels");
            let lines = all.lines(&schema);
            visits.push((depth, lines.values().map(|line| line.looked_at).sum()));
            assert_square(&format!("what is looked at of {name}"), &visits);
        }
    }
    Ok(())
}

#[test]
fn no_depth_is_too_great() -> Result {
    let schema = model("deep", &chain(100))?;
    let last = interface(&schema, "L100")?;
    assert_eq!(last.ancestors.len(), 100);
    let methods = last.ancestors.iter().flat_map(|found| &found.methods);
    let mut names: Vec<_> = methods.map(|method| method.name.clone()).collect();
    names.reverse();
    assert_eq!(names, (0..100).map(|n| format!("m{n}")).collect::<Vec<_>>());
    Ok(())
}
