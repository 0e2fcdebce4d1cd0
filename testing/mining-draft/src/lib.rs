//! A schema that is ahead of Bitcoin Core's releases, followed as the guide says.

multiprocess::include_generated!();

/// The programs of the text compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/DRAFTS.md")]
struct Drafts;
