//! Folders: objects that return further ones.

use multiprocess::{Error, Result};

use crate::generated::calls::NotFound;
use crate::generated::objects::{Folder, FolderClient};

/// How deep folders are nested.
const DEPTH: usize = 3;

/// A folder, by its path.
pub(super) struct FolderServer {
    names: Vec<String>,
}

impl FolderServer {
    pub(super) fn root() -> FolderServer {
        FolderServer { names: Vec::new() }
    }

    fn child(&self, name: String) -> Option<FolderClient> {
        if self.names.len() == DEPTH {
            return None;
        }
        let mut names = self.names.clone();
        names.push(name);
        Some(FolderClient::new(FolderServer { names }))
    }
}

impl Folder for FolderServer {
    fn path(&self) -> Result<String> {
        Ok(self.names.iter().map(|name| format!("/{name}")).collect())
    }

    fn open(&self, name: String) -> Result<FolderClient> {
        let child = self.child(name);
        child.ok_or_else(|| Error::failed(format!("nothing is deeper than {DEPTH}")))
    }

    fn find(&self, name: String) -> Result<Option<FolderClient>> {
        Ok(self.child(name))
    }

    fn visit(&self, name: String) -> Result<FolderClient> {
        if name == "nowhere" {
            return Err(Error::raised(NotFound { name, tried: self.names.clone() }));
        }
        self.open(name)
    }

    fn open_inline(&self, name: String) -> Result<FolderClient> {
        self.open(name)
    }

    fn path_inline(&self) -> Result<String> {
        self.path()
    }
}
