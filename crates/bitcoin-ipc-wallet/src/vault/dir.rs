//! The directory of the wallets: names, files, permissions, and who has a wallet open.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bitcoin::Network;
use rustix::fs::{FlockOperation, flock};

use super::VaultError;

/// The file of a wallet, in its directory.
const FILE: &str = "wallet.sqlite";
/// The same while it is made.
const NEW_FILE: &str = "wallet.sqlite.new";
/// Who holds a lock on this file has the wallet open.
const LOCK_FILE: &str = "wallet.lock";

/// The directory of the wallets of one network: each has a directory `wallets/NAME` with its file `wallet.sqlite`.
/// The default wallet has the empty name, and its file is in `wallets`.
///
/// ```
/// use bitcoin_ipc_wallet::vault::{Vault, WalletsDir};
/// use bitcoin::Network;
///
/// # let temporary = tempfile::tempdir().unwrap();
/// # let datadir = temporary.path();
/// let wallets = WalletsDir::open(datadir, Network::Regtest)?;
/// Vault::create(&wallets, "savings", &Default::default(), 0, None)?;
/// assert_eq!(wallets.list()?, ["savings"]);
/// # Ok::<(), bitcoin_ipc_wallet::vault::VaultError>(())
/// ```
#[derive(Debug, Clone)]
pub struct WalletsDir {
    path: PathBuf,
    network: Network,
}

impl WalletsDir {
    /// The wallets in `dir`, which is the directory of a network, such as DIR/regtest. `dir` and the directory
    /// `wallets` in it are made if they are lacking, for their owner only.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(dir: &Path, network: Network) -> Result<WalletsDir, VaultError> {
        let path = dir.join("wallets");
        make_dir(dir)?;
        make_dir(&path)?;
        Ok(WalletsDir { path, network })
    }

    /// The directory that has the wallets.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The network of its wallets.
    pub fn network(&self) -> Network {
        self.network
    }

    /// The names of the wallets in it, sorted.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn list(&self) -> Result<Vec<String>, VaultError> {
        let mut names = Vec::new();
        if self.path.join(FILE).is_file() {
            names.push(String::new());
        }
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && check_name(&name).is_ok()
                && entry.path().join(FILE).is_file()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The place of a wallet that exists.
    pub(super) fn place(&self, name: &str) -> Result<Place, VaultError> {
        check_name(name)?;
        let place = Place { dir: self.path.join(name), name: name.to_owned() };
        match place.file().is_file() {
            true => Ok(place),
            false => Err(VaultError::NotFound(name.to_owned())),
        }
    }

    /// The place of a new wallet, which is locked; what an earlier attempt left there is gone.
    pub(super) fn new_place(&self, name: &str) -> Result<(Place, File), VaultError> {
        check_name(name)?;
        let place = Place { dir: self.path.join(name), name: name.to_owned() };
        let exists = || VaultError::Exists(name.to_owned());
        if place.file().exists() {
            return Err(exists());
        }
        make_dir(&place.dir)?;
        let lock = place.lock()?;
        // Another process may have made it while this one waited.
        if place.file().exists() {
            return Err(exists());
        }
        place.remove_new_files()?;
        Ok((place, lock))
    }
}

/// Where one wallet is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) name: String,
    dir: PathBuf,
}

impl Place {
    pub(super) fn file(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    pub(super) fn new_file(&self) -> PathBuf {
        self.dir.join(NEW_FILE)
    }

    /// Takes the lock of the wallet, which lasts until the file is closed.
    pub(super) fn lock(&self) -> Result<File, VaultError> {
        let path = self.dir.join(LOCK_FILE);
        let file = match new_private_file(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                OpenOptions::new().write(true).open(&path)?
            }
            made => made?,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(VaultError::InUse(self.name.clone())),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Makes the new file, which is whole and closed, the wallet's.
    pub(super) fn finish(&self) -> Result<(), VaultError> {
        File::open(self.new_file())?.sync_all()?;
        fs::rename(self.new_file(), self.file())?;
        sync_dir(&self.dir)?;
        if let Some(above) = self.dir.parent() {
            sync_dir(above)?;
        }
        Ok(())
    }

    /// Removes what was made of a wallet that could not be finished. The lock's file stays: another process may wait
    /// for it.
    pub(super) fn give_up(&self) {
        let _ = self.remove_new_files();
    }

    fn remove_new_files(&self) -> io::Result<()> {
        for end in ["", "-wal", "-shm", "-journal"] {
            match fs::remove_file(self.dir.join(format!("{NEW_FILE}{end}"))) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// As Bitcoin Core, save that a name is never a path, nor that of a file of the default wallet (which are `wallet.lock`,
/// `wallet.sqlite`, and what SQLite has beside it).
fn check_name(name: &str) -> Result<(), VaultError> {
    let bad = name.len() > 200
        || name.starts_with("wallet.")
        || matches!(name, "." | "..")
        || name.chars().any(|c| matches!(c, '/' | '\\') || c.is_control());
    if bad { Err(VaultError::BadName(name.to_owned())) } else { Ok(()) }
}

/// A new file that only its owner can read, whatever the umask is.
pub(super) fn new_private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Makes a directory that only its owner can enter, whatever the umask is, unless it is there.
fn make_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o700)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits until the names in a directory are on the disk.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
