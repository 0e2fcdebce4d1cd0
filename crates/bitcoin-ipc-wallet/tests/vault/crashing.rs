//! A process that is killed at any moment: what it said that it did is there afterwards.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bitcoin::consensus::Decodable;
use bitcoin::consensus::encode::serialize;
use bitcoin::key::rand::{Rng, thread_rng};
use bitcoin::{Amount, Block, Network, ScriptBuf, Txid};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::values::OutputType;
use bitcoin_ipc_wallet::vault::{TxState, Vault, WalletsDir};
use bitcoin_regtest::{Chain, anyone_can_spend, mine_block};

use super::world::{control, passphrase, recipient, stranger};

/// So many kills, and after so many of them a new wallet.
const ROUNDS: u32 = 50;
const ROUNDS_OF_ONE: u32 = 5;

/// What a process does in its directory, and says of it.
struct Place {
    dir: PathBuf,
}

impl Place {
    fn wallets(&self) -> WalletsDir {
        WalletsDir::open(&self.dir, Network::Regtest).unwrap()
    }

    fn blocks(&self) -> PathBuf {
        self.dir.join("blocks")
    }

    /// The chain of the blocks in the file; the last one may not be whole.
    fn chain(&self) -> Arc<Chain> {
        let chain = Chain::regtest();
        let bytes = fs::read(self.blocks()).unwrap();
        let mut left = bytes.as_slice();
        let mut whole = 0;
        while let Ok(block) = Block::consensus_decode(&mut left) {
            chain.submit_block(&block).unwrap();
            whole = bytes.len() - left.len();
        }
        OpenOptions::new().write(true).open(self.blocks()).unwrap().set_len(whole as u64).unwrap();
        chain
    }

    fn mine(&self, chain: &Chain, script: ScriptBuf) -> Arc<Block> {
        let hash = mine_block(chain, script).unwrap();
        let block = chain.block_by_hash(&hash).unwrap();
        let mut file = OpenOptions::new().create(true).append(true).open(self.blocks()).unwrap();
        file.write_all(&serialize(&*block)).unwrap();
        block
    }
}

fn follow(vault: &Vault, chain: &Chain) {
    for height in vault.tip().height + 1..=chain.tip().height {
        vault.connect_block(&chain.block_by_height(height).unwrap(), height).unwrap();
    }
}

fn number(number: u32) -> Passphrase {
    passphrase(&format!("passphrase {number}"))
}

/// What processes said that is true from then on.
#[derive(Default)]
struct Said {
    labels: Vec<String>,
    /// Transactions, and whether they are in a block.
    txs: BTreeMap<Txid, bool>,
    /// The number of the passphrase: 0 is none.
    passphrase: u32,
    /// The one that it may have by now.
    next: u32,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let Some(said) = line.split_once("said ").map(|(_, said)| said) else { return };
        let (what, rest) = said.split_once(' ').unwrap();
        match what {
            "label" => self.labels.push(rest.to_owned()),
            "committed" => _ = self.txs.insert(rest.parse().unwrap(), false),
            "mined" => _ = self.txs.insert(rest.parse().unwrap(), true),
            "trying" => self.next = rest.parse().unwrap(),
            "encrypted" => self.passphrase = rest.parse().unwrap(),
            other => panic!("{other}"),
        }
    }

    /// Opens the wallet and looks whether all of that is so.
    fn check(&mut self, place: &Place) {
        let vault = Vault::load(&place.wallets(), "").unwrap();
        let labels: Vec<_> =
            vault.addresses().unwrap().into_iter().map(|book| book.label).collect();
        for label in &self.labels {
            assert!(labels.contains(label), "the label {label} is lost");
        }
        for (txid, mined) in &self.txs {
            let tx = vault.transaction(*txid).unwrap();
            let tx = tx.unwrap_or_else(|| panic!("the transaction {txid} is lost"));
            let confirmed = matches!(tx.state, TxState::Confirmed { .. });
            assert!(confirmed || !mined, "{txid} was in a block: {:?}", tx.state);
            for txin in tx.tx.input.iter().filter(|_| !tx.tx.is_coinbase()) {
                assert!(vault.coin(txin.previous_output).unwrap().unwrap().spent);
            }
        }
        if self.next != self.passphrase {
            // Killed in between: it is the one or the other.
            let is_next = match vault.is_encrypted() {
                true => vault.unlock(&number(self.next)).is_ok(),
                false => false,
            };
            if is_next {
                self.passphrase = self.next;
            }
        }
        assert_eq!(vault.is_encrypted(), self.passphrase > 0);
        if self.passphrase > 0 {
            vault.unlock(&number(self.passphrase)).unwrap();
        }
        // And it goes on.
        let chain = place.chain();
        follow(&vault, &chain);
        assert_eq!(vault.tip().height, chain.tip().height);
    }
}

#[test]
fn what_was_said_is_there_after_a_kill() {
    let mut random = thread_rng();
    let mut place = None;
    let mut said = Said::default();
    let (mut heard, mut between) = (0, 0);
    for round in 0..ROUNDS {
        if round % ROUNDS_OF_ONE == 0 {
            place = Some(new_place());
            said = Said::default();
        }
        let (dir, place) = place.as_ref().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crashing::helper_does_and_says", "--nocapture"])
            .env("VAULT_TEST_CRASH", dir.path())
            .env("VAULT_TEST_PASSPHRASE", said.passphrase.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..random.gen_range(1..25) {
            said.hear(&lines.next().expect("it goes on until it is killed").unwrap());
        }
        std::thread::sleep(Duration::from_micros(random.gen_range(0..30_000)));
        child.kill().unwrap();
        // What it said before that.
        for line in lines {
            said.hear(&line.unwrap());
        }
        assert!(!child.wait().unwrap().success());
        heard += said.labels.len() + said.txs.len();
        between += u32::from(said.next != said.passphrase);
        said.check(place);
        said.next = said.passphrase;
    }
    assert!(heard > 0);
    println!("{ROUNDS} kills, {between} of them between a passphrase and the next");
}

/// A directory with a wallet that has money.
fn new_place() -> (tempfile::TempDir, Place) {
    let dir = tempfile::tempdir().unwrap();
    let place = Place { dir: dir.path().to_owned() };
    let vault = Vault::create(&place.wallets(), "", &Passphrase::default(), 0, None).unwrap();
    let own = vault.new_address(OutputType::Bech32, "first").unwrap().script_pubkey();
    let chain = Chain::regtest();
    for _ in 0..20 {
        place.mine(&chain, own.clone());
    }
    for _ in 0..100 {
        place.mine(&chain, anyone_can_spend());
    }
    (dir, place)
}

#[test]
fn helper_does_and_says() {
    let Some(dir) = std::env::var_os("VAULT_TEST_CRASH") else { return };
    let mut current: u32 = std::env::var("VAULT_TEST_PASSPHRASE").unwrap().parse().unwrap();
    let place = Place { dir: Path::new(&dir).to_owned() };
    let vault = Vault::load(&place.wallets(), "").unwrap();
    if current > 0 {
        vault.unlock(&number(current)).unwrap();
    }
    let chain = place.chain();
    follow(&vault, &chain);
    let say = |what: &str, of: &dyn std::fmt::Display| {
        let mut out = std::io::stdout().lock();
        // In a line of its own, whatever the test's program writes.
        out.write_all(format!("\nsaid {what} {of}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    };
    let mut random = thread_rng();
    loop {
        match random.gen_range(0..10) {
            0..4 => {
                let label = format!("label {}", random.r#gen::<u64>());
                vault.new_address(OutputType::Bech32, &label).unwrap();
                say("label", &label);
            }
            4..6 => {
                let own = vault.new_address(OutputType::Bech32, "").unwrap().script_pubkey();
                let block = place.mine(&chain, own);
                vault.connect_block(&block, chain.tip().height).unwrap();
                for tx in &block.txdata {
                    say("mined", &tx.compute_txid());
                }
            }
            6..9 => {
                let recipients = [recipient(&stranger(), Amount::from_sat(10_000))];
                let created =
                    vault.create_transaction(&recipients, &control(1_000), true, None).unwrap();
                vault.commit_transaction(&created.tx, Default::default(), Vec::new()).unwrap();
                say("committed", &created.tx.compute_txid());
                // One of before the kill may spend what only the memory pool of then had.
                if chain.submit_transaction(created.tx.clone()).is_ok() {
                    vault.transaction_added(&created.tx).unwrap();
                }
            }
            _ => {
                say("trying", &(current + 1));
                match current {
                    0 => vault.encrypt(&number(1)).unwrap(),
                    _ => vault.change_passphrase(&number(current), &number(current + 1)).unwrap(),
                }
                current += 1;
                say("encrypted", &current);
                if vault.is_locked() {
                    vault.unlock(&number(current)).unwrap();
                }
            }
        }
    }
}
