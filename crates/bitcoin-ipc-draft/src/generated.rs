//! The code that the build script generates from `schema/`: for each file a module with its structs, traits
//! and handles.

multiprocess::include_generated!();
