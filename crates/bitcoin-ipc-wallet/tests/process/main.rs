//! A wallet process and its node, over a socket pair: what a node calls, in its order, and what its clients get.

mod between;
mod catching_up;
mod commands;
mod encryption;
mod february;
mod gaps;
mod hostile;
mod life;
mod objects;
mod paying;
mod reorganizing;
mod rescan;
mod split;
