//! The bootstrap object of a wallet process.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bitcoin_ipc::common::GlobalArgs;
use bitcoin_ipc::echo::{EchoClient, EchoServer};
use bitcoin_ipc_draft::chain::ChainHandle;
use bitcoin_ipc_draft::init::{Init, InitClient};
use bitcoin_ipc_draft::wallet::WalletLoaderClient;
use multiprocess::{Error, Result};

use crate::loader::{Args, Loader, Wallets};
use crate::vault::WalletsDir;

/// A process with wallets, for the node that starts it: what it serves as its first object.
///
/// It has Echo, and `makeWalletLoader`, which takes the node's settings (`datadir`, the network's directory, and
/// `chain`) and the node's chain. The wallets end with the loader, which the node destroys; at the latest when the
/// connection to it ends. Then [`stop`](WalletProcess::stop) waits until all of it is on the disk.
///
/// ```
/// use std::os::unix::net::UnixStream;
///
/// use bitcoin_ipc::common::GlobalArgs;
/// use bitcoin_ipc_draft::init::InitClient;
/// use bitcoin_ipc_wallet::WalletProcess;
/// use multiprocess::{Connection, PeerVersion, Result};
///
/// fn main() -> Result<()> {
///     // Both ends in one process here; a node gives one to the process that it starts.
///     let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
///     let process = WalletProcess::new();
///     let serving = Connection::builder().serve(process.init()).start(theirs)?;
///
///     // The node's side.
///     let init: InitClient = Connection::new(ours)?.bootstrap()?;
///     PeerVersion::assume(&init, "2026-07")?;
///     let error = init.make_wallet_loader(GlobalArgs::default(), None).wait().unwrap_err();
///     assert!(error.to_string().contains("no chain"), "{error}");
///
///     // The process's side, when the node is gone.
///     drop(init);
///     serving.wait_disconnected();
///     process.stop();
///     Ok(())
/// }
/// ```
#[derive(Clone, Default)]
pub struct WalletProcess {
    /// The wallets of the loader that lives.
    wallets: Arc<Mutex<Weak<Wallets>>>,
}

impl WalletProcess {
    /// A process without wallets yet.
    pub fn new() -> WalletProcess {
        WalletProcess::default()
    }

    /// What the process serves.
    pub fn init(&self) -> InitClient {
        InitClient::new(self.clone())
    }

    /// Ends the wallets, if the end of the connection has not done so already. What they know is on the disk when
    /// this returns, and their files are free.
    pub fn stop(&self) {
        let wallets = self.wallets.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(wallets) = wallets {
            wallets.stop();
        }
    }
}

impl Init for WalletProcess {
    fn make_echo(&self) -> Result<Option<EchoClient>> {
        Ok(Some(EchoClient::new(EchoServer)))
    }

    fn make_wallet_loader(
        &self,
        global_args: GlobalArgs,
        chain: Option<ChainHandle>,
    ) -> Result<Option<WalletLoaderClient>> {
        let chain = chain.ok_or_else(|| {
            Error::failed("the node gave no chain to makeWalletLoader: wallets follow one")
        })?;
        let Args { datadir, network } = Args::read(&global_args).map_err(Error::failed)?;
        let mut living = self.wallets.lock().unwrap_or_else(PoisonError::into_inner);
        if living.upgrade().is_some_and(|wallets| !wallets.is_stopped()) {
            return Err(Error::failed(
                "this wallet process has a loader already: stop that one first, or start another process",
            ));
        }
        let dir = WalletsDir::open(&datadir, network)
            .map_err(|error| Error::failed(error.to_string()))?;
        let wallets = Wallets::new(chain, dir)?;
        *living = Arc::downgrade(&wallets);
        Ok(Some(WalletLoaderClient::new(Loader::new(wallets))))
    }
}

impl fmt::Debug for WalletProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalletProcess").finish_non_exhaustive()
    }
}
