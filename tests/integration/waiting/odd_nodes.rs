//! Nodes that cannot do everything, or do what no node should.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bitcoin_ipc::bitcoin::hashes::Hash;
use bitcoin_ipc::bitcoin::{Amount, BlockHash};
use bitcoin_ipc::init::{Init, InitClient};
use bitcoin_ipc::mining::{
    BlockCreateOptions, BlockRef, BlockTemplate, BlockTemplateClient, BlockWaitOptions, Mining,
    MiningClient,
};
use bitcoin_ipc::{Error, Result};
use multiprocess::Connection;

/// What a node was asked.
#[derive(Default)]
struct Asked {
    waits: AtomicUsize,
    fees: std::sync::Mutex<Vec<(Duration, Amount)>>,
}

/// A node that answers each wait at once.
#[derive(Clone)]
struct Odd(Arc<Asked>);

impl Init for Odd {
    fn make_mining(&self) -> Result<Option<MiningClient>> {
        Ok(Some(MiningClient::new(self.clone())))
    }
}

impl Mining for Odd {
    /// The same tip three times, then another one, then an error.
    fn wait_tip_changed(&self, current: BlockHash, timeout: Duration) -> Result<Option<BlockRef>> {
        assert!(timeout <= Duration::from_secs(60), "a wait that cannot be interrupted ends");
        let waits = self.0.waits.fetch_add(1, Ordering::AcqRel);
        let tip = match waits {
            0..3 => current,
            3 => BlockHash::from_byte_array([3; 32]),
            _ => return Err(Error::failed("no more")),
        };
        Ok(Some(BlockRef::new(tip).height(3)))
    }

    fn create_new_block(
        &self,
        _options: BlockCreateOptions,
        cooldown: bool,
    ) -> Result<Option<BlockTemplateClient>> {
        assert!(cooldown);
        Ok(Some(BlockTemplateClient::new(self.clone())))
    }
}

impl BlockTemplate for Odd {
    fn wait_next(&self, options: BlockWaitOptions) -> Result<Option<BlockTemplateClient>> {
        self.0.fees.lock().unwrap().push((options.timeout, options.fee_threshold));
        match self.0.waits.fetch_add(1, Ordering::AcqRel) {
            0 => Ok(Some(BlockTemplateClient::new(self.clone()))),
            // Long before the time has passed.
            _ => Ok(None),
        }
    }
}

fn connect() -> (MiningClient, Arc<Asked>, Connection) {
    let asked = Arc::new(Asked::default());
    let (ours, theirs) = UnixStream::pair().unwrap();
    let node = InitClient::new(Odd(Arc::clone(&asked)));
    let node = Connection::builder().serve(node).start(theirs).unwrap();
    let init: InitClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    (init.make_mining().wait().unwrap().unwrap(), asked, node)
}

#[test]
fn a_tip_that_is_unchanged_is_not_told() {
    let (mining, asked, _node) = connect();
    let mut tips = mining.tips_after(BlockHash::from_byte_array([1; 32])).into_iter();
    assert_eq!(tips.next().unwrap().unwrap().hash, BlockHash::from_byte_array([3; 32]));
    assert_eq!(asked.waits.load(Ordering::Acquire), 4);
    let error = tips.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::Remote { .. }), "{error:?}");
    assert!(tips.next().is_none());
    assert_eq!(asked.waits.load(Ordering::Acquire), 5, "after the end nothing is asked");
}

#[test]
fn fees_are_waited_for_in_turns() {
    let (mining, asked, _node) = connect();
    let wait = BlockWaitOptions::default().fee_threshold(Amount::from_sat(7));
    let mut templates = mining.templates(BlockCreateOptions::default(), wait).cooldown(true);
    templates = templates.max_live(0);
    let mut templates = templates.into_iter();
    assert!(templates.next().unwrap().is_ok());
    assert!(templates.next().unwrap().is_ok());
    // Ended by the node again and again: it is shutting down.
    assert!(templates.next().is_none());
    let fees = asked.fees.lock().unwrap();
    assert_eq!(fees.len(), 4);
    let in_turns = |(lasts, fee): &(Duration, Amount)| {
        *lasts <= Duration::from_secs(60) && *fee == Amount::from_sat(7)
    };
    assert!(fees.iter().all(in_turns), "{fees:?}");
}
