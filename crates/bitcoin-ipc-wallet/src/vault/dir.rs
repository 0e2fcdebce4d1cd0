//! The directory of the wallets.

use std::path::{Path, PathBuf};

use bitcoin::Network;

use super::VaultError;

/// The directory of the wallets of one network: `DIR/wallets/NAME/wallet.sqlite`. The default wallet has the empty
/// name, and its file is in `DIR/wallets`.
#[derive(Debug, Clone)]
pub struct WalletsDir {}

impl WalletsDir {
    /// `dir` is the network's directory (such as DIR/regtest). Makes `wallets` in it, for its owner only.
    pub fn open(dir: &Path, network: Network) -> Result<WalletsDir, VaultError> {
        todo!()
    }
    /// The directory with the wallets.
    pub fn path(&self) -> &Path {
        todo!()
    }
    /// The network.
    pub fn network(&self) -> Network {
        todo!()
    }
    /// The names of the wallets in it, sorted.
    pub fn list(&self) -> Result<Vec<String>, VaultError> {
        todo!()
    }
}
