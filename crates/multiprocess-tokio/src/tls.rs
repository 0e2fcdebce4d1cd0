//! Connections to other machines: TLS with certificates of both sides, over TCP or vsock. Nothing else is offered
//! between machines, and nobody without a certificate: there is no call here that leaves one out.
//!
//! - [`Address`]: `tls:HOST:PORT` or `vsock:CID:PORT`;
//! - [`Identity`]: this side's certificate and key, and the authorities whose certificates it accepts, from PEM files;
//! - [`connect`]: the client's side;
//! - [`Listener`] and [`Serve::tls`](crate::Serve::tls): the server's side, which knows its [`Peer`]s.
//!
//! ```no_run
//! use std::path::Path;
//! use multiprocess::{Connection, Result};
//! use multiprocess_tokio::{Serve, StartStream, on, tls};
//! use tokio::runtime::Handle;
//! use tokio_util::sync::CancellationToken;
//! # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
//! # use market::{MarketAsync, MarketClient};
//! # struct Stall;
//! # impl MarketAsync for Stall {}
//!
//! async fn serve(shutdown: CancellationToken) -> Result<()> {
//!     let identity = identity("server")?;
//!     let address = "tls:[::]:4000".parse()?;
//!     let listener = tls::Listener::bind(&address, &identity).await?;
//!     let market = |customer: &tls::Peer| {
//!         println!("a customer: {customer}");
//!         Ok(MarketClient::new_async(Stall, on(&Handle::current())))
//!     };
//!     // The authorities may have signed for others, too.
//!     let listener = listener.accept_if(|peer| peer.has_name("customer.example"));
//!     Serve::new().tls(listener, market, shutdown).await
//! }
//!
//! async fn buy() -> Result<u32> {
//!     let stream = tls::connect(&"tls:market.example:4000".parse()?, &identity("customer")?).await?;
//!     let market: MarketClient = Connection::builder().start_stream(stream)?.bootstrap()?;
//!     market.price("tea").await
//! }
//!
//! fn identity(who: &str) -> Result<tls::Identity> {
//!     let file = |name: &str| Path::new("/etc/market").join(name);
//!     let (certificate, key) = (file(&format!("{who}.pem")), file(&format!("{who}.key")));
//!     tls::Identity::from_pem_files(&certificate, &key, &file("authorities.pem"))
//! }
//! ```
//!
//! Both sides speak TLS 1.3 only, and make the whole handshake for each connection: a certificate is looked at each
//! time, and one that has expired is refused from then on. Connections that are there go on. A certificate that is not to
//! be accepted any more is revoked by its authority ([`Identity::revocation_lists`]), or [`Listener::accept_if`] refuses it
//! by its [fingerprint](Peer::fingerprint).
//!
//! Methods and interceptors are told [who calls](Peer::of).
//!
//! A connection that is made again when it is lost:
//!
//! ```no_run
//! use multiprocess::{Connection, Error, Reconnect, Reconnecting, Result};
//! use multiprocess_tokio::{StartStream, tls};
//! use tokio::runtime::Handle;
//! # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
//! # use market::MarketClient;
//!
//! fn market(to: tls::Address, identity: tls::Identity, handle: Handle) -> Result<Reconnecting<MarketClient>> {
//!     let name = to.to_string();
//!     // It runs on a thread of multiprocess's, which may block.
//!     let connect = move || {
//!         let stream = handle.block_on(tls::connect(&to, &identity))?;
//!         // Here are interceptors, limits and what is served set, for each connection.
//!         Connection::builder().start_stream_on(stream, &handle)
//!     };
//!     Reconnect::with(connect)
//!         .name(name)
//!         // Otherwise it would end when the server cannot be reached.
//!         .retry_if(|error| !matches!(error, Error::ApiMisuse { .. }))
//!         .start(|market: &MarketClient| Ok(market.clone()))
//! }
//! ```

mod address;
mod alive;
mod client;
mod failure;
mod files;
mod handshakes;
mod identity;
mod listener;
mod peer;
mod revocation;
mod stream;

pub use address::Address;
pub use client::{connect, connect_to_name};
pub use identity::Identity;
pub use listener::Listener;
pub use peer::Peer;
pub use stream::TlsStream;
