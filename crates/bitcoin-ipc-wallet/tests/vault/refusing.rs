//! Bad input: each is one line that says what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use bitcoin::{Amount, Network};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::values::{OutputType, wallet_flags};
use bitcoin_ipc_draft::wallet::CoinControl;
use bitcoin_ipc_wallet::vault::{Vault, VaultError, WalletsDir};

use super::world::{COIN, World, control, recipient, stranger};

/// The text of an error, which is one line.
pub(super) fn message<T: std::fmt::Debug>(result: Result<T, VaultError>) -> String {
    let text = result.unwrap_err().to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

#[test]
fn a_name_is_never_a_path() {
    let world = World::new();
    let long = "x".repeat(201);
    for bad in ["..", ".", "a/b", "/tmp/x", "a\\b", "a\nb", "a\0b", "wallet.sqlite-wal", &long] {
        let create = Vault::create(&world.wallets(), bad, &Passphrase::default(), 0, None);
        assert!(message(create).contains("cannot be the name"), "{bad:?}");
        assert!(message(Vault::load(&world.wallets(), bad)).contains("cannot be the name"));
    }
    for good in ["", "spare money", "münzen", "...", &"x".repeat(200)] {
        Vault::create(&world.wallets(), good, &Passphrase::default(), 0, None).unwrap();
        let again = Vault::create(&world.wallets(), good, &Passphrase::default(), 0, None);
        assert!(message(again).contains("use another name"));
    }
    let mut names = world.wallets().list().unwrap();
    assert!(names.is_sorted());
    names.retain(|name| name.len() < 200);
    assert_eq!(names, ["", "...", "münzen", "spare money", "w"]);
    assert!(message(Vault::load(&world.wallets(), "none")).contains("there is no wallet \"none\""));
}

#[test]
fn only_one_can_open_it() {
    let mut world = World::new();
    assert!(message(Vault::load(&world.wallets(), "w")).contains("open already"));
    // Looking into it works.
    Vault::inspect(&world.wallets(), "w").unwrap();
    world.reopen();
}

#[test]
fn wallets_of_other_kinds_are_not_made() {
    let world = World::new();
    for flags in [
        wallet_flags::DISABLE_PRIVATE_KEYS,
        wallet_flags::BLANK_WALLET,
        wallet_flags::EXTERNAL_SIGNER,
        wallet_flags::AVOID_REUSE,
        1 << 60,
    ] {
        let made = Vault::create(&world.wallets(), "x", &Passphrase::default(), flags, None);
        assert!(message(made).contains("not supported"));
    }
    assert_eq!(world.wallets().list().unwrap(), ["w"]);
    let flags = wallet_flags::DESCRIPTORS;
    let vault = Vault::create(&world.wallets(), "x", &Passphrase::default(), flags, None).unwrap();
    assert_eq!(vault.flags(), wallet_flags::DESCRIPTORS);
}

/// The wallet "w", closed, whose file is changed.
fn changed(change: impl FnOnce(&Path)) -> String {
    let mut world = World::new();
    world.vault = None;
    change(&world.wallets().path().join("w/wallet.sqlite"));
    let inspected = message(Vault::inspect(&world.wallets(), "w"));
    let loaded = message(Vault::load(&world.wallets(), "w"));
    assert_eq!(inspected, loaded);
    loaded
}

fn sql(path: &Path, text: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(text).unwrap();
}

#[test]
fn a_damaged_file_is_not_opened() {
    let garbage =
        changed(|path| fs::write(path, b"garbage, and more garbage".repeat(100)).unwrap());
    assert!(garbage.contains("damaged") && garbage.contains("restore it"), "{garbage}");
    let empty = changed(|path| fs::write(path, b"").unwrap());
    assert!(empty.contains("not a wallet of this program"), "{empty}");
    let other = changed(|path| sql(path, "PRAGMA application_id = 7"));
    assert!(other.contains("not a wallet of this program"), "{other}");
    let torn = changed(|path| {
        let mut bytes = fs::read(path).unwrap();
        let half = bytes.len() / 2;
        bytes[half..].fill(0x55);
        fs::write(path, bytes).unwrap();
    });
    assert!(torn.contains("damaged"), "{torn}");
    let keyless = changed(|path| sql(path, "UPDATE keys SET seed = NULL"));
    assert!(keyless.contains("it has no keys"), "{keyless}");
    let short = changed(|path| sql(path, "UPDATE keys SET seed = x'00'"));
    assert!(short.contains("seed has another length"), "{short}");
    let network = changed(|path| sql(path, "UPDATE bdk_wallet SET network = 'moon'"));
    assert!(network.contains("which network"), "{network}");
}

#[test]
fn a_newer_file_is_not_opened() {
    let newer = changed(|path| sql(path, "PRAGMA user_version = 2"));
    assert!(newer.contains("format 2") && newer.contains("use the newer program"), "{newer}");
}

#[test]
fn a_wallet_of_another_network_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let signet = WalletsDir::open(dir.path(), Network::Signet).unwrap();
    drop(Vault::create(&signet, "s", &Passphrase::default(), 0, None).unwrap());
    let regtest = WalletsDir::open(dir.path(), Network::Regtest).unwrap();
    let text = message(Vault::load(&regtest, "s"));
    assert!(text.contains("wallet for signet, and the node is on regtest"), "{text}");
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let world = World::rich(1);
    let vault = world.vault();
    let create = |amount, control: &CoinControl, place| {
        let recipients = [recipient(&stranger(), Amount::from_sat(amount))];
        message(vault.create_transaction(&recipients, control, true, place))
    };
    let fine = control(1_000);
    assert!(create(51 * COIN, &fine, None).contains("not enough coins"));
    assert!(create(293, &fine, None).contains("send at least"));
    assert!(create(u64::MAX, &fine, None).contains("more than all bitcoin"));
    assert!(create(COIN, &fine, Some(2)).contains("from 0 to 1"));
    assert!(create(COIN, &CoinControl::default(), None).contains("no fee rate"));
    assert!(create(COIN, &control(-1), None).contains("no fee rate"));
    assert!(create(COIN, &control(100_000_000), None).contains("lower fee rate"));
    let taproot = control(1_000).change_type(OutputType::Bech32m);
    assert!(create(COIN, &taproot, None).contains("bech32 only"));
    let mut stranger_coin = control(1_000);
    stranger_coin.set_selected = vec![bitcoin::OutPoint::null()];
    assert!(create(COIN, &stranger_coin, None).contains("select another"));
    assert!(message(vault.create_transaction(&[], &fine, true, None)).contains("give a recipient"));
    let nobody = bitcoin_ipc_draft::wallet::Recipient::new(Amount::ONE_BTC);
    assert!(message(vault.create_transaction(&[nobody], &fine, true, None)).contains("empty"));
    let poor = [
        recipient(&stranger(), Amount::from_sat(300)).subtract_fee_from_amount(true),
        recipient(&stranger(), Amount::from_sat(COIN)),
    ];
    assert!(message(vault.create_transaction(&poor, &fine, true, None)).contains("too small"));
    let tx = &world.block(5).txdata[0];
    let commit = vault.commit_transaction(tx, Default::default(), Vec::new());
    assert!(message(commit).contains("neither pays"));
    assert!(message(vault.abandon(tx.compute_txid())).contains("check its id"));
    assert!(message(vault.bump_fee(tx.compute_txid(), &fine)).contains("check its id"));
}

#[test]
fn addresses_are_checked() {
    let world = World::new();
    let own = world.address();
    assert_eq!(world.vault().parse_address(&own.to_string()).unwrap(), own);
    let wrong =
        message(world.vault().parse_address("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081"));
    assert!(wrong.contains("typing errors"));
    let main = message(world.vault().parse_address("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"));
    assert!(main.contains("ask for one of regtest"), "{main}");
}

#[test]
fn files_are_for_their_owner_only() {
    for umask in ["0000", "0777", "0022"] {
        let dir = tempfile::tempdir().unwrap();
        helper("umask $0; ", umask, dir.path(), "helper_makes_a_wallet");
        let wallets = dir.path().join("regtest/wallets");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.path().join("regtest")), 0o700);
        assert_eq!(mode(&wallets), 0o700);
        assert_eq!(mode(&wallets.join("w")), 0o700);
        let mut seen = 0;
        for file in fs::read_dir(wallets.join("w")).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
            seen += 1;
        }
        // The database, its log and the index of that, and the lock.
        assert_eq!(seen, 4);
    }
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    helper("trap '' XFSZ; ulimit -S -f $0; ", "unlimited", dir.path(), "helper_makes_a_wallet");
    helper("trap '' XFSZ; ulimit -S -f $0; ", "1200", dir.path(), "helper_fills_the_disk");
    let wallets = WalletsDir::open(&dir.path().join("regtest"), Network::Regtest).unwrap();
    let vault = Vault::load(&wallets, "w").unwrap();
    let told = fs::read_to_string(dir.path().join("told")).unwrap();
    let labels: Vec<_> = vault.addresses().unwrap().into_iter().map(|entry| entry.label).collect();
    assert!(told.lines().count() > 1);
    for line in told.lines() {
        assert!(labels.iter().any(|label| label == line), "{line} is lost");
    }
    assert_eq!(labels.len(), told.lines().count() + 1);
}

/// Runs a test of this program in a shell that has done something first.
fn helper(first: &str, argument: &str, dir: &Path, test: &str) {
    let script = format!("{first} exec \"$@\"");
    let output = Command::new("bash")
        .args(["-c", &script, argument])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("refusing::{test}"), "--nocapture"])
        .env("VAULT_TEST_DIR", dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(dir.join("done").exists());
    fs::remove_file(dir.join("done")).unwrap();
}

#[test]
fn helper_makes_a_wallet() {
    let Some(dir) = std::env::var_os("VAULT_TEST_DIR") else { return };
    let dir = Path::new(&dir);
    let wallets = WalletsDir::open(&dir.join("regtest"), Network::Regtest).unwrap();
    let vault = Vault::create(&wallets, "w", &Passphrase::default(), 0, None).unwrap();
    vault.new_address(OutputType::Bech32, "first").unwrap();
    fs::write(dir.join("done"), "").unwrap();
    // As after a kill: with the log beside the database.
    std::process::exit(0);
}

#[test]
fn helper_fills_the_disk() {
    let Some(dir) = std::env::var_os("VAULT_TEST_DIR") else { return };
    let dir = Path::new(&dir);
    let wallets = WalletsDir::open(&dir.join("regtest"), Network::Regtest).unwrap();
    let vault = Vault::load(&wallets, "w").unwrap();
    let mut told = String::new();
    let error = loop {
        let label = format!("{} {}", told.lines().count(), "x".repeat(20_000));
        match vault.new_address(OutputType::Bech32, &label) {
            Ok(_) => told += &(label + "\n"),
            Err(error) => break error,
        }
        assert!(told.len() < 100_000_000, "the disk is never full");
    };
    let text = error.to_string();
    assert!(text.contains("free space"), "{text}");
    // What was there can still be read, and nothing of what failed.
    assert_eq!(vault.addresses().unwrap().len(), told.lines().count() + 1);
    drop(vault);
    // In pieces, below the limit.
    let labels: Vec<&str> = told.lines().collect();
    fs::write(dir.join("told"), labels.join("\n")).unwrap();
    fs::write(dir.join("done"), "").unwrap();
}
