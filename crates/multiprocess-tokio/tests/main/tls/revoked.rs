//! Certificates that their authorities have revoked.

use std::time::{Duration, SystemTime};

use multiprocess::Error;
use multiprocess_tokio::tls::{Identity, connect};
use rcgen::{CertificateParams, SerialNumber};

use super::authority::{Authority, params};
use super::refused::{contain, next, told, why};
use super::serving::listen;
use crate::stall::{soon, until};

const HOST: &str = "127.0.0.1";

fn tomorrow() -> SystemTime {
    SystemTime::now() + Duration::from_secs(24 * 3600)
}

/// With this serial number.
fn numbered(name: &str, serial: u64) -> CertificateParams {
    let mut params = params(name);
    params.serial_number = Some(SerialNumber::from(serial));
    params
}

/// An identity with files of its own, so that it can be read again.
fn identity(authority: &Authority, name: &str, params: &CertificateParams) -> Identity {
    authority.sign(name, params);
    let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
    let at = |name: &str| authority.path(name);
    Identity::from_pem_files(&at(&certificate), &at(&key), &at("authorities")).unwrap()
}

/// The same with the list `revoked` of the authority's directory.
fn checking(authority: &Authority, name: &str, params: &CertificateParams) -> Identity {
    identity(authority, name, params).revocation_lists(&authority.path("revoked")).unwrap()
}

/// What both sides are told where the handshake fails.
async fn both(server: &Identity, client: &Identity) -> [String; 2] {
    let (listener, address) = listen(server).await;
    let next = next(listener);
    let told = told(&address, client).await;
    [why(next).await, told]
}

/// That the two make their handshake.
async fn meet(server: &Identity, client: &Identity) {
    use futures_util::StreamExt;
    let (mut listener, address) = listen(server).await;
    let client = client.clone();
    let connecting = tokio::spawn(async move { connect(&address, &client).await.map(drop) });
    soon(listener.next()).await.unwrap().unwrap();
    soon(connecting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_or_server_whose_certificate_was_revoked() {
    let authority = Authority::new("ours");
    authority.write("revoked", &authority.revokes(&[7, 9], tomorrow()));
    let server = checking(&authority, "server", &numbered(HOST, 1));
    let client = checking(&authority, "client", &numbered("b", 2));
    meet(&server, &client).await;

    contain(
        both(&server, &identity(&authority, "bad", &numbered("b", 7))).await,
        [
            "the client's certificate was revoked by its authority",
            "the server refuses this side's certificate: it was revoked",
        ],
    );
    contain(
        both(&identity(&authority, "bad", &numbered(HOST, 9)), &client).await,
        [
            "the client refuses this side's certificate: it was revoked",
            "the server's certificate was revoked by its authority",
        ],
    );
}

#[tokio::test]
async fn a_client_of_an_authority_without_a_list_is_refused() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    ours.write("authorities", &(ours.pem() + &theirs.pem()));
    ours.write("revoked", &ours.revokes(&[], tomorrow()));
    let server = checking(&ours, "server", &params(HOST));
    let client = theirs.identity(&params("b"), &ours);
    contain(
        both(&server, &client).await,
        [
            "this side has no revocation list of the authority that signed it",
            "or it does not know whether it was revoked (UnknownCA)",
        ],
    );
    // With both lists in the file it is let in.
    let lists = ours.revokes(&[], tomorrow()) + &theirs.revokes(&[], tomorrow());
    ours.write("revoked", &lists);
    server.reload().unwrap();
    meet(&server, &client).await;
}

#[tokio::test]
async fn a_newer_list_is_reloaded_and_a_bad_one_changes_nothing() {
    let authority = Authority::new("ours");
    authority.write("revoked", &authority.revokes(&[], tomorrow()));
    let server = checking(&authority, "server", &numbered(HOST, 1));
    let client = identity(&authority, "client", &numbered("b", 2));
    let (listener, address) = listen(&server).await;
    // The listener is there already, with a clone.
    let next = next(listener);
    authority.write("revoked", &authority.revokes(&[2], tomorrow()));
    server.reload().unwrap();
    let told = told(&address, &client).await;
    contain(
        [why(next).await, told],
        ["the client's certificate was revoked by its authority", "it was revoked"],
    );
    authority.write("revoked", "nothing");
    server.reload().unwrap_err();
    contain(both(&server, &client).await, ["was revoked by its authority", "it was revoked"]);
}

#[tokio::test]
async fn a_list_that_expires_later_lets_nobody_in() {
    let authority = Authority::new("ours");
    let server = identity(&authority, "server", &params(HOST));
    let client = identity(&authority, "client", &params("b"));
    // More time where reading it takes longer than a moment.
    let (next, server) = [2, 10, 50]
        .into_iter()
        .find_map(|seconds| {
            let next = SystemTime::now() + Duration::from_secs(seconds);
            authority.write("revoked", &authority.revokes(&[], next));
            Some((next, server.revocation_lists(&authority.path("revoked")).ok()?))
        })
        .unwrap();
    until("the list has expired", || SystemTime::now() >= next).await;
    contain(
        both(&server, &client).await,
        [
            "the revocation list of its authority has expired",
            "does not know whether it was revoked",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_used_is_told_at_the_start() {
    let authority = Authority::new("ours");
    let identity = identity(&authority, "a", &params("a"));
    let good = authority.revokes(&[1], tomorrow());
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(951_782_400);
    authority.write("expired", &authority.revokes(&[1], old));
    authority.write("one-expired", &(good.clone() + &authority.revokes(&[1], old)));
    authority.write("empty", "");
    authority.write("damaged", "-----BEGIN X509 CRL-----\n!\n-----END X509 CRL-----\n");
    authority.write("other", "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n");
    authority.write("good", &good);
    let told_expired =
        "has a revocation list that has expired, as the next was due on 2000-02-29: get";
    for (file, told) in [
        ("none", "cannot be read"),
        ("empty", "has no revocation list in PEM (-----BEGIN X509 CRL-----)"),
        ("a.pem", "has no revocation list in PEM"),
        ("damaged", "is damaged"),
        ("other", "has something that is no revocation list"),
        ("expired", told_expired),
        ("one-expired", told_expired),
    ] {
        let path = authority.path(file);
        let error = identity.revocation_lists(&path).unwrap_err();
        let Error::Address { address, problem, .. } = error else { panic!("{error}") };
        assert_eq!(address, path.display().to_string());
        assert!(problem.starts_with(&format!("{address} {told}")), "{problem}");
        assert_eq!(problem.lines().count(), 1, "{problem}");
    }
    identity.revocation_lists(&authority.path("good")).unwrap();
}
