//! The code that the build script generates from `schema/`.

multiprocess::include_generated!();

/// From `open/`, of which capnpc cannot generate its own types.
pub mod untyped {
    multiprocess::include_generated!("open");
}

/// From `kept/new/`: what a process with `kept` does not know.
pub mod newer {
    multiprocess::include_generated!("kept_new");
}

/// From `kept/old/`; its structs keep what they do not know.
pub mod kept {
    multiprocess::include_generated!("kept_old");
}

/// The same with an older version, in which a default is another.
pub mod kept_versions {
    multiprocess::include_generated!("kept_versions");
}

/// The same without that.
pub mod lost {
    multiprocess::include_generated!("kept_lost");
}

/// From `versions/newest/`, for peers of version 1 as well.
pub mod newest {
    multiprocess::include_generated!("newest");
}

/// The same, whose objects also serve peers of version 1.
pub mod serving {
    multiprocess::include_generated!("serving");
}

/// From `versions/between/` alone: a build between the two.
pub mod between {
    multiprocess::include_generated!("between");
}

/// From `versions/1/` alone.
pub mod old {
    multiprocess::include_generated!("old");
}

/// From `versions/moved/newest/`, for peers of versions 2 and 1 as well.
pub mod moved {
    multiprocess::include_generated!("moved");
}

/// From `versions/moved/2/` alone.
pub mod moved2 {
    multiprocess::include_generated!("moved2");
}

/// From `versions/moved/1/` alone.
pub mod moved1 {
    multiprocess::include_generated!("moved1");
}
