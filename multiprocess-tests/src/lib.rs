//! The schema of the runtime's tests, and an object that serves it. The tests are in `tests/`.

pub mod generated;
