//! What `schema/` describes: Init for clients of every version, and Mining of Bitcoin Core 30.

#![allow(unreachable_pub, missing_docs, reason = "it is not this crate's own")]

multiprocess::include_generated!();
