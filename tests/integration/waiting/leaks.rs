//! Nothing is left in the node: after thousands of waits that were cut off, and of templates that were dropped.

use bitcoin_ipc::mining::{BlockCreateOptions, BlockWaitOptions};
use futures_executor::block_on;
use futures_util::StreamExt;

use super::{Node, poll_once};
use crate::wait_until;

/// Waits that are cut off, half of them for tips and half for templates.
const WAITS: usize = 10_000;
/// Streams of templates that are dropped.
const TEMPLATES: usize = 1_000;

#[test]
fn waits_that_are_cut_off_leave_nothing() {
    let node = Node::new();
    let template = node.mining.create_new_block(BlockCreateOptions::default(), false);
    let template = template.wait().unwrap().unwrap();
    let tip = node.chain.tip().hash;
    let tables = node.client.table_sizes();
    for round in 0..WAITS / 2 {
        let mut tips = node.mining.tips_after(tip);
        let mut updates = template.updates(BlockWaitOptions::default());
        assert!(poll_once(&mut tips).is_pending());
        assert!(poll_once(&mut updates).is_pending());
        // Some before the node has the call, some when it waits.
        if round % 4 == 0 {
            wait_until("both wait in the node", || {
                // An interrupt for the waits before may have come late, and ended these.
                let pending =
                    [poll_once(&mut tips).is_pending(), poll_once(&mut updates).is_pending()];
                assert_eq!(pending, [true, true]);
                node.chain.waiters() == 2
            });
        }
        drop((tips, updates));
        if round % 4 == 0 {
            node.wait_for_waiters(0);
        }
    }
    node.wait_for_no_calls();
    assert_eq!(node.chain.waiters(), 0);
    // The threads for long waits are kept, to be used again; nothing else is.
    node.wait_for_templates(1);
    let now = node.client.table_sizes();
    assert_eq!((now[0], now[4]), (tables[0], tables[4]), "{tables:?} {now:?}");
    assert!(now[2] <= tables[2] + 2 * 128 && now[3] <= tables[3] + 2 * 128, "{tables:?} {now:?}");
    assert!(node.init.make_echo().pipelined().echo("here").wait().is_ok());
}

#[test]
fn templates_that_are_dropped_leave_nothing() {
    let node = Node::new();
    for round in 0..TEMPLATES {
        let create = BlockCreateOptions::default();
        let mut templates = node.mining.templates(create, BlockWaitOptions::default());
        match round % 3 {
            // It is made for nobody, mostly.
            0 => drop(poll_once(&mut templates)),
            1 => drop(block_on(templates.next()).unwrap().unwrap()),
            _ => {
                drop(block_on(templates.next()).unwrap().unwrap());
                assert!(poll_once(&mut templates).is_pending());
            }
        }
    }
    node.wait_for_no_calls();
    node.wait_for_templates(0);
    assert_eq!(node.chain.waiters(), 0);
}
