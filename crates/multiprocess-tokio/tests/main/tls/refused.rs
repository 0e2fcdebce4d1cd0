//! Who is refused, and what either side is told.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use multiprocess::Connection;
use multiprocess_tokio::StartStream;
use multiprocess_tokio::tls::{Address, Identity, Listener, connect};
use rcgen::ExtendedKeyUsagePurpose;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::authority::{Authority, expired, params};
use super::serving::listen;
use crate::market::MarketClient;
use crate::stall::{LONG, soon};

const HOST: &str = "127.0.0.1";

/// What the next client of a listener is refused for, to be asked for beside the client.
pub(super) fn next(mut listener: Listener) -> JoinHandle<String> {
    tokio::spawn(async move {
        let outcome = soon(listener.next()).await.unwrap();
        outcome.expect_err("it is refused").to_string()
    })
}

pub(super) async fn why(next: JoinHandle<String>) -> String {
    let why = soon(next).await.unwrap();
    assert!(why.starts_with("tls:127.0.0.1:") && why.contains(" is refused: "), "{why}");
    assert_eq!(why.lines().count(), 1, "{why}");
    why
}

pub(super) async fn tcp(address: &Address) -> TcpStream {
    let Address::Tls { host, port } = address else { panic!("{address}") };
    TcpStream::connect((host.as_str(), *port)).await.unwrap()
}

/// What the first call of a client fails with, or connecting.
pub(super) async fn told(address: &Address, client: &Identity) -> String {
    let error = match soon(connect(address, client)).await {
        Err(error) => error,
        Ok(stream) => {
            let calling = Connection::builder().start_stream(stream).unwrap();
            let market: MarketClient = calling.bootstrap().unwrap();
            soon(market.price("tea")).await.unwrap_err()
        }
    };
    let told = error.to_string();
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

/// Both sides' texts where one refuses the other.
#[track_caller]
pub(super) fn contain(texts: [String; 2], parts: [&str; 2]) {
    for (text, part) in texts.iter().zip(parts) {
        assert!(text.contains(part), "{text:?} has not {part:?}");
    }
}

pub(super) async fn both(server: &Identity, client: &Identity) -> [String; 2] {
    let (listener, address) = listen(server).await;
    let next = next(listener);
    let told = told(&address, client).await;
    [why(next).await, told]
}

#[tokio::test]
async fn a_client_of_an_unknown_authority() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let stranger = theirs.identity(&params("b"), &ours);
    contain(
        both(&ours.member(HOST), &stranger).await,
        [
            "the client's certificate is not signed by any of this side's authorities",
            "the server refuses this side's certificate: none of its authorities has signed it",
        ],
    );
}

#[tokio::test]
async fn a_server_of_an_unknown_authority() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    contain(
        both(&theirs.identity(&params(HOST), &ours), &ours.member("b")).await,
        [
            "the client refuses this side's certificate: none of its authorities has signed it",
            "the server's certificate is not signed by any of this side's authorities",
        ],
    );
}

#[tokio::test]
async fn a_client_whose_authority_only_has_the_name_of_one_that_is_known() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("ours"));
    let stranger = theirs.identity(&params("b"), &ours);
    contain(
        both(&ours.member(HOST), &stranger).await,
        [
            "the client's certificate is signed by another authority that has the name of one of this side's",
            "the server refuses this side's certificate (DecryptError)",
        ],
    );
}

#[tokio::test]
async fn a_client_or_server_whose_certificate_has_expired() {
    let authority = Authority::new("ours");
    let old = authority.identity(&expired("b"), &authority);
    contain(
        both(&authority.member(HOST), &old).await,
        [
            "the client's certificate has expired: renew it",
            "the server refuses this side's certificate: it has expired, renew it",
        ],
    );
    let old = authority.identity(&expired(HOST), &authority);
    contain(
        both(&old, &authority.member("b")).await,
        [
            "the client refuses this side's certificate: it has expired, renew it",
            "the server's certificate has expired: renew it",
        ],
    );
}

#[tokio::test]
async fn a_client_with_the_certificate_of_a_server_only() {
    let authority = Authority::new("ours");
    let mut other = params("b");
    other.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let other = authority.identity(&other, &authority);
    contain(
        both(&authority.member(HOST), &other).await,
        [
            "the client's certificate is not for a client (extended key usage)",
            "the server refuses this side's certificate",
        ],
    );
}

/// By a client that is not of this crate, which makes none.
#[tokio::test]
async fn a_client_without_a_certificate() {
    let authority = Authority::new("ours");
    let (listener, address) = listen(&authority.member(HOST)).await;
    let next = next(listener);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.path("authorities")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(HOST).unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp(&address).await);
    let mut stream = soon(connecting).await.unwrap();
    let error = soon(stream.read(&mut [0])).await.unwrap_err().to_string();
    contain(
        [why(next).await, error],
        [
            "the client has no certificate: give it one that this side's authorities have signed",
            "CertificateRequired",
        ],
    );
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls() {
    let authority = Authority::new("ours");
    for garbage in [&[0; 64][..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 5000]] {
        let (listener, address) = listen(&authority.member(HOST)).await;
        let next = next(listener);
        let mut stranger = tcp(&address).await;
        stranger.write_all(garbage).await.unwrap();
        let why = why(next).await;
        assert!(why.contains("the client does not speak TLS ("), "{why}");
    }
    // It goes before it has said anything.
    let (listener, address) = listen(&authority.member(HOST)).await;
    let next = next(listener);
    drop(tcp(&address).await);
    let why = why(next).await;
    assert!(why.contains("the client closed the connection in the handshake"), "{why}");
}

#[tokio::test]
async fn a_client_that_is_refused_can_read_why() {
    let authority = Authority::new("ours");
    let (listener, address) = listen(&authority.member(HOST)).await;
    let next = next(listener);
    let mut stranger = tcp(&address).await;
    // More than the server reads before it refuses: the system must not reset the connection for the rest.
    stranger.write_all(&[0xff; 100_000]).await.unwrap();
    let mut told = Vec::new();
    soon(stranger.read_to_end(&mut told)).await.unwrap();
    // An alert of TLS.
    assert_eq!(told.first(), Some(&21), "{told:?}");
    drop(stranger);
    assert!(why(next).await.contains("does not speak TLS"));
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_or_is_not_there() {
    let authority = Authority::new("ours");
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = Address::Tls { host: HOST.to_owned(), port };
    let client = authority.member("b");
    let serving = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        stream.write_all(b"220 mail.example\r\n").await.unwrap();
        drop(listener);
        stream
    });
    let error = told(&address, &client).await;
    let start = format!("cannot connect to {address}: the server does not speak TLS (");
    assert!(error.starts_with(&start), "{error}");
    drop(soon(serving).await.unwrap());
    let error = told(&address, &client).await;
    assert!(
        error.starts_with(&format!("cannot connect to {address}: nobody listens there")),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_that_says_nothing_loses_its_place() {
    let authority = Authority::new("ours");
    let (listener, address) = listen(&authority.member(HOST)).await;
    let mut silent = tcp(&address).await;
    let why = why(next(listener.handshake(Duration::from_millis(20)))).await;
    assert!(why.contains("has not made the handshake of TLS within 20ms"), "{why}");
    assert_eq!(soon(silent.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn clients_beyond_the_most_handshakes_wait_for_their_turn() {
    let authority = Authority::new("ours");
    let (listener, address) = listen(&authority.member(HOST)).await;
    let mut listener = listener.handshake(LONG * 10).max_handshakes(2);
    let silent = [tcp(&address).await, tcp(&address).await];
    let client = authority.member("b");
    let to = address.clone();
    let honest = tokio::spawn(async move { connect(&to, &client).await });
    // The honest one has connected, and waits; the listener begins no third handshake however often it is polled.
    let polled = async {
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let next = poll_fn(|context| {
                std::task::Poll::Ready(Pin::new(&mut listener).poll_next(context).is_ready())
            });
            assert!(!next.await, "a third handshake was made");
        }
    };
    soon(polled).await;
    let [first, _second] = silent;
    drop(first);
    let refused = soon(listener.next()).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("closed the connection in the handshake"), "{refused}");
    let accepted = soon(listener.next()).await.unwrap().unwrap();
    assert!(accepted.peer().has_name("b"));
    soon(honest).await.unwrap().unwrap();
}
