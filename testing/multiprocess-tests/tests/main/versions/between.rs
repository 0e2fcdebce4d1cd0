//! A build between two versions has some methods in the newer and some in the older form. It works
//! whatever is called first.

use futures_executor::block_on;
use multiprocess::{Error, PeerVersion, Result};
use multiprocess_tests::generated::between::bank as between;

use super::{Asked, Peer, known_old_peer, newest, newest_peer, old_peer, peer};

/// Has `tell` of the newest version, and all else as the older one has it.
struct BetweenBank(Asked);

impl between::Bank for BetweenBank {
    fn submit(&self, account: u32) -> Result<()> {
        self.0.note(format!("submit {account}"));
        Ok(())
    }

    fn wait(&self, number: u32) -> Result<u32> {
        self.0.note(format!("wait {number}"));
        Ok(number)
    }

    fn tell(&self) -> Result<u32> {
        self.0.note("tell");
        Ok(8)
    }
}

fn between_peer() -> Peer {
    peer(|asked| between::BankClient::new(BetweenBank(asked)))
}

#[test]
fn a_build_between_versions_works_whatever_is_called_first() {
    let call = |bank: &newest::BankClient, name| match name {
        "tell" => assert_eq!(bank.tell().wait().unwrap(), 8),
        _ => assert_eq!(block_on(bank.wait(1)).unwrap(), 1),
    };
    for order in [["tell", "wait 1"], ["wait 1", "tell"]] {
        let Peer { bank, asked, .. } = &between_peer();
        // Once each to find out, and once each when it is known.
        for name in order.into_iter().chain(order) {
            call(bank, name);
            assert_eq!(asked.take(), [name]);
        }
        let version = PeerVersion::of(bank).unwrap();
        assert_eq!(version.to_string(), "between 2 and 1");
        assert!(!version.is_known() && !version.fits());
        // What is at these ordinals, nothing has told.
        assert!(matches!(bank.submit(3).wait(), Err(Error::ApiMisuse { .. })));
        assert!(matches!(bank.erase(4).wait(), Err(Error::ApiMisuse { .. })));
        assert_eq!(asked.take(), Vec::<String>::new());
    }
}

#[test]
fn what_was_found_out_of_a_version_can_be_asked() {
    let versions = |peer: &Peer| PeerVersion::of(&peer.bank).unwrap().possible().to_vec();
    assert_eq!(versions(&old_peer()), ["2", "1"]);
    assert_eq!(versions(&known_old_peer()), ["1"]);
    let peer = newest_peer();
    assert_eq!(peer.bank.tell().wait().unwrap(), 8);
    assert_eq!(versions(&peer), ["2"]);
    // The connection's, whichever handle is asked.
    let account = peer.bank.open().wait().unwrap().unwrap();
    assert_eq!(PeerVersion::of(&account).unwrap().to_string(), "2");
    // An object of this process is of the newest.
    let local = newest::BankClient::new(super::NewestBank(Asked::default()));
    assert_eq!(PeerVersion::of(&local).unwrap().possible(), ["2"]);
}
