//! The one error type: each variant names who is at fault and what is lost.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::timed_out::TimedOut;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call, a connection or a process operation failed.
///
/// Only [`Error::Disconnected`] and [`Error::PeerMisbehaved`] can mean that the connection is gone, and
/// [`Error::Spawn`] that there never was one; after any other error the connection and its objects go
/// on working. They also go on working if only something behind the peer is gone:
/// [`Connection::is_connected`](crate::Connection::is_connected) distinguishes the two.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that the call needed is gone for good.
    ///
    /// Mostly that is the connection: the peer closed it, died, or this side disconnected. Then every
    /// call on it that is under way, and every later one, ends with this error. Or it is something behind
    /// the peer, such as the process to which it forwards the call. Then only calls that need it fail,
    /// and the connection goes on: [`Connection::is_connected`](crate::Connection::is_connected) is true.
    ///
    /// If a method returns this, or another error for which [`is_disconnect`](Error::is_disconnect) is
    /// true, its caller receives this.
    #[error("disconnected: {reason}")]
    Disconnected {
        /// What ended the connection, or the peer's text about its loss.
        reason: String,
    },

    /// The peer's object does not have the method, or the local object left the trait's default.
    #[error("not implemented by the other side: {method}")]
    Unimplemented {
        /// The method, or the peer's own text.
        method: String,
    },

    /// A limit of the peer or of this side was reached; the call was not run.
    #[error("overloaded: {message}")]
    Overloaded {
        /// Which limit.
        message: String,
    },

    /// The call was cancelled before it ended.
    #[error("the call was cancelled")]
    Cancelled,

    /// The deadline given with [`Call::timeout`](crate::Call::timeout) passed. The call was
    /// cancelled. The text names the method and the peer, as far as they are known.
    ///
    /// A peer need not stop what it does for the call: until it answers, the call keeps its place among
    /// those that the peer serves at once ([`Limits::calls`](crate::Limits::calls)), and its thread.
    #[error("{0}")]
    Timeout(TimedOut),

    /// The method failed with a message, or panicked. Only that call is lost.
    #[error("the other side failed: {message}")]
    Remote {
        /// Its text. A C++ exception arrives as `std::exception: WHAT`.
        message: String,
    },

    /// The method ended with one of the errors that its schema declares; see
    /// [`raised_as`](Error::raised_as).
    #[error("{0}")]
    Raised(Raised),

    /// The peer broke the protocol; the connection was closed.
    #[error("the other side broke the protocol: {problem}")]
    PeerMisbehaved {
        /// What it did.
        problem: String,
    },

    /// A value that arrived does not fit its type. Only that call is lost.
    #[error("cannot decode {}: {problem}", if path.is_empty() { "the message" } else { path })]
    Decode {
        /// The field, as the schema spells it, from the method down, like `Mining.getTip.result.hash`.
        /// Empty where the message as a whole is wrong, and no method is known.
        path: String,
        /// What is wrong with it.
        problem: String,
    },

    /// A value cannot be sent to this peer, whose version of the schema does not have it, or may not. Only
    /// that call is lost; nothing was sent.
    ///
    /// It is an error because the peer would do something else than what was asked. Leave the default, or,
    /// if only the peer's version is not known yet, first make a call that tells it
    /// ([`PeerVersion`](crate::PeerVersion) says what is known). The schema's author can mark a field
    /// `$Rust.mayBeLost`.
    #[error("the other side is too old for {path}: {problem}")]
    PeerTooOld {
        /// The field, as the schema spells it, from the method down.
        path: String,
        /// What is not there.
        problem: String,
    },

    /// This program used the API in a way that cannot work, such as to call an object that it has closed;
    /// the text says what to do instead. Nothing was sent.
    #[error("{problem}")]
    ApiMisuse {
        /// What was wrong and what to do.
        problem: String,
    },

    /// A child process could not be started, or did not serve.
    #[error("cannot run {}: {problem}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's reason (with errno) or the exit status.
        problem: String,
    },

    /// An address to listen on or connect to is wrong or unusable.
    #[error("{problem}")]
    Address {
        /// The address as it was given.
        address: String,
        /// What is wrong, naming the address, and what to do.
        problem: String,
    },

    /// The system refused an operation.
    #[error("cannot {doing}: {source}")]
    Io {
        /// The operation, such as `accept a connection`.
        doing: String,
        /// The system's error.
        source: Arc<io::Error>,
    },
}

/// A typed error: the schema's struct as a Rust value.
#[derive(Clone)]
pub struct Raised {
    value: Arc<dyn Value>,
    result: Option<&'static str>,
}

impl Raised {
    /// The value, if it is a `T`.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        let value: &dyn Any = &*self.value;
        value.downcast_ref()
    }

    /// The result that it is in the schema, by its name there. None for an error of an object of this
    /// process that does not say it.
    pub fn result(&self) -> Option<&'static str> {
        self.result
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.value, f)
    }
}

impl fmt::Debug for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.value, f)
    }
}

trait Value: Any + fmt::Debug + Send + Sync {}

impl<T: Any + fmt::Debug + Send + Sync> Value for T {}

/// The variant's name and the text on one line, which is what a `main` that returns the error prints.
///
/// ```
/// let error = multiprocess::Error::failed("no such wallet");
/// assert_eq!(format!("{error:?}"), "Remote: the other side failed: no such wallet");
/// ```
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = match self {
            Error::Disconnected { .. } => "Disconnected",
            Error::Unimplemented { .. } => "Unimplemented",
            Error::Overloaded { .. } => "Overloaded",
            Error::Cancelled => "Cancelled",
            Error::Timeout(_) => "Timeout",
            Error::Remote { .. } => "Remote",
            Error::Raised(_) => "Raised",
            Error::PeerMisbehaved { .. } => "PeerMisbehaved",
            Error::Decode { .. } => "Decode",
            Error::PeerTooOld { .. } => "PeerTooOld",
            Error::ApiMisuse { .. } => "ApiMisuse",
            Error::Spawn { .. } => "Spawn",
            Error::Address { .. } => "Address",
            Error::Io { .. } => "Io",
        };
        match self {
            Error::Overloaded { message } => write!(f, "{variant}: {message}"),
            other => write!(f, "{variant}: {}", other.reason()),
        }
    }
}

impl Error {
    /// Whether something that the failed call needed is gone for good, or never existed: its
    /// connection, or one behind the peer.
    /// [`Connection::is_connected`](crate::Connection::is_connected) distinguishes the two; in either
    /// case another call of the same object will fail as well.
    pub fn is_disconnect(&self) -> bool {
        use Error::{Disconnected, PeerMisbehaved, Spawn};
        matches!(self, Disconnected { .. } | PeerMisbehaved { .. } | Spawn { .. })
    }

    /// An error for a user's own method to return: the caller receives it as
    /// [`Error::Remote`] with this message.
    ///
    /// ```
    /// let error = multiprocess::Error::failed("no such wallet");
    /// assert!(error.to_string().contains("no such wallet"));
    /// ```
    pub fn failed(message: impl Into<String>) -> Error {
        Error::Remote { message: message.into() }
    }

    /// A typed error for a user's own method to return: one that its schema declares (with
    /// `$Proxy.exception`). The caller receives it as [`Error::Raised`].
    ///
    /// ```
    /// use multiprocess::Error;
    ///
    /// #[derive(Debug, Clone, PartialEq)]
    /// struct NoFunds { missing: u64 }
    ///
    /// let error = Error::raised(NoFunds { missing: 7 });
    /// assert_eq!(error.raised_as::<NoFunds>(), Some(&NoFunds { missing: 7 }));
    /// assert_eq!(error.raised_as::<String>(), None);
    /// ```
    pub fn raised(value: impl fmt::Debug + Send + Sync + 'static) -> Error {
        Error::Raised(Raised { value: Arc::new(value), result: None })
    }

    /// A typed error of a method whose schema declares several of one type: `result` is the name in the
    /// schema of the result that it is. The caller gets it from [`Raised::result`].
    ///
    /// ```
    /// use multiprocess::Error;
    ///
    /// let error = Error::raised_in("denied", "not for guests".to_owned());
    /// let Error::Raised(raised) = &error else { unreachable!() };
    /// assert_eq!((raised.result(), raised.get::<String>().unwrap().as_str()),
    ///     (Some("denied"), "not for guests"));
    /// ```
    pub fn raised_in(
        result: &'static str,
        value: impl fmt::Debug + Send + Sync + 'static,
    ) -> Error {
        Error::Raised(Raised { value: Arc::new(value), result: Some(result) })
    }

    /// The typed error of [`Error::Raised`], if it is a `T`.
    pub fn raised_as<T: 'static>(&self) -> Option<&T> {
        match self {
            Error::Raised(raised) => raised.get(),
            _ => None,
        }
    }

    /// The error that a trait's default method returns.
    pub fn unimplemented(method: &str) -> Error {
        Error::Unimplemented { method: method.to_owned() }
    }

    /// A field that does not decode.
    pub fn decode(path: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Decode { path: path.into(), problem: problem.into() }
    }

    /// The text where it follows what has the word "disconnected" in it already, or the like.
    pub(crate) fn reason(&self) -> Cow<'_, str> {
        match self {
            Error::Disconnected { reason } => Cow::Borrowed(reason),
            other => Cow::Owned(other.to_string()),
        }
    }

    /// Says which method was called, where the wait for it took too long.
    #[cold]
    pub(crate) fn name_method(&mut self, method: &'static str) {
        if let Error::Timeout(late) = self {
            late.name_method(method);
        }
    }

    /// The error of a value that a codec refuses to send, among the parameters or results of `method`.
    /// While the message was written it was kept as one with a path.
    pub(crate) fn unsendable(self, method: &str) -> Error {
        match self {
            Error::Decode { path, problem } => {
                Error::misuse(format!("{}: {problem}", joined(method, &path)))
            }
            other => other,
        }
    }

    pub(crate) fn disconnected(reason: impl Into<String>) -> Error {
        Error::Disconnected { reason: reason.into() }
    }

    pub(crate) fn misuse(problem: impl Into<String>) -> Error {
        Error::ApiMisuse { problem: problem.into() }
    }

    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Error {
        Error::Io { doing: doing.into(), source: Arc::new(source) }
    }
}

/// A field's path behind what the field is in.
pub(crate) fn joined(segment: &str, path: &str) -> String {
    match path.chars().next() {
        // The message as a whole, or what is no field of it.
        None => segment.to_owned(),
        Some('[') => format!("{segment}{path}"),
        Some(_) => format!("{segment}.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn debug_names_the_variant_and_no_word_stands_twice() {
        let cases = [
            (Error::disconnected("this side closed it"), "Disconnected: this side closed it"),
            (Error::Overloaded { message: "no room".to_owned() }, "Overloaded: no room"),
            (Error::Cancelled, "Cancelled: the call was cancelled"),
            (Error::misuse("it is closed"), "ApiMisuse: it is closed"),
            (Error::raised(7), "Raised: 7"),
            (
                Error::decode("Lab.text.result", "it is short"),
                "Decode: cannot decode Lab.text.result: it is short",
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(format!("{error:?}"), expected);
            assert_ne!(error.to_string(), expected);
        }
    }
}
