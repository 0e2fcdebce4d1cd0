//! What the three programs share.
pub mod generated;
