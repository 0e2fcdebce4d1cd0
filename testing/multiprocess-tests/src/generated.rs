//! What the build script makes of `schema/`.

multiprocess::include_generated!();

/// Of `versions/newest/`, for peers of version 1 as well.
pub mod newest {
    multiprocess::include_generated!("newest");
}

/// Of `versions/1/` alone.
pub mod old {
    multiprocess::include_generated!("old");
}
