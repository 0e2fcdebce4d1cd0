//! Custom Rust types, and values that their codecs refuse.

use std::num::NonZeroU32;

use multiprocess::{Error, Result};
use multiprocess_everything::codecs::{Age, Id};
use multiprocess_everything::generated::types::{Coded, CodedWithDefault, Color, Nullables, Point};
use multiprocess_everything::generated::unions::Shape;
use multiprocess_everything::generated::unmarked::BareCoded;
use multiprocess_everything::generated::values::{Values, ValuesClient};
use multiprocess_everything::pair::{Pair, pair, serve};
use multiprocess_everything::samples;

use crate::bare::{refused, seen_as};

/// `samples::coded` in its encoded form.
fn bare() -> BareCoded {
    BareCoded {
        age: 42,
        port: 1,
        id: vec![1, 2, 3, 4],
        ids: vec![vec![0; 4], vec![255; 4]],
        maybe: Some(0),
        place: Point { x: 7, y: -7 },
        kind: Color::Green,
    }
}

#[test]
fn they_are_sent_as_the_types_of_the_schema() {
    assert_eq!(seen_as::<_, BareCoded>(samples::coded()).unwrap(), bare());
    assert_eq!(seen_as::<_, Coded>(bare()).unwrap(), samples::coded());
    // The default is in encoded form, and absent values are not decoded.
    let absent = BareCoded { port: 8333, maybe: None, ..bare() };
    let seen: Coded = seen_as(absent).unwrap();
    assert_eq!(seen.port, NonZeroU32::new(8333).unwrap());
    assert_eq!(seen.maybe, None);
}

#[test]
fn what_does_not_decode_is_refused_with_its_place() {
    let cases = [
        (BareCoded { age: -1, ..bare() }, "age", "-1 is no age"),
        (BareCoded { port: 0, ..bare() }, "port", ""),
        (BareCoded { id: vec![1], ..bare() }, "id", "an id has 4 bytes, not 1"),
        (BareCoded { ids: vec![vec![0; 4], vec![0; 5]], ..bare() }, "ids[1]", "not 5"),
        (BareCoded { maybe: Some(121), ..bare() }, "maybe", "121 is no age"),
        (BareCoded { kind: Color::Unknown(8), ..bare() }, "kind", "color 8 has no letter"),
    ];
    for (value, place, why) in cases {
        let (path, problem) = refused::<_, Coded>(value);
        assert!(path.split('.').any(|part| part == place), "{path} instead of {place}");
        assert!(problem.contains(why), "{problem}");
    }
}

#[test]
fn what_does_not_encode_is_misuse_and_nothing_is_sent() {
    let (_server, pair) = pair().unwrap();
    let error = pair.object.age(Age(151)).wait().unwrap_err();
    assert!(matches!(&error, Error::ApiMisuse { .. }), "{error:?}");
    assert!(error.to_string().contains("nobody is 151 years old"), "{error}");
    let coded = Coded { kind: 'x', ..samples::coded() };
    let error = pair.object.coded(coded).wait().unwrap_err();
    assert!(matches!(&error, Error::ApiMisuse { .. }), "{error:?}");
    assert!(error.to_string().contains("no color begins with 'x'"), "{error}");
    // The connection is still usable.
    assert_eq!(pair.object.age(Age(1)).wait().unwrap(), Age(1));
}

#[test]
fn the_server_refuses_what_it_cannot_decode() {
    let (_server, pair) = pair().unwrap();
    let error = pair.object.age(Age(130)).wait().unwrap_err();
    assert!(error.to_string().contains("130 is no age"), "{error}");
    assert!(error.to_string().contains("age"), "{error}");
    assert!(pair.calling.is_connected());
}

/// Answers with an age of its own.
struct Ages(u32);

impl Values for Ages {
    fn age(&self, _age: Age) -> Result<Age> {
        Ok(Age(self.0))
    }
}

fn answers(age: u32) -> (Pair<ValuesClient>, Error) {
    let pair: Pair<ValuesClient> = serve(ValuesClient::new(Ages(age))).unwrap();
    let error = pair.object.age(Age(1)).wait().unwrap_err();
    (pair, error)
}

#[test]
fn results_that_do_not_decode_or_encode() {
    let (pair, error) = answers(130);
    let Error::Decode { path, problem, .. } = &error else { panic!("{error:?}") };
    assert_eq!((path.as_str(), problem.as_str()), ("Values.age.age", "130 is no age"));
    assert!(pair.calling.is_connected());
    let (pair, error) = answers(151);
    assert!(error.to_string().contains("nobody is 151 years old"), "{error}");
    assert!(pair.calling.is_connected());
}

#[test]
fn in_a_union_or_absent() {
    let shape = Shape::Id(Id([9; 4]));
    assert_eq!(seen_as::<_, Shape>(shape.clone()).unwrap(), shape);
    let some = Nullables { id: Some(Id([9; 4])), ..Nullables::default() };
    assert_eq!(seen_as::<_, Nullables>(some.clone()).unwrap(), some);
    assert_eq!(seen_as::<_, Nullables>(Nullables::default()).unwrap().id, None);
}

#[test]
fn a_default_that_was_asked_for() {
    assert_eq!(CodedWithDefault::default().age, Age(0));
}
