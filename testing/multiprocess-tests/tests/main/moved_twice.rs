//! A method that has another ordinal in each of three versions. If the peer has no method at the
//! newest ordinal, the next call must not reach a method of another name in any version that the
//! peer may have.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use futures_executor::block_on;
use multiprocess::{Connection, Error, Interface, Result};
use multiprocess_tests::generated::{moved, moved1, moved2};

/// What a peer was asked, in order.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn note(&self, what: &str, number: u32) -> Result<u32> {
        self.0.lock().unwrap().push(format!("{what} {number}"));
        Ok(number)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Version1(Asked);

impl moved1::store::Store for Version1 {
    fn put(&self, number: u32) -> Result<u32> {
        self.0.note("put", number)
    }

    fn erase(&self, number: u32) -> Result<u32> {
        self.0.note("erase", number)
    }
}

struct Version2(Asked);

impl moved2::store::Store for Version2 {
    fn list(&self) -> Result<String> {
        self.0.note("list", 0).map(|number| number.to_string())
    }

    fn put(&self, number: u32) -> Result<u32> {
        self.0.note("put", number)
    }
}

struct Newest(Asked);

impl moved::store::Store for Newest {
    fn put(&self, number: u32) -> Result<u32> {
        self.0.note("put", number)
    }
}

fn peer<I: Interface>(
    make: impl FnOnce(Asked) -> I,
) -> (Asked, Connection, moved::store::StoreClient) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let asked = Asked::default();
    let serving = Connection::builder().serve(make(asked.clone())).start(theirs).unwrap();
    (asked, serving, Connection::new(ours).unwrap().bootstrap().unwrap())
}

#[track_caller]
fn assert_unimplemented(outcome: Result<u32>) {
    assert!(matches!(outcome, Err(Error::Unimplemented { .. })), "{outcome:?}");
}

#[test]
fn the_oldest_version_is_not_asked_to_do_something_else() {
    let (asked, _serving, store) = peer(|asked| moved1::store::StoreClient::new(Version1(asked)));
    assert_unimplemented(store.put(1).wait());
    assert_unimplemented(block_on(store.put(2)));
    assert_unimplemented(store.put(3).start().wait());
    assert_eq!(asked.take(), Vec::<String>::new());
}

/// The middle version has the method at an ordinal that is another method in the oldest, and the
/// two cannot be distinguished.
#[test]
fn the_middle_version_is_not_asked_to_do_something_else() {
    let (asked, _serving, store) = peer(|asked| moved2::store::StoreClient::new(Version2(asked)));
    assert_unimplemented(store.put(1).wait());
    assert_unimplemented(block_on(store.put(2)));
    assert_eq!(asked.take(), Vec::<String>::new());
}

#[test]
fn the_newest_version_is_asked_in_its_own_place() {
    let (asked, _serving, store) = peer(|asked| moved::store::StoreClient::new(Newest(asked)));
    assert_eq!(store.put(1).wait().unwrap(), 1);
    assert_eq!(block_on(store.put(2)).unwrap(), 2);
    assert_eq!(asked.take(), ["put 1", "put 2"]);
}
