//! Schemas that exist in several versions.

/// A set of schemas that exists in several versions.
#[derive(Debug)]
pub struct Family {
    /// Distinguishes it on a connection.
    pub id: u64,
    /// The names of the versions, from the newest to the oldest.
    pub labels: &'static [&'static str],
}
