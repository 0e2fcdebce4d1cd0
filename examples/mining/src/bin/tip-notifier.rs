//! Prints each tip of a node until its standard input ends. The node may come late, end and come back.
//!
//! `tip-notifier DATADIR`

use std::time::Duration;

use bitcoin_ipc::ipc::IpcOptions;
use bitcoin_ipc::session::{Event, NodeSession};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let datadir = std::env::args_os().nth(1).ok_or("give the chain's data directory")?;
    let options = IpcOptions::client("tip-notifier").datadir(datadir);
    let session = NodeSession::builder(options).wait_for_node(Duration::from_secs(60)).connect()?;
    let closing = session.clone();
    let closing = std::thread::spawn(move || {
        // Whatever comes: what counts is the end.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        closing.close()
    });
    for event in session.tips() {
        match event? {
            Event::Next(tip) => println!("block {} {}", tip.height, tip.hash),
            Event::Lost(why) => println!("lost the node: {why}"),
        }
    }
    // The loop ends with the session, which first ends the wait in the node.
    let in_order = closing.join().is_ok_and(|in_order| in_order);
    println!("ended in order: {in_order}");
    Ok(())
}
