//! The program that does nothing: what `spawn_cost` compares with.

fn main() {}
