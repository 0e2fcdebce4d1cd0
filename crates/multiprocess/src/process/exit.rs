//! How a child ended, as far as this process can know.

use std::fmt;
use std::io;
use std::process::ExitStatus;

use crate::{Error, Result};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Status(ExitStatus),
    /// It has exited, and its status cannot be known: other code of this program took it, for instance
    /// with `waitpid(-1)`, or this program ignores SIGCHLD, so that the kernel threw it away. Or this process
    /// is a fork of the one that started it, and can know nothing of it.
    Unknown,
}

impl Exit {
    /// The exit status, or `None` where it is unknown.
    pub fn status(self) -> Option<ExitStatus> {
        match self {
            Exit::Status(status) => Some(status),
            Exit::Unknown => None,
        }
    }

    /// Whether the child is known to have exited with status 0.
    pub fn success(self) -> bool {
        self.status().is_some_and(|status| status.success())
    }

    /// The status of the child `id`, or an error that says why it is unknown.
    pub(super) fn known(self, id: u32) -> Result<ExitStatus> {
        self.status().ok_or_else(|| {
            let problem = "its status is unknown, because other code of this program waited for it, \
                           or because this program ignores SIGCHLD: wait for children by their number \
                           only, and set SIGCHLD to its default before a child is started";
            let doing = format!("tell how child process {id} exited");
            Error::io(doing, io::Error::other(problem))
        })
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Status(status) => status.fmt(f),
            Exit::Unknown => f.write_str("unknown exit status"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn unknown_is_neither_success_nor_silent() {
        let failed = Exit::Status(ExitStatus::from_raw(3 << 8));
        assert!(Exit::Status(ExitStatus::from_raw(0)).success());
        assert!(!failed.success() && !Exit::Unknown.success());
        assert_eq!((failed.to_string().as_str(), Exit::Unknown.status()), ("exit status: 3", None));
        assert_eq!(failed.known(7).unwrap().code(), Some(3));
        let text = Exit::Unknown.known(7).unwrap_err().to_string();
        assert!(text.starts_with("cannot tell how child process 7 exited: "), "{text}");
        assert!(text.contains("set SIGCHLD to its default"), "{text}");
    }
}
