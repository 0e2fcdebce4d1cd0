//! What the threads share: the connections, the counts, and the check of outcomes.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use multiprocess::{Error, Limits, Result};
use multiprocess_tests::generated::lab::{CallbackClient, CounterClient, LabClient};
use multiprocess_tests::{Dice, LabServer, Pair, Relay, Watchdog, pair_of};

/// On which sides of a connection threads read while they wait (`Limits::callers_read`).
#[derive(Clone, Copy)]
pub(super) struct CallersRead {
    pub(super) calling: bool,
    pub(super) serving: bool,
}

impl CallersRead {
    /// A connection of this kind. Its limits are higher than needed here, so that no call may be
    /// refused as overloaded.
    pub(super) fn pair(self) -> Pair {
        let limits = |callers_read| {
            Limits::default().callers_read(callers_read).calls(1 << 16).threads(1 << 12)
        };
        pair_of(limits(self.calling), limits(self.serving))
    }
}

/// A connection, and whether anybody has asked for its end.
pub(super) struct Link {
    pub(super) pair: Pair,
    doomed: AtomicBool,
}

impl Link {
    pub(super) fn new(pair: Pair) -> Link {
        Link { pair, doomed: AtomicBool::new(false) }
    }

    pub(super) fn is_doomed(&self) -> bool {
        self.doomed.load(Ordering::SeqCst)
    }

    /// From now on calls may fail because it is disconnected.
    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::SeqCst);
    }

    pub(super) fn into_pair(self) -> Pair {
        self.pair
    }

    /// Ends the connection, from the side or the sides that `choice` says.
    pub(super) fn end(&self, choice: u64) {
        self.doom();
        let Pair { calling, serving, .. } = &self.pair;
        match choice % 3 {
            0 => calling.disconnect(),
            1 => serving.disconnect(),
            _ => std::thread::scope(|scope| {
                scope.spawn(|| serving.disconnect());
                calling.disconnect();
            }),
        }
    }
}

/// Counts the objects and hooks that were made and must be gone at the end. An object is subtracted
/// when it is dropped, a hook when it runs.
#[derive(Default)]
pub(super) struct Ledger {
    objects: Arc<AtomicUsize>,
    hooks: Arc<AtomicUsize>,
}

/// Counted in the ledger until it is dropped.
pub(super) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ledger {
    pub(super) fn object(&self) -> Counted {
        self.objects.fetch_add(1, Ordering::SeqCst);
        Counted(Arc::clone(&self.objects))
    }

    /// A hook that has to run once. If it is dropped without having run, it stays in the ledger.
    pub(super) fn hook(&self) -> impl FnOnce() + Send + 'static {
        let hooks = Arc::clone(&self.hooks);
        hooks.fetch_add(1, Ordering::SeqCst);
        move || {
            hooks.fetch_sub(1, Ordering::SeqCst);
        }
    }

    pub(super) fn is_balanced(&self) -> bool {
        self.objects.load(Ordering::SeqCst) + self.hooks.load(Ordering::SeqCst) == 0
    }
}

pub(super) struct World {
    pub(super) watchdog: Watchdog,
    pub(super) ledger: Ledger,
    /// None before the first use and after the end.
    links: Vec<(CallersRead, Mutex<Option<Arc<Link>>>)>,
    connections: AtomicUsize,
    /// The labs of ended connections that still have objects.
    ended: Mutex<Vec<Arc<LabServer>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(super) fn new(run: String, threads: usize, callers_read: [CallersRead; 4]) -> Arc<World> {
        Arc::new(World {
            watchdog: Watchdog::new(run, threads),
            ledger: Ledger::default(),
            links: callers_read.map(|callers_read| (callers_read, Mutex::default())).into(),
            connections: AtomicUsize::new(0),
            ended: Mutex::default(),
        })
    }

    /// One of the connections. If it was ended, a new one is made; calls that still run on the old
    /// one go on until they fail.
    pub(super) fn link(&self, dice: &mut Dice) -> Arc<Link> {
        let (callers_read, link) = &self.links[dice.index(self.links.len())];
        let mut link = lock(link);
        if let Some(old) = link.take_if(|link| link.is_doomed()) {
            self.ended(&old.pair.server);
        }
        let new = || {
            self.connections.fetch_add(1, Ordering::SeqCst);
            Arc::new(Link::new(callers_read.pair()))
        };
        Arc::clone(link.get_or_insert_with(new))
    }

    /// The reading settings of one of the connections.
    pub(super) fn callers_read(&self, dice: &mut Dice) -> CallersRead {
        self.links[dice.index(self.links.len())].0
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Takes all connections, to end them.
    pub(super) fn take_links(&self) -> Vec<Arc<Link>> {
        let links: Vec<_> = self.links.iter().filter_map(|(_, link)| lock(link).take()).collect();
        for link in &links {
            self.ended(&link.pair.server);
        }
        links
    }

    /// Notes that the connection of this lab has ended, or is about to.
    pub(super) fn ended(&self, server: &Arc<LabServer>) {
        self.settle();
        lock(&self.ended).push(Arc::clone(server));
    }

    /// Forgets the labs of ended connections that have no objects left.
    pub(super) fn settle(&self) {
        let settled =
            |lab: &mut Arc<LabServer>| lab.uncleaned() + lab.counters() + lab.blocked() == 0;
        let gone: Vec<_> = lock(&self.ended).extract_if(.., settled).collect();
        // Outside the lock, because this may drop a callback that one of them keeps.
        drop(gone);
    }

    pub(super) fn unsettled(&self) -> usize {
        lock(&self.ended).len()
    }

    /// A callback that is counted until it has gone.
    pub(super) fn callback(
        &self,
        run: impl Fn(Option<LabClient>, i32) -> Result<i32> + Send + Sync + 'static,
    ) -> CallbackClient {
        let counted = self.ledger.object();
        let callback = Relay::client(move |lab, depth| {
            let _counted = &counted;
            run(lab, depth)
        });
        callback.add_cleanup(self.ledger.hook());
        callback
    }

    /// Returns the value of a call, and notes a failure if it is wrong. An error is right only for
    /// a connection that was asked to end.
    pub(super) fn check<T: Debug>(
        &self,
        link: &Link,
        what: &str,
        result: Result<T>,
        right: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        match result {
            Ok(value) if right(&value) => return Some(value),
            Ok(value) => {
                let mut value = format!("{value:?}");
                value.truncate(200);
                self.watchdog.wrong(format!("{what}: a wrong answer: {value}"));
            }
            Err(error) => self.check_end(link, what, &error),
        }
        None
    }

    /// Notes a failure unless the error is the end of a connection that somebody ended.
    pub(super) fn check_end(&self, link: &Link, what: &str, error: &Error) {
        if !matches!(error, Error::Disconnected { .. }) || !link.is_doomed() {
            let doomed = if link.is_doomed() { "an ended" } else { "a standing" };
            self.watchdog.wrong(format!("{what}, on {doomed} connection: {error}"));
        }
    }
}

/// An object that one thread keeps and calls; no other thread calls it.
pub(super) struct Kept {
    pub(super) link: Arc<Link>,
    pub(super) counter: CounterClient,
    /// The number that it returns next.
    pub(super) next: i64,
}

/// One of the threads, at one of its steps.
pub(super) struct Actor {
    pub(super) world: Arc<World>,
    pub(super) dice: Dice,
    pub(super) kept: Vec<Kept>,
    number: usize,
    place: String,
}

impl Actor {
    pub(super) fn new(world: &Arc<World>, number: usize) -> Actor {
        let (world, dice) = (Arc::clone(world), Dice::of(0, 0, 0));
        Actor { world, dice, kept: Vec::new(), number, place: String::new() }
    }

    pub(super) fn begin(&mut self, step: usize, name: &str, dice: Dice) {
        self.place = format!("thread {}, step {step}, {name}", self.number);
        self.dice = dice;
    }

    /// Where this thread is, for messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn link(&mut self) -> Arc<Link> {
        self.world.link(&mut self.dice)
    }

    pub(super) fn check<T: Debug>(
        &self,
        link: &Link,
        result: Result<T>,
        right: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        self.world.check(link, &self.place, result, right)
    }

    pub(super) fn wrong(&self, what: impl Debug) {
        self.world.watchdog.wrong(format!("{}: {what:?}", self.place));
    }
}
