//! A connection to another machine that is made again when it is lost.

use std::time::Duration;

use multiprocess::process::Backoff;
use multiprocess::{Connection, Error, Reconnect, Result};
use multiprocess_tokio::tls::{Listener, Peer, connect};
use multiprocess_tokio::{Serve, StartStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::authority::Authority;
use super::serving::{HOST, listen};
use crate::market::MarketClient;
use crate::stall::{Stall, soon};

#[tokio::test]
async fn a_server_on_another_machine_that_goes_and_comes_back() {
    let authority = Authority::new("ours");
    let server = authority.member(HOST);
    let (first, address) = listen(&server).await;
    let (to, client, handle) = (address.clone(), authority.member("b"), Handle::current());
    let market = Reconnect::with(move || {
        let stream = handle.block_on(connect(&to, &client))?;
        Connection::builder().start_stream_on(stream, &handle)
    })
    .backoff(Backoff {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(10),
        ..Backoff::default()
    })
    .retry_if(|error| !matches!(error, Error::ApiMisuse { .. }))
    .name("the market")
    .start(|market: &MarketClient| Ok(market.clone()))
    .unwrap();

    let mut listener = Some(first);
    for generation in 1..=3 {
        let listener = match listener.take() {
            Some(listener) => listener,
            None => Listener::bind(&address, &server).await.unwrap(),
        };
        let (shutdown, stall) = (CancellationToken::new(), Stall::default());
        let object = stall.client(&Handle::current());
        let make = move |_: &Peer| -> Result<MarketClient> { Ok(object.clone()) };
        let serving = tokio::spawn(Serve::new().tls(listener, make, shutdown.clone()));
        let current = soon(market.connected()).await.unwrap();
        assert_eq!(current.generation(), generation);
        assert_eq!(soon(current.price("tea")).await.unwrap(), 3);
        assert!(Peer::of(current.connection()).unwrap().has_name(HOST));
        shutdown.cancel();
        soon(serving).await.unwrap().unwrap();
        soon(current.connection().disconnected()).await;
    }
    tokio::task::spawn_blocking(move || market.close(Duration::from_secs(10))).await.unwrap();
}
