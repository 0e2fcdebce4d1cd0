//! Copies of a wallet, and wallets of copies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use bitcoin::Network;
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::values::OutputType;
use bitcoin_ipc_wallet::vault::{Vault, WalletsDir};

use super::refusing::message;
use super::world::{COIN, World};

/// The names of the files in a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into()).collect()
}

#[test]
fn backups_are_whole_and_checked() {
    let world = World::rich(1);
    let wallets = world.wallets();
    let file = world.datadir.path().join("copy");
    world.vault().backup(&file).unwrap();
    world.vault().backup(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let dir = tempfile::tempdir().unwrap();
    world.vault().backup(dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let own = wallets.path().join("w/wallet.sqlite");
    assert!(message(world.vault().backup(&own)).contains("own file"));
    let nowhere = message(world.vault().backup(Path::new("/nonexistent/x")));
    assert!(nowhere.contains("cannot be read or written"), "{nowhere}");

    let restored = Vault::restore(&wallets, "again", &file).unwrap();
    assert_eq!(restored.balances().unwrap().balance.to_sat(), 50 * COIN);
    assert_eq!(restored.tip(), world.tip());
    drop(restored);
    assert!(message(Vault::restore(&wallets, "again", &file)).contains("use another name"));

    fs::write(dir.path().join("bad"), b"SQLite format 3\0 or not").unwrap();
    let bad = message(Vault::restore(&wallets, "bad", &dir.path().join("bad")));
    assert!(bad.contains("damaged"), "{bad}");
    message(Vault::restore(&wallets, "bad", &dir.path().join("none")));
    let signet = WalletsDir::open(dir.path(), Network::Signet).unwrap();
    assert!(message(Vault::restore(&signet, "s", &file)).contains("node is on signet"));
    assert_eq!(wallets.list().unwrap(), ["again", "w"]);
    assert!(!wallets.path().join("bad/wallet.sqlite.new").exists());
    assert_eq!(signet.list().unwrap().len(), 0);
}

#[test]
fn a_backup_has_all_that_the_wallet_knew() {
    let world = World::rich(1);
    // Blocks that are not worth a write, one by one, and an address.
    for _ in 0..3 {
        world.mine(1);
        world.follow();
    }
    world.vault().new_address(OutputType::Bech32, "last").unwrap();
    let file = world.datadir.path().join("copy");
    world.mine(1);
    world.follow();
    world.vault().backup(&file).unwrap();
    let restored = Vault::restore(&world.wallets(), "again", &file).unwrap();
    assert_eq!(restored.tip(), world.tip());
    assert!(restored.addresses().unwrap().iter().any(|entry| entry.label == "last"));
}

#[test]
fn a_backup_that_fails_leaves_nothing() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    // In its place is something that a file cannot replace.
    let place = dir.path().join("wallet.sqlite");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("full"), "").unwrap();
    message(world.vault().backup(dir.path()));
    assert_eq!(files(dir.path()), [PathBuf::from("wallet.sqlite")]);
}

#[test]
fn what_a_killed_backup_has_left_is_in_nobodys_way() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let left = |number| dir.path().join(format!("copy.{}-{number}.unfinished", std::process::id()));
    // The process that was killed had this one's number.
    for number in 0..1_000 {
        fs::write(left(number), "half a copy").unwrap();
    }
    world.vault().backup(&dir.path().join("copy")).unwrap();
    // It has taken the place of one of them.
    assert_eq!(files(dir.path()).len(), 1_000);
    Vault::restore(&world.wallets(), "again", &dir.path().join("copy")).unwrap();
}

#[test]
fn many_backups_to_one_place_at_once_are_all_whole() {
    let world = World::rich(1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("copy");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    world.vault().backup(&file).unwrap();
                }
            });
        }
    });
    assert_eq!(files(dir.path()), [PathBuf::from("copy")]);
    let restored = Vault::restore(&world.wallets(), "again", &file).unwrap();
    assert_eq!(restored.tip(), world.tip());
}

#[test]
fn backups_of_two_processes_to_one_place_are_all_whole() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("copies");
    fs::create_dir(&place).unwrap();
    let start = |name: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "backups::helper_backs_up", "--nocapture"])
            .env("VAULT_TEST_DIR", dir.path().join(name))
            .env("VAULT_TEST_PLACE", &place)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children = [start("a"), start("b")];
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(files(&place), [PathBuf::from("wallet.sqlite")]);
    let wallets = WalletsDir::open(&dir.path().join("a"), Network::Regtest).unwrap();
    Vault::restore(&wallets, "again", &place.join("wallet.sqlite")).unwrap();
}

#[test]
fn helper_backs_up() {
    let Some(place) = std::env::var_os("VAULT_TEST_PLACE") else { return };
    let dir = std::env::var_os("VAULT_TEST_DIR").unwrap();
    let wallets = WalletsDir::open(Path::new(&dir), Network::Regtest).unwrap();
    let vault = Vault::create(&wallets, "w", &Passphrase::default(), 0, None).unwrap();
    for _ in 0..50 {
        vault.backup(Path::new(&place)).unwrap();
    }
}
