//! Methods, interceptors and the log know who calls.

use std::sync::Arc;

use multiprocess::diagnostics::snapshot;
use multiprocess::{Connection, Error, IncomingCall, Interceptor, Result};
use multiprocess_tokio::tls::{Identity, Peer, connect};
use multiprocess_tokio::{Serve, StartStream, on, on_blocking_pool};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::authority::{Authority, params};
use super::serving::{HOST, listen};
use crate::market::{Market, MarketAsync, MarketClient};
use crate::stall::{pair, soon};

/// Tells whether the caller has a name.
struct Asks;

fn has_name(name: &str) -> u32 {
    Peer::of_current_call().map_or(99, |peer| u32::from(peer.has_name(name)))
}

impl MarketAsync for Asks {
    async fn price(&self, name: String) -> Result<u32> {
        tokio::task::yield_now().await;
        Ok(has_name(&name))
    }

    async fn pack(&self, _bytes: Vec<u8>) -> Result<Vec<u8>> {
        let peer = Peer::of_current_call().ok_or_else(|| Error::failed("nobody calls"))?;
        Ok(peer.chain().flatten().copied().collect())
    }
}

/// The same with methods that block.
struct AsksBlocking;

impl Market for AsksBlocking {
    fn price(&self, name: String) -> Result<u32> {
        Ok(has_name(&name))
    }
}

/// Lets only one name pack.
struct Rules;

impl Interceptor for Rules {
    fn before_serve(&self, call: &mut IncomingCall<'_>) -> Result<()> {
        let peer = Peer::of(&call.connection()).ok_or_else(|| Error::failed("who are you?"))?;
        match call.method() == "Market.pack" && !peer.has_name("packer.example") {
            true => Err(Error::failed("you may not pack")),
            false => Ok(()),
        }
    }
}

async fn called(
    server: &Identity,
    object: MarketClient,
    client: &Identity,
) -> (Connection, MarketClient) {
    let (listener, address) = listen(server).await;
    let serve = Serve::new().intercept(Arc::new(Rules));
    let make = move |_: &Peer| Ok(object.clone());
    tokio::spawn(serve.tls(listener, make, CancellationToken::new()));
    let stream = soon(connect(&address, client)).await.unwrap();
    let calling = Connection::builder().start_stream(stream).unwrap();
    let market = calling.bootstrap().unwrap();
    (calling, market)
}

#[tokio::test]
async fn methods_and_interceptors_know_the_certificate_of_who_calls() {
    let authority = Authority::new("ours");
    let asks = MarketClient::new_async(Asks, on(&Handle::current()));
    let blocking: Arc<dyn Market> = Arc::new(AsksBlocking);
    let blocking: MarketClient = on_blocking_pool(blocking, &Handle::current());
    for object in [asks, blocking] {
        let server = authority.member(HOST);
        let client = authority.member("customer.example");
        let (calling, market) = called(&server, object, &client).await;
        assert_eq!(soon(market.price("customer.example")).await.unwrap(), 1);
        assert_eq!(soon(market.price("packer.example")).await.unwrap(), 0);
        let error = soon(market.pack(Vec::new())).await.unwrap_err();
        assert!(error.to_string().contains("you may not pack"), "{error}");
        // The client knows the server, too.
        assert!(Peer::of(&calling).unwrap().has_name(HOST));
    }
    // No certificate is there in a direct call and over a socket pair.
    assert_eq!(
        soon(MarketClient::new_async(Asks, on(&Handle::current())).price("x")).await.unwrap(),
        99
    );
    let pair = pair(MarketClient::new_async(Asks, on(&Handle::current())));
    assert_eq!(soon(pair.market.price("x")).await.unwrap(), 99);
}

#[tokio::test]
async fn the_whole_chain_of_the_caller_is_known() {
    let authority = Authority::new("ours");
    let own = authority.sign("packer", &params("packer.example"));
    let chain = std::fs::read_to_string(authority.path("packer.pem")).unwrap();
    authority.write("chain.pem", &(chain + &authority.pem()));
    let at = |name: &str| authority.path(name);
    let client =
        Identity::from_pem_files(&at("chain.pem"), &at("packer.key"), &at("authorities")).unwrap();
    let asks = MarketClient::new_async(Asks, on(&Handle::current()));
    let (_calling, market) = called(&authority.member(HOST), asks, &client).await;
    let shown = soon(market.pack(Vec::new())).await.unwrap();
    assert!(shown.starts_with(&own), "its own is the first");
    assert!(shown.len() > own.len() + 100, "{} after {}", shown.len(), own.len());
}

fn name_of(connection: &Connection) -> String {
    let mut all = snapshot().connections.unwrap().into_iter();
    let found = all.find(|other| other.number == connection.number());
    found.unwrap().peer_name.unwrap_or_default()
}

/// Where the peers of this process's connections are called so.
fn is_served(start: &str) -> bool {
    let mut all = snapshot().connections.unwrap().into_iter();
    all.any(|other| other.peer_name.is_some_and(|name| name.starts_with(start)))
}

#[tokio::test]
async fn the_log_calls_peers_by_their_certificates_and_addresses() {
    let authority = Authority::new("ours");
    let (listener, address) = listen(&authority.member(HOST)).await;
    let asks = MarketClient::new_async(Asks, on(&Handle::current()));
    let make = move |_: &Peer| Ok(asks.clone());
    tokio::spawn(Serve::new().tls(listener, make, CancellationToken::new()));
    let client = authority.member("caller-in-the-log.example");

    let stream = soon(connect(&address, &client)).await.unwrap();
    let server = stream.peer().clone();
    let calling = Connection::builder().start_stream(stream).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    soon(market.price("x")).await.unwrap();
    assert!(is_served("caller-in-the-log.example[tls:127.0.0.1:"), "{}", snapshot());
    // The server's certificate has an address, and no name.
    assert_eq!(server.names(), [""; 0]);
    assert_eq!(name_of(&calling), format!("{}[{address}]", &server.to_string()[..16]));

    // A name that the program gives stays.
    let stream = soon(connect(&address, &client)).await.unwrap();
    let named = Connection::builder().name_peer("the market").start_stream(stream).unwrap();
    assert_eq!(name_of(&named), "the market");
    assert_eq!(Peer::of(&named).unwrap(), server);
}
