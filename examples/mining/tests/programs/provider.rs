//! The template provider.

mod other_nodes;

use std::time::Duration;

use bitcoin_ipc::bitcoin::Amount;
use bitcoin_ipc::mining::Outcome;
use mining_examples::template_provider::{KEPT, Message, NewTemplate, Request};

use crate::client::{Client, Job};
use crate::node::{LONG, node, wait_until};

impl Client {
    /// How many transactions a template has, or why they are not told.
    pub(crate) fn transactions(&mut self, template_id: u64) -> Result<usize, &'static str> {
        self.ask(Request::TransactionData { template_id });
        loop {
            match self.message() {
                Message::TransactionData { template_id: id, transactions } => {
                    assert_eq!(id, template_id);
                    return Ok(transactions.len());
                }
                Message::TransactionDataError { template_id: id, code } => {
                    assert_eq!(id, template_id);
                    return Err(code);
                }
                // The next template may be told before.
                Message::NewTemplate(_) | Message::SetNewPrevHash { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn templates_go_out_and_solutions_come_back() {
    let node = node();
    let mut client = Client::connect(node.datadir());
    client.constraints();
    let job = client.job();
    assert_eq!(job.prev_hash, node.chain().tip().hash);
    let id = job.template.template_id;
    assert_eq!(client.transactions(id), Ok(0));
    assert_eq!(client.transactions(id + 1), Err("template-id-not-found"));
    // Another miner is faster.
    let hash = node.mine(1).unwrap()[0];
    let next = client.job();
    assert_eq!(next.prev_hash, hash);
    let (hash, outcome) = client.submit(&next);
    assert_eq!(outcome, Some(Outcome::Accepted));
    assert_eq!((node.chain().tip().hash, node.chain().tip().height), (hash, 3));
}

#[test]
fn a_late_solution_reaches_the_node() {
    let node = node();
    let mut client = Client::with_grace(node.datadir(), 10 * LONG);
    client.constraints();
    let late = client.job();
    let tip = node.mine(1).unwrap()[0];
    assert_eq!(client.job().prev_hash, tip);
    assert_eq!(client.transactions(late.template.template_id), Ok(0));
    let (hash, outcome) = client.submit(&late);
    let Some(Outcome::Rejected(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.is_stale(), "the node's own word: {why:?}");
    // It was not for nothing: the block that was faster turns out to be bad.
    node.chain().invalidate_block(&tip);
    assert_eq!(client.job().prev_hash, hash);
}

#[test]
fn after_the_grace_the_node_destroys_those_of_the_tip_before() {
    let node = node();
    let mut client = Client::with_grace(node.datadir(), Duration::from_millis(1));
    client.constraints();
    let late = client.job();
    node.mine(1).unwrap();
    let next = client.job();
    wait_until("it is destroyed", || node.live_templates() == 1);
    assert_eq!(client.transactions(late.template.template_id), Err("stale-template-id"));
    assert_eq!(client.submit(&late).1, None);
    assert_eq!(node.faults().calls("BlockTemplate.submitSolution"), 0);
    // Those of the present tip stay.
    assert_eq!(client.submit(&next).1, Some(Outcome::Accepted));
}

#[test]
fn of_many_tips_within_the_grace_the_latest_templates_are_kept() {
    let node = node();
    let mut client = Client::with_grace(node.datadir(), 10 * LONG);
    client.constraints();
    let first = client.job();
    for _ in 0..KEPT {
        node.mine(1).unwrap();
        client.job();
    }
    assert_eq!(client.transactions(first.template.template_id), Err("stale-template-id"));
    assert_eq!(client.transactions(first.template.template_id + 1), Ok(0));
    wait_until("the others are destroyed", || node.live_templates() == KEPT);
}

#[test]
fn more_in_fees_is_a_template_on_the_same_tip() {
    let node = node();
    node.mine(100).unwrap();
    let mut client = Client::connect(node.datadir());
    client.constraints();
    let job = client.job();
    node.pay_fee(Amount::from_sat(1_000)).unwrap();
    let template = client.template();
    assert!(!template.future_template);
    let reward = |template: &NewTemplate| template.coinbase.block_reward_remaining;
    assert_eq!(reward(&template), reward(&job.template) + Amount::from_sat(1_000));
    assert_eq!(client.transactions(template.template_id), Ok(1));
    let (hash, outcome) = client.submit(&Job { template, ..job });
    assert_eq!((outcome, node.chain().tip().hash), (Some(Outcome::Accepted), hash));
}

#[test]
fn new_constraints_bring_a_new_template() {
    let node = node();
    let mut client = Client::connect(node.datadir());
    client.constraints();
    let first = client.job().template.template_id;
    client.constraints();
    assert!(client.job().template.template_id > first);
}

#[test]
fn it_survives_the_node() {
    let node = node();
    let mut client = Client::connect(node.datadir());
    client.constraints();
    let old = client.job();
    for _ in 0..2 {
        node.go_away();
        let Message::NodeLost(why) = client.message() else { panic!("lost") };
        assert!(why.is_disconnect(), "{why:?}");
        assert_eq!(client.submit(&old).1, None);
        assert_eq!(client.transactions(old.template.template_id), Err("stale-template-id"));
        node.come_back().unwrap();
        let job = client.job();
        let (hash, outcome) = client.submit(&job);
        assert_eq!(outcome, Some(Outcome::Accepted));
        assert_eq!(node.chain().tip().hash, hash);
        // The template on it may have been told by then.
        assert_eq!(client.transactions(u64::MAX), Err("template-id-not-found"));
    }
}

#[test]
fn it_ends_with_its_client_and_with_the_session() {
    let node = node();
    let mut client = Client::connect(node.datadir());
    client.constraints();
    client.job();
    client.requests.close_channel();
    client.provider.join().unwrap().unwrap();
    assert!(client.session.close());
    wait_until("nothing waits in the node", || node.chain().waiters() == 0);

    let mut client = Client::connect(node.datadir());
    client.constraints();
    client.job();
    wait_until("it waits in the node", || node.chain().waiters() == 1);
    assert!(client.session.close());
    client.provider.join().unwrap().unwrap();
    assert_eq!(node.chain().waiters(), 0);
}
