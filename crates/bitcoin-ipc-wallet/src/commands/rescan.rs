//! Commands that look at the chain again.

use bitcoin_ipc::rpc::code;
use serde_json::json;

use super::params::Params;
use super::reply::{Reply, fail, invalid, of_node, wallet_code};
use super::{Command, Run, Target};
use crate::follow::Outcome;
use crate::vault::BlockId;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "rescanblockchain",
        args: &["start_height", "stop_height"],
        required: 0,
        about: "Looks at the chain again from a height on. It always goes on to the tip.",
        run: Run::SyncedUnlessScanning(rescan),
    },
    Command {
        name: "abortrescan",
        args: &[],
        required: 0,
        about: "Ends a rescan early; the wallet goes on with it when the chain has its next block.",
        run: Run::Wallet(abort),
    },
];

fn rescan(target: &Target, params: &mut Params) -> Reply {
    if target.follower.scanning().is_some() {
        return Err(fail(
            wallet_code::WALLET_ERROR,
            "Wallet is currently rescanning. Abort existing rescan or wait.",
        ));
    }
    let tip = target.vault()?.tip().height;
    let start = params.integer(0)?.unwrap_or(0);
    let start = u32::try_from(start).ok().filter(|start| *start <= tip);
    let start = start.ok_or_else(|| invalid("Invalid start_height"))?;
    if let Some(stop) = params.integer(1)?
        && !(i64::from(start)..=i64::from(tip)).contains(&stop)
    {
        return Err(invalid("Invalid stop_height"));
    }
    // The last block that is not looked at again.
    let height = start.saturating_sub(1);
    let hash = target.chain.get_block_hash(height.cast_signed()).wait();
    let hash = hash.map_err(|error| of_node(&error))?;
    match target.follower.rescan(BlockId { height, hash }) {
        Outcome::Done => {
            Ok(json!({ "start_height": start, "stop_height": target.vault()?.tip().height }))
        }
        Outcome::Aborted => Err(fail(code::MISC_ERROR, "Rescan aborted.")),
        Outcome::Failed(problem) => {
            Err(fail(wallet_code::WALLET_ERROR, format!("Rescan failed: {problem}")))
        }
    }
}

fn abort(target: &Target, _params: &mut Params) -> Reply {
    Ok(target.follower.abort_rescan().into())
}
