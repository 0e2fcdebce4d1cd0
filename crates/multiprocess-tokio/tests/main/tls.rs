//! Connections to other machines: who is served, who is not and why, and what is lost with a machine.

mod authority;
mod files;
mod refused;
mod serving;
