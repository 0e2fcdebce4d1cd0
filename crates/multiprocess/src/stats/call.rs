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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallOutcome {
    /// With results, or with an error that its schema declares.
    Answered,
    /// With another error.
    Failed,
    /// Its caller has let it go.
    Cancelled,
    /// Its caller's deadline has passed.
    TimedOut,
    /// The connection has ended, or what the call needed is gone for good.
    Lost,
}

impl CallOutcome {
    /// In one word, as the [metrics](crate::stats#metrics) have it: `answered`, `failed`, `cancelled`, `timed_out` or
    /// `lost`.
    pub fn as_str(self) -> &'static str {
        match self {
            CallOutcome::Answered => "answered",
            CallOutcome::Failed => "failed",
            CallOutcome::Cancelled => "cancelled",
            CallOutcome::TimedOut => "timed_out",
            CallOutcome::Lost => "lost",
        }
    }
}
