//! What is told of one call.

/// Who made the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// This process called a peer.
    Called,
    /// A peer called this process.
    Served,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Answered,
    Failed,
    Cancelled,
    TimedOut,
    Lost,
}
