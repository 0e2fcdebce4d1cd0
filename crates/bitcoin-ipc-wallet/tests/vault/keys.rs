//! Encrypting, locking, unlocking; and where the seed is on the disk.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bitcoin::bip32::{DerivationPath, Xpriv};
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Amount, CompressedPublicKey, Network, ScriptBuf};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_wallet::vault::{FillOptions, Vault, VaultError};

use super::world::{COIN, Told, World, control, logged, passphrase, recipient, stranger};

/// The seed of the wallet "w", which is not encrypted.
fn seed(world: &World) -> Vec<u8> {
    let db = rusqlite::Connection::open(world.wallets().path().join("w/wallet.sqlite")).unwrap();
    db.query_row("SELECT seed FROM keys", [], |row| row.get(0)).unwrap()
}

/// Whether one of the files in a directory has these bytes.
fn has(dir: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        path.is_file() && fs::read(path).unwrap().windows(bytes.len()).any(|here| here == bytes)
    })
}

#[test]
fn addresses_are_those_of_the_seed() {
    let world = World::new();
    let (address, change) = (world.address(), world.vault().new_change_address().unwrap());
    let secp = Secp256k1::new();
    let master = Xpriv::new_master(Network::Regtest, &seed(&world)).unwrap();
    for (path, address) in [("84h/1h/0h/0/0", address), ("84h/1h/0h/1/0", change)] {
        let path: DerivationPath = path.parse().unwrap();
        let key = master.derive_priv(&secp, &path).unwrap().to_priv();
        let key = CompressedPublicKey::from_private_key(&secp, &key).unwrap();
        assert_eq!(address.script_pubkey(), ScriptBuf::new_p2wpkh(&key.wpubkey_hash()));
    }
}

#[test]
fn two_wallets_have_different_seeds() {
    assert_ne!(seed(&World::new()), seed(&World::new()));
}

#[test]
fn a_locked_wallet_signs_nothing_and_does_the_rest() {
    let mut world = World::rich(1);
    let told = Arc::new(Told::default());
    world.vault().set_listener(Some(told.clone()));
    assert!(!world.vault().is_encrypted() && !world.vault().is_locked());
    world.vault().encrypt(&passphrase("right")).unwrap();
    assert_eq!(told.take(), ["status"]);
    for _ in 0..2 {
        let vault = world.vault();
        assert!(vault.is_encrypted() && vault.is_locked());
        let recipients = [recipient(&stranger(), Amount::from_sat(COIN))];
        let error = vault.create_transaction(&recipients, &control(1_000), true, None).unwrap_err();
        assert_eq!(error, VaultError::Locked);
        assert!(error.to_string().contains("unlock it"), "{error}");
        let mut created =
            vault.create_transaction(&recipients, &control(1_000), false, None).unwrap();
        assert_eq!(vault.sign(&mut created.tx), Err(VaultError::Locked));
        let info = vault.script_info(&world.address().script_pubkey()).unwrap().unwrap();
        let hash = info.public_key.pubkey_hash();
        assert_eq!(vault.sign_message("x", hash), Err(VaultError::Locked));
        let mut psbt = bitcoin::Psbt::from_unsigned_tx(created.tx.clone()).unwrap();
        let mut options = FillOptions { sign: true, finalize: true, bip32_derivs: true };
        assert_eq!(vault.fill_psbt(&mut psbt, options), Err(VaultError::Locked));
        options.sign = false;
        assert_eq!(vault.fill_psbt(&mut psbt, options).unwrap().signed, 0);
        world.mine_to(world.address().script_pubkey());
        world.follow();
        assert_eq!(world.balances()[0], 50 * COIN);

        assert_eq!(vault.unlock(&passphrase("wrong")), Err(VaultError::WrongPassphrase));
        assert!(vault.is_locked());
        vault.unlock(&passphrase("right")).unwrap();
        assert!(!vault.is_locked());
        assert!(vault.sign(&mut created.tx).unwrap());
        vault.sign_message("x", hash).unwrap();
        vault.lock().unwrap();
        assert_eq!(vault.sign_message("x", hash), Err(VaultError::Locked));
        world.reopen();
    }
    assert!(told.take().len() >= 2);
}

#[test]
fn encrypting_leaves_no_seed_in_any_file() {
    let world = World::rich(1);
    let dir = world.wallets().path().join("w");
    let seed = seed(&world);
    assert!(has(&dir, &seed));
    world.vault().encrypt(&passphrase("right")).unwrap();
    // While it is open, with its log.
    assert!(!has(&dir, &seed));
    assert!(!has(&dir, b"right"));
    world.vault().unlock(&passphrase("right")).unwrap();
    world.pay(stranger(), Amount::from_sat(COIN));
    world.vault().change_passphrase(&passphrase("right"), &passphrase("other")).unwrap();
    drop(world.vault);
    assert!(!has(&dir, &seed));
}

#[test]
fn a_wallet_that_begins_with_a_passphrase_never_has_its_seed_on_the_disk() {
    let world = World::new();
    let wallets = world.wallets();
    let vault = Vault::create(&wallets, "sealed", &passphrase("right"), 0, None).unwrap();
    assert!(vault.is_encrypted() && vault.is_locked());
    assert_eq!(Vault::inspect(&wallets, "sealed").map(|found| found.encrypted), Ok(true));
    assert_eq!(Vault::inspect(&wallets, "w").map(|found| found.encrypted), Ok(false));
    let db = rusqlite::Connection::open(wallets.path().join("sealed/wallet.sqlite")).unwrap();
    let plain: Option<Vec<u8>> =
        db.query_row("SELECT seed FROM keys", [], |row| row.get(0)).unwrap();
    assert_eq!(plain, None);
    vault.unlock(&passphrase("right")).unwrap();
    let address = vault.new_address(bitcoin_ipc_draft::values::OutputType::Bech32, "").unwrap();
    let info = vault.script_info(&address.script_pubkey()).unwrap().unwrap();
    vault.sign_message("x", info.public_key.pubkey_hash()).unwrap();
}

#[test]
fn a_passphrase_can_be_changed() {
    let mut world = World::new();
    let (old, new) = (passphrase("old"), passphrase("new"));
    let vault = world.vault();
    assert_eq!(vault.change_passphrase(&old, &new), Err(VaultError::NotEncrypted));
    assert_eq!(vault.unlock(&old), Err(VaultError::NotEncrypted));
    assert_eq!(vault.lock(), Err(VaultError::NotEncrypted));
    assert_eq!(vault.encrypt(&Passphrase::default()), Err(VaultError::EmptyPassphrase));
    vault.encrypt(&old).unwrap();
    assert_eq!(vault.encrypt(&new), Err(VaultError::AlreadyEncrypted));
    assert_eq!(vault.change_passphrase(&new, &old), Err(VaultError::WrongPassphrase));
    assert_eq!(
        vault.change_passphrase(&old, &Passphrase::default()),
        Err(VaultError::EmptyPassphrase)
    );
    vault.change_passphrase(&old, &new).unwrap();
    assert!(vault.is_locked());
    world.reopen();
    assert_eq!(world.vault().unlock(&old), Err(VaultError::WrongPassphrase));
    world.vault().unlock(&new).unwrap();
    // Unlocked, it stays so.
    world.vault().change_passphrase(&new, &old).unwrap();
    assert!(!world.vault().is_locked());
    world.reopen();
    world.vault().unlock(&old).unwrap();
}

#[test]
fn nothing_shows_a_passphrase_or_a_key() {
    let world = World::new();
    let seed = seed(&world);
    world.vault().encrypt(&passphrase("hunter2")).unwrap();
    let error = world.vault().unlock(&passphrase("hunter3")).unwrap_err();
    let shown = format!("{:?} {error} {error:?}", world.vault());
    assert!(!shown.contains("hunter"), "{shown}");
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!shown.contains(&hex) && !shown.contains(&format!("{seed:?}")));
}

#[test]
fn a_scrub_that_was_missed_is_made_up_for() {
    let mut world = World::new();
    let seed = seed(&world);
    let dir = world.wallets().path().join("w");
    world.vault().encrypt(&passphrase("right")).unwrap();
    world.vault = None;
    // As if it had been killed between the two steps: the note is there, and the old key in a free page.
    let db = rusqlite::Connection::open(dir.join("wallet.sqlite")).unwrap();
    db.execute_batch("PRAGMA secure_delete = off; CREATE TABLE old (seed BLOB)").unwrap();
    db.execute("INSERT INTO old VALUES (?1)", [&seed]).unwrap();
    db.execute_batch("DROP TABLE old; UPDATE meta SET value = 1 WHERE name = 'scrub'").unwrap();
    drop(db);
    assert!(has(&dir, &seed));
    world.reopen();
    assert!(!has(&dir, &seed));
}

/// Where the log of a database can end: after each commit.
fn commits(log: &[u8]) -> Vec<usize> {
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap()) as usize;
    let frame = 24 + number(8);
    let ends = (32 + frame..=log.len()).step_by(frame);
    // The frame of a commit has the size of the database.
    ends.filter(|end| number(end - frame + 4) > 0).collect()
}

#[test]
fn encrypting_is_one_step_and_a_missing_scrub_is_told() {
    let mut world = World::new();
    let seed = seed(&world);
    world.reopen();
    let dir = world.wallets().path().join("w");
    // A reader keeps the log, so that its ends can be looked at.
    let mut reader = rusqlite::Connection::open(dir.join("wallet.sqlite")).unwrap();
    let reading = reader.transaction().unwrap();
    let _seen: i64 = reading.query_row("SELECT count(*) FROM keys", [], |row| row.get(0)).unwrap();
    let told = Arc::new(Told::default());
    world.vault().set_listener(Some(told.clone()));
    let error = world.vault().encrypt(&passphrase("right")).unwrap_err();
    assert_eq!(error, VaultError::NotScrubbed("another program reads it".to_owned()));
    let text = error.to_string();
    assert!(text.contains("the wallet is encrypted") && text.contains("load the wallet again"));
    assert!(world.vault().is_encrypted() && world.vault().is_locked());
    assert_eq!(told.take(), ["status"]);

    let log = fs::read(dir.join("wallet.sqlite-wal")).unwrap();
    let ends = commits(&log);
    assert!(ends.len() >= 2, "{ends:?}");
    let mut found = Vec::new();
    for end in std::iter::once(0).chain(ends) {
        // As after a kill at that moment.
        let other = tempfile::tempdir().unwrap();
        let wallets = bitcoin_ipc_wallet::vault::WalletsDir::open(other.path(), Network::Regtest);
        let wallets = wallets.unwrap();
        let there = wallets.path().join("w");
        fs::create_dir(&there).unwrap();
        fs::copy(dir.join("wallet.sqlite"), there.join("wallet.sqlite")).unwrap();
        fs::write(there.join("wallet.sqlite-wal"), &log[..end]).unwrap();
        let vault = Vault::load(&wallets, "w").unwrap();
        if vault.is_encrypted() {
            vault.unlock(&passphrase("right")).unwrap();
            assert!(!has(&there, &seed));
        }
        found.push(vault.is_encrypted());
    }
    assert!(found.is_sorted() && !found[0] && found[1], "{found:?}");
    drop(reading);
    drop(reader);
    world.reopen();
    assert!(!has(&dir, &seed));
}

#[test]
fn a_wallet_whose_file_is_read_opens_and_changes_its_passphrase_with_a_warning() {
    let mut world = World::new();
    let dir = world.wallets().path().join("w");
    let (old, new) = (passphrase("old"), passphrase("new"));
    world.vault().encrypt(&old).unwrap();
    world.vault().unlock(&old).unwrap();
    let told = Arc::new(Told::default());
    world.vault().set_listener(Some(told.clone()));
    let mut reader = rusqlite::Connection::open(dir.join("wallet.sqlite")).unwrap();
    let reading = reader.transaction().unwrap();
    let sealed: Vec<u8> =
        reading.query_row("SELECT sealed FROM keys", [], |row| row.get(0)).unwrap();
    assert!(has(&dir, &sealed));

    let is_warning = |log: &str| {
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("WARN") && log.contains("another program reads it"), "{log}");
        assert!(log.contains("load the wallet again"), "{log}");
    };
    let (changed, log) = logged(|| world.vault().change_passphrase(&old, &new));
    changed.unwrap();
    is_warning(&log);
    assert_eq!(told.take(), ["status"]);
    assert!(!world.vault().is_locked(), "it stays unlocked");
    let ((), log) = logged(|| world.reopen());
    is_warning(&log);
    assert!(has(&dir, &sealed), "the old keys are still there");
    assert_eq!(world.vault().unlock(&old), Err(VaultError::WrongPassphrase));
    world.vault().unlock(&new).unwrap();

    drop(reading);
    drop(reader);
    let ((), log) = logged(|| world.reopen());
    assert_eq!(log, "");
    assert!(!has(&dir, &sealed));
    world.vault().unlock(&new).unwrap();
}
