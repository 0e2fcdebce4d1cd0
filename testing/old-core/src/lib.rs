//! The interfaces of Bitcoin Core 30 and 31 on their own, for tests to serve.

/// Bitcoin Core 30.
pub mod v30 {
    multiprocess::include_generated!("30");
}

/// Bitcoin Core 31.
pub mod v31 {
    multiprocess::include_generated!("31");
}
