//! Copies of a wallet.

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::DatabaseName;

use super::dir::{new_private_file, sync_dir};
use super::{Result, Vault, VaultError, WalletsDir, store};

impl Vault {
    /// Writes a copy of the wallet, as it is now, to a file that only its owner can read; into a directory as
    /// `wallet.sqlite`. A file that is there is replaced when the copy is whole.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn backup(&self, path: &Path) -> Result<()> {
        let path = match path.is_dir() {
            true => path.join("wallet.sqlite"),
            false => path.to_owned(),
        };
        if fs::canonicalize(&path).is_ok_and(|path| Some(path) == fs::canonicalize(&self.file).ok())
        {
            return Err(VaultError::BadRequest(
                "this is the wallet's own file: give another place for the copy".to_owned(),
            ));
        }
        // Each has a file of its own: there may be another copy to the same place at this moment.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(format!(".{}-{number}.unfinished", std::process::id()));
        let unfinished = PathBuf::from(unfinished);
        let written = self.write_copy(&unfinished, &path);
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn write_copy(&self, unfinished: &Path, path: &Path) -> Result<()> {
        match fs::remove_file(unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        drop(new_private_file(unfinished)?);
        self.with(|state, _| {
            // With the blocks that were not worth a write.
            state.flush()?;
            Ok(state.db.backup(DatabaseName::Main, unfinished, None)?)
        })?;
        // One file, without a log beside it.
        let copy = rusqlite::Connection::open_with_flags(
            unfinished,
            rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE,
        )?;
        copy.pragma_update(None, "journal_mode", "delete")?;
        copy.close().map_err(|(_, error)| error)?;
        File::open(unfinished)?.sync_all()?;
        fs::rename(unfinished, path)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        Ok(sync_dir(dir.unwrap_or(Path::new(".")))?)
    }

    /// Makes the wallet `name` of a copy that [`backup`](Vault::backup) wrote, and opens it. It follows the chain from
    /// where the copy was made; what came since then is found in the blocks. The copy stays as it is.
    ///
    /// # Errors
    /// There is a wallet of that name, the copy is damaged, of another network or of a newer version, or it cannot be
    /// read or written. Then there is no such wallet.
    pub fn restore(dir: &WalletsDir, name: &str, backup: &Path) -> Result<Vault> {
        // Before anything is made: a path that is none is an error of its own.
        let mut copy = File::open(backup)?;
        let (place, lock) = dir.new_place(name)?;
        let restored = (|| {
            let mut file = new_private_file(&place.new_file())?;
            std::io::copy(&mut copy, &mut file)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            drop(file);
            let db = store::open(&place.new_file())?;
            store::check(&db, dir.network())?;
            db.close().map_err(|(_, error)| error)?;
            place.finish()
        })();
        match restored {
            Ok(()) => Vault::open(dir, &place, lock),
            Err(error) => {
                place.give_up();
                Err(error)
            }
        }
    }
}
