//! The Init: the bootstrap object of a process.

pub use crate::generated::init::{Client, Init, InitClient};
