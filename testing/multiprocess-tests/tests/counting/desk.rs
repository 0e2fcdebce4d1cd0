//! What serves the tests of file descriptors, and files whose content tells them apart.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use multiprocess::{Capability, Connection, Limits, Result};
use multiprocess_tests::generated::porter::{Bag, Porter, PorterClient, PorterPackResults};
use multiprocess_tests::wait_until;

/// A file from which this text is read.
pub(super) fn file(text: &str) -> OwnedFd {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    File::from(write).write_all(text.as_bytes()).unwrap();
    read
}

/// What is in a file.
pub(super) fn text(file: OwnedFd) -> String {
    // Whoever else has it may have read it.
    let flags = rustix::io::fcntl_getfd(&file).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC), "a program would inherit it");
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).unwrap();
    text
}

/// A bag with these files.
pub(super) fn bag(name: &str, first: Option<&str>, second: Option<&str>) -> Bag {
    Bag { name: name.to_owned(), first: first.map(file), second: second.map(file) }
}

#[derive(Default)]
pub(super) struct Desk {
    /// How many methods have begun.
    pub(super) begun: AtomicUsize,
    held: Mutex<Vec<OwnedFd>>,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Desk {
    pub(super) fn held(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    /// Lets `hold` return, from now on.
    pub(super) fn let_go(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }
}

impl Porter for Desk {
    fn read(&self, file: OwnedFd) -> Result<String> {
        self.begin();
        Ok(text(file))
    }

    fn open(&self, text: String) -> Result<OwnedFd> {
        self.begin();
        Ok(file(&text))
    }

    fn echo(&self, file: Option<OwnedFd>) -> Result<Option<OwnedFd>> {
        Ok(file)
    }

    fn pack(&self, bag: Bag, mut more: Vec<Bag>) -> Result<PorterPackResults> {
        more.insert(0, bag);
        let files = more.iter().flat_map(|bag| [&bag.first, &bag.second]).flatten().count();
        Ok(PorterPackResults { bags: more, count: files as i32 })
    }

    fn hold(&self, file: OwnedFd) -> Result<()> {
        self.begin();
        self.held.lock().unwrap().push(file);
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
        self.held.lock().unwrap().pop();
        Ok(())
    }

    fn read_inline(&self, file: OwnedFd) -> Result<String> {
        self.read(file)
    }

    fn open_inline(&self, text: String) -> Result<OwnedFd> {
        self.open(text)
    }

    fn call(&self, porter: Option<PorterClient>, text: String) -> Result<String> {
        porter.unwrap().read(file(&text)).wait()
    }

    fn read_any(&self, object: Option<Capability>) -> Result<String> {
        let file = object.and_then(|object| object.fd().transpose()).transpose()?;
        Ok(file.map(text).unwrap_or_default())
    }
}

/// A served desk, and a handle on it from the other end.
pub(super) struct Desks {
    pub(super) desk: Arc<Desk>,
    pub(super) porter: PorterClient,
    pub(super) calling: Connection,
    pub(super) serving: Connection,
}

/// Over a socket pair, with these limits at the two ends.
pub(super) fn desks(calling: Limits, serving: Limits) -> Desks {
    let (ours, theirs) = UnixStream::pair().unwrap();
    desks_over(ours.into(), theirs.into(), calling, serving)
}

pub(super) fn desks_over(
    ours: OwnedFd,
    theirs: OwnedFd,
    calling: Limits,
    serving: Limits,
) -> Desks {
    let desk = Arc::new(Desk::default());
    let object = PorterClient::from(Arc::clone(&desk) as Arc<dyn Porter>);
    let serving = Connection::builder().limits(serving).serve(object).start(theirs).unwrap();
    let calling = Connection::builder().limits(calling).start(ours).unwrap();
    let porter: PorterClient = calling.bootstrap().unwrap();
    // Both sides know of the other's limits then.
    assert!(porter.echo(None).wait().unwrap().is_none());
    Desks { desk, porter, calling, serving }
}

/// Limits with so many descriptors in a message.
pub(super) fn allowing(descriptors: usize) -> Limits {
    Limits::default().descriptors(descriptors)
}

/// Waits until there are no more descriptors than before. There may be fewer: a thread that was idle before may have
/// ended, with the descriptor through which it was woken.
#[track_caller]
pub(super) fn assert_none_left(before: usize) {
    wait_until("there are no more descriptors than before", || super::descriptors() <= before);
}

/// Waits until the other end has read everything that was written to a socket.
pub(super) fn wait_until_read(theirs: &impl AsFd) {
    wait_until("it is read", || rustix::io::ioctl_fionread(theirs).unwrap() == 0);
}
