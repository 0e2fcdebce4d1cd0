//! What a program has of one connection.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use multiprocess::{Connection, Current, Error, Result};

use crate::init::InitClient;

/// One connection to the node, with what the program made over it: it dereferences to that. It is that of this
/// connection for good; when that is lost its calls fail, and the session gives another.
pub struct Node<T> {
    value: Arc<T>,
    link: Link,
}

/// A connection and the node's Init over it.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) init: InitClient,
    pub(super) connection: Connection,
    pub(super) generation: u64,
}

/// What an attempt to connect makes.
pub(super) struct Made<T> {
    init: InitClient,
    /// None when the session is being closed.
    value: Mutex<Option<Arc<T>>>,
}

impl<T> Made<T> {
    pub(super) fn new(init: &InitClient, value: T) -> Made<T> {
        Made { init: init.clone(), value: Mutex::new(Some(Arc::new(value))) }
    }

    fn value(&self) -> std::sync::MutexGuard<'_, Option<Arc<T>>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session's own hold on the program's objects, for its end.
    pub(super) fn take(&self) -> Option<Arc<T>> {
        self.value().take()
    }
}

impl Link {
    pub(super) fn of<T>(current: &Current<Made<T>>) -> Link {
        Link {
            init: current.init.clone(),
            connection: current.connection().clone(),
            generation: current.generation(),
        }
    }
}

impl<T> Node<T> {
    pub(super) fn of(current: &Current<Made<T>>) -> Result<Node<T>> {
        let closed = || Error::disconnected("this side closed it");
        let value = current.value().clone().ok_or_else(closed)?;
        Ok(Node { value, link: Link::of(current) })
    }

    /// The node's Init, to make further objects.
    pub fn init(&self) -> &InitClient {
        &self.link.init
    }

    /// 1 for the first connection of the session, and one more for each further one.
    pub fn generation(&self) -> u64 {
        self.link.generation
    }

    /// The connection. To disconnect it is to lose the node: the session connects again.
    pub fn connection(&self) -> &Connection {
        &self.link.connection
    }
}

impl<T> Deref for Node<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Node<T> {
        Node { value: Arc::clone(&self.value), link: self.link.clone() }
    }
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("generation", &self.link.generation).finish_non_exhaustive()
    }
}
