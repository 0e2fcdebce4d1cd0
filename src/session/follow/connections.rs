//! The connections themselves, with the program's objects.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use multiprocess::{Disconnected, Reconnecting};

use super::Part;
use crate::mining::wait::Waited;
use crate::session::node::{Link, Made, Node};

pub(in crate::session) struct ConnectionsPart<T: Send + Sync + 'static> {
    reconnecting: Reconnecting<Made<T>>,
    state: State<T>,
}

enum State<T> {
    None,
    /// It is to be told.
    New(Node<T>, Disconnected),
    Told(Disconnected),
}

impl<T: Send + Sync + 'static> ConnectionsPart<T> {
    pub(in crate::session) fn new(reconnecting: Reconnecting<Made<T>>) -> ConnectionsPart<T> {
        ConnectionsPart { reconnecting, state: State::None }
    }
}

impl<T: Send + Sync + 'static> Part for ConnectionsPart<T> {
    type Item = Node<T>;

    fn begin(&mut self, link: &Link) {
        let end = link.connection.disconnected();
        let current = self.reconnecting.try_get();
        let node = current.filter(|current| current.generation() == link.generation);
        self.state = match node.and_then(|current| Node::of(&current).ok()) {
            Some(node) => State::New(node, end),
            // It is lost already, which is told next.
            None => State::Told(end),
        };
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Waited<Node<T>>> {
        match std::mem::replace(&mut self.state, State::None) {
            State::New(node, end) => {
                self.state = State::Told(end);
                Poll::Ready(Waited::Next(node))
            }
            State::Told(mut end) => {
                let polled = Pin::new(&mut end).poll(context);
                self.state = State::Told(end);
                Poll::Ready(Waited::Failed(ready!(polled)))
            }
            State::None => Poll::Ready(Waited::Over),
        }
    }

    fn end(&mut self) {
        self.state = State::None;
    }
}
