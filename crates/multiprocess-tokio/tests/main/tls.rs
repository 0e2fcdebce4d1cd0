//! TLS with certificates of both sides, through tokio-rustls: an accept loop of a remote service.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use multiprocess::{Connection, Error};
use multiprocess_tokio::{Serve, StartStream};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use crate::market::MarketClient;
use crate::stall::{Stall, soon};

/// A key, and the certificate that is known for it.
struct Identity(CertificateDer<'static>, Vec<u8>);

impl Identity {
    fn new() -> Identity {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["market.example".to_owned()]).unwrap();
        Identity(cert.der().clone(), signing_key.serialize_der())
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.1.clone()).unwrap()
    }

    fn as_root(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.clone()).unwrap();
        Arc::new(roots)
    }
}

fn acceptor(server: &Identity, client: &Identity) -> TlsAcceptor {
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(client.as_root(), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![server.0.clone()], server.key())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Connects with the client's certificate, or with none.
async fn connect(
    address: std::net::SocketAddr,
    server: &Identity,
    client: Option<&Identity>,
) -> (Connection, MarketClient) {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(server.as_root());
    let config = match client {
        Some(client) => config.with_client_auth_cert(vec![client.0.clone()], client.key()).unwrap(),
        None => config.with_no_client_auth(),
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("market.example").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let calling = Connection::builder().start_stream(stream).unwrap();
    let market = calling.bootstrap().unwrap();
    (calling, market)
}

/// Streams after their handshakes: 16 at a time, each within ten seconds.
fn handshakes(
    listener: TcpListener,
    acceptor: TlsAcceptor,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
    let accepted = stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await;
        Some((accepted, listener))
    });
    let handshake = move |accepted: io::Result<(TcpStream, _)>| {
        let acceptor = acceptor.clone();
        async move { timeout(Duration::from_secs(10), acceptor.accept(accepted?.0)).await? }
    };
    accepted.map(handshake).buffer_unordered(16)
}

#[tokio::test]
async fn who_has_a_certificate_is_served_and_nobody_else() {
    let (server, client) = (Identity::new(), Identity::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = handshakes(listener, acceptor(&server, &client));
    let object = Stall::default().client(&Handle::current());
    let known = client.0.clone();
    let make_object = move |stream: &TlsStream<TcpStream>| {
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        match certificates.first() {
            Some(certificate) if *certificate == known => Ok(object.clone()),
            _ => Err(Error::failed("this is not your market")),
        }
    };
    let shutdown = CancellationToken::new();
    let serving = Serve::new().incoming(incoming, make_object, shutdown.clone());
    let serving = tokio::spawn(serving);

    // Who speaks no TLS, and who has no certificate.
    let mut stranger = TcpStream::connect(address).await.unwrap();
    stranger.write_all(&[0; 64]).await.unwrap();
    let (_calling, market) = connect(address, &server, None).await;
    let error = soon(market.price("tea")).await.unwrap_err();
    assert!(error.is_disconnect(), "{error}");
    assert!(error.to_string().contains("CertificateRequired"), "{error}");

    let (calling, market) = connect(address, &server, Some(&client)).await;
    assert_eq!(soon(market.price("tea")).await.unwrap(), 3);
    let bytes: Vec<u8> = (0..1_000_000).map(|i| i as u8).collect();
    assert_eq!(soon(market.pack(bytes.clone())).await.unwrap(), bytes);
    shutdown.cancel();
    soon(serving).await.unwrap().unwrap();
    let reason = soon(calling.disconnected()).await;
    // The end of a TLS stream is a message of its own.
    assert_eq!(reason.to_string(), "disconnected: the other side closed the connection");
    drop(stranger);
}
