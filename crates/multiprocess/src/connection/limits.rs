//! Bounds on what one peer can do here.

use std::time::Duration;

/// Bounds on what one peer can make this process hold. The project's `docs/LIMITS.md` has a table of all limits
/// and what is beyond them; [`Limit`](crate::Limit) counts how often they were met.
///
/// ```
/// use multiprocess::Limits;
///
/// // For peers that are not trusted with much.
/// let limits = Limits::default().message(1 << 20).calls(64).threads(8);
/// # assert!(limits.call_bytes > limits.message);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message, in bytes: a call with its parameters, or its results, and some 200 bytes. A
    /// larger one of the peer's ends the connection, so that each side has to allow what it is to get. A
    /// larger one of this side's is not sent: its call fails. Two sides of this runtime tell each other this
    /// limit when one asks for the other's first object, so that what is too large for the other side is not
    /// sent either. 64 MiB unless set.
    pub message: usize,
    /// Calls of the peer's that are being served at once. More are refused as overloaded. A call that the peer
    /// has cancelled, also by its timeout, counts until its method has returned. As many
    /// again may wait for the answer of another call, and twice as many and 1,024 more may be
    /// answered and kept for what they returned; more end the connection. 4,096 unless set.
    pub calls: usize,
    /// Bytes of the peer's calls that wait or run, and of results that are kept because the peer may call
    /// what they contain. A call beyond this is refused as overloaded, unless it has no more than 1,024
    /// bytes. At least `message`. So many bytes of this side's calls are under way at once, too
    /// (and no more than `unsent`, or than the other side has told): calls of more than 1,024 bytes wait for
    /// room before they are sent.
    ///
    /// Calls that are made to serve a call have room of their own, as much again, because those that they serve
    /// wait for them: half of it is for calls of a method that the other side called, half for those of
    /// its callbacks (and a message each, where that is more). So this side takes so many bytes more than
    /// `call_bytes` of the peer's. Calls that are nested deeper do not wait for room, and are refused where
    /// there is none.
    ///
    /// 128 MiB unless set.
    pub call_bytes: usize,
    /// Objects that the peer can have from this side, and as many that it can have this side hold. A call
    /// that would bring one more is refused as overloaded. 16,384 unless set.
    pub objects: usize,
    /// Capabilities in one message: objects among the arguments or results. A peer's message with more
    /// ends the connection, because taking it in would delay others; one of this side is refused. 10,000
    /// unless set.
    pub capabilities: usize,
    /// File descriptors in one message: among the parameters of a call, or its results (`$Rust.fd`). The peer's
    /// beyond it are closed, and the call that names them fails; one of this side's with more fails, and nothing
    /// is sent. Only unix sockets carry descriptors, and both sides have to set this. 253 at most; 0, so none,
    /// unless set: then the kernel refuses them where it can (Linux 6.16 and newer), and a peer that sends some all
    /// the same gets an error from it.
    pub descriptors: usize,
    /// File descriptors that the peer can make this side hold: with its calls that are not answered and
    /// objects that it has given, and for objects that it was given and has not released. A call that would bring
    /// one more is refused as overloaded, and a method's results with one more are. What a method keeps after its
    /// end does not count. 64 unless set.
    pub held_descriptors: usize,
    /// Threads that the peer can make this process have: those that it asks for, and those that its calls
    /// take because others before them wait. Of the first more are refused as overloaded; for want of
    /// the second calls wait until one of those before them ends, and are refused if none does for a
    /// second. Two more are always there. 256 unless set.
    pub threads: usize,
    /// Bytes that wait to be sent to a peer that does not read, or reads slowly. With more, methods of the
    /// peer's calls are not begun and answers wait, until the peer has read. Where it is exceeded
    /// nevertheless, by the calls that may be under way (twice `call_bytes`) and a message, the connection ends. 128 MiB unless set.
    pub unsent: usize,
    /// How long a call may name a thread of this side that is only promised, as a peer does that has not
    /// waited for it to be made. Then the call is refused. 10 seconds unless set.
    pub unknown_thread: Duration,
    /// How long a peer may read nothing while bytes wait for it. Then the connection ends. 60 seconds unless
    /// set.
    pub stalled: Duration,
    /// How long the rest of a message that has begun may take. 60 seconds unless set.
    pub partial_message: Duration,
    /// Whether a thread that waits, for an answer or for its next call, reads the socket itself. This
    /// makes calls fast, as no other thread has to wake it. Off, one thread of the process reads all
    /// sockets; that is for comparison and tests. On unless set.
    pub callers_read: bool,
}

/// Methods that set a field each: a struct that may get further fields cannot be written out elsewhere.
macro_rules! setters {
    ($($field:ident: $kind:ty),* $(,)?) => {
        impl Limits {
            $(
                #[doc = concat!("The same with another [`", stringify!($field), "`](field@Limits::", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $kind) -> Limits {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters! {
    message: usize,
    calls: usize,
    call_bytes: usize,
    objects: usize,
    capabilities: usize,
    descriptors: usize,
    held_descriptors: usize,
    threads: usize,
    unsent: usize,
    unknown_thread: Duration,
    stalled: Duration,
    partial_message: Duration,
    callers_read: bool,
}

impl Limits {
    /// Bytes of the peer's calls that are under way at once.
    pub(crate) fn window(&self) -> usize {
        self.call_bytes.max(self.message)
    }

    /// The same with those that serve calls of this side's.
    fn window_with_nested(&self) -> usize {
        let window = self.window();
        window.saturating_add(self.message.max(window / 2).saturating_mul(2))
    }

    /// Bytes of this side's calls that are under way at once, if they are several.
    pub(crate) fn send_window(&self) -> usize {
        self.call_bytes.min(self.unsent).max(self.message)
    }

    /// The same where the peer has told its limits.
    pub(crate) fn send_window_to(&self, message: usize, bytes: usize) -> usize {
        bytes.min(self.send_window()).max(message.min(self.message))
    }

    /// What the peer is told of them. `descriptors`: how many this connection takes in one message.
    pub(super) fn told(&self, descriptors: usize) -> capnp_engine::PeerLimits {
        capnp_engine::PeerLimits { message: self.message, bytes: self.window(), descriptors }
    }

    /// Bytes that wait for a peer at most: the connection ends beyond it.
    pub(super) fn most_unsent(&self) -> usize {
        self.unsent.saturating_add(self.window_with_nested()).saturating_add(self.message)
    }

    /// Calls that are served are refused at their limit. Beside them there are those that wait for
    /// other calls' answers, and those that were answered and are kept for what they returned.
    pub(super) fn of_engine(&self, descriptors: usize) -> capnp_engine::Limits {
        capnp_engine::Limits {
            unanswered: self.calls.saturating_mul(2),
            unfinished: self.calls.saturating_mul(4).saturating_add(1024),
            // With the small calls, which the other side does not count.
            bytes: self.window_with_nested().saturating_add(self.window() / 64),
            objects: self.objects,
            message: self.message,
            capabilities: self.capabilities,
            descriptors,
            held_descriptors: self.held_descriptors,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message: 64 << 20,
            calls: 4096,
            call_bytes: 128 << 20,
            objects: 16384,
            capabilities: 10_000,
            descriptors: 0,
            held_descriptors: 64,
            threads: 256,
            unsent: 128 << 20,
            unknown_thread: Duration::from_secs(10),
            stalled: Duration::from_secs(60),
            partial_message: Duration::from_secs(60),
            callers_read: true,
        }
    }
}
