//! Block templates, each better than the one before.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;
use multiprocess::{Call, Error, Result};

use super::wait::{Ended, LONGEST, Waited};
use super::{BlockCreateOptions, BlockTemplateClient, BlockWaitOptions, MiningClient};
use crate::blocking::Blocking;

impl BlockTemplateClient {
    /// Better templates than this one, one after the other: a [`Stream`], or in a `for` loop an iterator that
    /// blocks. A template is better if it is on another tip, or brings
    /// [`fee_threshold`](BlockWaitOptions::fee_threshold) more in fees than the one before.
    /// [`MiningClient::templates`] begins with the first template.
    ///
    /// ```
    /// # use bitcoin_regtest::{Chain, NodeInit};
    /// use std::time::Duration;
    /// use bitcoin_ipc::Result;
    /// use bitcoin_ipc::mining::{BlockCreateOptions, BlockWaitOptions, MiningClient};
    ///
    /// fn work(mining: &MiningClient) -> Result<()> {
    ///     let Some(first) = mining.create_new_block(BlockCreateOptions::default(), false).wait()? else {
    ///         return Ok(());
    ///     };
    ///     let options = BlockWaitOptions::default().timeout(Duration::from_millis(1));
    ///     for template in first.updates(options) {
    ///         println!("work on {}", template?.get_block_header().wait()?.prev_blockhash);
    ///     }
    ///     println!("no better template in time");
    ///     Ok(())
    /// }
    /// # let chain = Chain::regtest();
    /// # bitcoin_regtest::mine_block(&chain, bitcoin_regtest::anyone_can_spend()).unwrap();
    /// # let init = bitcoin_ipc::init::InitClient::new(NodeInit::new(chain));
    /// # work(&init.make_mining().wait().unwrap().unwrap()).unwrap();
    /// ```
    ///
    /// - **Time**: the [`timeout`](BlockWaitOptions::timeout) of the options is how long each better template is
    ///   waited for; then the stream ends. Without one ([`FOREVER`](crate::codec::FOREVER)) it ends only as below.
    /// - **Test networks**: while their tip is older than 20 minutes, Bitcoin Core has a better template each second,
    ///   because a block may then have the least difficulty.
    /// - **What is told**: of two tips that come quickly, or while nobody asks, only the later one brings a
    ///   template. None is missed, because each wait begins with the template that was told last. A wait that is
    ///   under way when the program stops to ask (as in a `select!` that takes another branch) may hold a template
    ///   that is older than the node's latest; the next one follows at once.
    /// - **Lives**: the node keeps a template while there is a handle on it. The stream has one, on its latest
    ///   template, and drops it for the next: the node then destroys the one that is replaced, unless the
    ///   program keeps a handle, to submit a late solution. [`live`](Updates::live) counts those that there are.
    ///   A program that keeps [too many](Updates::max_live) gets [`Error::Overloaded`].
    /// - **End**: after an error, which is the last item; without one when the time has passed or the node shuts
    ///   down, which is when it ends three waits in a row at once (as would three interrupts in three seconds).
    /// - **Drop**: the node's wait is interrupted (`interruptWait`), and no other call; then its latest template
    ///   is destroyed, unless the program has a handle on it. A template that the node makes at that moment is
    ///   lost, and destroyed.
    /// - **Cost**: while a template is waited for, one call, and one thread of the node, for this stream alone; so
    ///   no other call of the program waits for it. With a threshold Bitcoin Core makes a template about
    ///   each second to compare the fees.
    pub fn updates(&self, options: BlockWaitOptions) -> Updates {
        let mut updates = Updates::new(None, options);
        updates.state = State::Has(updates.counted(self.clone()));
        updates
    }
}

impl MiningClient {
    /// A template on the present tip, and then better ones, as with [`updates`](BlockTemplateClient::updates).
    ///
    /// The first is made without `cooldown`: on a chain that the node is still catching up with, templates
    /// follow each other quickly; see [`cooldown`](Updates::cooldown).
    ///
    /// ```
    /// # use bitcoin_regtest::{Chain, NodeInit};
    /// use bitcoin_ipc::bitcoin::Amount;
    /// use bitcoin_ipc::mining::{BlockCreateOptions, BlockWaitOptions};
    ///
    /// # fn main() -> bitcoin_ipc::Result<()> {
    /// # let init = bitcoin_ipc::init::InitClient::new(NodeInit::new(Chain::regtest()));
    /// # let mining = init.make_mining().wait()?.expect("a Mining");
    /// let wait = BlockWaitOptions::default().fee_threshold(Amount::from_sat(10_000));
    /// for template in mining.templates(BlockCreateOptions::default(), wait) {
    ///     let header = template?.get_block_header().wait()?;
    ///     println!("work on {}", header.prev_blockhash);
    /// #   break;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn templates(&self, create: BlockCreateOptions, wait: BlockWaitOptions) -> Updates {
        let first = First { mining: self.clone(), options: create, cooldown: false };
        Updates::new(Some(first), wait)
    }
}

/// Block templates, from [`BlockTemplateClient::updates`] and [`MiningClient::templates`].
#[must_use = "streams do nothing unless polled"]
pub struct Updates {
    state: State,
    options: BlockWaitOptions,
    live: Arc<AtomicUsize>,
    max_live: usize,
    wait: Option<Wait>,
    ended: Ended,
}

enum State {
    /// There is no template yet.
    Begins(First),
    /// The latest template.
    Has(BlockTemplateClient),
    Over,
}

/// How the first template is made.
struct First {
    mining: MiningClient,
    options: BlockCreateOptions,
    cooldown: bool,
}

/// A wait for the next template.
struct Wait {
    call: Call<Option<BlockTemplateClient>>,
    begun: Instant,
    /// How long the node lets it last; none for the first template.
    lasts: Option<Duration>,
    /// When the user's time has passed. None: never.
    until: Option<Instant>,
}

impl Updates {
    /// How many templates of a stream may live unless told otherwise.
    pub const MAX_LIVE: usize = 64;

    fn new(first: Option<First>, options: BlockWaitOptions) -> Updates {
        Updates {
            state: first.map_or(State::Over, State::Begins),
            options,
            live: Arc::default(),
            max_live: Updates::MAX_LIVE,
            wait: None,
            ended: Ended::default(),
        }
    }

    /// How many templates of this stream the node keeps: those on which the program has handles, and its
    /// latest.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// With so many live templates the stream does not wait for another one, and ends with
    /// [`Error::Overloaded`]: the program forgets to drop some. [`MAX_LIVE`](Self::MAX_LIVE) unless set, 2 at
    /// least.
    pub fn max_live(mut self, max: usize) -> Updates {
        self.max_live = max.max(2);
        self
    }

    /// Whether a node that is catching up with the chain waits until its tip stops changing before it makes the
    /// first template. Not unless set. (A new regtest chain counts as one to be caught up with, until it has a
    /// block.) No difference after the first template.
    pub fn cooldown(mut self, cooldown: bool) -> Updates {
        if let State::Begins(first) = &mut self.state {
            first.cooldown = cooldown;
        }
        self
    }

    /// Counts a template until it is gone.
    fn counted(&self, template: BlockTemplateClient) -> BlockTemplateClient {
        self.live.fetch_add(1, Ordering::AcqRel);
        let live = Arc::clone(&self.live);
        template.add_cleanup(move || {
            live.fetch_sub(1, Ordering::AcqRel);
        });
        template
    }

    /// Begins the next wait, within the time that the user gave for it.
    fn wait(&self, until: Option<Instant>) -> Result<Option<Wait>> {
        let template = match &self.state {
            State::Over => return Ok(None),
            State::Begins(First { mining, options, cooldown }) => {
                let call = mining.create_new_block(options.clone(), *cooldown);
                return Ok(Some(Wait { call, begun: Instant::now(), lasts: None, until }));
            }
            State::Has(template) => template,
        };
        let live = self.live();
        if live >= self.max_live {
            return Err(Error::overloaded(format!(
                "{live} templates of this stream are kept, its maximum: drop those that are not needed"
            )));
        }
        let now = Instant::now();
        let left = until.map(|until| until.saturating_duration_since(now));
        let lasts = left.map_or(LONGEST, |left| left.min(LONGEST));
        let call = template.wait_next(self.options.clone().timeout(lasts));
        Ok(Some(Wait { call, begun: now, lasts: Some(lasts), until }))
    }

    pub(crate) fn poll_template(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Waited<BlockTemplateClient>> {
        // A timeout that is too long for the clock is none.
        let mut until = Instant::now().checked_add(self.options.timeout);
        loop {
            if self.wait.is_none() {
                match self.wait(until) {
                    Ok(wait) => self.wait = wait,
                    Err(error) => return Poll::Ready(self.end(Waited::Failed(error))),
                }
            }
            let Some(wait) = &mut self.wait else { return Poll::Ready(Waited::Over) };
            let answer = ready!(Pin::new(&mut wait.call).poll(context));
            until = wait.until;
            let (begun, lasts) = (wait.begun, wait.lasts);
            self.wait = None;
            let end = lasts.map(|lasts| begun + lasts);
            let early = end.is_none_or(|end| Instant::now() < end);
            match answer {
                Ok(Some(template)) => {
                    let template = self.counted(template);
                    // The node destroys the one before, unless the user has a handle on it.
                    self.state = State::Has(template.clone());
                    self.ended.reset();
                    return Poll::Ready(Waited::Next(template));
                }
                Ok(None) if !early => {
                    self.ended.reset();
                    // One that nobody asked for until later was short: another look follows it.
                    if until.is_some_and(|until| end >= Some(until)) {
                        return Poll::Ready(self.end(Waited::TimedOut));
                    }
                }
                Ok(None) => {
                    if self.ended.again(begun) {
                        return Poll::Ready(self.end(Waited::ShutDown));
                    }
                }
                Err(error) => return Poll::Ready(self.end(Waited::Failed(error))),
            }
        }
    }

    fn end(&mut self, how: Waited<BlockTemplateClient>) -> Waited<BlockTemplateClient> {
        self.state = State::Over;
        how
    }
}

impl Stream for Updates {
    type Item = Result<BlockTemplateClient>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_template(context).map(Waited::into_item)
    }
}

impl IntoIterator for Updates {
    type Item = Result<BlockTemplateClient>;
    type IntoIter = Blocking<Updates>;

    fn into_iter(self) -> Blocking<Updates> {
        Blocking::new(self)
    }
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updates").field("live", &self.live()).finish_non_exhaustive()
    }
}
