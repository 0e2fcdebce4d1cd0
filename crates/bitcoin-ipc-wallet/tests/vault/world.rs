//! What the tests share: a chain, a wallet that follows it, and somebody else's coins.

use std::sync::{Arc, Mutex};

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, Block, BlockHash, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn,
    TxOut, Txid,
};
use bitcoin_ipc_draft::values::{ChangeType, OutputType};
use bitcoin_ipc_draft::wallet::{CoinControl, Recipient, TxDestination};
use bitcoin_ipc_draft::{FeeRate, Passphrase};
use bitcoin_ipc_wallet::vault::{BlockId, CreatedTransaction, Listener, Vault, WalletsDir};
use bitcoin_regtest::{Chain, anyone_can_spend, mine_block};
use tempfile::TempDir;

pub(super) struct World {
    pub(super) chain: Arc<Chain>,
    pub(super) datadir: TempDir,
    pub(super) vault: Option<Vault>,
}

impl World {
    /// An empty chain and a wallet without a passphrase.
    pub(super) fn new() -> World {
        let datadir = tempfile::tempdir().unwrap();
        let wallets = WalletsDir::open(datadir.path(), Network::Regtest).unwrap();
        let vault = Vault::create(&wallets, "w", &Passphrase::default(), 0, None).unwrap();
        World { chain: Chain::regtest(), datadir, vault: Some(vault) }
    }

    /// The same, with this many mature coinbase outputs of the wallet's.
    pub(super) fn rich(coins: u32) -> World {
        let world = World::new();
        let address = world.address();
        for _ in 0..coins {
            world.mine_to(address.script_pubkey());
        }
        world.mine(100);
        world.follow();
        world
    }

    pub(super) fn vault(&self) -> &Vault {
        self.vault.as_ref().unwrap()
    }

    pub(super) fn wallets(&self) -> WalletsDir {
        WalletsDir::open(self.datadir.path(), Network::Regtest).unwrap()
    }

    /// Closes the wallet and opens it again.
    pub(super) fn reopen(&mut self) {
        self.vault = None;
        self.vault = Some(Vault::load(&self.wallets(), "w").unwrap());
    }

    pub(super) fn address(&self) -> Address {
        self.vault().new_address(OutputType::Bech32, "").unwrap()
    }

    pub(super) fn mine_to(&self, script: ScriptBuf) -> BlockHash {
        mine_block(&self.chain, script).unwrap()
    }

    /// Blocks that pay nobody.
    pub(super) fn mine(&self, blocks: u32) {
        for _ in 0..blocks {
            self.mine_to(anyone_can_spend());
        }
    }

    pub(super) fn block(&self, height: u32) -> Arc<Block> {
        self.chain.block_by_height(height).unwrap()
    }

    /// The wallet's tip becomes the chain's, as a node tells: back to the fork, then each block.
    pub(super) fn follow(&self) {
        let vault = self.vault();
        loop {
            let tip = vault.tip();
            if self.chain.hash_at(tip.height) == Some(tip.hash) {
                break;
            }
            let left = self.chain.block_by_hash(&tip.hash).unwrap();
            vault.disconnect_block(tip.hash, tip.height, left.header.prev_blockhash).unwrap();
        }
        let blocks: Vec<_> = (vault.tip().height + 1..=self.chain.tip().height)
            .map(|height| (self.block(height), height))
            .collect();
        vault
            .connect_blocks(blocks.iter().map(|(block, height)| (block.as_ref(), *height)))
            .unwrap();
        assert_eq!(vault.tip().hash, self.chain.tip().hash);
    }

    /// The last block leaves the chain.
    pub(super) fn invalidate_tip(&self) {
        assert!(self.chain.invalidate_block(&self.chain.tip().hash));
    }

    pub(super) fn tip(&self) -> BlockId {
        let tip = self.chain.tip();
        BlockId { height: tip.height, hash: tip.hash }
    }

    /// Somebody else pays the wallet, with a transaction that is in the memory pool of the chain only. The height is
    /// of a coinbase that anyone can spend.
    pub(super) fn foreign_payment(&self, height: u32, to: &Address, amount: Amount) -> Transaction {
        let coinbase = &self.block(height).txdata[0];
        let outpoint = OutPoint { txid: coinbase.compute_txid(), vout: 0 };
        let tx = spend(&[outpoint], &[(to.script_pubkey(), amount)]);
        self.chain.submit_transaction(tx.clone()).unwrap();
        tx
    }

    /// The balances in satoshis: trusted, pending, immature.
    pub(super) fn balances(&self) -> [u64; 3] {
        let balances = self.vault().balances().unwrap();
        [balances.balance, balances.unconfirmed_balance, balances.immature_balance]
            .map(Amount::to_sat)
    }

    /// Pays somebody, with the memory pool told of it.
    pub(super) fn pay(&self, script: ScriptBuf, amount: Amount) -> CreatedTransaction {
        let created = self.create(script, amount);
        self.commit(&created.tx);
        created
    }

    /// Makes a signed transaction at 2 sat/vB.
    pub(super) fn create(&self, script: ScriptBuf, amount: Amount) -> CreatedTransaction {
        let recipients = [recipient(&script, amount)];
        self.vault().create_transaction(&recipients, &control(2_000), true, None).unwrap()
    }

    /// Commits a transaction, and the node takes it.
    pub(super) fn commit(&self, tx: &Transaction) {
        self.vault().commit_transaction(tx, Default::default(), Vec::new()).unwrap();
        self.chain.submit_transaction(tx.clone()).unwrap();
        self.vault().transaction_added(tx).unwrap();
    }
}

pub(super) fn recipient(script: &ScriptBuf, amount: Amount) -> Recipient {
    Recipient::new(amount).dest(TxDestination::from(script))
}

/// A fee rate in satoshis for 1,000 virtual bytes.
pub(super) fn control(rate: i64) -> CoinControl {
    CoinControl::default().fee_rate(FeeRate::from_sat_per_kvb(rate))
}

pub(super) fn passphrase(text: &str) -> Passphrase {
    Passphrase::from(text.to_owned())
}

/// Runs something, and gives what it logs on this thread.
pub(super) fn logged<T>(run: impl FnOnce() -> T) -> (T, String) {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let result = tracing::subscriber::with_default(subscriber, run);
    let text = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
    (result, text)
}

/// A script of somebody else's.
pub(super) fn stranger() -> ScriptBuf {
    let address: Address<_> = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080".parse().unwrap();
    address.assume_checked().script_pubkey()
}

/// An unsigned transaction.
pub(super) fn spend(from: &[OutPoint], to: &[(ScriptBuf, Amount)]) -> Transaction {
    let input = |outpoint: &OutPoint| TxIn {
        previous_output: *outpoint,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        ..TxIn::default()
    };
    let output = |(script, value): &(ScriptBuf, Amount)| TxOut {
        value: *value,
        script_pubkey: script.clone(),
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: from.iter().map(input).collect(),
        output: to.iter().map(output).collect(),
    }
}

pub(super) const COIN: u64 = 100_000_000;

/// What a wallet told.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<String>>);

impl Told {
    /// What came since this was asked before.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Listener for Told {
    fn address_book_changed(&self, change: &bitcoin_ipc_wallet::vault::AddressBookChange) {
        self.note(format!("{:?} label {} mine {}", change.change, change.label, change.is_mine));
    }

    fn transaction_changed(&self, txid: Txid, change: ChangeType) {
        self.note(format!("{change:?} {txid}"));
    }

    fn status_changed(&self) {
        self.note("status".to_owned());
    }
}
