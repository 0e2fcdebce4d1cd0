//! Connections to other machines: who is served, who is not and why, who calls, and what is lost with a machine.

mod again;
mod authority;
mod callers;
mod crowded;
mod files;
mod refused;
mod revoked;
mod serving;
