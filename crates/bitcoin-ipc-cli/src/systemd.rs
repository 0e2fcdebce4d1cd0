//! What systemd gives and is told: sockets that it has made (socket activation), and that a program is ready.
//!
//! The environment says which sockets: `LISTEN_FDS` is how many there are, from descriptor 3 on, `LISTEN_FDNAMES` their
//! names, and `LISTEN_PID` the process that they are for, so that its children do not take them.

use std::env;

use multiprocess::process::{Listener, inherited_fd};
use sd_notify::NotifyState;

use super::Failure;

/// The number of the first descriptor.
const FIRST: usize = 3;

/// The most that are taken: more than any unit has.
const MOST: usize = 64;

/// The sockets that were passed to this process.
#[derive(Debug)]
pub(super) struct Sockets(Vec<Socket>);

#[derive(Debug)]
struct Socket {
    name: String,
    /// None once it is in use.
    listener: Option<Listener>,
}

impl Sockets {
    /// Takes those that were passed to this process, if there are any: early, before it opens descriptors or starts
    /// processes of its own.
    pub(super) fn passed() -> Result<Sockets, Failure> {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        let names = variable("LISTEN_FDNAMES");
        let numbers =
            numbers(&variable("LISTEN_PID"), std::process::id(), &variable("LISTEN_FDS"))?;
        let take = |(position, number): (usize, usize)| {
            let descriptor = inherited_fd(&number.to_string()).map_err(|_| {
                Failure(format!(
                    "LISTEN_FDS says that descriptor {number} is a socket for this process, and it is not open: systemd \
                     sets LISTEN_FDS, it is not for use by hand"
                ))
            })?;
            let name = names.split(':').nth(position).unwrap_or_default().to_owned();
            Ok(Socket { name, listener: Some(Listener::from_socket(descriptor)?) })
        };
        numbers.enumerate().map(take).collect::<Result<_, Failure>>().map(Sockets)
    }

    /// The socket of the address `fd:WHICH`: that with this name, or else at this position, from 0.
    pub(super) fn take(&mut self, which: &str) -> Result<Listener, Failure> {
        let fits = |socket: &Socket| !which.is_empty() && socket.name == which;
        let known = self.list();
        let found = match self.0.iter().position(fits) {
            Some(position) => Some(position),
            None => which.parse().ok(),
        };
        let socket = found.and_then(|position: usize| self.0.get_mut(position)).ok_or_else(|| {
            Failure(format!(
                "fd:{which} is no socket that was passed to this process ({known}): in the .socket file of systemd, \
                 FileDescriptorName= names it"
            ))
        })?;
        let taken = socket.listener.take();
        taken.ok_or_else(|| Failure(format!("fd:{which} is given twice")))
    }

    /// All are in use. Clients of one that is not would wait for ever.
    pub(super) fn all_are_used(&self) -> Result<(), Failure> {
        let unused = |(_, socket): &(usize, &Socket)| socket.listener.is_some();
        match self.0.iter().enumerate().find(unused) {
            None => Ok(()),
            Some((position, socket)) => {
                let which = match socket.name.as_str() {
                    "" => position.to_string(),
                    name => name.to_owned(),
                };
                Err(Failure(format!(
                    "a socket was passed to this process that it does not serve: serve it at the address fd:{which}"
                )))
            }
        }
    }

    fn list(&self) -> String {
        if self.0.is_empty() {
            return "none was: start this by systemd with a .socket file".to_owned();
        }
        let each = |(position, socket): (usize, &Socket)| format!("{position} {}", socket.name);
        let all: Vec<_> = self.0.iter().enumerate().map(each).collect();
        format!("there are: {}", all.join(", "))
    }
}

/// The descriptors for this process.
fn numbers(of: &str, own: u32, count: &str) -> Result<std::ops::Range<usize>, Failure> {
    if of.parse() != Ok(own) {
        return Ok(0..0);
    }
    match count.parse::<usize>() {
        Ok(count) if count <= MOST => Ok(FIRST..FIRST + count),
        _ => Err(Failure(format!(
            "LISTEN_FDS is {count:?}, where the number of sockets that were passed is wanted, {MOST} at most"
        ))),
    }
}

/// Tells systemd that this program serves, if it was started as a service of `Type=notify`.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// The same: that it ends.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("cannot tell the service manager at NOTIFY_SOCKET: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_for_this_process_are_taken() {
        assert_eq!(numbers("7", 7, "2").unwrap(), 3..5);
        for (of, count) in [("", ""), ("", "2"), ("8", "2"), ("8", "x"), ("x", "2")] {
            assert!(numbers(of, 7, count).unwrap().is_empty(), "{of} {count}");
        }
        for count in ["", "x", "-1", "65", "99999999999999999999"] {
            let Failure(told) = numbers("7", 7, count).unwrap_err();
            assert!(told.starts_with(&format!("LISTEN_FDS is {count:?}, where")), "{told}");
        }
    }
}
