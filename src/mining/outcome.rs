//! What a node says to a block: that it is accepted, or why it is not.

use std::fmt;

use multiprocess::{Codec, CodecError};

use super::{
    BlockTemplateSubmitSolutionResults, MiningCheckBlockResults, MiningSubmitBlockResults, reason,
};

/// What a node says to a block that was checked or submitted.
///
/// ```
/// use bitcoin_ipc::mining::{Outcome, Rejection, reason};
///
/// fn next_step(outcome: Outcome) -> &'static str {
///     match outcome {
///         Outcome::Accepted => "celebrate",
///         Outcome::Rejected(rejection) if rejection.is_stale() => "take a new template",
///         Outcome::Rejected(rejection) if rejection.is(reason::HIGH_HASH) => "try another nonce",
///         Outcome::Rejected(_) => "look at the log",
///     }
/// }
/// assert_eq!(next_step(Outcome::Rejected(Rejection::new("high-hash", ""))), "try another nonce");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[must_use = "the node may have rejected the block"]
pub enum Outcome {
    /// The block is valid; if it was submitted, the node has it now.
    Accepted,
    /// The block is not valid, or the node has no use for it.
    Rejected(Rejection),
}

/// Why a node rejects a block, in its own words.
///
/// Bitcoin Core 30 and 31, and 32 before its last changes, answer submitSolution with true or false only:
/// then both are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rejection {
    /// BIP 22's word or Bitcoin Core's, such as `high-hash`; [`reason`](super::reason) has the known ones.
    pub reason: Option<String>,
    /// The same at length, for a person.
    pub debug: Option<String>,
}

impl Outcome {
    /// Whether the node accepted the block.
    pub fn is_accepted(&self) -> bool {
        *self == Outcome::Accepted
    }

    /// The rejection as an error, for `?`.
    ///
    /// # Errors
    /// Why the block was rejected.
    pub fn into_result(self) -> Result<(), Rejection> {
        match self {
            Outcome::Accepted => Ok(()),
            Outcome::Rejected(rejection) => Err(rejection),
        }
    }

    /// The outcome as it travels: whether the block is accepted, the reason and the text at length, which
    /// are empty where absent. For codecs of other schemas.
    pub fn from_parts(accepted: bool, reason: &str, debug: &str) -> Outcome {
        match accepted {
            true => Outcome::Accepted,
            false => Outcome::Rejected(Rejection::new(reason, debug)),
        }
    }

    /// The opposite of [`from_parts`](Outcome::from_parts).
    pub fn parts(&self) -> (bool, &str, &str) {
        match self {
            Outcome::Accepted => (true, "", ""),
            Outcome::Rejected(Rejection { reason, debug }) => {
                (false, reason.as_deref().unwrap_or(""), debug.as_deref().unwrap_or(""))
            }
        }
    }
}

impl From<Result<(), Rejection>> for Outcome {
    fn from(result: Result<(), Rejection>) -> Outcome {
        match result {
            Ok(()) => Outcome::Accepted,
            Err(rejection) => Outcome::Rejected(rejection),
        }
    }
}

impl Rejection {
    /// A rejection with these texts; an empty one is absent.
    pub fn new(reason: impl Into<String>, debug: impl Into<String>) -> Rejection {
        let present = |text: String| Some(text).filter(|text| !text.is_empty());
        Rejection { reason: present(reason.into()), debug: present(debug.into()) }
    }

    /// Whether this is the reason, such as [`reason::HIGH_HASH`].
    pub fn is(&self, reason: &str) -> bool {
        self.reason.as_deref() == Some(reason)
    }

    /// Whether another block was faster, so that a new template helps.
    pub fn is_stale(&self) -> bool {
        reason::STALE.iter().any(|reason| self.is(reason))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, &self.debug) {
            (Some(reason), Some(debug)) => write!(f, "{reason}, {debug}"),
            (Some(text), None) | (None, Some(text)) => f.write_str(text),
            (None, None) => f.write_str("the node gives no reason"),
        }
    }
}

impl std::error::Error for Rejection {}

/// The results of the three methods are alike.
macro_rules! outcome {
    ($($results:ident)*) => { $(
        impl Codec<Outcome> for $results {
            type Wire = $results;

            fn decode(wire: $results) -> Result<Outcome, CodecError> {
                Ok(Outcome::from_parts(wire.result, &wire.reason, &wire.debug))
            }

            fn encode(value: &Outcome) -> Result<$results, CodecError> {
                let (result, reason, debug) = value.parts();
                Ok($results { reason: reason.to_owned(), debug: debug.to_owned(), result })
            }
        }
    )* };
}
outcome! { BlockTemplateSubmitSolutionResults MiningCheckBlockResults MiningSubmitBlockResults }

#[cfg(test)]
mod tests {
    use super::*;

    type Results = MiningCheckBlockResults;

    fn results(result: bool, reason: &str, debug: &str) -> Results {
        Results { reason: reason.to_owned(), debug: debug.to_owned(), result }
    }

    #[test]
    fn outcomes_travel_with_their_texts() {
        let rejected = |reason: Option<&str>, debug: Option<&str>| {
            Outcome::Rejected(Rejection {
                reason: reason.map(str::to_owned),
                debug: debug.map(str::to_owned),
            })
        };
        for (wire, outcome) in [
            (results(true, "", ""), Outcome::Accepted),
            (results(false, "high-hash", "far off"), rejected(Some("high-hash"), Some("far off"))),
            (results(false, "a new word", ""), rejected(Some("a new word"), None)),
            (results(false, "", ""), rejected(None, None)),
        ] {
            assert_eq!(Results::encode(&outcome).unwrap(), wire);
            assert_eq!(Results::decode(wire).unwrap(), outcome);
        }
        // Whatever a node says besides, it has accepted the block.
        assert_eq!(Results::decode(results(true, "odd", "")).unwrap(), Outcome::Accepted);
    }

    #[test]
    fn a_rejection_says_what_the_node_said() {
        let text = |reason: &str, debug: &str| Rejection::new(reason, debug).to_string();
        assert_eq!(text("high-hash", "far off"), "high-hash, far off");
        assert_eq!(text("high-hash", ""), "high-hash");
        assert_eq!(text("", ""), "the node gives no reason");
        let outcome = Outcome::from_parts(false, reason::HIGH_HASH, "");
        assert!(!outcome.is_accepted());
        let rejection = outcome.into_result().unwrap_err();
        assert!(rejection.is("high-hash") && !rejection.is("high") && !rejection.is_stale());
        assert!(Rejection::new(reason::DUPLICATE, "").is_stale());
        assert!(Rejection::new(reason::INCONCLUSIVE, "").is_stale());
        assert!(!Rejection::default().is_stale() && !Rejection::default().is(""));
        assert_eq!(Outcome::from(Err(rejection.clone())), Outcome::Rejected(rejection));
    }
}
