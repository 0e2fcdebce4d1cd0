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
///
/// Variants can get more fields in later versions. So a pattern ends with `..`, and an error is made by the
/// function of its variant. Most methods need [`failed`](Error::failed) and [`raised`](Error::raised) only; the
/// others are for servers that pass calls on, for bridges, and for tests of what a program does about an error.
///
/// What a method returns arrives at a caller in another process as the same variant if that is `Remote`,
/// `Disconnected`, `Unimplemented`, `Overloaded`, or a `Raised` that the schema declares. Any other arrives as
/// `Remote` with its text, or as `Disconnected` where [`is_disconnect`](Error::is_disconnect) is true.
///
/// | variant | made by |
/// |---|---|
/// | `Disconnected` | [`disconnected`](Error::disconnected) |
/// | `Unimplemented` | [`unimplemented`](Error::unimplemented) |
/// | `Overloaded` | [`overloaded`](Error::overloaded) |
/// | `Cancelled` | itself |
/// | `Timeout` | `Error::Timeout(duration.into())` |
/// | `Remote` | [`failed`](Error::failed) |
/// | `Raised` | [`raised`](Error::raised), [`raised_in`](Error::raised_in) |
/// | `PeerMisbehaved` | [`peer_misbehaved`](Error::peer_misbehaved) |
/// | `Decode` | [`decode`](Error::decode) |
/// | `PeerTooOld` | [`peer_too_old`](Error::peer_too_old) |
/// | `ApiMisuse` | [`misuse`](Error::misuse) |
/// | `Spawn` | [`spawn`](Error::spawn) |
/// | `Address` | [`address`](Error::address) |
/// | `Io` | [`io`](Error::io) |
///
/// ```
/// use multiprocess::Error;
///
/// let error = Error::failed("no such wallet");
/// assert!(matches!(&error, Error::Remote { message, .. } if message == "no such wallet"));
/// ```
///
/// ```compile_fail,E0639
/// let error = multiprocess::Error::Remote { message: "no such wallet".to_owned() };
/// ```
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
    #[non_exhaustive]
    Disconnected {
        /// What ended the connection, or the peer's text about its loss.
        reason: String,
    },

    /// The peer's object does not have the method, or the local object left the trait's default.
    #[error("not implemented by the other side: {method}")]
    #[non_exhaustive]
    Unimplemented {
        /// The method, or the peer's own text.
        method: String,
    },

    /// A limit of the peer or of this side was reached; the call was not run.
    #[error("overloaded: {message}")]
    #[non_exhaustive]
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
    #[non_exhaustive]
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
    #[non_exhaustive]
    PeerMisbehaved {
        /// What it did.
        problem: String,
    },

    /// A value that arrived does not fit its type. Only that call is lost.
    #[error("cannot decode {}: {problem}", if path.is_empty() { "the message" } else { path })]
    #[non_exhaustive]
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
    #[non_exhaustive]
    PeerTooOld {
        /// The field, as the schema spells it, from the method down.
        path: String,
        /// What is not there.
        problem: String,
    },

    /// This program used the API in a way that cannot work, such as to call an object that it has closed;
    /// the text says what to do instead. Nothing was sent.
    #[error("{problem}")]
    #[non_exhaustive]
    ApiMisuse {
        /// What was wrong and what to do.
        problem: String,
    },

    /// A child process could not be started, or did not serve.
    #[error("cannot run {}: {problem}", program.display())]
    #[non_exhaustive]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's reason (with errno) or the exit status.
        problem: String,
    },

    /// An address to listen on or connect to is wrong or unusable.
    #[error("{problem}")]
    #[non_exhaustive]
    Address {
        /// The address as it was given.
        address: String,
        /// What is wrong, naming the address, and what to do.
        problem: String,
    },

    /// The system refused an operation.
    #[error("cannot {doing}: {source}")]
    #[non_exhaustive]
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

    /// An error for a user's own method to return: it could not do what it was asked. The caller receives it as
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

    /// Something that the call needs is gone for good, such as a process to which the method passes calls on.
    /// Nobody did anything wrong. The caller's own connection stays.
    ///
    /// ```
    /// let error = multiprocess::Error::disconnected("the node behind this relay has gone");
    /// assert!(error.is_disconnect());
    /// assert_eq!(error.to_string(), "disconnected: the node behind this relay has gone");
    /// ```
    pub fn disconnected(reason: impl Into<String>) -> Error {
        Error::Disconnected { reason: reason.into() }
    }

    /// The object does not have the method, and may be older than its caller. Generated traits return it from
    /// the methods that a server leaves out.
    ///
    /// ```
    /// let error = multiprocess::Error::unimplemented("Wallet.bumpFee");
    /// assert_eq!(error.to_string(), "not implemented by the other side: Wallet.bumpFee");
    /// ```
    pub fn unimplemented(method: impl Into<String>) -> Error {
        Error::Unimplemented { method: method.into() }
    }

    /// A limit is reached, and the call was not run: the caller asks for too much, or too many do. It can try
    /// again later. The text names the limit and says what makes room.
    ///
    /// ```
    /// let error = multiprocess::Error::overloaded("you have 10 subscriptions, the maximum: end one first");
    /// assert!(matches!(error, multiprocess::Error::Overloaded { .. }));
    /// ```
    pub fn overloaded(message: impl Into<String>) -> Error {
        Error::Overloaded { message: message.into() }
    }

    /// This program, or the caller of the method, uses something in a way that cannot work; the text says what
    /// to do instead. It says that nothing was done, so it is not for what fails halfway.
    ///
    /// ```
    /// let error = multiprocess::Error::misuse("the stream has ended: make a new one");
    /// assert_eq!(error.to_string(), "the stream has ended: make a new one");
    /// ```
    pub fn misuse(problem: impl Into<String>) -> Error {
        Error::ApiMisuse { problem: problem.into() }
    }

    /// A value that does not fit its type: whoever sent it is at fault. `path` is the field, as the schema
    /// spells it, and empty where the message as a whole is wrong.
    ///
    /// ```
    /// let error = multiprocess::Error::decode("Mining.getTip.result.hash", "it has 31 bytes and not 32");
    /// assert_eq!(error.to_string(), "cannot decode Mining.getTip.result.hash: it has 31 bytes and not 32");
    /// ```
    pub fn decode(path: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Decode { path: path.into(), problem: problem.into() }
    }

    /// The peer's version of the schema does not have what would be sent. Nobody is at fault: leave the value
    /// at its default. `path` is the field, as the schema spells it.
    ///
    /// ```
    /// let error = multiprocess::Error::peer_too_old("Mining.createNewBlock.options", "it ignores them");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "the other side is too old for Mining.createNewBlock.options: it ignores them",
    /// );
    /// ```
    pub fn peer_too_old(path: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::PeerTooOld { path: path.into(), problem: problem.into() }
    }

    /// The peer broke the protocol: for code that speaks a protocol of its own. It closes no connection by
    /// itself, but [`is_disconnect`](Error::is_disconnect) is true for it.
    ///
    /// ```
    /// let error = multiprocess::Error::peer_misbehaved("its greeting has no version");
    /// assert_eq!(error.to_string(), "the other side broke the protocol: its greeting has no version");
    /// ```
    pub fn peer_misbehaved(problem: impl Into<String>) -> Error {
        Error::PeerMisbehaved { problem: problem.into() }
    }

    /// A program could not be started, or did not serve. `problem` is the system's reason or the exit status.
    ///
    /// ```
    /// let error = multiprocess::Error::spawn("bitcoin-node", "it is not in PATH");
    /// assert_eq!(error.to_string(), "cannot run bitcoin-node: it is not in PATH");
    /// ```
    pub fn spawn(program: impl Into<PathBuf>, problem: impl Into<String>) -> Error {
        Error::Spawn { program: program.into(), problem: problem.into() }
    }

    /// An address is wrong or cannot be used. `problem` is the whole text that is shown: it names the address and
    /// says what to do.
    ///
    /// ```
    /// let text = "unx";
    /// let error = multiprocess::Error::address(text, format!("{text:?} is no address: give unix or unix:PATH"));
    /// assert_eq!(error.to_string(), "\"unx\" is no address: give unix or unix:PATH");
    /// ```
    pub fn address(address: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Address { address: address.into(), problem: problem.into() }
    }

    /// The system refused an operation. `doing` follows the word "cannot".
    ///
    /// ```
    /// use std::io;
    ///
    /// let refused = io::Error::from(io::ErrorKind::PermissionDenied);
    /// let error = multiprocess::Error::io("read the wallet", refused);
    /// assert_eq!(error.to_string(), "cannot read the wallet: permission denied");
    /// ```
    pub fn io(doing: impl Into<String>, source: io::Error) -> Error {
        Error::Io { doing: doing.into(), source: Arc::new(source) }
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
            (Error::overloaded("no room"), "Overloaded: no room"),
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
