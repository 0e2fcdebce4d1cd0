//! The bridge in both directions, over sockets and within the process.

mod calculator;
mod chains;
mod clients;
mod ends;
mod errors;
mod handles;
mod hostile;
mod loops;
mod news;
mod order;
mod raw_lab;
mod third;
mod threads;
mod typed_lab;
mod waits;
