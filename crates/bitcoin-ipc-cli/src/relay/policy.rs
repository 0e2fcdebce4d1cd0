//! What clients of one of the relay's sockets may do.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use multiprocess::process::PeerCredentials;
use multiprocess::{Error, Limits, Result, Server, current_call};

use crate::output;

/// The methods of the node that a client can call, and whether they change something there.
const METHODS: &[(&str, bool)] = &[
    ("Init.makeEcho", false),
    ("Init.makeMining", false),
    ("Init.makeRpc", false),
    ("Echo.echo", false),
    ("Mining.isTestChain", false),
    ("Mining.isInitialBlockDownload", false),
    ("Mining.getTip", false),
    ("Mining.waitTipChanged", false),
    ("Mining.createNewBlock", false),
    ("Mining.checkBlock", false),
    ("Mining.interrupt", false),
    ("Mining.submitBlock", true),
    ("Mining.getTransactionsByTxID", false),
    ("Mining.getTransactionsByWitnessID", false),
    ("BlockTemplate.getBlockHeader", false),
    ("BlockTemplate.getBlock", false),
    ("BlockTemplate.getTxFees", false),
    ("BlockTemplate.getTxSigops", false),
    ("BlockTemplate.getCoinbaseTx", false),
    ("BlockTemplate.getCoinbaseMerklePath", false),
    // Of clients of Bitcoin Core 30.
    ("BlockTemplate.getCoinbaseCommitment", false),
    ("BlockTemplate.getWitnessCommitmentIndex", false),
    ("BlockTemplate.submitSolution", true),
    ("BlockTemplate.waitNext", false),
    ("BlockTemplate.interruptWait", false),
    // It can do everything.
    ("Rpc.executeRpc", true),
];

/// Objects that one client can have. Each may be one in the node, which has room for so many of the relay's.
const OBJECTS: usize = 1024;

/// These are always allowed: without them nothing is.
const MAKERS: [&str; 3] = ["Init.makeEcho", "Init.makeMining", "Init.makeRpc"];

/// A socket of the relay: where it is, and what its clients may do. Written as
/// `unix:PATH[,read-only][,allow=METHOD]...`, or `fd:NAME` for `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    /// Until it is served its address, where it was passed.
    pub(crate) path: PathBuf,
    /// Which of the sockets that systemd has passed it is.
    pub(crate) passed: Option<String>,
    read_only: bool,
    /// Only these, if there are any.
    allow: BTreeSet<&'static str>,
    /// Who may connect, instead of the relay's own user: any of these.
    uids: Vec<u32>,
    gids: Vec<u32>,
    pids: Vec<u32>,
    /// Its clients can see what the relay is doing, though they have rules.
    monitor: bool,
    pub(crate) max_connections: usize,
    /// Calls of one client at once.
    calls: usize,
    /// Templates of all its clients at once.
    templates: usize,
}

impl Listen {
    fn at(path: PathBuf) -> Listen {
        Listen {
            path,
            passed: None,
            read_only: false,
            allow: BTreeSet::new(),
            uids: Vec::new(),
            gids: Vec::new(),
            pids: Vec::new(),
            monitor: false,
            max_connections: Server::MAX_CONNECTIONS,
            calls: 256,
            templates: 64,
        }
    }

    /// What one client can make the relay hold.
    pub(crate) fn limits(&self) -> Limits {
        Limits::default().calls(self.calls).objects(OBJECTS)
    }

    /// Whether a process may connect.
    pub(crate) fn admits(&self, peer: &PeerCredentials) -> bool {
        self.admits_who(peer.uid, peer.gid, peer.pid)
    }

    /// Whether its clients can see what the relay is doing, for all its sockets. Who has rules is not to know of others,
    /// unless a rule says so.
    pub(crate) fn shows_monitor(&self) -> bool {
        let has_rules = self.read_only
            || !(self.allow.is_empty()
                && self.uids.is_empty()
                && self.gids.is_empty()
                && self.pids.is_empty());
        self.monitor || !has_rules
    }

    fn admits_who(&self, uid: u32, gid: u32, pid: Option<u32>) -> bool {
        let named = !(self.uids.is_empty() && self.gids.is_empty() && self.pids.is_empty());
        let own = rustix::process::geteuid().as_raw();
        let is_named = || {
            self.uids.contains(&uid)
                || self.gids.contains(&gid)
                || pid.is_some_and(|pid| self.pids.contains(&pid))
        };
        if named { is_named() } else { uid == own || uid == 0 }
    }

    fn allows(&self, method: &str) -> bool {
        let listed = self.allow.is_empty() || self.allow.contains(method);
        MAKERS.contains(&method) || listed && !(self.read_only && changes(method))
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Listen, String> {
        let mut parts = text.split(',');
        let address = parts.next().unwrap_or_default();
        let path = address.strip_prefix("unix:").filter(|path| path.starts_with('/'));
        let mut listen = match (path, address.strip_prefix("fd:")) {
            (Some(path), _) => Listen::at(path.into()),
            (None, Some(which)) => {
                Listen { passed: Some(which.to_owned()), ..Listen::at(address.into()) }
            }
            (None, None) => {
                return Err("give unix:PATH with an absolute path, such as unix:/run/relay.sock, or fd:NAME for a socket \
                            that systemd has made"
                    .to_owned());
            }
        };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let number = || value.parse::<usize>().map_err(|_| format!("{name} takes a number"));
            let some = || match number()? {
                0 => Err(format!("{name} takes 1 or more")),
                number => Ok(number),
            };
            let id = || value.parse::<u32>().map_err(|_| format!("{name} takes a number"));
            match name {
                "read-only" if value.is_empty() => listen.read_only = true,
                "monitor" if value.is_empty() => listen.monitor = true,
                "allow" => drop(listen.allow.insert(known(value)?)),
                "uid" => listen.uids.push(id()?),
                "gid" => listen.gids.push(id()?),
                "pid" => listen.pids.push(id()?),
                "mining" if value.is_empty() => listen.allow.extend(mining()),
                "max-connections" => listen.max_connections = some()?,
                "calls" => listen.calls = some()?,
                "templates" => listen.templates = number()?,
                _ => {
                    return Err(format!(
                        "{part:?} is none of read-only, mining, allow=METHOD, uid=N, gid=N, pid=N, monitor, \
                         max-connections=N, calls=N, templates=N"
                    ));
                }
            }
        }
        if listen.read_only
            && let Some(method) = listen.allow.iter().find(|method| changes(method))
        {
            return Err(format!("read-only does not allow {method}: leave one of both out"));
        }
        Ok(listen)
    }
}

/// What a pool or template provider calls.
fn mining() -> impl Iterator<Item = &'static str> {
    let names = METHODS.iter().map(|(method, _)| *method);
    names.filter(|name| name.starts_with("Mining.") || name.starts_with("BlockTemplate."))
}

/// Whether a method changes anything in the node.
fn changes(method: &str) -> bool {
    METHODS.iter().any(|(name, changes)| *name == method && *changes)
}

/// The method of this name; its interface may be left out where there is only one such method.
fn known(name: &str) -> std::result::Result<&'static str, String> {
    let names = || METHODS.iter().map(|(method, _)| *method);
    let fits = |method: &&str| *method == name || method.split('.').nth(1) == Some(name);
    names().find(fits).ok_or_else(|| {
        format!("{name:?} is no method; there are {}", names().collect::<Vec<_>>().join(", "))
    })
}

/// A socket's rules while it is served.
#[derive(Debug)]
pub(super) struct Policy {
    listen: Listen,
    /// Whether each call is written to stderr.
    log: bool,
    templates: AtomicUsize,
}

impl Policy {
    pub(super) fn new(listen: Listen, log: bool) -> Policy {
        Policy { listen, log, templates: AtomicUsize::new(0) }
    }

    /// Runs a client's call of a method, if it may call that. Its waits end when the client cancels.
    pub(super) fn run<T>(&self, method: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let call = current_call();
        if let Some(call) = &call {
            call.cascade();
        }
        let start = self.log.then(Instant::now);
        let outcome = match self.listen.allows(method) {
            true => work(),
            false => Err(Error::failed(format!(
                "{method} is not allowed at {}",
                self.listen.path.display()
            ))),
        };
        if let Some(start) = start {
            let peer = call.as_ref().and_then(|call| call.connection().peer_credentials().ok());
            let pid = peer.and_then(|peer| peer.pid).map_or("-".to_owned(), |pid| pid.to_string());
            let end = outcome.as_ref().err().map_or("ok".to_owned(), ToString::to_string);
            let time = start.elapsed().as_secs_f64() * 1000.0;
            output::note(format_args!("pid {pid}: {method} {time:.3} ms: {end}"));
        }
        outcome
    }

    /// A place for one more template, until it is dropped.
    pub(super) fn take_template(self: &Arc<Self>) -> Result<TemplatePlace> {
        let place = TemplatePlace(Arc::clone(self));
        let most = self.listen.templates;
        if self.templates.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(Error::failed(format!(
                "the clients of {} have {most} templates, their maximum: drop some",
                self.listen.path.display()
            )));
        }
        Ok(place)
    }
}

/// One of the templates that the clients of a socket have.
#[derive(Debug)]
pub(super) struct TemplatePlace(Arc<Policy>);

impl Drop for TemplatePlace {
    fn drop(&mut self) {
        self.0.templates.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> Listen {
        text.parse().unwrap()
    }

    #[test]
    fn a_socket_with_its_rules() {
        let plain = listen("unix:/run/x.sock");
        assert_eq!(plain, Listen::at("/run/x.sock".into()));
        assert!(METHODS.iter().all(|(method, _)| plain.allows(method)));
        let passed = listen("fd:pool,read-only");
        assert_eq!((passed.passed.as_deref(), passed.read_only), (Some("pool"), true));
        let read_only = listen("unix:/x,read-only,max-connections=3,calls=9,templates=2");
        assert_eq!((read_only.max_connections, read_only.limits().calls), (3, 9));
        for (method, changes) in METHODS {
            assert_eq!(read_only.allows(method), !changes, "{method}");
        }
        let two = listen("unix:/x,allow=Mining.getTip,allow=echo");
        let allowed = METHODS.iter().map(|(method, _)| *method).filter(|method| two.allows(method));
        let all =
            ["Init.makeEcho", "Init.makeMining", "Init.makeRpc", "Echo.echo", "Mining.getTip"];
        assert_eq!(allowed.collect::<Vec<_>>(), all);
        let mining = listen("unix:/x,mining,allow=echo");
        for allowed in ["Mining.createNewBlock", "BlockTemplate.submitSolution", "Echo.echo"] {
            assert!(mining.allows(allowed), "{allowed}");
        }
        assert!(!mining.allows("Rpc.executeRpc"));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        for (rules, why) in [
            ("read-only,allow=submitBlock", "read-only does not allow Mining.submitBlock"),
            ("mining,read-only", "read-only does not allow"),
            ("max-connections=0", "max-connections takes 1 or more"),
            ("calls=0", "calls takes 1 or more"),
        ] {
            let refused = format!("unix:/x,{rules}").parse::<Listen>().unwrap_err();
            assert!(refused.starts_with(why), "{rules}: {refused}");
        }
    }

    #[test]
    fn who_has_rules_does_not_see_others_unless_allowed() {
        for (rules, shows) in [
            ("", true),
            (",max-connections=3,calls=9,templates=2", true),
            (",read-only", false),
            (",allow=echo", false),
            (",uid=1", false),
            (",gid=1", false),
            (",pid=1", false),
            (",uid=1,allow=echo,read-only,monitor", true),
        ] {
            assert_eq!(listen(&format!("unix:/x{rules}")).shows_monitor(), shows, "{rules:?}");
        }
    }

    #[test]
    fn who_may_connect() {
        let own = rustix::process::geteuid().as_raw();
        let plain = listen("unix:/x");
        assert!(plain.admits_who(own, 0, None) && plain.admits_who(0, 0, Some(1)));
        assert!(!plain.admits_who(own + 1, 0, Some(1)));
        let named = listen("unix:/x,uid=7,gid=8,pid=9");
        for ((uid, gid, pid), admitted) in [
            ((7, 1, Some(1)), true),
            ((1, 8, None), true),
            ((1, 1, Some(9)), true),
            ((own + 20, own + 20, Some(1)), false),
            ((own + 20, 1, None), false),
        ] {
            assert_eq!(named.admits_who(uid, gid, pid), admitted, "{uid} {gid} {pid:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, told) in [
            ("/x", "give unix:PATH"),
            ("unix:x", "absolute path"),
            ("tcp:127.0.0.1:80", "give unix:PATH"),
            ("unix:/x,readonly", "is none of read-only, mining, allow=METHOD"),
            ("unix:/x,read-only=1", "is none of"),
            ("unix:/x,allow=Mining.tip", "there are Init.makeEcho"),
            ("unix:/x,uid=me", "uid takes a number"),
            ("unix:/x,calls=", "calls takes a number"),
        ] {
            let error = text.parse::<Listen>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn templates_have_places() {
        let policy = Arc::new(Policy::new(listen("unix:/x,templates=2"), false));
        let held = [policy.take_template().unwrap(), policy.take_template().unwrap()];
        let error = policy.take_template().unwrap_err().to_string();
        assert!(error.contains("have 2 templates, their maximum"), "{error}");
        assert!(policy.take_template().is_err(), "a refusal takes no place");
        drop(held);
        assert!(policy.take_template().is_ok());
    }
}
