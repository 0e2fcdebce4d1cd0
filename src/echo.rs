//! The smallest interface, for trying a connection.

pub use crate::generated::echo::{Client, Echo, EchoClient};

use multiprocess::Result;

/// Returns its argument.
#[derive(Debug, Clone, Copy, Default)]
pub struct EchoServer;

impl Echo for EchoServer {
    fn echo(&self, echo: String) -> Result<String> {
        Ok(echo)
    }
}
