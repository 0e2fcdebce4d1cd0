//! Objects that are called by peers of an older version, by the methods' older ordinals and with their older parameters.

use std::os::unix::net::UnixStream;

use multiprocess::{Connection, Error, Interface, PeerVersion, Result};
use multiprocess_tests::generated::old::bank as then;
use multiprocess_tests::generated::serving::bank as now;

struct Bank;

impl now::Bank for Bank {
    fn erase(&self, account: u32) -> Result<()> {
        Err(Error::failed(format!("{account} is erased")))
    }

    fn submit(&self, account: u32) -> Result<()> {
        Err(Error::failed(format!("{account} is submitted")))
    }

    fn wait(&self, number: u32) -> Result<u32> {
        Ok(number + 1)
    }

    fn open(&self) -> Result<Option<now::AccountClient>> {
        Ok(Some(now::AccountClient::new(Account)))
    }

    fn describe(&self, options: now::Options) -> Result<now::Options> {
        assert_eq!((options.limit, options.name.as_str()), (7, "unnamed"), "the older default");
        Ok(options)
    }
}

struct Account;

impl now::Account for Account {
    fn balance(&self) -> Result<i64> {
        Err(Error::failed("not a balance"))
    }

    fn pay(&self, amount: i64, note: String) -> Result<now::AccountPayResults> {
        assert_eq!(note, "a gift");
        Ok(now::AccountPayResults { result: amount == 5000, why: "lost on the way".to_owned() })
    }

    fn send(&self, cents: i64, payee: String, memo: String) -> Result<bool> {
        Ok((cents, payee.as_str(), memo.as_str()) == (5000, "bob", "none"))
    }

    fn agree(&self, conditions: now::Conditions) -> Result<now::Conditions> {
        Ok(now::Conditions { rate: conditions.rate * 2, ..conditions })
    }
}

fn over<S: Interface, C: Interface>(served: S) -> (C, (Connection, Connection)) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(served).start(theirs).unwrap();
    let connection = Connection::new(ours).unwrap();
    (connection.bootstrap().unwrap(), (connection, serving))
}

fn check(bank: &then::BankClient) {
    let account = bank.open().wait().unwrap().unwrap();
    assert!(account.pay(5000).wait().unwrap());
    assert!(account.send(5000, "bob").wait().unwrap());
    let terms = then::Terms { rate: 7, ..then::Terms::default() };
    assert_eq!(account.agree(terms).wait().unwrap().rate, 14);
    assert_eq!(bank.describe(then::Options::default()).wait().unwrap(), then::Options::default());
    let submitted = bank.submit(4).wait().unwrap_err().to_string();
    assert!(submitted.contains("4 is submitted"), "{submitted}");
    // What only the older version has is not taken for what has its ordinal now.
    let audit = bank.audit("all").wait().unwrap_err();
    assert!(matches!(audit, Error::Unimplemented { .. }), "{audit:?}");
}

/// `wait` has other parameters than what is at its ordinal now: from then on the version is known.
#[test]
fn an_older_peer_is_known_by_the_size_of_its_parameters() {
    let (bank, _both) = over::<_, then::BankClient>(now::BankClient::new(Bank));
    let erased = bank.submit(4).wait().unwrap_err().to_string();
    assert!(erased.contains("4 is erased"), "as yet it may be of the newest version: {erased}");
    assert_eq!(bank.wait(6).wait().unwrap(), 7);
    check(&bank);
}

#[test]
fn a_peer_of_the_newest_version_is_taken_for_no_other() {
    let (bank, _both) = over::<_, now::BankClient>(now::BankClient::new(Bank));
    PeerVersion::assume(&bank, "2").unwrap();
    assert_eq!(bank.wait(6).wait().unwrap(), 7);
    assert!(matches!(bank.wait_old().wait(), Err(Error::Unimplemented { .. })));
    let submitted = bank.submit(4).wait().unwrap_err().to_string();
    assert!(submitted.contains("4 is submitted"), "{submitted}");
    let account = bank.open().wait().unwrap().unwrap();
    assert!(account.balance().wait().unwrap_err().to_string().contains("not a balance"));
}

/// What the program has said of the peer's version holds for its own objects as well.
#[test]
fn a_version_that_the_program_knows() {
    struct Older;
    impl then::Bank for Older {}
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(now::BankClient::new(Bank)).start(theirs).unwrap();
    let connection = Connection::builder().serve(then::BankClient::new(Older)).start(ours).unwrap();
    PeerVersion::assume(&serving.bootstrap::<now::BankClient>().unwrap(), "1").unwrap();
    check(&connection.bootstrap().unwrap());
}
