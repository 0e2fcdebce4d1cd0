//! Prints each better template of a node, and why it came, until its input ends: `template-watcher DATADIR`.

use std::time::Duration;

use bitcoin_ipc::bitcoin::Amount;
use bitcoin_ipc::ipc::IpcOptions;
use bitcoin_ipc::mining::{BlockCreateOptions, BlockWaitOptions};
use bitcoin_ipc::session::Event::{Lost, Next};
use bitcoin_ipc::session::NodeSession;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let datadir = std::env::args_os().nth(1).ok_or("give the chain's data directory")?;
    let options = IpcOptions::client("template-watcher").datadir(datadir);
    let session = NodeSession::builder(options).wait_for_node(Duration::from_secs(60)).connect()?;
    let closing = session.clone();
    std::thread::spawn(move || (std::io::stdin().lines().for_each(drop), closing.close()));
    let more = BlockWaitOptions::default().fee_threshold(Amount::from_sat(1_000));
    let mut last = None;
    for event in session.templates(BlockCreateOptions::default(), more) {
        let read = match event? {
            Next(it) => it.get_tx_fees().wait().and_then(|fees| Ok((fees, it.get_block().wait()?))),
            Lost(why) => Err(why),
        };
        let Ok((fees, block)) = read.inspect_err(|why| println!("no template: {why}")) else {
            last = None;
            continue;
        };
        let (tip, fees) = (block.header.prev_blockhash, fees.into_iter().sum::<Amount>());
        let why = match last.replace((tip, fees)) {
            None => "the first",
            Some((before, _)) if before != tip => "another tip",
            Some((_, before)) if before < fees => "more in fees",
            Some(_) => "an old tip",
        };
        let height = block.txdata[0].lock_time.to_consensus_u32() + 1; // As Bitcoin Core makes it.
        println!("{height} on {tip}: {} transactions, {fees} in fees ({why})", block.txdata.len());
    }
    Ok(())
}
