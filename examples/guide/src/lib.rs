//! What the two programs of the guide share: the code that is generated from `schema/`.

pub mod generated;
