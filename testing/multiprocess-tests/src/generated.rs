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

/// Of `versions/moved/newest/`, for peers of versions 2 and 1 as well.
pub mod moved {
    multiprocess::include_generated!("moved");
}

/// Of `versions/moved/2/` alone.
pub mod moved2 {
    multiprocess::include_generated!("moved2");
}

/// Of `versions/moved/1/` alone.
pub mod moved1 {
    multiprocess::include_generated!("moved1");
}
