//! Tests that each server process answers, started or listening, and also one that is started by
//! its path like a foreign program. The test has its own `main` because its executable is the
//! servers' as well.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use multiprocess::process::Child;
use multiprocess_bench::layers::{Caller, Layer};
use multiprocess_bench::{
    Failure, Peer, TEXT, ours, over_tarpc, plain, raw, serve_if_peer, start_program,
};

const GRACE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Failure> {
    if serve_if_peer() {
        return Ok(());
    }
    for (peer, check) in CHECKS {
        println!("{peer:?}");
        let (child, socket) = peer.start()?;
        check(socket)?;
        ends(&child)?;

        let dir = tempfile::tempdir()?;
        let path = dir.path().join("socket");
        let (child, socket) = peer.listen(&path)?;
        for _ in 0..3 {
            check(UnixStream::connect(&path)?)?;
        }
        drop(socket);
        ends(&child)?;
    }
    println!("a program by its path");
    let (child, socket) = start_program(std::env::current_exe()?)?;
    check_ours(socket)?;
    ends(&child)?;
    for layer in [Layer::Messages, Layer::Handover] {
        println!("{layer:?}");
        let (_child, socket) = Peer::Layer(layer).start()?;
        let mut caller = Caller::new(layer, socket)?;
        assert_eq!(caller.echo(TEXT)?, TEXT);
        assert_eq!(caller.echo("x")?, "x");
    }
    println!("{:?}", Layer::Poll);
    let (_child, socket) = Peer::Layer(Layer::Poll).start()?;
    check_link(raw::Link::new(socket).polled())
}

type Check = fn(UnixStream) -> Result<(), Failure>;

const CHECKS: [(Peer, Check); 4] = [
    (Peer::Ours, check_ours),
    (Peer::Raw, |socket| check_link(raw::Link::new(socket))),
    (Peer::Plain, check_plain),
    (Peer::Tarpc, check_tarpc),
];

/// Waits for the server to end by itself, because its socket is closed.
fn ends(child: &Child) -> Result<(), Failure> {
    assert!(child.wait_timeout(GRACE)?.ok_or("the server has not ended")?.success());
    Ok(())
}

fn check_ours(socket: UnixStream) -> Result<(), Failure> {
    let bench = ours::connect(socket)?;
    assert_eq!(bench.echo(TEXT).wait()?, TEXT);
    assert_eq!(bench.echo_inline(TEXT).wait()?, TEXT);
    assert_eq!(bench.bytes(&b"bytes"[..]).wait()?, b"bytes");
    assert_eq!(bench.call_back(ours::callback(), TEXT).wait()?, TEXT);
    assert_eq!(bench.make_object().wait()?.echo(TEXT).wait()?, TEXT);
    Ok(())
}

fn check_link(mut link: raw::Link) -> Result<(), Failure> {
    link.echo(&raw::frame(TEXT.as_bytes()))?;
    link.echo(&raw::frame(&[7; 300_000]))?;
    link.call_back(&raw::callback_frame(TEXT.as_bytes()))?;
    let mut left: usize = 1000;
    let more = |back: usize| {
        left = left.saturating_sub(back);
        if left > 0 { back } else { 0 }
    };
    link.in_flight(&raw::frame(TEXT.as_bytes()), 64, more)?;
    Ok(())
}

fn check_plain(socket: UnixStream) -> Result<(), Failure> {
    let events = plain::Loop::new()?;
    let (bench, disconnector) = events.connect_for_a_while(socket)?;
    events.run(async {
        assert_eq!(plain::echo(&bench, TEXT).await?, TEXT);
        assert_eq!(plain::echo_inline(&bench, TEXT).await?, TEXT);
        assert_eq!(plain::bytes(&bench, b"bytes").await?, b"bytes");
        assert_eq!(plain::call_back(&bench, &plain::callback(), TEXT).await?, TEXT);
        drop(plain::make_object(&bench).await?);
        drop(bench);
        Ok(disconnector.await?)
    })
}

fn check_tarpc(socket: UnixStream) -> Result<(), Failure> {
    let runtime = over_tarpc::runtime()?;
    let bench = over_tarpc::connect(&runtime, socket)?;
    assert_eq!(runtime.block_on(over_tarpc::echo(&bench, TEXT))?, TEXT);
    assert_eq!(runtime.block_on(over_tarpc::bytes(&bench, &[7; 300_000]))?, [7; 300_000]);
    Ok(())
}
