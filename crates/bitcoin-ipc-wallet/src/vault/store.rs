//! The database: how it is opened and checked, and the tables beside bdk's own.

use std::path::Path;
use std::time::Duration;

use bitcoin::Network;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use super::VaultError;

/// In the file's header, so that it is known as a wallet of this program.
const APPLICATION_ID: i32 = 0x6269_7077;
/// The version of the tables.
pub(super) const VERSION: i32 = 1;

/// `blocks` are those that were looked at, `meta` has numbers by name. `seed` in `keys` is the seed itself, or null
/// if `sealed` has it encrypted.
const SCHEMA: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE keys (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 0),
    seed BLOB, sealed BLOB, nonce BLOB, salt BLOB, memory_kib INTEGER, passes INTEGER, lanes INTEGER
) STRICT;
CREATE TABLE blocks (height INTEGER PRIMARY KEY NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE transactions (
    id INTEGER PRIMARY KEY NOT NULL,
    txid BLOB NOT NULL UNIQUE, time INTEGER NOT NULL, abandoned INTEGER NOT NULL DEFAULT 0,
    value_map TEXT NOT NULL DEFAULT '{}', order_form TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE TABLE address_book (
    script BLOB PRIMARY KEY NOT NULL, label TEXT NOT NULL, purpose INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE receive_requests (
    script BLOB NOT NULL, id BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (script, id)
) STRICT, WITHOUT ROWID;
";

/// Opens a database for reading and writing. What is committed is on the disk when the commit returns; what is
/// deleted is overwritten; nothing is put into temporary files.
pub(super) fn open(path: &Path) -> Result<Connection, VaultError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_secs(10))?;
    db.pragma_update(None, "secure_delete", true)?;
    db.pragma_update(None, "temp_store", "memory")?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    Ok(db)
}

/// Makes the tables, and notes whose they are.
pub(super) fn make_tables(transaction: &Transaction<'_>) -> Result<(), VaultError> {
    bdk_wallet::ChangeSet::init_sqlite_tables(transaction)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}

/// Checks that this is a whole wallet of this network and of a known version.
pub(super) fn check(db: &Connection, network: Network) -> Result<(), VaultError> {
    let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    if number("application_id")? != APPLICATION_ID {
        return Err(VaultError::Damaged("this is not a wallet of this program".to_owned()));
    }
    let version = number("user_version")?;
    if version > VERSION {
        return Err(VaultError::Newer { file: version, known: VERSION });
    }
    let found: String = db.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if found != "ok" {
        return Err(VaultError::Damaged(found.lines().next().unwrap_or_default().to_owned()));
    }
    let found: String = db.query_row("SELECT network FROM bdk_wallet", [], |row| row.get(0))?;
    match found.parse::<Network>() {
        Ok(found) if found == network => Ok(()),
        Ok(found) => Err(VaultError::OtherNetwork { wallet: found, node: network }),
        Err(_) => Err(VaultError::Damaged("it does not say which network it is for".to_owned())),
    }
}

/// A value of `meta`.
pub(super) fn number(db: &Connection, name: &str) -> Result<Option<i64>, VaultError> {
    let mut statement = db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// Sets a value of `meta`.
pub(super) fn set_number(db: &Connection, name: &str, value: i64) -> Result<(), VaultError> {
    db.prepare_cached("REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
        .execute(params![name, value])?;
    Ok(())
}

/// Rewrites the whole file without what was deleted, and empties the log beside it.
pub(super) fn scrub(db: &Connection) -> Result<(), VaultError> {
    db.execute_batch("VACUUM")?;
    let busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        return Err(VaultError::Storage("another program reads it".to_owned()));
    }
    Ok(())
}
