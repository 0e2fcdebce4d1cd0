//! One engine and a peer whose messages are written by hand: what two engines do not say to each
//! other, and what an honest peer does not say at all.

mod deep;
mod end;
mod misbehaves;
mod older;
mod peer;
mod tail;
