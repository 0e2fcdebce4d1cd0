//! A connection that is made again when it is lost, and what a program makes over it.
//!
//! - `builder` describes it, with `settings`; `connector` makes one connection;
//! - `handle` is what a program holds, `connected` the same wait as a future, `current` what it gets;
//! - `shared` is the state, `attempt` one attempt, `loss` what follows a loss and a failure; `random` spreads
//!   the attempts of many.
//!
//! ```text
//!   start ──> attempt ──────ok──────> connected ── at_end ──> loss: the user's hook
//!                ^  └─ failed ─┐                                      │
//!                └── timer <── the delay of the Backoff <─────────────┘
//! ```
//!
//! There is a thread only while an attempt or a hook runs: delays are timers of the driver, and while it is
//! connected the end of the connection itself does the rest. The user's functions are taken out of the
//! state when they run, so none runs under its lock.

mod attempt;
mod builder;
mod connected;
mod connector;
mod current;
mod handle;
mod loss;
mod random;
mod settings;
mod shared;

pub use builder::Reconnect;
pub use connected::Connected;
pub use current::{Current, ReconnectState};
pub use handle::Reconnecting;
