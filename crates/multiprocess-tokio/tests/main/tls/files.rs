//! The files of certificates and keys.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use multiprocess::Error;
use multiprocess_tokio::tls::Identity;

use super::authority::{Authority, params};

/// Why an identity cannot be read from these files of an authority.
#[track_caller]
fn refusal(authority: &Authority, [certificate, key, authorities]: [&str; 3]) -> String {
    let at = |name| authority.path(name);
    let error = Identity::from_pem_files(&at(certificate), &at(key), &at(authorities)).unwrap_err();
    let Error::Address { address, problem, .. } = error else { panic!("{error}") };
    assert!(problem.starts_with(&format!("{address} ")), "{problem}");
    assert_eq!(problem.lines().count(), 1, "{problem}");
    problem
}

#[test]
fn what_cannot_be_used_is_told_with_its_file() {
    let authority = Authority::new("ours");
    authority.sign("a", &params("a"));
    authority.sign("b", &params("b"));
    authority.write("empty", "");
    authority.write("damaged", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    authority.write("long", &"x".repeat((1 << 20) + 1));
    for (files, file, told) in [
        (["none", "a.key", "authorities"], "none", "cannot be read"),
        (["a.pem", "none", "authorities"], "none", "cannot be read"),
        (["a.pem", "a.key", "none"], "none", "cannot be read"),
        (["empty", "a.key", "authorities"], "empty", "has no certificate in PEM"),
        (["a.key", "a.key", "authorities"], "a.key", "has no certificate in PEM"),
        (["a.pem", "a.key", "empty"], "empty", "has no certificate in PEM"),
        (["a.pem", "a.pem", "authorities"], "a.pem", "has no private key in PEM"),
        (["damaged", "a.key", "authorities"], "damaged", "is damaged"),
        (["long", "a.key", "authorities"], "long", "is longer than 1 MiB"),
        (["a.pem", "b.key", "authorities"], "b.key", "is not the key of the certificate"),
    ] {
        let problem = refusal(&authority, files);
        let start = format!("{} {told}", authority.path(file).display());
        assert!(problem.starts_with(&start), "{problem}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let authority = Authority::new("ours");
    authority.sign("a", &params("a"));
    let (certificate, key) = (authority.path("a.pem"), authority.path("a.key"));
    let read = || Identity::from_pem_files(&certificate, &key, &authority.path("authorities"));
    for mode in [0o604, 0o644, 0o666, 0o620, 0o602, 0o601] {
        std::fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let problem = refusal(&authority, ["a.pem", "a.key", "authorities"]);
        assert!(problem.contains("is open to others: chmod 600 it"), "{mode:o}: {problem}");
    }
    // As with credentials of systemd.
    for mode in [0o600, 0o400, 0o440] {
        std::fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        read().unwrap();
    }
}
