//! One set of handles for peers of two versions: the version of a peer is found out by calls. A
//! method that has the same ordinal in another version is never called by mistake.

mod between;
mod values;

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

use futures_executor::block_on;
use futures_util::poll;
use multiprocess::{Connection, Error, Interface, PeerVersion, Result, current_call};
use multiprocess_tests::generated::newest::bank as newest;
use multiprocess_tests::generated::old::bank as old;
use multiprocess_tests::{LONG, wait_until};

/// What a peer was asked, in order.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A peer, a handle of the newest version on its bank, and a log of its calls.
struct Peer {
    bank: newest::BankClient,
    asked: Asked,
    serving: Connection,
}

fn peer<I: Interface>(make: impl FnOnce(Asked) -> I) -> Peer {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let asked = Asked::default();
    let serving = Connection::builder().serve(make(asked.clone())).start(theirs).unwrap();
    Peer { bank: Connection::new(ours).unwrap().bootstrap().unwrap(), asked, serving }
}

fn old_peer() -> Peer {
    peer(|asked| old::BankClient::new(OldBank(asked)))
}

fn newest_peer() -> Peer {
    peer(|asked| newest::BankClient::new(NewestBank(asked)))
}

/// A peer whose version the caller knows.
fn known_old_peer() -> Peer {
    let peer = old_peer();
    peer.bank.wait(1).wait().unwrap();
    peer.asked.take();
    peer
}

fn known_newest_peer() -> Peer {
    let peer = newest_peer();
    peer.bank.tell().wait().unwrap();
    peer.asked.take();
    peer
}

struct OldBank(Asked);

impl old::Bank for OldBank {
    fn submit(&self, account: u32) -> Result<()> {
        self.0.note(format!("submit {account}"));
        Ok(())
    }

    fn wait(&self, number: u32) -> Result<u32> {
        self.0.note(format!("wait {number}"));
        Ok(number)
    }

    fn open(&self) -> Result<Option<old::AccountClient>> {
        self.0.note("open");
        Ok(Some(old::AccountClient::new(OldAccount(self.0.clone()))))
    }

    fn audit(&self, name: String) -> Result<old::Summary> {
        self.0.note(format!("audit {name}"));
        Ok(old::Summary { name, ..old::Summary::default() })
    }

    fn describe(&self, options: old::Options) -> Result<old::Options> {
        self.0.note(format!("describe {options:?}"));
        Ok(options)
    }
}

struct OldAccount(Asked);

impl old::Account for OldAccount {
    fn pay(&self, amount: i64) -> Result<bool> {
        self.0.note(format!("pay {amount}"));
        Ok(true)
    }

    fn lend(&self, slip: old::Slip, weeks: i32) -> Result<old::Slip> {
        self.0.note(format!("lend {slip:?} for {weeks} weeks"));
        Ok(old::Slip { days: 9, ..slip })
    }

    fn send(&self, amount: i64, to: String) -> Result<bool> {
        self.0.note(format!("send {amount} to {to}"));
        Ok(true)
    }

    fn agree(&self, terms: old::Terms) -> Result<old::Terms> {
        self.0.note(format!("agree {} {}", terms.rate, terms.group.kind));
        Ok(terms)
    }

    fn move_(&self, place: old::Place) -> Result<old::Place> {
        self.0.note(format!("move {} {}", place.street, place.number));
        Ok(place)
    }

    fn rest(&self, hours: i32) -> Result<i32> {
        self.0.note(format!("rest {hours}"));
        Ok(hours)
    }
}

impl Drop for OldAccount {
    fn drop(&mut self) {
        self.0.note("closed");
    }
}

/// Has no `wait`.
struct NewestBank(Asked);

impl newest::Bank for NewestBank {
    fn erase(&self, account: u32) -> Result<()> {
        self.0.note(format!("erase {account}"));
        Ok(())
    }

    fn wait_old(&self) -> Result<()> {
        self.0.note("waitOld");
        Err(Error::unimplemented("it is elsewhere now"))
    }

    fn submit(&self, account: u32) -> Result<()> {
        self.0.note(format!("submit {account}"));
        Ok(())
    }

    fn tell(&self) -> Result<u32> {
        self.0.note("tell");
        Ok(8)
    }

    fn open(&self) -> Result<Option<newest::AccountClient>> {
        self.0.note("open");
        Ok(Some(newest::AccountClient::new(NewestAccount(self.0.clone()))))
    }

    fn describe(&self, options: newest::Options) -> Result<newest::Options> {
        self.0.note(format!("describe {options:?}"));
        Ok(options)
    }
}

struct NewestAccount(Asked);

impl newest::Account for NewestAccount {
    fn pay(&self, amount: i64, note: String) -> Result<newest::AccountPayResults> {
        self.0.note(format!("pay {amount} {note}"));
        Ok(newest::AccountPayResults { result: false, why: "poor".to_owned() })
    }

    fn send(&self, cents: i64, payee: String, memo: String) -> Result<bool> {
        self.0.note(format!("send {cents} {payee} {memo}"));
        Ok(true)
    }
}

#[track_caller]
fn assert_unimplemented<T: std::fmt::Debug>(outcome: Result<T>) {
    assert!(matches!(outcome, Err(Error::Unimplemented { .. })), "{outcome:?}");
}

#[test]
fn a_method_that_moved_is_found_once() {
    let Peer { bank, asked, .. } = &old_peer();
    assert_eq!(bank.wait(1).wait().unwrap(), 1);
    assert_eq!(block_on(bank.wait(2)).unwrap(), 2);
    bank.submit(3).wait().unwrap();
    assert_eq!(asked.take(), ["wait 1", "wait 2", "submit 3"]);
    // The version is known, so calls of methods that it lacks are not sent.
    assert_unimplemented(bank.erase(4).wait());
    assert_unimplemented(bank.tell().wait());
    assert_unimplemented(block_on(bank.wait_old()));
    assert_eq!(asked.take(), Vec::<String>::new());
}

#[test]
fn a_method_that_is_another_in_some_version_is_not_called_before_it_is_known() {
    for Peer { bank, asked, .. } in &[old_peer(), newest_peer()] {
        let options = newest::Options::default();
        let outcomes = [
            bank.erase(1).wait(),
            bank.submit(2).wait(),
            bank.audit("x").wait().map(drop),
            bank.describe(options).wait().map(drop),
            bank.wait_old().wait(),
        ];
        for outcome in outcomes {
            let Err(Error::ApiMisuse { problem, .. }) = outcome else { panic!("{outcome:?}") };
            assert!(problem.starts_with("the peer's version is not known yet"), "{problem}");
        }
        // Methods that are the same in all versions can be called, and do not reveal the version.
        let account = bank.open().wait().unwrap().unwrap();
        assert!(matches!(account.balance().wait(), Err(Error::ApiMisuse { .. })));
        assert_eq!(asked.take(), ["open"]);
    }
}

#[test]
fn what_tells_the_versions_apart_makes_the_others_callable() {
    let Peer { bank, asked, .. } = &newest_peer();
    assert_eq!(bank.tell().wait().unwrap(), 8);
    bank.erase(1).wait().unwrap();
    bank.submit(2).wait().unwrap();
    assert_unimplemented(bank.audit("x").wait());
    assert_eq!(asked.take(), ["tell", "erase 1", "submit 2"]);
}

/// A peer of the newest version may not implement a method. That says nothing of its version, and the
/// older ordinal is another method there.
#[test]
fn a_method_that_an_object_does_not_implement_is_not_asked_for_elsewhere() {
    let Peer { bank, asked, .. } = &newest_peer();
    assert_unimplemented(bank.wait(9).wait());
    assert_eq!(asked.take(), Vec::<String>::new());
    assert!(!PeerVersion::of(bank).unwrap().possible().contains(&"1"));
}

#[test]
fn a_method_that_the_known_newest_version_lacks_is_not_asked_for_elsewhere() {
    let Peer { bank, asked, .. } = &known_newest_peer();
    assert_unimplemented(bank.wait(9).wait());
    assert_unimplemented(block_on(bank.wait(9)));
    assert_eq!(asked.take(), Vec::<String>::new());
}

#[test]
fn what_is_found_out_while_a_call_is_made_counts_for_it() {
    for blocking in [true, false] {
        let Peer { bank, asked, .. } = &newest_peer();
        // Described while the version is not known.
        let call = bank.wait(9);
        bank.tell().wait().unwrap();
        assert_unimplemented(if blocking { call.wait() } else { block_on(call) });
        assert_eq!(asked.take(), ["tell"]);
    }
}

#[test]
fn a_method_of_the_older_version_only_can_be_called_there() {
    let Peer { bank, asked, .. } = &known_old_peer();
    let summary = bank.audit("x").wait().unwrap();
    assert_eq!(summary, newest::Summary { name: "x".to_owned(), total: -1 });
    assert_eq!(asked.take(), ["audit x"]);
}

#[test]
fn an_object_of_an_older_version_can_be_closed() {
    let Peer { bank, asked, .. } = &old_peer();
    // Before its version is known, and after.
    for _ in 0..2 {
        let account = bank.open().wait().unwrap().unwrap();
        account.close().wait().unwrap();
        assert_eq!(asked.take(), ["open", "closed"]);
        assert!(account.pay(1, "").wait().is_err());
        bank.wait(1).wait().unwrap();
        assert_eq!(asked.take(), ["wait 1"]);
    }
}

/// Answers that it has no `wait` when the test allows it; the call that follows never ends.
struct SlowBank {
    gate: Mutex<mpsc::Receiver<()>>,
    older: Mutex<mpsc::Receiver<()>>,
}

impl newest::Bank for SlowBank {
    fn wait(&self, _number: u32) -> Result<u32> {
        let _ = self.gate.lock().unwrap().recv();
        Err(Error::unimplemented("wait"))
    }

    fn wait_old(&self) -> Result<()> {
        let _ = self.older.lock().unwrap().recv();
        Ok(())
    }

    fn open(&self) -> Result<Option<newest::AccountClient>> {
        Ok(None)
    }

    fn idle(&self) -> Result<()> {
        let (kept, gone) = mpsc::channel::<()>();
        current_call().unwrap().cancel_token().on_cancel(move || drop(kept));
        let _ = gone.recv();
        Ok(())
    }
}

/// The deadline of a call has passed when its first form is refused; it does not start again for
/// the second form.
#[test]
fn the_forms_of_a_call_have_one_deadline() {
    const TIMEOUT: Duration = Duration::from_millis(50);
    let (refuse, gate) = mpsc::channel();
    let (_never, older) = mpsc::channel();
    let slow = SlowBank { gate: Mutex::new(gate), older: Mutex::new(older) };
    let Peer { bank, serving, .. } = peer(|_| newest::BankClient::new(slow));
    block_on(async {
        let mut call = bank.wait(1).timeout(TIMEOUT);
        assert!(poll!(&mut call).is_pending());
        // Its deadline is later than that of the call.
        let idle = bank.idle().timeout(TIMEOUT).wait();
        assert!(matches!(idle, Err(Error::Timeout(_))), "{idle:?}");
        // The first form is refused, and the answer is here: that of `open` comes behind it.
        drop(refuse);
        wait_until("both are answered", || serving.drain(LONG));
        assert!(bank.open().wait().unwrap().is_none());
        let ended = poll!(&mut call);
        let Poll::Ready(Err(Error::Timeout(late))) = &ended else { panic!("{ended:?}") };
        assert_eq!((late.after(), late.method()), (TIMEOUT, Some("Bank.wait")));
    });
}
