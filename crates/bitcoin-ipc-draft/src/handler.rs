//! What ends a subscription.

pub use crate::generated::handler::{Client, Handler, HandlerClient};
