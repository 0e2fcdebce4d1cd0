//! Where a Bitcoin process listens: the forms of `-ipcbind` and `-ipcconnect`, chains, and their
//! data directories.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use multiprocess::{Error, Result};

/// An address as it is given to `-ipcconnect`, with its path made absolute by the data
/// directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `unix`, `unix:` or `unix:PATH`: the socket at this path.
    Unix(PathBuf),
    /// `auto`: the socket at this path, or no connection where the path is missing, refused, not
    /// a directory or too long.
    Auto(PathBuf),
    /// An empty address or `0`: no connection.
    None,
}

impl Address {
    /// Reads an address. `datadir` is the network's data directory and `program` the name of the
    /// program that listens: `bitcoin-node` has `node.sock`.
    ///
    /// The length of the path is not checked here, because connecting treats a path that is too long
    /// differently for [`Unix`](Address::Unix) and [`Auto`](Address::Auto).
    ///
    /// # Errors
    ///
    /// [`Error::Address`], `Unrecognized address 'X'`, for anything else.
    pub fn parse(text: &str, datadir: &Path, program: &str) -> Result<Address> {
        match text {
            "" | "0" => Ok(Address::None),
            "auto" => Ok(Address::Auto(default_socket(datadir, program))),
            _ => Address::parse_listen(text, datadir, program).map(Address::Unix),
        }
    }

    /// Reads an address to listen at, of `-ipcbind`, where only the `unix` forms make sense. The
    /// path of the socket.
    ///
    /// # Errors
    ///
    /// [`Error::Address`], `Unrecognized address 'X'`, for anything else.
    pub fn parse_listen(text: &str, datadir: &Path, program: &str) -> Result<PathBuf> {
        match text.strip_prefix("unix") {
            Some("" | ":") => Ok(default_socket(datadir, program)),
            // An absolute path replaces the directory in `join`.
            Some(rest) if rest.starts_with(':') => Ok(datadir.join(&rest[1..])),
            _ => Err(Error::address(text, format!("Unrecognized address '{text}'"))),
        }
    }
}

fn default_socket(datadir: &Path, program: &str) -> PathBuf {
    let name = program.strip_prefix("bitcoin-").unwrap_or(program);
    datadir.join(format!("{name}.sock"))
}

/// A chain that a node follows, by the names of `-chain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Chain {
    /// `main`
    #[default]
    Main,
    /// `test`, the third testnet
    Testnet3,
    /// `testnet4`
    Testnet4,
    /// `signet`
    Signet,
    /// `regtest`
    Regtest,
}

impl Chain {
    const ALL: [Chain; 5] =
        [Chain::Main, Chain::Testnet3, Chain::Testnet4, Chain::Signet, Chain::Regtest];

    /// The name that `-chain` takes.
    pub fn name(self) -> &'static str {
        match self {
            Chain::Main => "main",
            Chain::Testnet3 => "test",
            Chain::Testnet4 => "testnet4",
            Chain::Signet => "signet",
            Chain::Regtest => "regtest",
        }
    }

    /// The directory of the chain's data within the base data directory; empty for main.
    pub fn subdirectory(self) -> &'static str {
        match self {
            Chain::Main => "",
            Chain::Testnet3 => "testnet3",
            Chain::Testnet4 | Chain::Signet | Chain::Regtest => self.name(),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Chain {
    type Err = Error;

    fn from_str(text: &str) -> Result<Chain> {
        let found = Chain::ALL.into_iter().find(|chain| chain.name() == text);
        found.ok_or_else(|| {
            let known = Chain::ALL.map(Chain::name).join(", ");
            Error::address(text, format!("Unknown chain '{text}': use {known}"))
        })
    }
}

/// The directory that Bitcoin Core uses where no `-datadir` is given: `~/.bitcoin`, and on macOS
/// `~/Library/Application Support/Bitcoin`.
///
/// # Errors
///
/// [`Error::Address`] where `HOME` is not set.
pub fn default_base_datadir() -> Result<PathBuf> {
    base_datadir_in(std::env::var_os("HOME"))
}

fn base_datadir_in(home: Option<OsString>) -> Result<PathBuf> {
    let within =
        if cfg!(target_os = "macos") { "Library/Application Support/Bitcoin" } else { ".bitcoin" };
    match home {
        Some(home) if !home.is_empty() => Ok(Path::new(&home).join(within)),
        _ => Err(Error::address(
            format!("~/{within}"),
            "HOME is not set, so the data directory is not known: give it with -datadir",
        )),
    }
}

/// The data directory of a chain: `base` for main, and a directory in it for the others.
pub fn network_datadir(base: &Path, chain: Chain) -> PathBuf {
    match chain.subdirectory() {
        // Joining nothing would add a slash at the end.
        "" => base.to_owned(),
        subdirectory => base.join(subdirectory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIR: &str = "/data/regtest";

    fn parse(text: &str) -> Result<Address> {
        Address::parse(text, Path::new(DIR), "bitcoin-node")
    }

    fn unix(path: &str) -> Address {
        Address::Unix(path.into())
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(parse("unix").unwrap(), unix("/data/regtest/node.sock"));
        assert_eq!(parse("unix:").unwrap(), unix("/data/regtest/node.sock"));
        assert_eq!(parse("unix:a/b.sock").unwrap(), unix("/data/regtest/a/b.sock"));
        assert_eq!(parse("unix:/run/x").unwrap(), unix("/run/x"));
        assert_eq!(parse("auto").unwrap(), Address::Auto("/data/regtest/node.sock".into()));
        assert_eq!(parse("").unwrap(), Address::None);
        assert_eq!(parse("0").unwrap(), Address::None);
    }

    #[test]
    fn the_programs_name_names_the_socket() {
        let socket = |program| Address::parse_listen("unix", Path::new("/d"), program).unwrap();
        assert_eq!(socket("bitcoin-wallet"), Path::new("/d/wallet.sock"));
        assert_eq!(socket("indexer"), Path::new("/d/indexer.sock"));
    }

    #[test]
    fn anything_else_is_unrecognized() {
        for text in ["x", "unixx", "unix/a", "Unix", "auto:", "tcp:1.2.3.4", "00", " unix", "1"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(&error, Error::Address { address, .. } if address == text));
            assert_eq!(error.to_string(), format!("Unrecognized address '{text}'"));
        }
        for text in ["", "0", "auto"] {
            assert!(Address::parse_listen(text, Path::new(DIR), "bitcoin-node").is_err());
        }
    }

    #[test]
    fn chains_have_names_and_directories() {
        for chain in Chain::ALL {
            assert_eq!(chain.to_string().parse::<Chain>().unwrap(), chain);
        }
        let dir = |chain| network_datadir(Path::new("/b"), chain).into_os_string();
        assert_eq!(dir(Chain::Main), "/b");
        assert_eq!(dir(Chain::Testnet3), "/b/testnet3");
        assert_eq!(dir(Chain::Testnet4), "/b/testnet4");
        assert_eq!(dir(Chain::Signet), "/b/signet");
        assert_eq!(dir(Chain::Regtest), "/b/regtest");
        assert_eq!(
            "foo".parse::<Chain>().unwrap_err().to_string(),
            "Unknown chain 'foo': use main, test, testnet4, signet, regtest"
        );
    }

    #[test]
    fn base_directory_is_in_home() {
        let base = base_datadir_in(Some("/home/a".into())).unwrap();
        assert!(base.starts_with("/home/a") && base != Path::new("/home/a"));
        assert!(base_datadir_in(None).unwrap_err().to_string().contains("HOME is not set"));
        assert!(base_datadir_in(Some("".into())).is_err());
    }
}
