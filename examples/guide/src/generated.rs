//! The proxies that `build.rs` makes of `schema/`.

multiprocess::include_generated!();
