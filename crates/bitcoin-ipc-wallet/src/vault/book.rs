//! Addresses, the address book, receive requests, and locked outputs.

use bdk_wallet::KeychainKind;
use bitcoin::{Address, OutPoint, Script, ScriptBuf};
use bitcoin_ipc_draft::values::{AddressPurpose, ChangeType, OutputType};
use rusqlite::{Connection, OptionalExtension, params};

use super::state::{Event, State};
use super::{AddressBookChange, AddressEntry, Result, Vault, VaultError};

impl Vault {
    /// A new address to be paid to, with a label in the address book. It is on the disk before it is returned, so that
    /// it is never given out again.
    ///
    /// # Errors
    /// It is to be of another type than [`OutputType::Bech32`], or cannot be written.
    pub fn new_address(&self, output_type: OutputType, label: &str) -> Result<Address> {
        if output_type != OutputType::Bech32 {
            return Err(VaultError::Unsupported(
                "this wallet makes addresses of the type bech32 only: ask for one of these",
            ));
        }
        self.with(|state, events| {
            let address = state.write(|bdk, _, db| {
                let address = bdk.reveal_next_address(KeychainKind::External).address;
                put(db, &address.script_pubkey(), label, AddressPurpose::Receive)?;
                Ok(address)
            })?;
            events.push(Event::AddressBook(AddressBookChange {
                script: address.script_pubkey(),
                label: label.to_owned(),
                is_mine: true,
                purpose: AddressPurpose::Receive,
                change: ChangeType::New,
            }));
            Ok(address)
        })
    }

    /// A new address for change. It is on the disk before it is returned.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new_change_address(&self) -> Result<Address> {
        self.with(|state, _| {
            state.write(|bdk, _, _| Ok(bdk.reveal_next_address(KeychainKind::Internal).address))
        })
    }

    /// Whether the wallet can make new addresses. It always can, also while it is locked.
    pub fn can_get_addresses(&self) -> bool {
        true
    }

    /// The address book.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub fn addresses(&self) -> Result<Vec<AddressEntry>> {
        self.with(|state, _| {
            let sql = "SELECT script, label, purpose FROM address_book ORDER BY script";
            let mut statement = state.db.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get::<_, i32>(2)?))
            })?;
            let entry = |(script, label, purpose): (_, _, i32)| {
                let script = ScriptBuf::from_bytes(script);
                let is_mine = state.bdk.is_mine(script.clone());
                AddressEntry { script, label, purpose: purpose.into(), is_mine }
            };
            rows.map(|row| Ok(entry(row?))).collect()
        })
    }

    /// One entry of the address book.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub fn address(&self, script: &Script) -> Result<Option<AddressEntry>> {
        self.with(|state, _| {
            let entry = get(&state.db, script)?;
            let is_mine = state.bdk.is_mine(script.to_owned());
            Ok(entry.map(|(label, purpose)| AddressEntry {
                script: script.to_owned(),
                label,
                purpose,
                is_mine,
            }))
        })
    }

    /// Gives an address a label. Without a purpose it keeps its own; a new entry is for receiving if the address is the
    /// wallet's, else for sending.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_address_book(
        &self,
        script: &Script,
        label: &str,
        purpose: Option<AddressPurpose>,
    ) -> Result<()> {
        self.with(|state, events| {
            let is_mine = state.bdk.is_mine(script.to_owned());
            let before = get(&state.db, script)?;
            let own = if is_mine { AddressPurpose::Receive } else { AddressPurpose::Send };
            let purpose = purpose.or(before.as_ref().map(|(_, purpose)| *purpose)).unwrap_or(own);
            state.write(|_, _, db| put(db, script, label, purpose))?;
            let change = if before.is_some() { ChangeType::Updated } else { ChangeType::New };
            events.push(Event::AddressBook(AddressBookChange {
                script: script.to_owned(),
                label: label.to_owned(),
                is_mine,
                purpose,
                change,
            }));
            Ok(())
        })
    }

    /// Takes an address of somebody else out of the address book, and its receive requests. False if it is not there.
    ///
    /// # Errors
    /// It is one of the wallet's, or cannot be written.
    pub fn del_address_book(&self, script: &Script) -> Result<bool> {
        self.with(|state, events| {
            if state.bdk.is_mine(script.to_owned()) {
                return Err(VaultError::BadRequest(
                    "an address of the wallet's stays in its address book: change its label instead"
                        .to_owned(),
                ));
            }
            let Some((label, purpose)) = get(&state.db, script)? else { return Ok(false) };
            state.write(|_, _, db| {
                let script = script.as_bytes();
                db.execute("DELETE FROM address_book WHERE script = ?1", [script])?;
                db.execute("DELETE FROM receive_requests WHERE script = ?1", [script])?;
                Ok(())
            })?;
            events.push(Event::AddressBook(AddressBookChange {
                script: script.to_owned(),
                label,
                is_mine: false,
                purpose,
                change: ChangeType::Deleted,
            }));
            Ok(true)
        })
    }

    /// The receive requests, as they were stored.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub fn receive_requests(&self) -> Result<Vec<Vec<u8>>> {
        self.with(|state, _| {
            let sql = "SELECT value FROM receive_requests ORDER BY script, id";
            let mut statement = state.db.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Stores a receive request with an address; an empty value deletes it. False if there is none to delete.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_receive_request(&self, script: &Script, id: &[u8], value: &[u8]) -> Result<bool> {
        let script = script.as_bytes();
        self.with(|state, _| {
            state.write(|_, _, db| {
                let changed = match value.is_empty() {
                    true => db.execute(
                        "DELETE FROM receive_requests WHERE script = ?1 AND id = ?2",
                        params![script, id],
                    ),
                    false => db.execute(
                        "REPLACE INTO receive_requests (script, id, value) VALUES (?1, ?2, ?3)",
                        params![script, id, value],
                    ),
                };
                Ok(changed? > 0)
            })
        })
    }

    /// Keeps an output from being spent by transactions that the wallet makes, unless they select it; with `persist`
    /// also after a restart. False if that is so already.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn lock_coin(&self, outpoint: OutPoint, persist: bool) -> Result<bool> {
        self.with(|state, _| {
            let before = state.is_locked_coin(outpoint);
            match persist {
                true => {
                    state.write(|bdk, _, _| {
                        bdk.lock_outpoint(outpoint);
                        Ok(())
                    })?;
                    state.locked.remove(&outpoint);
                }
                false if !before => _ = state.locked.insert(outpoint),
                false => {}
            }
            Ok(!before)
        })
    }

    /// Ends that. False if it is not so.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn unlock_coin(&self, outpoint: OutPoint) -> Result<bool> {
        self.with(|state, _| {
            let before = state.is_locked_coin(outpoint);
            if state.bdk.is_outpoint_locked(outpoint) {
                state.write(|bdk, _, _| {
                    bdk.unlock_outpoint(outpoint);
                    Ok(())
                })?;
            }
            state.locked.remove(&outpoint);
            Ok(before)
        })
    }

    /// Whether an output is locked.
    pub fn is_locked_coin(&self, outpoint: OutPoint) -> bool {
        self.read(|state| state.is_locked_coin(outpoint))
    }

    /// The outputs that are locked, sorted.
    pub fn locked_coins(&self) -> Vec<OutPoint> {
        self.read(|state| {
            let locked = state.locked.iter().copied();
            let mut all: Vec<_> = state.bdk.list_locked_outpoints().chain(locked).collect();
            all.sort();
            all
        })
    }
}

impl State {
    /// Whether an output is locked.
    pub(super) fn is_locked_coin(&self, outpoint: OutPoint) -> bool {
        self.locked.contains(&outpoint) || self.bdk.is_outpoint_locked(outpoint)
    }
}

fn get(db: &Connection, script: &Script) -> Result<Option<(String, AddressPurpose)>> {
    let sql = "SELECT label, purpose FROM address_book WHERE script = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let entry = statement
        .query_row([script.as_bytes()], |row| Ok((row.get(0)?, row.get::<_, i32>(1)?)))
        .optional()?;
    Ok(entry.map(|(label, purpose)| (label, purpose.into())))
}

fn put(db: &Connection, script: &Script, label: &str, purpose: AddressPurpose) -> Result<()> {
    db.prepare_cached("REPLACE INTO address_book (script, label, purpose) VALUES (?1, ?2, ?3)")?
        .execute(params![script.as_bytes(), label, i32::from(purpose)])?;
    Ok(())
}
