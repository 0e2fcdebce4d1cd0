//! What the wallet notes on its transactions beside bdk.

use std::collections::BTreeMap;

use bitcoin::Txid;
use bitcoin::hashes::Hash;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Result, VaultError};

/// A row of `transactions`.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) txid: Txid,
    /// When it was first seen, in seconds since 1970.
    pub(super) time: u64,
    pub(super) abandoned: bool,
    pub(super) value_map: BTreeMap<String, String>,
    pub(super) order_form: Vec<(String, String)>,
}

const COLUMNS: &str = "SELECT txid, time, abandoned, value_map, order_form FROM transactions";

/// All, in the order in which they came.
pub(super) fn all(db: &Connection) -> Result<Vec<Record>> {
    let mut statement = db.prepare_cached(&format!("{COLUMNS} ORDER BY id"))?;
    let rows = statement.query_map([], read)?;
    rows.map(|row| row.map_err(VaultError::from).and_then(|row| row)).collect()
}

/// One of them.
pub(super) fn get(db: &Connection, txid: Txid) -> Result<Option<Record>> {
    let mut statement = db.prepare_cached(&format!("{COLUMNS} WHERE txid = ?1"))?;
    statement.query_row([txid.as_byte_array()], read).optional()?.transpose()
}

/// Writes one of them; the time of one that is there stays as it was.
pub(super) fn put(db: &Connection, record: &Record) -> Result<()> {
    let sql = "INSERT INTO transactions (txid, time, abandoned, value_map, order_form)
               VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (txid) DO UPDATE SET abandoned = ?3, value_map = ?4, order_form = ?5";
    let Record { txid, time, abandoned, value_map, order_form } = record;
    let text = |written: serde_json::Result<String>| {
        written.map_err(|error| VaultError::Storage(error.to_string()))
    };
    let value_map = text(serde_json::to_string(value_map))?;
    let order_form = text(serde_json::to_string(order_form))?;
    db.prepare_cached(sql)?.execute(params![
        txid.as_byte_array(),
        time,
        abandoned,
        value_map,
        order_form
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Result<Record>> {
    let text = |index| row.get_ref(index)?.as_str().map_err(rusqlite::Error::from);
    let (value_map, order_form) = (text(3)?, text(4)?);
    let damaged = |_| VaultError::Damaged("a note on a transaction is not JSON".to_owned());
    let parsed = serde_json::from_str(value_map).map_err(damaged);
    let parsed = parsed
        .and_then(|value_map| Ok((value_map, serde_json::from_str(order_form).map_err(damaged)?)));
    let (txid, time, abandoned) = (Txid::from_byte_array(row.get(0)?), row.get(1)?, row.get(2)?);
    Ok(parsed.map(|(value_map, order_form)| Record {
        txid,
        time,
        abandoned,
        value_map,
        order_form,
    }))
}
