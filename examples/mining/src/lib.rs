//! Programs to start from; the README says which. The notifier and the miner are in `src/bin`.

pub mod template_provider;
