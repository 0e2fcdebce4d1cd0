//! The code that the build script generates from `schema/`.

multiprocess::include_generated!();
