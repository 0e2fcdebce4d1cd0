#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod bridge;
mod client;
mod driver;
mod error;
mod message;
mod queue;
#[cfg(feature = "tokio")]
mod reading;
mod results;
mod served;
mod streaming;

pub use bridge::Bridge;
pub use driver::Driver;
