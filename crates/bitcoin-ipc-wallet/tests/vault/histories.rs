//! Random histories: whatever happened, the wallet has what a plain look at the chain's coins finds.

use std::collections::{HashMap, HashSet};

use bitcoin::{Amount, OutPoint, Txid};
use bitcoin_ipc_draft::values::RemovalReason;
use bitcoin_ipc_wallet::vault::TxState;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};

use super::world::{World, control, recipient, stranger};

#[derive(Debug, Clone)]
enum Step {
    /// Blocks whose rewards are the wallet's.
    Earn(u32),
    /// Blocks with nothing but what is in the memory pool.
    Mine(u32),
    /// Somebody pays the wallet.
    Receive,
    /// The wallet pays somebody, or itself.
    Spend { own: bool, hundredths: u64 },
    /// The last blocks leave the chain, and so many come instead.
    Reorganize { leave: u32, come: u32 },
    /// The wallet hears of all that.
    Hear,
    /// It is closed and opened again.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1..3u32).prop_map(Step::Earn),
        2 => (1..3u32).prop_map(Step::Mine),
        3 => Just(Step::Receive),
        4 => (any::<bool>(), 1..60u64).prop_map(|(own, hundredths)| Step::Spend { own, hundredths }),
        3 => (1..8u32, 0..9u32).prop_map(|(leave, come)| Step::Reorganize { leave, come }),
        4 => Just(Step::Hear),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 10..40)
}

struct History {
    world: World,
    /// The height of the next coinbase that a stranger pays with.
    next_coinbase: u32,
    /// What the wallet heard to be in the memory pool.
    heard: HashSet<Txid>,
}

impl History {
    fn run(&mut self, step: &Step) {
        match *step {
            Step::Earn(blocks) => {
                let script = self.world.address().script_pubkey();
                for _ in 0..blocks {
                    self.world.mine_to(script.clone());
                }
            }
            Step::Mine(blocks) => self.world.mine(blocks),
            Step::Receive => {
                let (height, to) = (self.next_coinbase, self.world.address());
                self.next_coinbase += 1;
                self.world.foreign_payment(
                    height,
                    &to,
                    Amount::from_sat(10_000 + u64::from(height)),
                );
            }
            Step::Spend { own, hundredths } => self.spend(own, hundredths),
            Step::Reorganize { leave, come } => {
                // The first blocks stay, so that strangers can pay with them.
                let height = self.world.chain.tip().height;
                let first = (height + 1 - leave).max(146);
                if let Some(hash) = self.world.chain.hash_at(first) {
                    self.world.chain.invalidate_block(&hash);
                    self.world.mine(come);
                }
            }
            Step::Hear => self.hear(),
            Step::Reopen => {
                self.world.reopen();
                self.heard.clear();
            }
        }
    }

    fn spend(&mut self, own: bool, hundredths: u64) {
        self.hear();
        let vault = self.world.vault();
        let all = vault.available_balance(&control(1_000)).unwrap();
        let to = if own { self.world.address().script_pubkey() } else { stranger() };
        let recipients = [recipient(&to, all * hundredths / 100)];
        let Ok(created) = vault.create_transaction(&recipients, &control(1_000), true, None) else {
            return;
        };
        vault.commit_transaction(&created.tx, Default::default(), Vec::new()).unwrap();
        if self.world.chain.submit_transaction(created.tx.clone()).is_ok() {
            vault.transaction_added(&created.tx).unwrap();
            self.heard.insert(created.tx.compute_txid());
        }
    }

    fn hear(&mut self) {
        self.world.follow();
        let pool = self.world.chain.mempool();
        let now: HashSet<Txid> = pool.iter().map(|tx| tx.compute_txid()).collect();
        for txid in self.heard.difference(&now) {
            self.world.vault().transaction_removed(*txid, RemovalReason::Conflict).unwrap();
        }
        for tx in &pool {
            self.world.vault().transaction_added(tx).unwrap();
        }
        self.heard = now;
    }

    /// What the chain has for the wallet: mature and immature, in satoshis.
    fn scan(&self) -> [u64; 2] {
        let (chain, vault) = (&self.world.chain, self.world.vault());
        let tip = chain.tip().height;
        let mut coins = HashMap::new();
        for height in 0..=tip {
            for tx in &self.world.block(height).txdata {
                for txin in &tx.input {
                    coins.remove(&txin.previous_output);
                }
                let txid = tx.compute_txid();
                for (vout, txout) in (0..).zip(&tx.output) {
                    if vault.is_mine(&txout.script_pubkey) {
                        let immature = tx.is_coinbase() && tip - height < 100;
                        coins.insert(OutPoint { txid, vout }, (immature, txout.value.to_sat()));
                    }
                }
            }
        }
        let sum = |wanted| {
            coins.values().filter(|(immature, _)| *immature == wanted).map(|(_, value)| value).sum()
        };
        [sum(false), sum(true)]
    }

    /// Everything is mined or given up, and then the wallet has what the chain has.
    fn check(&mut self) {
        for _ in 0..2 {
            self.hear();
            self.world.mine(1);
        }
        self.hear();
        for tx in self.world.vault().transactions().unwrap() {
            if tx.state == TxState::Inactive
                && self.world.vault().can_be_abandoned(tx.txid).unwrap()
            {
                self.world.vault().abandon(tx.txid).unwrap();
            }
        }
        for _ in 0..2 {
            let [trusted, pending, immature] = self.world.balances();
            assert_eq!([trusted, immature], self.scan());
            assert_eq!(pending, 0);
            self.world.reopen();
            self.hear();
        }
    }
}

#[test]
fn the_wallet_has_what_the_chain_has() {
    let config = Config {
        cases: 16,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..Config::default()
    };
    proptest!(config, |(steps in steps())| {
        let world = World::new();
        // For strangers, for the wallet, and until both are mature.
        world.mine(40);
        let own = world.address().script_pubkey();
        for _ in 0..5 {
            world.mine_to(own.clone());
        }
        world.mine(101);
        let mut history = History { world, next_coinbase: 1, heard: HashSet::new() };
        for step in &steps {
            history.run(step);
        }
        history.check();
    });
}
