//! A program that does nothing, for comparison in `spawn_cost`.

fn main() {}
