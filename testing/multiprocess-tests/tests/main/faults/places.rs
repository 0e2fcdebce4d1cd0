//! Places where no socket can be made.

use std::path::Path;

use multiprocess::{Error, Server};
use multiprocess_tests::{LabServer, pair};

/// Nobody can make a file there, whoever it is: permissions would not stop root.
#[test]
fn a_directory_in_which_nothing_can_be_made_is_an_error() {
    let other = pair();
    let path = Path::new("/proc/self/s");
    let error = Server::listen(path, LabServer::new().client()).unwrap_err();
    assert!(matches!(&error, Error::Address { .. } | Error::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("/proc/self"), "{error}");
    other.assert_alive();
}
