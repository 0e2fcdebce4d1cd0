//! Codecs that panic, and other code of the user that runs while a message is written or read: only
//! that call fails.

use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use futures_executor::block_on;
use multiprocess::schema::Struct;
use multiprocess::{Connection, Error, Interface, ListView, Result, current_call};
use multiprocess_tests::generated::probe::{
    Base, BaseClient, Derived, DerivedClient, Probe, ProbeClient, Row, Wide,
};
use multiprocess_tests::generated::probe_capnp::bytes;
use multiprocess_tests::raw::{RawPeer, Target};
use multiprocess_tests::{Fragile, LONG, within_time};

/// Uses the connection when it is dropped, and then reports that.
#[derive(Debug)]
struct UsesConnection {
    connection: Connection,
    dropped: mpsc::Sender<()>,
}

impl Drop for UsesConnection {
    fn drop(&mut self) {
        drop(self.connection.bootstrap::<ProbeClient>());
        let _ = self.dropped.send(());
    }
}

#[derive(Default)]
struct MyProbe {
    dropped: Option<mpsc::Sender<()>>,
}

impl Probe for MyProbe {
    fn make(&self, value: i64) -> Result<Fragile> {
        Ok(Fragile(value))
    }

    fn take(&self, value: Fragile) -> Result<i64> {
        Ok(value.0)
    }

    fn fail(&self) -> Result<()> {
        let connection = current_call().unwrap().connection().clone();
        let dropped = self.dropped.clone().unwrap();
        Err(Error::raised(UsesConnection { connection, dropped }))
    }

    fn sort(&self, rows: ListView<'_, Struct<Row>>) -> Result<Vec<String>> {
        let key = |at: usize| rows.get(at)?.expect("a row").key();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let mut failed = None;
        order.sort_by(|a, b| match (key(*a), key(*b)) {
            (Ok(a), Ok(b)) => a.cmp(b),
            (Err(error), _) | (_, Err(error)) => {
                failed.get_or_insert(error);
                std::cmp::Ordering::Equal
            }
        });
        match failed {
            None => order.into_iter().map(|at| key(at).map(str::to_owned)).collect(),
            Some(error) => Err(error),
        }
    }

    fn as_base(&self, it: DerivedClient) -> Result<BaseClient> {
        Ok(it.into())
    }

    fn same(&self, it: BaseClient) -> Result<BaseClient> {
        Ok(it)
    }

    fn count(&self, rows: Vec<Wide>) -> Result<u64> {
        Ok(rows.len() as u64)
    }
}

struct Served {
    probe: ProbeClient,
    serving: Connection,
    calling: Connection,
}

fn serve(probe: MyProbe) -> Served {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(ProbeClient::new(probe)).start(theirs).unwrap();
    let calling = Connection::new(ours).unwrap();
    Served { probe: calling.bootstrap().unwrap(), serving, calling }
}

fn served() -> Served {
    serve(MyProbe::default())
}

impl Served {
    fn make(&self, value: i64, blocking: bool) -> Result<Fragile> {
        let call = self.probe.make(value).timeout(LONG);
        if blocking { call.wait() } else { block_on(call) }
    }

    fn take(&self, value: i64, blocking: bool) -> Result<i64> {
        let call = self.probe.take(Fragile(value)).timeout(LONG);
        if blocking { call.wait() } else { block_on(call) }
    }

    /// Asserts that calls of threads and of futures are answered, and that none is left.
    #[track_caller]
    fn assert_alive(&self) {
        for blocking in [true, false] {
            assert_eq!(self.make(1, blocking).unwrap(), Fragile(1));
            assert_eq!(self.take(2, blocking).unwrap(), 2);
        }
        assert!(self.calling.is_connected() && self.serving.is_connected());
        assert!(self.serving.drain(LONG), "a call is still being served");
    }
}

#[track_caller]
fn assert_panicked<T: std::fmt::Debug>(outcome: Result<T>, what: &str) {
    match outcome {
        Err(Error::Remote { message, .. }) if message.contains(what) => {}
        other => panic!("an error other than the panic: {other:?}"),
    }
}

#[test]
fn results_that_cannot_be_written_fail_that_call_only() {
    let served = served();
    for blocking in [true, false, true] {
        let failed = served.make(Fragile::UNWRITABLE, blocking);
        assert_panicked(failed, "the codec cannot write it");
        served.assert_alive();
    }
}

#[test]
fn results_that_cannot_be_read_fail_that_call_only() {
    let served = served();
    for blocking in [true, false, true] {
        assert_panicked(served.make(Fragile::UNREADABLE, blocking), "the codec cannot read it");
        served.assert_alive();
    }
}

#[test]
fn parameters_that_cannot_be_read_fail_that_call_only() {
    let served = served();
    for blocking in [true, false, true] {
        assert_panicked(served.take(Fragile::UNREADABLE, blocking), "the codec cannot read it");
        served.assert_alive();
    }
}

#[test]
fn parameters_that_cannot_be_written_are_the_callers_error() {
    let served = served();
    for blocking in [true, false, true] {
        let failed = served.take(Fragile::UNWRITABLE, blocking);
        assert_panicked(failed, "the codec cannot write it");
        served.assert_alive();
    }
}

#[test]
fn a_raised_value_may_use_the_connection_when_it_is_dropped() {
    let (dropped, was_dropped) = mpsc::channel();
    let served = serve(MyProbe { dropped: Some(dropped) });
    let probe = served.probe.clone();
    assert_panicked(within_time(move || probe.fail().timeout(LONG).wait()), "UsesConnection");
    was_dropped.recv_timeout(LONG).unwrap();
    served.assert_alive();
}

struct MyDerived;

impl Base for MyDerived {
    fn look(&self, name: &str) -> Result<String> {
        Ok(format!("look {name}"))
    }

    fn plain(&self, name: String) -> Result<String> {
        Ok(format!("plain {name}"))
    }

    fn bare(&self, name: String) -> Result<String> {
        Ok(format!("bare {name}"))
    }
}

impl Derived for MyDerived {
    fn more(&self) -> Result<String> {
        Ok("more".to_owned())
    }
}

/// Calls all of an object's methods, from a thread and from a future.
#[track_caller]
fn assert_is_mine(base: &BaseClient) {
    assert_eq!(base.look("a").timeout(LONG).wait().unwrap(), "look a");
    assert_eq!(base.plain("b").timeout(LONG).wait().unwrap(), "plain b");
    assert_eq!(base.bare("c").timeout(LONG).wait().unwrap(), "bare c");
    assert_eq!(block_on(base.look("a").timeout(LONG)).unwrap(), "look a");
    assert_eq!(block_on(base.plain("b").timeout(LONG)).unwrap(), "plain b");
    assert_eq!(block_on(base.bare("c").timeout(LONG)).unwrap(), "bare c");
}

#[test]
fn an_object_that_comes_home_as_its_base_can_be_called() {
    let served = served();
    let home = served.probe.as_base(DerivedClient::new(MyDerived)).wait().unwrap();
    assert_is_mine(&home);
    let home = served.probe.same(DerivedClient::new(MyDerived).into()).wait().unwrap();
    assert_is_mine(&home);
    served.assert_alive();
}

#[test]
fn an_object_that_is_on_its_way_home_as_its_base_can_be_called() {
    let served = served();
    assert_is_mine(&served.probe.as_base(DerivedClient::new(MyDerived)).pipelined());
    assert_is_mine(&served.probe.same(DerivedClient::new(MyDerived).into()).pipelined());
    served.assert_alive();
}

#[test]
fn a_borrowed_list_can_be_looked_at_often() {
    const ROWS: usize = 2_000;
    let served = served();
    let key = |at: usize| format!("{at:064}");
    // 7,919 is a prime: each comes once, in no order.
    let rows = (0..ROWS).map(|at| Row { key: key(at * 7_919 % ROWS) }).collect();
    let sorted = served.probe.sort(rows).wait().unwrap();
    assert_eq!(sorted, (0..ROWS).map(key).collect::<Vec<_>>());
}

/// A list of bytes can be read as a list of structs, each of which would be hundreds of bytes in
/// memory.
#[test]
fn bytes_in_place_of_large_structs_are_refused() {
    const COUNT: u16 = 7;
    let (ours, theirs) = UnixStream::pair().unwrap();
    let probe = ProbeClient::new(MyProbe::default());
    let serving = Connection::builder().serve(probe).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let bootstrap = Target::Bootstrap(peer.bootstrap());
    let answer = peer.ask(bootstrap, (ProbeClient::ID, COUNT), &[], |content| {
        content.init_as::<bytes::Builder<'_>>().init_bytes(2 << 20);
    });
    let problem = answer.exception();
    let expected =
        "cannot decode Probe.count.rows: the list is longer than its message is good for";
    assert!(problem.starts_with(expected), "{problem}");
    // A few are what an older schema's structs can look like.
    let answer = peer.ask(bootstrap, (ProbeClient::ID, COUNT), &[], |content| {
        content.init_as::<bytes::Builder<'_>>().init_bytes(100);
    });
    answer.results();
    assert!(serving.is_connected());
}

#[test]
fn a_long_list_of_large_structs_is_read() {
    let served = served();
    assert_eq!(served.probe.count(vec![Wide::default(); 20_000]).wait().unwrap(), 20_000);
}
