//! `bitcoin-ipc relay`: one connection to a node, shared by any number of clients, each socket with rules of its
//! own.
//!
//! `policy` is what a socket's clients may do, `upstream` the node, which may be away, `objects` what is served, and
//! `core30` the same to clients of Bitcoin Core 30, whose ordinals are others (`generated`, from `schema/`).

mod core30;
mod generated;
mod objects;
mod policy;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use bitcoin_ipc::ipc::IpcOptions;
use bitcoin_ipc::session::{Event, NodeSession};
use multiprocess::Server;
use multiprocess::process::Listener;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::Args;
use super::peer::datadir;
use super::systemd::{self, Sockets};
use super::{Failure, Outcome, output, signals};
use generated::init::InitClient;
use objects::Relay;
pub(crate) use policy::Listen;
use policy::Policy;
use upstream::Upstream;

/// How long the node may take before it is said that it is not there.
const SOON: Duration = Duration::from_secs(1);
/// How long the first attempt to reach the node is waited for before clients are let in.
const FIRST_ATTEMPT: Duration = Duration::from_secs(2);
/// How long the calls that are under way may take when it ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// Says when the node is there, and when it is not, until the session ends.
fn watch(session: &NodeSession) {
    if let Err(why) = session.get(SOON) {
        output::note(format_args!("waiting for the node: {why}"));
    }
    for event in session.connections() {
        match event {
            Ok(Event::Next(_)) => output::note("the node is there"),
            Ok(Event::Lost(why)) => output::note(format_args!("the node is away: {why}")),
            Err(_) => {}
        }
    }
}

/// Runs until SIGINT or SIGTERM.
pub(super) fn run(args: &Args, sockets: &[Listen], log: bool) -> Outcome {
    let mut passed = Sockets::passed()?;
    // They are seen below; a second Ctrl-C ends it at once.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    signals::end_on_second_interrupt()?;
    let options = IpcOptions::client("bitcoin-ipc").datadir(datadir(args)?);
    let session = NodeSession::builder(options.connect_timeout(args.patience()))
        .address(args.connect.as_deref().unwrap_or("unix"))
        .start()?;
    let watched = session.clone();
    std::thread::Builder::new().name("node".to_owned()).spawn(move || watch(&watched))?;
    let upstream = Arc::new(Upstream::new(session));
    // Else the first clients could be told that the node is away while it is only not reached yet.
    upstream.wait_first_attempt(FIRST_ATTEMPT);
    let serve = |listen: &Listen| -> Result<Server, Failure> {
        let listener = match &listen.passed {
            Some(which) => passed.take(which)?,
            None => Listener::bind(&listen.path)?,
        };
        let path = listener.path().to_owned();
        let mut rules = listen.clone();
        rules.path.clone_from(&path);
        let policy = Arc::new(Policy::new(rules, log));
        let init = InitClient::new(Relay { upstream: Arc::clone(&upstream), policy });
        let (who, shows) = (listen.clone(), listen.shows_monitor());
        let server = Server::builder()
            .limits(listen.limits())
            .max_connections(listen.max_connections)
            .accept_if(move |peer| who.admits(peer))
            .serve_also(multiprocess::monitor::of_this_process(), move |_| shows)
            .start(listener, init)?;
        output::note(format_args!("relaying at {}", path.display()));
        Ok(server)
    };
    let servers = sockets.iter().map(serve).collect::<Result<Vec<_>, _>>()?;
    passed.all_are_used()?;
    systemd::ready();
    signals.forever().next();
    systemd::stopping();
    for server in &servers {
        server.disconnect_all(PATIENCE);
    }
    drop(servers);
    upstream.close();
    Ok(())
}
