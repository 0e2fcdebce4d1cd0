//! Who has a certificate is served; the other machine goes away in the middle of a call.

use std::sync::{Arc, Mutex};

use multiprocess::{Connection, Error, Result};
use multiprocess_tokio::tls::{Address, Identity, Listener, Peer, connect, connect_to_name};
use multiprocess_tokio::{Serve, StartStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::authority::{Authority, params};
use crate::market::MarketClient;
use crate::stall::{Stall, soon, until};

/// What tests connect to.
pub(super) const HOST: &str = "127.0.0.1";

fn at(port: u16) -> Address {
    Address::Tls { host: HOST.to_owned(), port }
}

pub(super) async fn listen(server: &Identity) -> (Listener, Address) {
    let listener = Listener::bind(&at(0), server).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, at(port))
}

struct Serving {
    stall: Stall,
    address: Address,
    peers: Arc<Mutex<Vec<Peer>>>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl Serving {
    async fn start(server: &Identity, change: impl FnOnce(Listener) -> Listener) -> Serving {
        let (listener, address) = listen(server).await;
        let (stall, shutdown) = (Stall::default(), CancellationToken::new());
        let peers = Arc::<Mutex<Vec<Peer>>>::default();
        let (object, seen) = (stall.client(&Handle::current()), peers.clone());
        let make = move |peer: &Peer| {
            seen.lock().unwrap().push(peer.clone());
            Ok(object.clone())
        };
        let serving = Serve::new().tls(change(listener), make, shutdown.clone());
        Serving { stall, address, peers, shutdown, task: tokio::spawn(serving) }
    }

    async fn running(&self) {
        use std::sync::atomic::Ordering::SeqCst;
        until("it runs", || self.stall.0.running.load(SeqCst) == 1).await;
    }

    async fn dropped(&self) {
        use std::sync::atomic::Ordering::SeqCst;
        until("the call is cancelled", || self.stall.0.dropped.load(SeqCst) == 1).await;
    }
}

async fn market(address: &Address, client: &Identity) -> (Connection, MarketClient) {
    let stream = soon(connect(address, client)).await.unwrap();
    let calling = Connection::builder().start_stream(stream).unwrap();
    let market = calling.bootstrap().unwrap();
    (calling, market)
}

#[tokio::test]
async fn who_has_a_certificate_is_served_and_known() {
    let authority = Authority::new("ours");
    let serving = Serving::start(&authority.member(HOST), |listener| listener).await;
    let client = authority.identity(&params("customer.example"), &authority);
    let (calling, market) = market(&serving.address, &client).await;
    assert_eq!(soon(market.price("tea")).await.unwrap(), 3);
    let bytes: Vec<u8> = (0..1_000_000).map(|i| i as u8).collect();
    assert_eq!(soon(market.pack(bytes.clone())).await.unwrap(), bytes);

    let peers = serving.peers.lock().unwrap().clone();
    let [peer] = &peers[..] else { panic!("{peers:?}") };
    assert!(peer.has_name("customer.example") && !peer.has_name("other.example"));
    assert!(!peer.has_name("not a name"));
    let hex: String = peer.fingerprint().iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(peer.to_string(), hex);

    serving.shutdown.cancel();
    soon(serving.task).await.unwrap().unwrap();
    let reason = soon(calling.disconnected()).await;
    // The end of a TLS stream is a message of its own.
    assert_eq!(reason.to_string(), "disconnected: the other side closed the connection");
}

/// Otherwise one that has lost its power would keep its place for ever, and a wait would not end.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn either_side_asks_whether_the_other_machine_is_still_there() {
    let authority = Authority::new("ours");
    let serving = Serving::start(&authority.member(HOST), |listener| listener).await;
    let (_calling, market) = market(&serving.address, &authority.member("b")).await;
    assert_eq!(soon(market.price("tea")).await.unwrap(), 3);
    let Address::Tls { port, .. } = serving.address else { unreachable!() };
    let port = format!(":{port:04X}");
    // Of the system's table: the established ones of this port, and the timer that runs for each. 02 is keepalive.
    let timers = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        let ours = rows.filter(|row| {
            row.len() > 5 && row[3] == "01" && (row[1].ends_with(&port) || row[2].ends_with(&port))
        });
        ours.map(|row| row[5].split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("both sides watch", || timers() == ["02", "02"]).await;
}

#[tokio::test]
async fn the_peer_is_its_certificate() {
    let authority = Authority::new("ours");
    let certificate = authority.sign("server", &params(HOST));
    let at = |name: &str| authority.path(name);
    let server =
        Identity::from_pem_files(&at("server.pem"), &at("server.key"), &at("authorities")).unwrap();
    let serving = Serving::start(&server, |listener| listener).await;
    let stream = soon(connect(&serving.address, &authority.member("b"))).await.unwrap();
    assert_eq!(stream.peer().certificate(), certificate);
    assert!(stream.peer().has_name(HOST));
}

#[tokio::test]
async fn who_may_not_connect_is_told_so() {
    let authority = Authority::new("ours");
    let only = |listener: Listener| listener.accept_if(|peer| peer.has_name("customer.example"));
    let serving = Serving::start(&authority.member(HOST), only).await;
    let (_calling, refused) = market(&serving.address, &authority.member("thief.example")).await;
    let error = soon(refused.price("tea")).await.unwrap_err();
    let told = "this server does not serve the owner of your certificate";
    assert!(error.to_string().contains(told), "{error}");
    assert!(serving.peers.lock().unwrap().is_empty());
    let (_calling, served) = market(&serving.address, &authority.member("customer.example")).await;
    assert_eq!(soon(served.price("tea")).await.unwrap(), 3);
}

#[tokio::test]
async fn a_server_of_another_name_by_order_only() {
    let authority = Authority::new("ours");
    let serving = Serving::start(&authority.member("market.example"), |listener| listener).await;
    let client = authority.member("b");
    let error = soon(connect(&serving.address, &client)).await.unwrap_err().to_string();
    let told = format!(
        "cannot connect to {}: the server's certificate is for another name (",
        serving.address
    );
    assert!(error.starts_with(&told), "{error}");
    let stream = connect_to_name(&serving.address, &client, "market.example");
    let stream = soon(stream).await.unwrap();
    let market: MarketClient =
        Connection::builder().start_stream(stream).unwrap().bootstrap().unwrap();
    assert_eq!(soon(market.price("tea")).await.unwrap(), 3);
    let error = soon(connect_to_name(&serving.address, &client, "no name")).await.unwrap_err();
    assert!(error.to_string().contains("\"no name\" is no name that"), "{error}");
}

/// A way to the server that can be cut: no side says that it ends.
async fn cuttable(server: &Address) -> (Address, JoinHandle<()>) {
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let own = at(listener.local_addr().unwrap().port());
    let Address::Tls { host, port } = server.clone() else { panic!("{server}") };
    let way = tokio::spawn(async move {
        let mut from = listener.accept().await.unwrap().0;
        let mut to = TcpStream::connect((host, port)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
    });
    (own, way)
}

#[tokio::test]
async fn a_connection_that_is_cut_in_a_call_fails_it_on_both_sides() {
    let authority = Authority::new("ours");
    let serving = Serving::start(&authority.member(HOST), |listener| listener).await;
    let (address, way) = cuttable(&serving.address).await;
    let (_calling, market) = market(&address, &authority.member("b")).await;
    let call = market.price("hope").start();
    serving.running().await;
    way.abort();
    let error = soon(call).await.unwrap_err();
    // An end without the message of TLS is no end that the other side meant.
    let Error::Disconnected { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("the stream to the other side failed"), "{reason}");
    serving.dropped().await;
    serving.shutdown.cancel();
    soon(serving.task).await.unwrap().unwrap();
}

#[test]
fn a_client_whose_runtime_dies_in_a_call_takes_nothing_with_it() {
    use crate::stall::multi_thread;
    let runtime = multi_thread();
    runtime.block_on(async {
        let authority = Authority::new("ours");
        let serving = Serving::start(&authority.member(HOST), |listener| listener).await;
        let client = multi_thread();
        let (address, identity) = (serving.address.clone(), authority.member("b"));
        let dying = client.spawn(async move {
            let (calling, market) = market(&address, &identity).await;
            let _ = market.price("hope").await;
            drop(calling);
        });
        serving.running().await;
        client.shutdown_background();
        serving.dropped().await;
        assert!(soon(dying).await.is_err());
        let (_calling, other) = market(&serving.address, &authority.member("c")).await;
        assert_eq!(soon(other.price("tea")).await.unwrap(), 3);
    });
}
