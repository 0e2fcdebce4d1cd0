//! Optional values (`hasX`) that have defaults: a value is absent if its Bool is false, whatever its own
//! field holds, and a present value may be the default.

use std::os::unix::net::UnixStream;

use multiprocess::{Connection, Interface, Result};
use multiprocess_tests::generated::flagged::{
    Color, Flagged, FlaggedClient, FlaggedFieldsResults, Settings,
};
use multiprocess_tests::generated::flagged_capnp::{flagged, settings};
use multiprocess_tests::raw::{Incoming, RawPeer, Target, which};

struct Served;

impl Flagged for Served {
    fn whole(&self, arg: Settings) -> Result<Settings> {
        Ok(arg)
    }

    fn fields(&self, number: Option<i32>, text: Option<String>) -> Result<FlaggedFieldsResults> {
        Ok(FlaggedFieldsResults { number, text })
    }

    fn seen(&self, settings: Settings) -> Result<String> {
        Ok(format!("{settings:?}"))
    }
}

fn served() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(FlaggedClient::new(Served)).start(theirs).unwrap();
    (serving, ours)
}

fn called() -> (Connection, FlaggedClient) {
    let (serving, socket) = served();
    (serving, Connection::new(socket).unwrap().bootstrap().unwrap())
}

fn none() -> Settings {
    Settings {
        number: None,
        flag: None,
        text: None,
        ratio: None,
        color: None,
        list: None,
        small: None,
    }
}

#[test]
fn absent_is_what_a_new_one_has() {
    assert_eq!(Settings::default(), none());
}

#[test]
fn absent_values_arrive_absent() {
    let (_serving, flagged) = called();
    assert_eq!(flagged.whole(none()).wait().unwrap(), none());
    let back = flagged.fields(None, None).wait().unwrap();
    assert_eq!((back.number, back.text), (None, None));
}

#[test]
fn the_defaults_arrive_as_they_are() {
    let (_serving, flagged) = called();
    let some = Settings {
        number: Some(17),
        flag: Some(true),
        text: Some("given".to_owned()),
        ratio: Some(0.5),
        color: Some(Color::Blue),
        list: Some(vec![1, 2]),
        small: Some(255),
    };
    assert_eq!(flagged.whole(some.clone()).wait().unwrap(), some);
    let back = flagged.fields(Some(17), Some("given".to_owned())).wait().unwrap();
    assert_eq!((back.number, back.text.as_deref()), (Some(17), Some("given")));
}

#[test]
fn zeros_and_empty_values_arrive_as_they_are() {
    let (_serving, flagged) = called();
    let some = Settings {
        number: Some(0),
        flag: Some(false),
        text: Some(String::new()),
        ratio: Some(0.0),
        color: Some(Color::Red),
        list: Some(Vec::new()),
        small: Some(0),
    };
    assert_eq!(flagged.whole(some.clone()).wait().unwrap(), some);
    let back = flagged.fields(Some(0), Some(String::new())).wait().unwrap();
    assert_eq!((back.number, back.text.as_deref()), (Some(0), Some("")));
}

#[test]
fn each_is_absent_alone() {
    let (_serving, flagged) = called();
    let one = Settings { number: Some(5), list: Some(vec![9]), ..none() };
    assert_eq!(flagged.whole(one.clone()).wait().unwrap(), one);
    let other = Settings { text: Some("x".to_owned()), small: Some(1), ..none() };
    assert_eq!(flagged.whole(other.clone()).wait().unwrap(), other);
    let back = flagged.fields(Some(5), None).wait().unwrap();
    assert_eq!((back.number, back.text), (Some(5), None));
    let back = flagged.fields(None, Some("x".to_owned())).wait().unwrap();
    assert_eq!((back.number, back.text.as_deref()), (None, Some("x")));
}

// ---- what other peers may send

/// What the object sees of settings that a raw peer fills in.
fn seen(fill: impl FnOnce(settings::Builder<'_>)) -> String {
    let (_serving, socket) = served();
    let mut peer = RawPeer::new(socket);
    let bootstrap = Target::Bootstrap(peer.bootstrap());
    let answer = peer.ask(bootstrap, (FlaggedClient::ID, 3), &[], |content| {
        let params = content.init_as::<flagged::seen_params::Builder<'_>>();
        fill(params.init_settings());
    });
    let results: Box<Incoming> = answer.results();
    let capnp_rpc::rpc_capnp::message::Return(Ok(ret)) = which(&results) else {
        panic!("not a return")
    };
    let Ok(capnp_rpc::rpc_capnp::return_::Results(Ok(payload))) = ret.which() else {
        panic!("no results")
    };
    let results = payload.get_content().get_as::<flagged::seen_results::Reader<'_>>().unwrap();
    results.get_result().unwrap().to_string().unwrap()
}

/// All bits are zero: the fields have their defaults, and the Bools say that no value is present.
#[test]
fn settings_that_nothing_was_written_to() {
    assert_eq!(seen(|_| ()), format!("{:?}", none()));
}

#[test]
fn values_without_their_bool_are_not_there() {
    let seen = seen(|mut settings| {
        settings.set_number(5);
        settings.set_flag(false);
        settings.set_text("x");
        settings.set_ratio(1.5);
        settings.set_small(3);
        settings.reborrow().init_list(1).set(0, 4);
    });
    assert_eq!(seen, format!("{:?}", none()));
}

/// Only the Bools are written, so the values are present and are the defaults.
#[test]
fn bools_alone_say_that_the_defaults_are_there() {
    let seen = seen(|mut settings| {
        settings.set_has_number(true);
        settings.set_has_flag(true);
        settings.set_has_text(true);
        settings.set_has_color(true);
        settings.set_has_list(true);
    });
    let expected = Settings {
        number: Some(17),
        flag: Some(true),
        text: Some("given".to_owned()),
        color: Some(Color::Blue),
        list: Some(vec![1, 2]),
        ..none()
    };
    assert_eq!(seen, format!("{expected:?}"));
}
