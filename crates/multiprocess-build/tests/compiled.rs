//! Checks that every golden file compiles without a warning, also with `missing_docs`. The user's
//! types that the golden files name are in this file.

#![deny(warnings)]
#![warn(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use multiprocess::{Codec, CodecError};

#[path = "golden/futures/mod.rs"]
mod futures;
#[path = "golden/kept/mod.rs"]
mod kept;
#[path = "golden/plain/mod.rs"]
mod plain;
#[path = "golden/sharing/mod.rs"]
mod sharing;
#[path = "golden/versions/mod.rs"]
mod versions;

/// For durations: whole milliseconds.
#[derive(Debug)]
pub struct Millis;

impl Codec<Duration> for Millis {
    type Wire = i64;

    fn decode(wire: i64) -> Result<Duration, CodecError> {
        Ok(Duration::from_millis(u64::try_from(wire)?))
    }

    fn encode(value: &Duration) -> Result<i64, CodecError> {
        Ok(i64::try_from(value.as_millis())?)
    }
}

/// A number of years.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Years(u8);

impl Codec for Years {
    type Wire = u8;

    fn decode(wire: u8) -> Result<Years, CodecError> {
        Ok(Years(wire))
    }

    fn encode(value: &Years) -> Result<u8, CodecError> {
        Ok(value.0)
    }
}

/// Thirty-two bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Hash([u8; 32]);

impl Codec for Hash {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<Hash, CodecError> {
        wire.try_into().map(Hash).map_err(|_| "a hash has 32 bytes".into())
    }

    fn encode(value: &Hash) -> Result<Vec<u8>, CodecError> {
        Ok(value.0.to_vec())
    }
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// And after which time.
    Innocent(Duration),
    /// And why.
    Guilty(String),
}

impl Codec<Verdict> for plain::marks::MarksJudgeResults {
    type Wire = Self;

    fn decode(wire: Self) -> Result<Verdict, CodecError> {
        Ok(if wire.guilty { Verdict::Guilty(wire.why) } else { Verdict::Innocent(wire.after) })
    }

    fn encode(value: &Verdict) -> Result<Self, CodecError> {
        match value {
            Verdict::Guilty(why) if why.is_empty() => Err("there is no guilt without a why".into()),
            Verdict::Guilty(why) => {
                Ok(Self { guilty: true, why: why.clone(), after: Duration::ZERO })
            }
            Verdict::Innocent(after) => {
                Ok(Self { guilty: false, why: String::new(), after: *after })
            }
        }
    }
}

#[test]
fn a_default_goes_through_the_codec() {
    let expected = plain::marks::Limit { time: Duration::from_millis(1500), count: 3 };
    assert_eq!(plain::marks::Limit::default(), expected);
}

/// An object of this process, whose methods have the author's types, called without codecs.
#[test]
fn raw_methods_of_an_object_of_this_process_use_its_codecs() {
    use plain::marks::{HighMarks, HighMarksClient, Marks, MarksClient};

    struct Court;
    impl HighMarks for Court {}
    impl Marks for Court {
        fn judge(&self, case: String, years: Option<Years>) -> multiprocess::Result<Verdict> {
            Ok(match years {
                Some(Years(years)) => Verdict::Innocent(Duration::from_secs(years.into())),
                None => Verdict::Guilty(case),
            })
        }

        fn rest(&self) -> multiprocess::Result<Duration> {
            Ok(Duration::MAX)
        }
    }

    let high = HighMarksClient::new(Court).judge_raw("theft", None).wait();
    assert!(matches!(&high, Ok(results) if results.guilty && results.why == "theft"));
    let court = MarksClient::new(Court);
    let guilty = court.judge_raw("theft", None).wait();
    assert!(matches!(&guilty, Ok(results) if results.guilty && results.why == "theft"));
    let innocent = court.judge_raw("theft", Some(2)).wait();
    assert!(matches!(&innocent, Ok(results) if !results.guilty && results.after == 2000));
    // What the codec refuses is an error that names the method and, where there is one, the field.
    let error = court.judge_raw("", None).wait().err().map(|error| error.to_string());
    let text = "Marks.judge: a value cannot be sent: there is no guilt without a why";
    assert_eq!(error.as_deref(), Some(text));
    let error = court.rest_raw().wait().err().map(|error| error.to_string());
    let text = "Marks.rest.result: a value cannot be sent: out of range integral type conversion \
                attempted";
    assert_eq!(error.as_deref(), Some(text));
    let error = court.wait_raw(-1).wait().err().map(|error| error.to_string());
    let text = "cannot decode Marks.wait.until: out of range integral type conversion attempted";
    assert_eq!(error.as_deref(), Some(text));
}

/// An object of this crate can be used as one of the other crate, because the types are the same.
#[test]
fn an_interface_that_extends_another_crates() {
    use multiprocess_tests::generated::lab::{Counter, CounterClient};
    use sharing::own::{Clinic, ClinicClient};

    struct Both;
    impl Counter for Both {
        fn next(&self) -> multiprocess::Result<i64> {
            Ok(5)
        }
    }
    impl Clinic for Both {}

    let counter = CounterClient::from(ClinicClient::new(Both));
    assert!(matches!(counter.next().wait(), Ok(5)));
}

#[test]
fn constants_are_what_the_schema_says() {
    use plain::values::{
        ANSWER, Color, FAVOURITE, GREETING, MAGIC, MIXED, PARTS, PRIMES, Paint, PaintHow, Part,
        WORDS,
    };
    assert_eq!((ANSWER, GREETING, MAGIC), (42, "hello", &[0xf9, 0xbe, 0xb4, 0xd9][..]));
    assert_eq!(PRIMES, [2, 3, 5]);
    assert_eq!(WORDS, [&["a"][..], &["b", "c"]]);
    assert_eq!(FAVOURITE, Color::Green);
    assert_eq!(*MIXED, Part { color: Color::Green, share: 3 });
    assert_eq!(*PARTS, [Part { share: 2, ..Part::default() }, Part::default()]);

    let paint = Paint::default();
    assert_eq!((paint.color, paint.label.as_str()), (Color::Blue, "none"));
    assert_eq!(paint.names, ["a", "b"]);
    let green = Part { color: Color::Green, share: 1 };
    assert_eq!(paint.mix, [Part { share: 2, ..Part::default() }, green]);
    assert_eq!((paint.base.share, paint.bytes), (7, vec![1, 0xff]));
    assert_eq!(paint.grid, [vec![1], vec![], vec![-2, 3]]);
    assert_eq!(paint.how, PaintHow::Brush);
}

#[test]
fn a_secret_is_not_shown() {
    use plain::marks::Account;
    let account = Account { password: "hunter2".to_owned(), ..Account::default() };
    let shown = format!("{account:?}");
    assert!(shown.contains("<redacted>") && !shown.contains("hunter2"), "{shown}");
}

/// A crate that does not know all fields of a struct makes it like this.
#[test]
fn each_setter_sets_its_field() {
    use plain::generics::Pair;
    use plain::marks::{Age, MarksJudgeResults, MarksJudgeResultsRaw};
    use plain::names::Taken;

    let second = Duration::from_secs(1);
    let results = MarksJudgeResults { guilty: true, why: "theft".to_owned(), after: second };
    assert_eq!(MarksJudgeResults::new(second).guilty(true).why("theft"), results);
    assert_eq!(
        MarksJudgeResults::new(Duration::ZERO).guilty(true).why("theft").after(second),
        results
    );
    assert_eq!(MarksJudgeResultsRaw::default().after(5).after, 5);
    let age = Age::default().other(Hash([7; 32])).shown(4);
    assert_eq!((&age.other, age.shown), (&Some(Hash([7; 32])), 4));
    assert_eq!(age.other(None).shown(0), Age::default());
    let pair = Pair::new("a".to_owned(), vec![1_u8]).second(vec![2]);
    assert_eq!(pair, Pair { first: "a".to_owned(), second: vec![2] });
    // Names that are taken, and one that is what such a name would become.
    let taken = Taken { clone: 1, new: "2".to_owned(), default: true, clone_: 4 };
    assert_eq!(Taken::default().clone__(1).new_("2").default_(true).clone_(4), taken);
    assert_eq!(taken.clone(), taken);
}

/// Only a struct that came from a peer with a newer schema has something to show.
#[test]
fn debug_does_not_show_what_is_not_there() {
    let shown = format!(
        "{:?} {:?}",
        kept::post::Letter::default().rest("r"),
        kept::post::Nothing::default()
    );
    let want = "Letter { rest: \"r\", urgent: true, weight: <redacted>, stamps: [], from: LetterFrom { name: \"\", \
                how: Post }, which: Plain } Nothing";
    assert_eq!(shown, want);
}
