//! The settings that the node gives the wallet process when it is made.

use std::path::PathBuf;

use bitcoin_ipc::bitcoin::Network;
use bitcoin_ipc::common::{GlobalArgs, Settings};
use bitcoin_ipc::ipc::{Chain, default_base_datadir, network_datadir};
use bitcoin_ipc::rpc::Value;

/// What the wallets need to know of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Args {
    /// The directory of the network, in which the node keeps its own files as well.
    pub(crate) datadir: PathBuf,
    /// The network.
    pub(crate) network: Network,
}

impl Args {
    /// Reads them. A node of this project decides `datadir`: its network's own directory. One of C++ gives what its user
    /// has given, or nothing: the directory of all networks, in which each has one of its own.
    ///
    /// # Errors
    /// `chain` is none that is known, or there is no home directory: a text of one line.
    pub(crate) fn read(args: &GlobalArgs) -> Result<Args, String> {
        let network = network(&args.settings)?;
        let forced = args.settings.forced_settings.get("datadir").map(|text| plain(text));
        if let Some(Some(datadir)) = forced {
            return Ok(Args { datadir: datadir.into(), network });
        }
        let given = setting(&args.settings, network, "datadir").filter(|dir| !dir.is_empty());
        let base = match given {
            Some(datadir) => PathBuf::from(datadir),
            None => default_base_datadir().map_err(|error| error.to_string())?,
        };
        let chain: Chain = network
            .to_core_arg()
            .parse()
            .map_err(|error: multiprocess::Error| error.to_string())?;
        Ok(Args { datadir: network_datadir(&base, chain), network })
    }
}

/// The network, by `chain`, or by a switch with its name; the main one if nothing is said.
fn network(settings: &Settings) -> Result<Network, String> {
    // The section of the main network has the empty name's values, too, and no other matters here.
    let of = |name: &str| setting(settings, Network::Bitcoin, name);
    if let Some(chain) = of("chain") {
        return Network::from_core_arg(&chain).map_err(|_| {
            format!("the node is on the chain {chain:?}, which this wallet does not know: it knows main, test, \
                 testnet4, signet and regtest")
        });
    }
    let switches = ["regtest", "signet", "testnet4", "testnet"];
    let on = switches
        .into_iter()
        .find(|name| of(name).is_some_and(|value| !matches!(value.as_str(), "0" | "false")));
    let chain = match on {
        None => "main",
        Some("testnet") => "test",
        Some(name) => name,
    };
    Network::from_core_arg(chain).map_err(|error| error.to_string())
}

/// The value of a setting that counts: forced, of the command line, of the file that the programs write, of the
/// user's file, in this order.
fn setting(settings: &Settings, network: Network, name: &str) -> Option<String> {
    let forced = settings.forced_settings.get(name);
    // On the command line the last one counts, in a file the first.
    let given = || settings.command_line_options.get(name).and_then(|values| values.last());
    let stored = || settings.rw_settings.get(name);
    let section = |section: &str| {
        let values = settings.ro_config.get(section)?;
        values.iter().find(|pair| pair.key == name)?.value.first()
    };
    let configured = || section(network.to_core_arg()).or_else(|| section(""));
    let text = forced.or_else(given).or_else(stored).or_else(configured)?;
    plain(text)
}

/// A setting's value as a text. None for null.
fn plain(text: &str) -> Option<String> {
    match serde_json::from_str(text) {
        Ok(Value::String(value)) => Some(value),
        Ok(Value::Null) => None,
        // A switch or a number; or a text that is not written as JSON.
        Ok(_) | Err(_) => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin_ipc::common::Pair;

    fn args(settings: Settings) -> Result<Args, String> {
        Args::read(&GlobalArgs::default().settings(settings))
    }

    fn text(value: &str) -> String {
        format!("\"{value}\"")
    }

    fn command_line(values: &[(&str, &str)]) -> Settings {
        let options =
            values.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]));
        Settings::default().command_line_options(options.collect())
    }

    #[test]
    fn what_takes_precedence_counts() {
        let regtest = Args { datadir: "/a/regtest".into(), network: Network::Regtest };
        let settings = command_line(&[("chain", "\"regtest\""), ("datadir", "\"/b\"")])
            .forced_settings([("datadir".to_owned(), text("/a/regtest"))].into());
        assert_eq!(args(settings).unwrap(), regtest);
        // As a C++ node has it, and not written as JSON.
        let settings = command_line(&[("regtest", "true"), ("datadir", "/a")]);
        assert_eq!(args(settings).unwrap(), regtest);
        let chain = Pair::new("chain".to_owned(), vec![text("signet")]);
        let datadir = Pair::new("datadir".to_owned(), vec![text("/c"), text("/d")]);
        let settings =
            Settings::default().ro_config([(String::new(), vec![chain, datadir])].into());
        let signet = Args { datadir: "/c/signet".into(), network: Network::Signet };
        assert_eq!(args(settings).unwrap(), signet);
        let main = args(command_line(&[("datadir", "\"/a\""), ("testnet", "false")])).unwrap();
        assert_eq!(main, Args { datadir: "/a".into(), network: Network::Bitcoin });
        // Where nobody says it, it is where Bitcoin Core has it.
        let usual = args(command_line(&[("chain", "\"regtest\"")])).unwrap();
        assert!(usual.datadir.ends_with(".bitcoin/regtest"), "{}", usual.datadir.display());
    }

    #[test]
    fn what_is_lacking_is_said_in_one_line() {
        for (settings, said) in [
            (command_line(&[("datadir", "\"/a\""), ("chain", "\"moon\"")]), "the chain \"moon\""),
            (command_line(&[("chain", "\"Regtest\"")]), "it knows main, test"),
        ] {
            let error = args(settings).unwrap_err();
            assert!(error.contains(said) && !error.contains('\n'), "{error}");
        }
    }
}
