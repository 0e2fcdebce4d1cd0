//! The object of the streaming calls.

use std::sync::{Mutex, PoisonError};

use multiprocess::{Error, Result};

use crate::generated::objects::{Upload, UploadDoneResults};

/// Keeps the bytes that were written, and counts the calls.
#[derive(Default)]
pub(super) struct UploadServer(Mutex<(Vec<u8>, u32)>);

impl Upload for UploadServer {
    fn write(&self, bytes: Vec<u8>) -> Result<()> {
        if bytes.is_empty() {
            return Err(Error::failed("there is nothing to write"));
        }
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.0.extend(bytes);
        written.1 += 1;
        Ok(())
    }

    fn done(&self) -> Result<UploadDoneResults> {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(UploadDoneResults { bytes: written.0.clone(), count: written.1 })
    }
}
