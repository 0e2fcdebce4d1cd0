//! The demonstration: two processes, and every step between them with its time.

use std::time::{Duration, Instant};

use bitcoin::block::Header;

use super::args::Args;
use super::peer::{Peer, is_easy};
use super::{Failure, Outcome, output};
use bitcoin_ipc::mining::{
    BlockCreateOptions, BlockTemplateClient, MiningClient, Outcome as Answer,
};
use bitcoin_regtest::{anyone_can_spend, coinbase_transaction, merkle_root, solve};

/// How long the demonstration waits for the block that it makes itself.
const WAIT: Duration = Duration::from_secs(30);

pub(super) fn run(args: &Args) -> Outcome {
    let start = Instant::now();
    let peer = Peer::find(args)?;
    let began = match &peer.child {
        Some(child) => format!(
            "process {} is started, and this one (process {}) has a handle on its Init",
            child.id(),
            std::process::id()
        ),
        None => "connected, and have the node's Init".to_owned(),
    };
    output::title("Two processes, one object at a time");
    output::step(start.elapsed(), began);

    let text = "Hello from another process";
    let (echo, time) = timed(|| peer.ask(peer.init.make_echo()))?;
    output::step(time, "made an Echo there");
    if let Some(echo) = echo {
        let (answer, time) = timed(|| peer.ask(echo.echo(text)))?;
        output::step(time, format_args!("echo says back: {answer:?}"));
    }

    let (mining, time) = timed(|| peer.mining())?;
    output::step(time, "made a Mining there");
    let (tip, time) = timed(|| peer.ask(mining.get_tip()))?;
    match &tip {
        Some(tip) => {
            output::step(time, format_args!("the tip is block {}, {}", tip.height, tip.hash))
        }
        None => output::step(time, "the node has no tip yet"),
    }

    let options = BlockCreateOptions::default();
    let (template, time) = timed(|| peer.ask(mining.create_new_block(options, false)))?;
    let template = template
        .ok_or_else(|| Failure("the node made no template: it is shutting down".to_owned()))?;
    let header = peer.ask(template.get_block_header())?;
    output::step(time, format_args!("made a block template there, on {}", header.prev_blockhash));
    if is_easy(header.bits) {
        make_block(&peer, &mining, &template, header)?;
    } else {
        output::note("not solving it: this is not a regtest node, a block takes real work");
    }

    let started = Instant::now();
    peer.ask(template.close())?;
    drop((template, mining));
    output::step(started.elapsed(), "closed the template: its destructor has run there");
    let child = peer.child.is_some();
    let started = Instant::now();
    if let Some(status) = peer.close() {
        output::step(
            started.elapsed(),
            format_args!("dropped the rest: the process ended by itself ({status})"),
        );
        if !status.success() {
            return Err(Failure(format!("the node ended with {status}")));
        }
    }
    let how = if child { "started, called, ended" } else { "called" };
    output::title(format_args!(
        "Done: a process {how} in {:.0} ms",
        start.elapsed().as_secs_f64() * 1000.0
    ));
    Ok(())
}

/// One thread waits for the next tip while this one solves the template and submits it.
fn make_block(
    peer: &Peer,
    mining: &MiningClient,
    template: &BlockTemplateClient,
    mut header: Header,
) -> Outcome {
    let (waiting, patience) = (mining.clone(), peer.patience);
    let before = header.prev_blockhash;
    let waiter = std::thread::Builder::new().name("waiter".to_owned()).spawn(move || {
        let started = Instant::now();
        // The node may be stuck, and not end the wait.
        let call = waiting.wait_tip_changed(before, WAIT);
        let tip = call.timeout(WAIT.saturating_add(patience)).wait();
        (tip, started.elapsed())
    });
    let waiter = waiter.map_err(|error| Failure(format!("cannot start a thread: {error}")))?;
    output::note("             (another thread waits for the next tip)");

    let started = Instant::now();
    let coinbase = coinbase_transaction(
        &peer.ask(template.get_coinbase_tx())?,
        b"bitcoin-ipc",
        anyone_can_spend(),
    );
    let path = peer.ask(template.get_coinbase_merkle_path())?;
    header.merkle_root = merkle_root(coinbase.compute_txid(), &path);
    if !solve(&mut header) {
        return Err(Failure("no nonce solves the template".to_owned()));
    }
    output::step(started.elapsed(), format_args!("solved it here, with nonce {}", header.nonce));

    let (answer, time) = timed(|| {
        let Header { version, time, nonce, .. } = header;
        peer.ask(template.submit_solution(version, time, nonce, coinbase))
    })?;
    if let Answer::Rejected(rejection) = answer {
        return Err(Failure(format!("the node did not accept the solved block: {rejection}")));
    }
    output::step(time, "submitted it: accepted");

    let (tip, time) =
        waiter.join().map_err(|_| Failure("the waiting thread panicked".to_owned()))?;
    match tip? {
        Some(tip) if tip.hash == header.block_hash() => {
            output::step(
                time,
                format_args!(
                    "the waiting thread has it: block {}, {}",
                    tip.height,
                    header.block_hash()
                ),
            );
            Ok(())
        }
        Some(tip) => {
            Err(Failure(format!("the tip is {}, not the block that was submitted", tip.hash)))
        }
        None => Err(Failure("the node ended the wait: it is shutting down".to_owned())),
    }
}

fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, Duration), E> {
    let started = Instant::now();
    let value = work()?;
    Ok((value, started.elapsed()))
}
