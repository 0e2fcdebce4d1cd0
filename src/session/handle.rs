//! A session, as programs hold it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use multiprocess::{ReconnectState, Reconnecting, Result};

use super::SessionBuilder;
use super::closing::{self, Closing};
use super::follow::{ConnectionsPart, Follow, Part, TemplatesPart, TipsPart};
use super::node::{Link, Made, Node};
use crate::ipc::IpcOptions;
use crate::mining::{
    BlockCreateOptions, BlockRef, BlockTemplateClient, BlockWaitOptions, MiningClient, Updates,
};

/// A connection to a node that is made again whenever it is lost. Clones are the same session.
///
/// The last clone or stream of it that is dropped ends it without waiting; [`close`](Self::close) ends it in order.
pub struct NodeSession<T: Send + Sync + 'static = ()> {
    reconnecting: Reconnecting<Made<T>>,
    closing: Arc<Closing>,
}

impl NodeSession {
    /// Describes a session. The options have the data directory, and how long an attempt may take
    /// ([`IpcOptions::connect_timeout`]).
    pub fn builder(options: IpcOptions) -> SessionBuilder {
        SessionBuilder::new(options)
    }
}

impl<T: Send + Sync + 'static> NodeSession<T> {
    pub(super) fn new(reconnecting: Reconnecting<Made<T>>) -> NodeSession<T> {
        NodeSession { reconnecting, closing: Arc::default() }
    }

    /// The present connection, with the program's objects. Where there is none, waits for the next one, for
    /// `timeout` at most.
    ///
    /// # Errors
    /// [`Error::Disconnected`](multiprocess::Error::Disconnected) if there is none in time, with the error of the
    /// last attempt. Why the session has ended, if it has. In the function that makes the objects,
    /// [`Error::ApiMisuse`](multiprocess::Error::ApiMisuse).
    pub fn get(&self, timeout: Duration) -> Result<Node<T>> {
        Node::of(&self.reconnecting.get(timeout)?)
    }

    /// The same as a future, without a time limit.
    ///
    /// # Errors
    /// Why the session has ended, if it has.
    pub async fn connected(&self) -> Result<Node<T>> {
        Node::of(&self.reconnecting.connected().await?)
    }

    /// The present connection, if there is one now.
    pub fn try_get(&self) -> Option<Node<T>> {
        Node::of(&self.reconnecting.try_get()?).ok()
    }

    /// What is known of the connection: that there is one; else why not, and when it is tried again; or that
    /// the session has ended, and why.
    pub fn state(&self) -> ReconnectState {
        self.reconnecting.state()
    }

    /// Each connection, and each loss with its reason: a stream, or in a `for` loop an iterator that blocks.
    ///
    /// A connection that came and went while nobody asked is not told, nor is a loss before the first connection
    /// that is told.
    ///
    /// ```no_run
    /// use bitcoin_ipc::session::{Event, NodeSession};
    ///
    /// # fn watch(session: &NodeSession) -> bitcoin_ipc::Result<()> {
    /// for event in session.connections() {
    ///     match event? {
    ///         Event::Next(node) => println!("connection {}", node.generation()),
    ///         Event::Lost(why) => println!("lost: {why}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connections(&self) -> Follow<Node<T>> {
        self.follow(ConnectionsPart::new(self.reconnecting.clone()))
    }

    /// The chain's tip, and then each further one, over losses of the node: a stream, or in a `for` loop an
    /// iterator that blocks. As [`MiningClient::tips`](crate::mining::MiningClient::tips), but:
    ///
    /// - A loss is an item, [`Event::Lost`](super::Event::Lost), once; after the gap the present tip is told, also if it
    ///   is the one from before. Which blocks came meanwhile is not told; their headers lead from one to the other.
    /// - A peer that says that it has lost the node behind it is lost as well: the session connects again.
    /// - It has a `Mining` of its own in the node, so dropping it interrupts its own wait, at once.
    /// - It ends when the session is closed; after an error that is no loss, which is its last item; or after
    ///   the error with which the session has ended.
    pub fn tips(&self) -> Follow<BlockRef> {
        self.follow(TipsPart::default())
    }

    /// A template on the present tip, and then better ones, over losses of the node. As
    /// [`MiningClient::templates`], but as [`tips`](Self::tips): a loss is an item, with which the templates
    /// before it are gone, and after the gap a new template is told.
    pub fn templates(
        &self,
        create: BlockCreateOptions,
        wait: BlockWaitOptions,
    ) -> Follow<BlockTemplateClient> {
        self.templates_by(move |mining| mining.templates(create.clone(), wait.clone()))
    }

    /// The same with what `begin` makes of the node's `Mining` over each connection, for other settings:
    ///
    /// ```
    /// use bitcoin_ipc::mining::{BlockCreateOptions, BlockTemplateClient, BlockWaitOptions};
    /// use bitcoin_ipc::session::{Follow, NodeSession};
    ///
    /// fn templates(session: &NodeSession) -> Follow<BlockTemplateClient> {
    ///     let (create, wait) = (BlockCreateOptions::default(), BlockWaitOptions::default());
    ///     session.templates_by(move |mining| {
    ///         mining.templates(create.clone(), wait.clone()).cooldown(true).max_live(8)
    ///     })
    /// }
    /// ```
    pub fn templates_by(
        &self,
        begin: impl FnMut(&MiningClient) -> Updates + Send + 'static,
    ) -> Follow<BlockTemplateClient> {
        self.follow(TemplatesPart::new(begin))
    }

    fn follow<I: 'static>(&self, part: impl Part<Item = I>) -> Follow<I> {
        Follow::begin(Arc::new(self.clone()), Box::new(part))
    }

    /// Ends the session in order, within two seconds. Returns whether everything has ended.
    ///
    /// 1. There is no further attempt, and the streams end: their waits in the node are interrupted and their
    ///    templates destroyed, whether or not somebody polls them.
    /// 2. The session's hold on the program's objects is dropped. (Their destructors run here, and take what
    ///    time they take.)
    /// 3. The calls that are under way are waited for, for a second at most. Then the connection is
    ///    disconnected, which fails the rest.
    /// 4. What the node has called here is waited for.
    ///
    /// What a node that does not answer in time still does for this program ends with the connection.
    pub fn close(&self) -> bool {
        self.closing.close();
        let current = self.reconnecting.try_get();
        if let Some(current) = &current {
            drop(current.take());
            let connection = current.connection();
            let settled = closing::settle(connection);
            return self.reconnecting.close(closing::DRAIN) && settled;
        }
        self.reconnecting.close(closing::DRAIN)
    }
}

/// A session, for its streams, which do not know what the program makes.
pub(super) trait Source: Send + Sync {
    fn connected(&self) -> Connecting;
    fn closing(&self) -> &Closing;
}

/// The wait for the next connection.
pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<Link>> + Send>>;

impl<T: Send + Sync + 'static> Source for NodeSession<T> {
    fn connected(&self) -> Connecting {
        let connected = self.reconnecting.connected();
        Box::pin(async move { connected.await.map(|current| Link::of(&current)) })
    }

    fn closing(&self) -> &Closing {
        &self.closing
    }
}

impl<T: Send + Sync + 'static> Clone for NodeSession<T> {
    fn clone(&self) -> NodeSession<T> {
        NodeSession { reconnecting: self.reconnecting.clone(), closing: Arc::clone(&self.closing) }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for NodeSession<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeSession").field("state", &self.state()).finish_non_exhaustive()
    }
}
