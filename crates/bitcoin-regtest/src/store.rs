//! The chain on disk: a file to which each block is added before it counts.
//!
//! ```text
//! MAGIC, then records:  length (4 bytes) | the same with all bits turned (4) | checksum (4) | kind (1) and contents
//! ```
//!
//! Numbers are little-endian; the length is that of kind and contents, and the checksum is the first 4 bytes of their
//! double SHA-256. What is written was synced before the chain changes, so that a process can be killed at any
//! moment: a last record that is not whole was never acknowledged, and is cut off.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{Block, BlockHash};
use rustix::fs::{FlockOperation, flock};

/// How the file begins: what it is, and its version.
const MAGIC: &[u8; 8] = b"regtest1";
/// Of a record, before its kind.
const HEAD: usize = 12;
/// The longest: a block of 4,000,000 bytes and its kind.
const MAX_LENGTH: usize = 4_000_001;

/// What the chain was told, in order. Told the same again, it is the same chain.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    /// A block that was kept.
    Block(Block),
    /// `invalidate_block`.
    Invalidated(BlockHash),
    /// `reconsider_block`.
    Reconsidered(BlockHash),
}

/// Why a chain cannot be opened, on one line: it tells a person what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError(String);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

/// The file, locked for this process.
#[derive(Debug)]
pub(super) struct Store {
    file: File,
    path: PathBuf,
    /// Where the next record begins.
    end: u64,
    /// What was written in vain could not be taken back: nothing is added any more.
    broken: bool,
}

impl Store {
    /// Opens the file, or makes it, and gives what is in it to `take`, which says what is wrong with it.
    pub(super) fn open(
        path: &Path,
        mut take: impl FnMut(Record) -> Result<(), String>,
    ) -> Result<Store, OpenError> {
        let cannot = |doing: &str, problem: io::Error| {
            let path = path.display();
            OpenError(format!("cannot {doing} the chain's file {path}: {problem}"))
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(|problem| cannot("open", problem))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|problem| {
            if problem != rustix::io::Errno::WOULDBLOCK {
                return cannot("lock", problem.into());
            }
            let path = path.display();
            OpenError(format!(
                "the chain's file {path} is in use by another node: end that one, or take another data directory"
            ))
        })?;
        // Whatever the umask is, and whoever made it.
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(|problem| cannot("protect", problem))?;
        let mut store =
            Store { file, path: path.to_owned(), end: MAGIC.len() as u64, broken: false };
        if store.is_new().map_err(|problem| cannot("read", problem))? {
            store.begin().map_err(|problem| cannot("write", problem))?;
            return Ok(store);
        }
        let end = store.read_all(&mut take).map_err(|problem| match problem {
            Problem::Io(problem) => cannot("read", problem),
            Problem::Damaged(at, what) => OpenError(format!(
                "the chain's file {} is damaged at byte {at} ({what}): restore it from a copy, or move it away to begin a new chain",
                path.display()
            )),
        })?;
        store.cut(end).map_err(|problem| cannot("repair", problem))?;
        Ok(store)
    }

    /// Whether there is nothing in it, or only a part of what is written first.
    fn is_new(&mut self) -> io::Result<bool> {
        let mut head = [0; MAGIC.len()];
        let got = read_up_to(&mut self.file, &mut head)?;
        Ok(got < MAGIC.len() && MAGIC.starts_with(&head[..got]))
    }

    fn begin(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(MAGIC)?;
        self.file.sync_all()?;
        // The file's name, too.
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Gives all records to `take`. Returns where the last whole one ends.
    fn read_all(
        &mut self,
        take: &mut dyn FnMut(Record) -> Result<(), String>,
    ) -> Result<u64, Problem> {
        self.file.rewind()?;
        let length = self.file.metadata()?.len();
        let mut reader = BufReader::new(&self.file);
        let mut magic = [0; MAGIC.len()];
        read_up_to(&mut reader, &mut magic)?;
        if magic != *MAGIC {
            return Err(Problem::Damaged(
                0,
                "it is no such file, or one of a newer version".into(),
            ));
        }
        let mut end = MAGIC.len() as u64;
        loop {
            let damaged = |what: &str| Err(Problem::Damaged(end, what.to_owned()));
            let mut head = [0; HEAD];
            if read_up_to(&mut reader, &mut head)? < HEAD {
                return Ok(end);
            }
            let number = |at: usize| {
                u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            let size = number(0) as usize;
            if number(4) != !number(0) || size == 0 || size > MAX_LENGTH {
                // A machine that crashes can leave zeros where something was to be written.
                if head == [0; HEAD] && only_zeros(&mut reader)? {
                    return Ok(end);
                }
                return damaged("a length that cannot be");
            }
            let mut body = vec![0; size];
            if read_up_to(&mut reader, &mut body)? < size {
                return Ok(end);
            }
            let next = end + (HEAD + size) as u64;
            if checksum(&body) != number(8) {
                if next == length {
                    return Ok(end);
                }
                return damaged("a wrong checksum");
            }
            let Some(record) = Record::read(&body) else { return damaged("an unknown record") };
            take(record).map_err(|what| Problem::Damaged(end, what))?;
            end = next;
        }
    }

    /// Removes what is behind the last whole record.
    fn cut(&mut self, end: u64) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length > end {
            let (path, behind) = (self.path.display(), length - end);
            tracing::warn!(
                "the last block in {path} was not written to its end, and so was never accepted: {behind} bytes are removed"
            );
            self.file.set_len(end)?;
            self.file.sync_all()?;
        }
        self.end = self.file.seek(SeekFrom::Start(end))?;
        Ok(())
    }

    /// Adds a record, and returns when it is on the disk.
    ///
    /// # Errors
    /// It is not; the file is as before.
    pub(super) fn add(&mut self, record: &Record) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other(
                "an earlier failure left it half written, so start again",
            ));
        }
        let body = record.bytes();
        let size = u32::try_from(body.len()).map_err(io::Error::other)?;
        let head = [size.to_le_bytes(), (!size).to_le_bytes(), checksum(&body).to_le_bytes()];
        let bytes = [&head.concat()[..], &body].concat();
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.end += bytes.len() as u64,
            Err(_) => {
                let undone = self.file.set_len(self.end);
                let undone = undone.and_then(|()| self.file.seek(SeekFrom::Start(self.end)));
                self.broken = undone.and_then(|_| self.file.sync_data()).is_err();
            }
        }
        written
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

enum Problem {
    Io(io::Error),
    /// At which byte, and what.
    Damaged(u64, String),
}

impl From<io::Error> for Problem {
    fn from(problem: io::Error) -> Problem {
        Problem::Io(problem)
    }
}

impl Record {
    fn bytes(&self) -> Vec<u8> {
        let (kind, contents) = match self {
            Record::Block(block) => (0, serialize(block)),
            Record::Invalidated(hash) => (1, serialize(hash)),
            Record::Reconsidered(hash) => (2, serialize(hash)),
        };
        [&[kind][..], &contents].concat()
    }

    fn read(bytes: &[u8]) -> Option<Record> {
        let (kind, contents) = bytes.split_first()?;
        match kind {
            0 => deserialize(contents).ok().map(Record::Block),
            1 => deserialize(contents).ok().map(Record::Invalidated),
            2 => deserialize(contents).ok().map(Record::Reconsidered),
            _ => None,
        }
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let hash = sha256d::Hash::hash(bytes).to_byte_array();
    u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// Reads until the buffer is full or the file ends. Returns how much.
fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match reader.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(problem) if problem.kind() == ErrorKind::Interrupted => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(got)
}

fn only_zeros(reader: &mut impl Read) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        match read_up_to(reader, &mut buffer)? {
            0 => return Ok(true),
            got if buffer[..got].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
