//! One engine and a peer whose messages are written by hand: messages that two engines do not
//! exchange, and messages that no honest peer sends.

mod deep;
mod end;
mod kept;
mod limits;
mod misbehaves;
mod older;
mod order;
mod peer;
mod promised;
mod tail;
mod texts;
mod told;
