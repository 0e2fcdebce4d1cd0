//! What passes through a process whose schema is older than its peers': a client with the newer schema, a
//! forwarding process with the older one, and a server with the newer again.

use std::os::unix::net::UnixStream;

use multiprocess::{Connection, Error, Interface, PeerVersion, Result};
use multiprocess_tests::generated::newer::post::{
    Letter, LetterFrom, LetterFromHow, LetterWhich, Parcel, ParcelLarge, Post, PostClient,
    PostSendResults, Watcher, WatcherClient,
};
use multiprocess_tests::generated::{kept, kept_versions, lost};

struct Office;

impl Post for Office {
    fn send(&self, letter: Letter, all: Vec<Letter>, parcel: Parcel) -> Result<PostSendResults> {
        if let Some(watcher) = &letter.watcher {
            assert_eq!(watcher.seen("office").wait()?, "office");
        }
        Ok(PostSendResults { letter, all, parcel })
    }
}

struct Sender;

impl Watcher for Sender {
    fn seen(&self, by: String) -> Result<String> {
        Ok(by)
    }
}

/// A handle on what is served over a connection, and both ends.
fn over<S: Interface, C: Interface>(served: S) -> (C, (Connection, Connection)) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(served).start(theirs).unwrap();
    let connection = Connection::new(ours).unwrap();
    (connection.bootstrap().unwrap(), (connection, serving))
}

fn letter() -> Letter {
    Letter {
        text: "hello".to_owned(),
        urgent: true,
        from: LetterFrom { name: "me".to_owned(), how: LetterFromHow::Air(7) },
        heavy: true,
        grams: 1 << 40,
        stamps: vec!["a".to_owned(), "b".to_owned()],
        watcher: None,
        which: LetterWhich::Cased(Parcel::Small("box".to_owned())),
    }
}

fn large() -> Parcel {
    Parcel::Large(ParcelLarge { sides: vec![1, 2, 3], weight: 9 })
}

#[test]
fn what_the_forwarding_process_does_not_know_arrives() {
    let (behind, _upstream) = over::<_, kept::post::PostClient>(PostClient::new(Office));
    let (post, _downstream) = over::<_, PostClient>(behind);
    // Items of different sizes, as the forwarding process writes them.
    let plain = Letter { text: "plain".to_owned(), ..Letter::default() };
    let known = Letter {
        from: LetterFrom { how: LetterFromHow::Hand(0.5), ..LetterFrom::default() },
        which: LetterWhich::Sealed(vec![1]),
        ..letter()
    };
    let all = vec![plain.clone(), letter(), known, plain];
    let sent = post.send(letter(), all.clone(), large());
    assert_eq!(
        format!("{:?}", sent.wait().unwrap()),
        format!("{:?}", PostSendResults { letter: letter(), all, parcel: large() })
    );
}

/// An object in a place that the forwarding process does not know is passed on within one connection;
/// to a third process it is one whose calls say why they cannot be forwarded.
#[test]
fn objects_that_are_not_known_go_back_as_they_came() {
    struct Mirror;
    impl kept::post::Post for Mirror {
        fn send(
            &self,
            letter: kept::post::Letter,
            all: Vec<kept::post::Letter>,
            parcel: kept::post::Parcel,
        ) -> Result<kept::post::PostSendResults> {
            Ok(kept::post::PostSendResults { letter, all, parcel })
        }
    }
    let (post, _both) = over::<_, PostClient>(kept::post::PostClient::new(Mirror));
    let sent = Letter { watcher: Some(WatcherClient::new(Sender)), ..letter() };
    let back = post.send(sent, Vec::new(), Parcel::None).wait().unwrap().letter;
    assert_eq!(back.watcher.unwrap().seen("me").wait().unwrap(), "me");
}

/// What is known is the forwarding process's to change, and nothing of what it replaces is left.
#[test]
fn what_the_forwarding_process_changes_is_changed() {
    struct Clerk(kept::post::PostClient);
    impl kept::post::Post for Clerk {
        fn send(
            &self,
            mut letter: kept::post::Letter,
            all: Vec<kept::post::Letter>,
            parcel: kept::post::Parcel,
        ) -> Result<kept::post::PostSendResults> {
            assert!(!letter.rest.is_empty() && format!("{letter:?}").ends_with(", .. }"));
            assert!(matches!(&parcel, kept::post::Parcel::Unknown(2, rest) if !rest.is_empty()));
            letter.urgent = false;
            letter.text.clear();
            letter.from.how = kept::post::LetterFromHow::Hand(2.0);
            self.0.send(letter, all, parcel).wait()
        }
    }
    let (behind, _upstream) = over::<_, kept::post::PostClient>(PostClient::new(Office));
    let (post, _downstream) = over::<_, PostClient>(kept::post::PostClient::new(Clerk(behind)));
    let changed = post.send(letter(), Vec::new(), large()).wait().unwrap();
    let from = LetterFrom { how: LetterFromHow::Hand(2.0), ..letter().from };
    let want = Letter { urgent: false, text: String::new(), from, ..letter() };
    assert_eq!(format!("{:?}", changed.letter), format!("{want:?}"));
    assert_eq!(changed.parcel, large());
}

/// Without the option it is lost: this is what the option is for.
#[test]
fn without_the_option_it_is_lost() {
    let (behind, _upstream) = over::<_, lost::post::PostClient>(PostClient::new(Office));
    let (post, _downstream) = over::<_, PostClient>(behind);
    let sent = post.send(letter(), Vec::new(), Parcel::None).wait().unwrap().letter;
    assert_eq!(
        (sent.text.as_str(), sent.heavy, sent.grams, sent.stamps.len()),
        ("hello", false, 0, 0)
    );
}

/// An older peer would not read what not even the forwarding process knows. `Letter` has another form there,
/// `Parcel` has not.
#[test]
fn what_an_older_peer_would_drop_is_refused() {
    let known = || Letter { text: "known".to_owned(), ..Letter::default() };
    for version in ["1", "2"] {
        let (behind, _upstream) =
            over::<_, kept_versions::post::PostClient>(PostClient::new(Office));
        PeerVersion::assume(&behind, version).unwrap();
        let (post, _downstream) = over::<_, PostClient>(behind);
        let send = |letter: Letter, parcel: Parcel| post.send(letter, Vec::new(), parcel).wait();
        assert_eq!(send(known(), Parcel::Small("box".to_owned())).unwrap().letter.text, "known");
        for (letter, parcel) in [(letter(), Parcel::None), (known(), large())] {
            match send(letter, parcel) {
                Err(Error::Remote { message, .. }) if version == "1" => {
                    assert!(message.contains("version") || message.contains("newer"), "{message}");
                }
                sent => assert!(version == "2" && sent.is_ok(), "{version}: {sent:?}"),
            }
        }
    }
}
