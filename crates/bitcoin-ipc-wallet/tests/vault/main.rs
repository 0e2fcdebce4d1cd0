//! A wallet with the blocks of a real regtest chain.

mod backups;
mod bumping;
mod crashing;
mod following;
mod histories;
mod keys;
mod long;
mod lying;
mod noting;
mod refusing;
mod spending;
mod world;
