//! What the build script makes of `schema/`: for each file a module with its structs, traits and
//! handles.

multiprocess::include_generated!();
