//! Programs that take the whole terminal.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::running::Running;
use crate::wait_until;

/// A program on a terminal of its own.
pub(crate) struct OnTerminal {
    pub(crate) terminal: File,
    /// Its other side, as the program has it.
    inner: OwnedFd,
    pub(crate) program: Running,
    text: Arc<Mutex<String>>,
}

impl OnTerminal {
    pub(crate) fn start(mut command: Command) -> OnTerminal {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&outer).unwrap();
        unlockpt(&outer).unwrap();
        let name = ptsname(&outer, Vec::new()).unwrap();
        let inner = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let size = Winsize { ws_row: 40, ws_col: 140, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&inner, size).unwrap();
        let side = || Stdio::from(inner.try_clone().unwrap());
        let program = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let (terminal, text) = (File::from(outer), Arc::new(Mutex::new(String::new())));
        let (mut reads, seen) = (terminal.try_clone().unwrap(), Arc::clone(&text));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reads.read(&mut bytes) {
                seen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        OnTerminal { terminal, inner: inner.into(), program: Running(program), text }
    }

    /// A word: blanks between words are not written where there were none before.
    pub(crate) fn wait_for(&self, text: &str) {
        wait_until(text, || self.text.lock().unwrap().contains(text));
    }

    pub(crate) fn modes(&self) -> LocalModes {
        tcgetattr(&self.inner).unwrap().local_modes
    }
}
