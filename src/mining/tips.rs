//! The chain's tips, one after the other.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use futures_core::Stream;
use multiprocess::{Call, Result};

use super::wait::{Ended, LONGEST, Waited};
use super::{BlockRef, MiningClient};
use crate::blocking::Blocking;

impl MiningClient {
    /// The chain's tip, and then each further one: a [`Stream`], or in a `for` loop an iterator that blocks.
    ///
    /// ```
    /// use bitcoin_ipc::Result;
    /// use bitcoin_ipc::mining::MiningClient;
    ///
    /// fn follow(mining: &MiningClient) -> Result<()> {
    ///     for tip in mining.tips() {
    ///         let tip = tip?;
    ///         println!("block {}: {}", tip.height, tip.hash);
    /// #       break;
    ///     }
    ///     Ok(()) // the node is shutting down
    /// }
    /// # let init = bitcoin_ipc::init::InitClient::new(bitcoin_regtest::NodeInit::new(bitcoin_regtest::Chain::regtest()));
    /// # follow(&init.make_mining().wait().unwrap().unwrap()).unwrap();
    /// ```
    ///
    /// - **What is told**: another tip than the last one, whatever its height, so a reorganization as well. Of
    ///   two blocks that come quickly, or while nobody asks for the next tip, only the later one is told; its
    ///   predecessor is in its header. No change is missed, because each wait begins with the last tip that
    ///   was told. A wait that is under way when the program stops to ask (as in a `select!` that takes another
    ///   branch) may hold a tip that is not the latest any more; the next one follows at once.
    /// - **End**: after an error, which is the last item; or without one when the node shuts down, which is when
    ///   it ends three waits in a row at once (as would three interrupts in three seconds).
    /// - **Drop**: the node's wait is ended, and no other call of this program: where the node does not stop it
    ///   by itself, by `interrupt`, which is held back while another wait of the same `Mining` is under
    ///   way. Then, and with Bitcoin Core 30, which has no `interrupt`, the node's wait ends with the next block or
    ///   after half a minute. A tip that the node tells at that moment is lost, and
    ///   [`tips_after`](Self::tips_after) the last one brings it again.
    /// - **Cost**: while the next tip is waited for, one call, and one thread of the node, for this stream
    ///   alone, so that no other call of the program waits for it. Of 128 waits at once each has its own.
    pub fn tips(&self) -> Tips {
        // No block has this hash, so the first wait ends with the present tip, or with the node's first.
        self.tips_after(BlockHash::all_zeros())
    }

    /// The same, beginning with the tip that is not `known`: to go on where another stream has ended.
    pub fn tips_after(&self, known: BlockHash) -> Tips {
        Tips { mining: Some(self.clone()), last: known, wait: None, ended: Ended::default() }
    }
}

/// The chain's tips, from [`MiningClient::tips`].
#[must_use = "streams do nothing unless polled"]
pub struct Tips {
    /// None when it is over.
    mining: Option<MiningClient>,
    last: BlockHash,
    /// And when it began.
    wait: Option<(Call<Option<BlockRef>>, Instant)>,
    ended: Ended,
}

impl Tips {
    /// The tip that was told last: for [`MiningClient::tips_after`]. None before the first.
    pub fn last(&self) -> Option<BlockHash> {
        Some(self.last).filter(|last| *last != BlockHash::all_zeros())
    }

    pub(crate) fn poll_tip(&mut self, context: &mut Context<'_>) -> Poll<Waited<BlockRef>> {
        loop {
            let Some(mining) = &self.mining else { return Poll::Ready(Waited::Over) };
            let last = self.last;
            let begin = || (mining.wait_tip_changed(last, LONGEST), Instant::now());
            let (wait, begun) = self.wait.get_or_insert_with(begin);
            let answer = ready!(Pin::new(wait).poll(context));
            let begun = *begun;
            self.wait = None;
            match answer {
                Ok(Some(tip)) => {
                    self.ended.reset();
                    if tip.hash != last {
                        self.last = tip.hash;
                        return Poll::Ready(Waited::Next(tip));
                    }
                }
                Ok(None) => {
                    if self.ended.again(begun) {
                        self.mining = None;
                        return Poll::Ready(Waited::ShutDown);
                    }
                }
                Err(error) => {
                    self.mining = None;
                    return Poll::Ready(Waited::Failed(error));
                }
            }
        }
    }
}

impl Stream for Tips {
    type Item = Result<BlockRef>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_tip(context).map(Waited::into_item)
    }
}

impl IntoIterator for Tips {
    type Item = Result<BlockRef>;
    type IntoIter = Blocking<Tips>;

    fn into_iter(self) -> Blocking<Tips> {
        Blocking::new(self)
    }
}

impl fmt::Debug for Tips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tips").field("last", &self.last()).finish_non_exhaustive()
    }
}
