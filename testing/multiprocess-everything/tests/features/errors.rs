//! How a call fails.

use multiprocess::Error;
use multiprocess_everything::generated::calls::{Denied, DeniedReason, NotFound};
use multiprocess_everything::generated::types::Point;
use multiprocess_everything::pair::pair;

#[test]
fn typed_errors_by_their_type() {
    let (_server, pair) = pair().unwrap();
    let calls = &pair.object;
    let found = calls.look("it").wait().unwrap();
    assert_eq!((found.result.as_str(), found.count), ("found it", 1));
    let error = calls.look("nowhere").wait().unwrap_err();
    assert!(matches!(error, Error::Raised(_)), "{error:?}");
    let not_found = NotFound { name: "nowhere".to_owned(), tried: vec!["here".to_owned()] };
    assert_eq!(error.raised_as::<NotFound>(), Some(&not_found));
    assert_eq!(error.raised_as::<Denied>(), None);
    let error = calls.look("forbidden").wait().unwrap_err();
    let reason = DeniedReason::Text("not for you".to_owned());
    assert_eq!(error.raised_as::<Denied>(), Some(&Denied { code: 13, reason }));
    assert_eq!(error.raised_as::<NotFound>(), None);
}

#[test]
fn typed_errors_without_a_context() {
    let (_server, pair) = pair().unwrap();
    pair.object.check(0).wait().unwrap();
    let error = pair.object.check(-7).wait().unwrap_err();
    let denied = Denied { code: -7, reason: DeniedReason::None };
    assert_eq!(error.raised_as::<Denied>(), Some(&denied));
}

#[test]
fn errors_of_a_local_object() {
    let (server, _pair) = pair().unwrap();
    let error = server.client().check(-7).wait().unwrap_err();
    assert_eq!(error.raised_as::<Denied>().map(|denied| denied.code), Some(-7));
}

#[test]
fn a_typed_error_that_the_method_does_not_declare_arrives_as_text() {
    let (_server, pair) = pair().unwrap();
    let error = pair.object.look("odd").wait().unwrap_err();
    assert!(matches!(error, Error::Remote { .. }), "{error:?}");
    assert_eq!(error.raised_as::<Point>(), None);
    assert!(error.to_string().contains("Point"), "{error}");
    for text in ["odd text", "odd str"] {
        let error = pair.object.look(text).wait().unwrap_err();
        // As it is, without Debug's quotes.
        assert!(
            matches!(&error, Error::Remote { message, .. } if message == "it is \"odd\""),
            "{error:?}"
        );
    }
}

#[test]
fn texts_panics_and_what_is_left_out() {
    let (_server, pair) = pair().unwrap();
    let calls = &pair.object;
    let error = calls.fail("on purpose").wait().unwrap_err();
    assert!(
        matches!(&error, Error::Remote { message, .. } if message == "on purpose"),
        "{error:?}"
    );
    let error = calls.panic().wait().unwrap_err();
    assert!(matches!(error, Error::Remote { .. }), "{error:?}");
    let error = calls.missing().wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error:?}");
    assert_eq!(calls.maybe(Some(1)).wait().unwrap().as_deref(), Some("1"));
}
