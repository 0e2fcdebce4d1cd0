//! Values in parameters: a field is the same by its place, whatever it is called; and what a peer's
//! version does not have is an error, if it is not the default.

use multiprocess::{Error, PeerVersion, Result};

use super::{Asked, Peer, known_newest_peer, known_old_peer, newest, newest_peer, old, old_peer};

/// An account of the peer's, once it has been asked for.
fn account(Peer { bank, asked, .. }: &Peer) -> newest::AccountClient {
    let account = bank.open().wait().unwrap().unwrap();
    asked.take();
    account
}

#[track_caller]
fn assert_too_old<T: std::fmt::Debug>(outcome: Result<T>, field: &str) {
    match outcome {
        Err(Error::PeerTooOld { path, .. }) => assert_eq!(path, field),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_nothing_asked(asked: &Asked) {
    assert_eq!(asked.take(), Vec::<String>::new());
}

/// Neither version is known here, and there is nothing to find out.
#[test]
fn renamed_parameters_arrive() {
    let peer = old_peer();
    let account = account(&peer);
    assert!(account.send(5000, "bob", "none").wait().unwrap());
    assert_eq!(peer.asked.take(), ["send 5000 to bob"]);
    // Also in a struct, beside others.
    let changed = account.lend(newest::Slip { amount: 5, code: 6 }, 7).wait().unwrap();
    assert_eq!(changed, newest::Slip { amount: 5, code: 9 });
    assert_eq!(peer.asked.take(), ["lend Slip { amount: 5, days: 6 } for 7 weeks"]);
}

#[test]
fn a_renamed_struct_has_the_defaults_of_its_version() {
    let peer = known_old_peer();
    let account = account(&peer);
    // The default there, the default here, and neither.
    for rate in [7, 99, 0, 5] {
        let kinds = newest::ConditionsKinds { sort: "good".to_owned() };
        let sent = newest::Conditions { rate, kinds };
        assert_eq!(account.agree(sent.clone()).wait().unwrap(), sent);
        assert_eq!(peer.asked.take(), [format!("agree {rate} good")]);
    }
}

#[test]
fn a_field_that_is_in_a_union_or_group_now_arrives() {
    for peer in [old_peer(), known_old_peer()] {
        let account = account(&peer);
        let which = newest::PlaceWhich::Street("Main St".to_owned());
        let at = newest::PlaceAt { number: 5 };
        let sent = newest::Place { at: at.clone(), which };
        assert_eq!(account.move_(sent.clone()).wait().unwrap(), sent);
        assert_eq!(peer.asked.take(), ["move Main St 5"]);
        // Where the street is, that version would read nothing.
        let sent = newest::Place { at, which: newest::PlaceWhich::Box(0) };
        assert_too_old(account.move_(sent).wait(), "Account.move.place.which.box");
        assert_nothing_asked(&peer.asked);
    }
}

#[test]
fn parameters_that_a_version_lacks_must_have_their_defaults() {
    let peer = known_old_peer();
    let account = account(&peer);
    assert!(account.pay(5, "a gift").wait().unwrap().result);
    assert_eq!(peer.asked.take(), ["pay 5"]);
    assert_too_old(account.pay(5, "rent").wait(), "Account.pay.note");
    // Not the schema's default, though it is the type's.
    assert_too_old(account.pay(5, "").wait(), "Account.pay.note");
    assert_nothing_asked(&peer.asked);

    let peer = known_newest_peer();
    let account = self::account(&peer);
    let paid = account.pay(5, "rent").wait().unwrap();
    assert_eq!((paid.result, paid.why.as_str()), (false, "poor"));
    assert_eq!(peer.asked.take(), ["pay 5 rent"]);
}

#[test]
fn what_may_be_lost_is_lost() {
    let peer = known_old_peer();
    let account = account(&peer);
    for quietly in [true, false] {
        assert_eq!(account.rest(8, quietly).wait().unwrap(), 8);
        assert_eq!(peer.asked.take(), ["rest 8"]);
    }
}

#[test]
fn results_that_a_version_lacks_have_the_schemas_defaults() {
    let peer = known_old_peer();
    assert_eq!(account(&peer).pay(5, "a gift").wait().unwrap().why, "nobody said");
}

#[test]
fn a_struct_is_written_and_read_as_its_version_has_it() {
    let Peer { bank, asked, .. } = &known_old_peer();
    // The present default is not the default there, and the old default is not the present one.
    for limit in [100, 7, 0] {
        let sent = newest::Options {
            limit,
            name: "unnamed".to_owned(),
            level: newest::Level::High,
            which: newest::OptionsWhich::Sum(-3),
        };
        let seen =
            old::Options { limit, level: old::Level::High, which: old::OptionsWhich::Sum(-3) };
        assert_eq!(bank.describe(sent.clone()).wait().unwrap(), sent);
        assert_eq!(asked.take(), [format!("describe {seen:?}")]);
    }

    let Peer { bank, asked, .. } = &known_newest_peer();
    for limit in [100, 7, 0] {
        let sent = newest::Options {
            limit,
            name: "kept".to_owned(),
            level: newest::Level::Top,
            which: newest::OptionsWhich::Word("x".to_owned()),
        };
        assert_eq!(bank.describe(sent.clone()).wait().unwrap(), sent);
        assert_eq!(asked.take(), [format!("describe {sent:?}")]);
    }
}

#[test]
fn fields_and_values_that_came_later_are_not_sent_to_an_older_version() {
    let Peer { bank, asked, .. } = &known_old_peer();
    let plain = newest::Options::default();
    let cases = [
        (newest::Options { name: "lost".to_owned(), ..plain.clone() }, "name"),
        (newest::Options { level: newest::Level::Top, ..plain.clone() }, "level"),
        // A number of which nobody knows who has it.
        (newest::Options { level: newest::Level::from(9), ..plain.clone() }, "level"),
        (
            newest::Options { which: newest::OptionsWhich::Word(String::new()), ..plain.clone() },
            "which.word",
        ),
        (newest::Options { which: newest::OptionsWhich::Unknown(9), ..plain }, "which.union"),
    ];
    for (sent, field) in cases {
        assert_too_old(bank.describe(sent).wait(), &format!("Bank.describe.options.{field}"));
    }
    assert_nothing_asked(asked);
}

/// `send` is the same in both versions but for its last parameter, which an older peer would not read.
#[test]
fn as_long_as_a_version_is_not_known_it_may_be_any() {
    let peer = newest_peer();
    let account = account(&peer);
    assert_too_old(account.send(5, "bob", "rent").wait(), "Account.send.memo");
    assert!(account.send(5, "bob", "none").wait().unwrap());
    peer.bank.tell().wait().unwrap();
    assert!(account.send(5, "bob", "rent").wait().unwrap());
    assert_eq!(peer.asked.take(), ["send 5 bob none", "tell", "send 5 bob rent"]);
}

/// A program may know from elsewhere which version its peer has.
#[test]
fn what_the_program_says_of_the_version_counts() {
    let peer = newest_peer();
    assert_eq!(PeerVersion::of(&peer.bank).unwrap().to_string(), "2 or 1");
    PeerVersion::assume(&peer.bank, "2").unwrap();
    let version = PeerVersion::of(&peer.bank).unwrap();
    assert_eq!((version.possible(), version.is_known()), (&["2"][..], true));
    assert!(account(&peer).send(5, "bob", "rent").wait().unwrap());
    peer.bank.erase(3).wait().unwrap();
    assert_eq!(peer.asked.take(), ["send 5 bob rent", "erase 3"]);
    let unknown = PeerVersion::assume(&peer.bank, "3").unwrap_err();
    assert_eq!(unknown.to_string(), "Bank has no version \"3\": the versions are 2, 1");
}
