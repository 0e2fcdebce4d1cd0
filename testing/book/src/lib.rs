//! The programs of `docs/book`, compiled and run with the tests: those of each chapter are documentation tests here,
//! and the schemas that the chapters show are those of this crate.

pub mod generated {
    //! The schema of the other chapters.
    multiprocess::include_generated!();
}
pub mod alone {
    //! The schema of the chapter on capnp-rpc, where no other schema is beside it.
    multiprocess::include_generated!("alone");
}
pub mod messages {
    //! The schema of a C++ program, of the chapter on libmultiprocess.
    multiprocess::include_generated!("gallery");
}
mod seconds;

pub use seconds::Seconds;

/// A documentation test for each program of a chapter.
macro_rules! chapters {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../../docs/book/src/", $file))]
            struct $name;
        )*
    };
}

chapters! {
    FirstSteps: "first-steps.md",
    TwoProcesses: "two-processes.md",
    Core: "core.md",
    Callbacks: "callbacks.md",
    Cancel: "cancel.md",
    Faults: "faults.md",
    Async: "async.md",
    FromCapnpRpc: "from-capnp-rpc.md",
    FromLibmultiprocess: "from-libmultiprocess.md",
    Performance: "performance.md",
    Security: "security.md",
}
