//! Checks that every golden file compiles without a warning, also with `missing_docs`. The user's
//! types that the golden files name are in this file.

#![deny(warnings)]
#![warn(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use multiprocess::{Codec, CodecError};

#[path = "golden/futures/mod.rs"]
mod futures;
#[path = "golden/plain/mod.rs"]
mod plain;
#[path = "golden/sharing/mod.rs"]
mod sharing;
#[path = "golden/versions/mod.rs"]
mod versions;

/// For durations: whole milliseconds.
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
