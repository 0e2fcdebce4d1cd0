//! Messages that no well-behaved peer sends: only the call of each one fails.

use multiprocess::{AnyPointer, Error};
use multiprocess_everything::generated::types::{Color, Lists, Pair, Point};
use multiprocess_everything::generated::unions::Tree;

use crate::bare::seen_as;

/// A message of one segment with these words.
fn message(words: &[u64]) -> AnyPointer {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(words.len()).unwrap().to_le_bytes());
    for word in words {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    AnyPointer::from_bytes(bytes)
}

/// A pointer to a list that directly follows it.
fn list(element: u64, count: u64) -> u64 {
    1 | element << 32 | count << 35
}

/// A pointer to a struct that directly follows it.
fn structure(data: u64, pointers: u64) -> u64 {
    data << 32 | pointers << 48
}

const BITS: u64 = 1;
const BYTES: u64 = 2;
const COMPOSITE: u64 = 7;

#[test]
fn an_invalid_text() {
    // Without NUL at the end; empty; not UTF-8.
    for words in [&[list(BYTES, 2), 0x6161][..], &[list(BYTES, 0)], &[list(BYTES, 2), 0x00ff]] {
        let error = seen_as::<AnyPointer, String>(message(words)).unwrap_err();
        assert!(matches!(error, Error::Decode { .. }), "{error:?}");
    }
    assert_eq!(seen_as::<AnyPointer, String>(message(&[list(BYTES, 2), 0x61])).unwrap(), "a");
}

#[test]
fn a_list_of_another_size() {
    let bits = || message(&[list(BITS, 3), 0b101]);
    assert_eq!(seen_as::<AnyPointer, Vec<bool>>(bits()).unwrap(), [true, false, true]);
    for error in [
        seen_as::<AnyPointer, Vec<i32>>(bits()).map(drop),
        seen_as::<AnyPointer, Vec<String>>(bits()).map(drop),
        seen_as::<AnyPointer, Vec<Point>>(bits()).map(drop),
        seen_as::<AnyPointer, String>(bits()).map(drop),
        seen_as::<AnyPointer, Point>(bits()).map(drop),
    ] {
        assert!(matches!(error, Err(Error::Decode { .. })), "{error:?}");
    }
}

#[test]
fn a_struct_that_is_shorter_or_longer() {
    // A struct of an older schema, without the second field; and of a later one, with a further
    // field.
    let older = message(&[structure(0, 0)]);
    assert_eq!(seen_as::<_, Point>(older).unwrap(), Point::default());
    let later = message(&[structure(2, 0), 1 | 2 << 32, 3]);
    assert_eq!(seen_as::<_, Point>(later).unwrap(), Point { x: 1, y: 2 });
    // The same in a list.
    let points = message(&[list(COMPOSITE, 4), 2 << 2 | 2 << 32, 1, 9, 2, 9]);
    let wanted = [Point { x: 1, y: 0 }, Point { x: 2, y: 0 }];
    assert_eq!(seen_as::<_, Vec<Point>>(points).unwrap(), wanted);
}

#[test]
fn a_list_that_claims_more_than_was_sent() {
    // Structs without any data: one word can claim hundreds of millions of them.
    let claims = message(&[list(COMPOSITE, 0), (1 << 28) << 2]);
    let error = seen_as::<AnyPointer, Vec<Point>>(claims).unwrap_err();
    assert!(!error.is_disconnect(), "{error:?}");
}

#[test]
fn a_message_that_is_cut_off_or_points_nowhere() {
    for words in [&[structure(1, 0)][..], &[list(BYTES, 100), 0], &[list(COMPOSITE, 5), 0], &[2]] {
        let error = seen_as::<AnyPointer, Pair<String, Point>>(message(words)).map(drop);
        assert!(matches!(&error, Err(error) if !error.is_disconnect()), "{error:?}");
    }
}

#[test]
fn a_null_is_everything_that_is_empty() {
    let null = AnyPointer::default;
    assert_eq!(seen_as::<_, Lists>(null()).unwrap(), Lists::default());
    assert_eq!(seen_as::<_, Tree>(null()).unwrap(), Tree::default());
    assert_eq!(seen_as::<_, Vec<Vec<bool>>>(null()).unwrap(), Vec::<Vec<bool>>::new());
    assert_eq!(seen_as::<_, String>(null()).unwrap(), "");
    assert_eq!(Color::default(), Color::Red);
}
