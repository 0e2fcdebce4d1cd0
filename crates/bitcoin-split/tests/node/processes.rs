//! An object that passes through three processes: of the wallet process (this test program, run again), through the
//! node, to a user interface.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;

use bitcoin_ipc::common::GlobalArgs;
use bitcoin_ipc_draft::chain::{ChainClient, ChainHandle};
use bitcoin_ipc_draft::handler::{Handler, HandlerClient};
use bitcoin_ipc_draft::init::{Init, InitClient};
use bitcoin_ipc_draft::wallet::{
    LoadWalletCallbackClient, Wallet, WalletClient, WalletLoader, WalletLoaderClient,
};
use bitcoin_split::Message;
use multiprocess::{Connection, PeerVersion, Result};

use crate::support::{LONG, Served, Told, serve};

/// Set where this is the wallet's process, whose standard input is its socket.
const CHILD: &str = "BITCOIN_SPLIT_TEST_WALLET";
const NAME: &str = "processes::a_user_interface_calls_the_wallet_process_through_the_node";

struct WalletProcess;

impl Init for WalletProcess {
    fn make_wallet_loader(
        &self,
        _settings: GlobalArgs,
        chain: Option<ChainHandle>,
    ) -> Result<Option<WalletLoaderClient>> {
        Ok(chain.map(|chain| WalletLoaderClient::new(Loader { chain })))
    }
}

/// Has a wallet that is named after its process.
struct Loader {
    chain: ChainHandle,
}

impl ChainClient for Loader {}

impl WalletLoader for Loader {
    fn get_wallets(&self) -> Result<Vec<Option<WalletClient>>> {
        Ok(vec![Some(WalletClient::new(Purse(self.chain.clone())))])
    }

    /// Tells of one at once, and then ends.
    fn handle_load_wallet(
        &self,
        callback: Option<LoadWalletCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        callback.unwrap().call(Some(WalletClient::new(Purse(self.chain.clone())))).wait()?;
        Ok(Some(HandlerClient::new(Ended)))
    }

    /// Waits for the node for ever: what is under way when the process is killed.
    fn is_encrypted(&self, _name: String) -> Result<bool> {
        self.chain.init_message("under way").wait()?;
        loop {
            thread::park();
        }
    }
}

struct Ended;

impl Handler for Ended {}

struct Purse(ChainHandle);

/// Tells the node that nobody has it any more.
impl Drop for Purse {
    fn drop(&mut self) {
        let chain = self.0.clone();
        thread::spawn(move || chain.init_message("let go").wait());
    }
}

impl Wallet for Purse {
    fn get_wallet_name(&self) -> Result<String> {
        Ok(std::process::id().to_string())
    }
}

fn serve_wallets() {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let init = InitClient::new(WalletProcess);
    let connection = Connection::builder().serve(init).start(UnixStream::from(socket)).unwrap();
    connection.wait_disconnected();
}

/// Starts a wallet process, and gives the node its wallets.
fn start_wallet(served: &Served) -> (Child, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(CHILD, "")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let connection = Connection::new(ours).unwrap();
    let init: InitClient = connection.bootstrap().unwrap();
    PeerVersion::assume(&init, "2026-07").unwrap();
    let chain = served.node.chain_handle();
    let loader = init.make_wallet_loader(GlobalArgs::default(), Some(chain));
    served.node.set_wallet_loader(loader.timeout(LONG).wait().unwrap());
    (child, connection)
}

#[test]
fn a_user_interface_calls_the_wallet_process_through_the_node() {
    if std::env::var_os(CHILD).is_some() {
        return serve_wallets();
    }
    let served = serve();
    let (mut child, to_wallet) = start_wallet(&served);
    let node = served.ui_node();
    let name = |wallet: &WalletClient| wallet.get_wallet_name().timeout(LONG).wait();

    // Out: the loader, and the wallets that it makes.
    let loader = node.custom_wallet_loader().wait().unwrap().unwrap();
    let wallet = loader.get_wallets().timeout(LONG).wait().unwrap().remove(0).unwrap();
    assert_eq!(name(&wallet).unwrap(), child.id().to_string());
    // And back: a callback of the user interface's is called by the wallet process, with an object of its own.
    let (tell, told) = Told::new();
    let callback = LoadWalletCallbackClient::from_fn(move |wallet: Option<WalletClient>| {
        tell.send(wallet.unwrap()).unwrap();
        Ok(())
    });
    let _handler = loader.handle_load_wallet(Some(callback)).timeout(LONG).wait().unwrap();
    assert_eq!(name(&told.next()).unwrap(), child.id().to_string());

    // It is killed during a call of the user interface's.
    let messages = served.node.messages().subscribe();
    let waits = {
        let loader = loader.clone();
        thread::spawn(move || loader.is_encrypted("a").timeout(LONG).wait())
    };
    messages.recv_timeout(LONG).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let error = waits.join().unwrap().unwrap_err();
    assert!(error.is_disconnect(), "{error:?}");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    assert!(name(&wallet).unwrap_err().is_disconnect());
    to_wallet.wait_disconnected();

    // The node and its connection to the user interface are unharmed, and there are wallets again.
    assert!(served.ui.is_connected());
    served.mine(1);
    assert_eq!(node.get_num_blocks().wait().unwrap(), 1);
    served.node.set_wallet_loader(None);
    assert!(node.custom_wallet_loader().wait().is_err());
    let (mut child, _to_wallet) = start_wallet(&served);
    let loader = node.custom_wallet_loader().wait().unwrap().unwrap();
    let wallet = loader.get_wallets().timeout(LONG).wait().unwrap().remove(0).unwrap();
    assert_eq!(name(&wallet).unwrap(), child.id().to_string());

    // A user interface that goes takes what it had with it: the wallet process drops the wallet.
    let messages = served.node.messages().subscribe();
    drop((wallet, loader, node));
    served.ui.disconnect();
    let told = messages.recv_timeout(LONG).unwrap();
    assert_eq!(told, Message::Init("let go".to_owned()));
    child.kill().unwrap();
    child.wait().unwrap();
}
