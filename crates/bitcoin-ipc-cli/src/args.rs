//! The command line of `bitcoin-ipc`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use bitcoin_ipc::ipc::Chain;

/// Talks to a Bitcoin node over its IPC socket.
///
/// Without --connect, the socket of the node in the data directory is used. Where neither --datadir nor --chain says which
/// node that is, and there is no socket, a regtest node for development, with a chain of its own in memory, is started as
/// a child process, and ends with this program (not for wait-tip, --follow, top and relay).
#[derive(Debug, Parser)]
#[command(name = "bitcoin-ipc", version, max_term_width = 100)]
#[command(
    after_help = "Exit status: 0 done, 1 failed (one line on stderr says why), 2 wrong usage, 130 Ctrl-C.\n\
                  BITCOIN_IPC_LOG=debug logs each call on stderr, trace its parameters too [default: warn].\n\
                  SIGUSR1 prints this program's connections, calls and threads on stderr."
)]
pub(super) struct Args {
    /// Connect to the node at ADDRESS: unix (node.sock in the data directory), unix:PATH (relative to
    /// the data directory unless it begins with /), or auto (as unix, but where no node is there, a child is started)
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub(super) connect: Option<String>,

    /// Data directory of the node; its chain's subdirectory is added [default: ~/.bitcoin]
    #[arg(long, value_name = "DIR", global = true, value_hint = ValueHint::DirPath)]
    pub(super) datadir: Option<PathBuf>,

    /// The chain that the node follows: main, test, testnet4, signet, regtest [default: main]. A node that is started is
    /// a regtest node, so with another chain it must be running
    #[arg(long, value_name = "CHAIN", global = true)]
    pub(super) chain: Option<Chain>,

    /// Start PROGRAM with -ipcfd as the node, instead of this one's own regtest node. Bitcoin Core's
    /// bitcoin-node is not started so: run it with -ipcbind=unix and use --connect
    #[arg(long, value_name = "PROGRAM", global = true, conflicts_with = "connect", value_hint = ValueHint::ExecutablePath)]
    pub(super) node: Option<PathBuf>,

    /// Give up after so many seconds of waiting for the node: for it to start or to accept the
    /// connection, and for each answer. More than 0, such as 5 or 0.5 [default: 30]. For wait-tip this is how long it waits for the
    /// tip, which has no end unless it is given; its other waits have at least 5 seconds then
    #[arg(long, value_name = "SECONDS", global = true, value_parser = seconds)]
    pub(super) timeout: Option<f64>,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// How long a wait for the node lasts unless --timeout says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Where --timeout bounds the wait for a tip, the other waits have at least this long.
const AT_LEAST: Duration = Duration::from_secs(5);

impl Args {
    /// What --timeout says.
    pub(super) fn given_timeout(&self) -> Option<Duration> {
        // More than a Duration holds is for ever.
        self.timeout.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// Whether the output is for a program.
    pub(super) fn is_json(&self) -> bool {
        match self.command {
            Some(
                Command::Echo { json, .. }
                | Command::Tip { json, .. }
                | Command::WaitTip { json }
                | Command::Template { json, .. }
                | Command::Mine { json, .. }
                | Command::Top { json, .. }
                | Command::View { json, .. },
            ) => json,
            _ => false,
        }
    }

    /// How long each wait for the node may last, but for that for a tip.
    pub(super) fn patience(&self) -> Duration {
        let given = self.given_timeout();
        match self.command {
            Some(Command::WaitTip { .. }) => given.map_or(TIMEOUT, |time| time.max(AT_LEAST)),
            _ => given.unwrap_or(TIMEOUT),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Go through it all, each step with its time: a process, its objects, a block (the default)
    Demo {
        /// A node and its wallet in two processes instead, which pay each other, are killed, and come back. In a
        /// directory of its own, or that of --datadir
        #[arg(long)]
        wallet: bool,
    },
    /// Have the node say TEXT back
    Echo {
        /// What to say
        text: String,
        /// As a JSON string
        #[arg(long)]
        json: bool,
    },
    /// Show the chain's tip
    Tip {
        /// As one JSON object
        #[arg(long)]
        json: bool,
        /// And each further one, until Ctrl-C, also over the node's restarts. One line (or object) each
        #[arg(long)]
        follow: bool,
    },
    /// Wait until the tip changes, and show the new one
    WaitTip {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Have the node make a block template, and show it
    Template {
        /// As one JSON object
        #[arg(long)]
        json: bool,
        /// And each better one, until Ctrl-C, also over the node's restarts. One line (or object) each
        #[arg(long)]
        follow: bool,
        /// With --follow: on the same tip, a template with so many more satoshis in fees is better, too
        #[arg(long, value_name = "SATOSHIS", requires = "follow")]
        more_fees: Option<u64>,
    },
    /// Mine blocks on a regtest node
    Mine {
        /// How many
        #[arg(default_value_t = 1)]
        blocks: u32,
        /// Pay to this regtest address, or to a script in hexadecimal [default: to anyone]
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        /// As one JSON object each
        #[arg(long)]
        json: bool,
    },
    /// Run a JSON-RPC method of the node (Bitcoin Core 32 and newer)
    Rpc {
        /// The method, such as getblockchaininfo
        method: String,
        /// Its arguments, each JSON or else a string
        #[arg(allow_hyphen_values = true)]
        args: Vec<String>,
        /// The wallet that it is for, where several are loaded. Before METHOD
        #[arg(long, value_name = "NAME")]
        wallet: Option<String>,
        /// Read further arguments from stdin, one a line: passphrases are seen by others on a command line. Before METHOD
        #[arg(long)]
        stdin: bool,
    },
    /// Share one connection to the node among any number of clients: serve its interfaces at sockets, each with
    /// rules of its own. Clients keep their objects while the node is away, but for templates
    Relay {
        /// Serve at unix:PATH (absolute), or fd:NAME (or fd:0, the first) for a socket that systemd has made and passed, with rules after commas: read-only (no submitBlock, submitSolution,
        /// executeRpc), mining (only Mining and BlockTemplate), allow=METHOD (only these; such as Mining.getTip), uid=N, gid=N, pid=N (who may connect
        /// instead of this user and root; the socket's mode is 0600, so open it to them by chmod),
        /// monitor (they can see by `top` who else is connected and what is called; a socket without rules for
        /// methods or for who may connect has it),
        /// max-connections=N [256], calls=N (of one client at once) [256], templates=N (of all its
        /// clients; one that waits for the next one needs 2) [64]. May be given several times
        #[arg(long, value_name = "ADDRESS[,RULE]...", required = true)]
        listen: Vec<crate::relay::Listen>,
        /// Write each call to stderr: who, what, how long, and how it ended
        #[arg(long)]
        log: bool,
    },
    /// Show what a server is doing, again and again: its connections, the calls under way, and of each method how often it
    /// was called, how its calls ended and how long they took. The server must be one of this project's: for Bitcoin Core,
    /// have a relay in front of it
    Top {
        /// Seconds from one look to the next
        #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
        interval: f64,
        /// As one JSON object each time
        #[arg(long)]
        json: bool,
        /// Once, and no more
        #[arg(long)]
        once: bool,
    },
    /// Show a node and its wallets, as a user interface in a process of its own: the chain, the memory pool, balances,
    /// transactions and coins, and what happens, as it happens. The node must be one of this project's
    View {
        /// Seconds after which it asks for what nobody tells, such as the size of the memory pool
        #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
        interval: f64,
        /// A line for each change: one JSON object
        #[arg(long)]
        json: bool,
        /// All of it once, and no more
        #[arg(long)]
        once: bool,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // Less than a nanosecond is none.
        Ok(seconds) if seconds.is_finite() && seconds >= 1e-9 => Ok(seconds),
        _ => Err("it takes a number of seconds greater than 0, such as 5 or 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_more_than_none() {
        for text in ["0", "-0", "0.0", "-1", "1e-10", "nan", "inf", "soon", ""] {
            assert!(seconds(text).unwrap_err().contains("greater than 0"), "{text}");
        }
        for text in ["1e-9", "0.5", "30", "1e300"] {
            let args = Args::parse_from(["bitcoin-ipc", "--timeout", text]);
            assert!(args.given_timeout().is_some_and(|time| !time.is_zero()), "{text}");
        }
    }
}
