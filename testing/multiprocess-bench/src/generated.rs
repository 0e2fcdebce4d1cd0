//! What the build script makes of `schema/`.

multiprocess::include_generated!();
