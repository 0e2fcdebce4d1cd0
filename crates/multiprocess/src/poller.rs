//! Waiting for descriptors: epoll on Linux, the `polling` crate elsewhere.

pub(crate) use imp::Poller;

/// A number that names a source.
pub(crate) type SourceId = usize;

/// What happened to a source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) id: SourceId,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::time::Duration;

    use rustix::event::epoll::{self, EventData, EventFlags};
    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

    use super::{Ready, SourceId};

    /// Names the descriptor that [`Poller::notify`] writes to.
    const NOTIFIED: u64 = u64::MAX;

    pub(crate) struct Poller {
        epoll: OwnedFd,
        notify: OwnedFd,
    }

    impl Poller {
        pub(crate) fn new() -> io::Result<Poller> {
            let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let notify = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            epoll::add(&epoll, &notify, EventData::new_u64(NOTIFIED), EventFlags::IN)?;
            Ok(Poller { epoll, notify })
        }

        /// Watches a descriptor for reading. It must be deleted before it is closed.
        pub(crate) fn add(&self, fd: BorrowedFd<'_>, id: SourceId) -> io::Result<()> {
            let data = EventData::new_u64(id as u64);
            Ok(epoll::add(&self.epoll, fd, data, EventFlags::IN)?)
        }

        /// Changes what a descriptor is watched for.
        pub(crate) fn set(
            &self,
            fd: BorrowedFd<'_>,
            id: SourceId,
            read: bool,
            write: bool,
        ) -> io::Result<()> {
            let mut flags = EventFlags::empty();
            flags.set(EventFlags::IN, read);
            flags.set(EventFlags::OUT, write);
            if flags.is_empty() {
                // epoll reports hang-ups even without flags; with ONESHOT it reports one only once.
                flags = EventFlags::ONESHOT;
            }
            Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(id as u64), flags)?)
        }

        pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
            Ok(epoll::delete(&self.epoll, fd)?)
        }

        /// Waits for events, for `timeout` at most, and adds them to `ready`. epoll counts in
        /// milliseconds; `exact` waits for the exact time, with one more system call.
        pub(crate) fn wait(
            &self,
            ready: &mut Vec<Ready>,
            timeout: Option<Duration>,
            exact: bool,
        ) -> io::Result<()> {
            let mut timeout = timeout.map(|timeout| Timespec {
                tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: timeout.subsec_nanos().into(),
            });
            if exact {
                poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], timeout.as_ref())?;
                timeout = Some(Timespec::default());
            }
            let mut space = [const { MaybeUninit::uninit() }; 64];
            let (events, _) = epoll::wait(&self.epoll, &mut space, timeout.as_ref())?;
            for event in events.iter() {
                let flags = event.flags;
                let ended = flags.intersects(EventFlags::HUP | EventFlags::ERR);
                match event.data.u64() {
                    NOTIFIED => {
                        let _ = rustix::io::read(&self.notify, &mut [0; 8]);
                    }
                    id => ready.push(Ready {
                        id: id as SourceId,
                        readable: ended || flags.contains(EventFlags::IN),
                        writable: ended || flags.contains(EventFlags::OUT),
                    }),
                }
            }
            Ok(())
        }

        /// Makes a wait return.
        pub(crate) fn notify(&self) {
            // Fails only where the counter is full, in which case the next wait returns anyway.
            let _ = rustix::io::write(&self.notify, &1_u64.to_ne_bytes());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
    use std::time::Duration;

    use polling::{Event, Events, PollMode};

    use super::{Ready, SourceId};

    pub(crate) struct Poller {
        poller: polling::Poller,
        events: std::sync::Mutex<Events>,
    }

    impl Poller {
        pub(crate) fn new() -> io::Result<Poller> {
            let poller = polling::Poller::new()?;
            Ok(Poller { poller, events: std::sync::Mutex::new(Events::new()) })
        }

        pub(crate) fn add(&self, fd: BorrowedFd<'_>, id: SourceId) -> io::Result<()> {
            // SAFETY: every source is deleted before its descriptor is closed: see Driver::add.
            unsafe {
                self.poller.add_with_mode(fd.as_raw_fd(), Event::readable(id), PollMode::Level)
            }
        }

        pub(crate) fn set(
            &self,
            fd: BorrowedFd<'_>,
            id: SourceId,
            read: bool,
            write: bool,
        ) -> io::Result<()> {
            let event = Event::new(id, read, write);
            self.poller.modify_with_mode(fd, event, PollMode::Level)
        }

        pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
            self.poller.delete(fd.as_fd())
        }

        pub(crate) fn wait(
            &self,
            ready: &mut Vec<Ready>,
            timeout: Option<Duration>,
            _exact: bool,
        ) -> io::Result<()> {
            let mut events = self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            events.clear();
            self.poller.wait(&mut events, timeout)?;
            ready.extend(events.iter().map(|event| Ready {
                id: event.key,
                readable: event.readable,
                writable: event.writable,
            }));
            Ok(())
        }

        pub(crate) fn notify(&self) {
            let _ = self.poller.notify();
        }
    }
}
