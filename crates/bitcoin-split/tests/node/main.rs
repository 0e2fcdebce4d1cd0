//! The node as a user interface has it, over a real socket.

mod answers;
mod init;
mod processes;
mod support;
mod told;
