//! Why the chain refuses a block.

use std::borrow::Cow;
use std::fmt;

/// Why a block was refused, in Bitcoin Core's words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The reject reason of BIP 22, such as `high-hash`.
    pub reason: Cow<'static, str>,
    /// Details for a person; may be empty.
    pub debug: String,
}

impl Rejection {
    /// Whether the block was refused only because the tip is another one by now: a new template
    /// helps.
    pub fn is_stale(&self) -> bool {
        matches!(&*self.reason, "inconclusive" | "inconclusive-not-best-prevblk" | "duplicate")
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if self.debug.is_empty() { Ok(()) } else { write!(f, ", {}", self.debug) }
    }
}

impl std::error::Error for Rejection {}

/// As it is sent.
impl From<Rejection> for bitcoin_ipc::mining::Rejection {
    fn from(rejection: Rejection) -> Self {
        Self::new(rejection.reason, rejection.debug)
    }
}

pub(super) fn reject(reason: &'static str, debug: impl Into<String>) -> Rejection {
    Rejection { reason: Cow::Borrowed(reason), debug: debug.into() }
}

pub(super) fn ensure(
    holds: bool,
    reason: &'static str,
    debug: impl Into<String>,
) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(reject(reason, debug)) }
}
