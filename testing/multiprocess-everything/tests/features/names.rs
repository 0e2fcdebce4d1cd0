//! Names that Rust or the generator uses already, and names that the schema gives for Rust.

use multiprocess::Interface;
use multiprocess_everything::generated::calls::{CallsClient, CallsMoveResults};
use multiprocess_everything::generated::everything::{Client, EVERYTHING_NESTED, EverythingClient};
use multiprocess_everything::generated::types::{Result_, Type, TypeOption, Vector, Weather};
use multiprocess_everything::pair::pair;
use multiprocess_everything::samples;

#[test]
fn of_methods_parameters_and_results() {
    let (_server, pair) = pair().unwrap();
    let CallsMoveResults { match_, fn_, dyn_ } = pair.object.move_(3, "f", true).wait().unwrap();
    assert_eq!((match_, fn_.as_str(), dyn_), (3, "f", true));
    assert_eq!(pair.object.clone_(64, 1, 32, 2, 16, 4, 8).wait().unwrap(), 113);
    assert_eq!(pair.object.close_().wait().unwrap(), "closed nothing");
    assert_eq!(pair.object.new_name(9).wait().unwrap(), 9);
    assert_eq!(pair.object.proxied().wait().unwrap(), "proxied");
}

#[test]
fn of_types_and_fields() {
    let (_server, pair) = pair().unwrap();
    let keywords: Type = samples::keywords();
    assert_eq!(keywords.option, TypeOption { some: 11 });
    assert_eq!(pair.object.keywords(keywords.clone()).wait().unwrap(), keywords);
    let result = Result_ { ok: "ok".to_owned(), vec: Vector { x: 1 } };
    assert_eq!(pair.object.results(result.clone()).wait().unwrap(), result);
    assert_eq!(u16::from(Weather::Self_), 1);
}

#[test]
fn of_the_main_interface_and_what_is_nested_in_it() {
    let (_server, pair) = pair().unwrap();
    let client: Client = pair.object.clone();
    assert_eq!(client.version().wait().unwrap(), 3);
    assert_eq!(EVERYTHING_NESTED, 77);
    assert_eq!(EverythingClient::NAME, "Everything");
    assert!(EverythingClient::extends(CallsClient::ID));
    assert!(!CallsClient::extends(EverythingClient::ID));
}
