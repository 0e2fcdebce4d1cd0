//! The Init: the bootstrap object of a process.

pub use crate::generated::init::{Client, Init, InitClient};

/// An Init that offers nothing: for a process that only calls others.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyInit;

impl Init for EmptyInit {}
