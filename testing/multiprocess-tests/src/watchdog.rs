//! Ends a test that hangs, and prints what its threads were doing; and collects the failures that
//! its threads find.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Far longer than anything takes, on a machine that is busy as well.
const PATIENCE: Duration = Duration::from_secs(120);

/// Until it is dropped: when no thread has made progress for two minutes, prints where each of them
/// is and aborts the process.
pub struct Watchdog {
    seen: Arc<Seen>,
    running: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

struct Seen {
    /// Describes the run, with the variables that repeat it.
    run: String,
    progress: AtomicU64,
    places: Vec<Mutex<String>>,
    wrong: Mutex<Vec<String>>,
}

impl Watchdog {
    /// Watches over this many threads of a run.
    pub fn new(run: String, threads: usize) -> Watchdog {
        let places = (0..threads).map(|_| Mutex::default()).collect();
        let seen =
            Arc::new(Seen { run, progress: AtomicU64::new(0), places, wrong: Mutex::default() });
        let (stop, stopped) = mpsc::channel();
        let watched = Arc::clone(&seen);
        let thread = std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || watched.watch(&stopped))
            .expect("a thread");
        Watchdog { seen, running: Some((stop, thread)) }
    }

    /// Notes where this thread is.
    pub fn at(&self, thread: usize, place: impl Into<String>) {
        *lock(&self.seen.places[thread]) = place.into();
        self.progress();
    }

    /// Notes progress.
    pub fn progress(&self) {
        self.seen.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a failure. For threads that cannot panic because others wait for them.
    pub fn wrong(&self, what: String) {
        lock(&self.seen.wrong).push(what);
    }

    /// Whether there was a failure.
    pub fn went_wrong(&self) -> bool {
        !lock(&self.seen.wrong).is_empty()
    }

    /// Panics with all failures, if there are any.
    #[track_caller]
    pub fn assert_right(&self) {
        let wrong = lock(&self.seen.wrong);
        assert!(wrong.is_empty(), "{}: {}", self.seen.run, wrong.join("\n"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    fn watch(&self, stopped: &mpsc::Receiver<()>) {
        let mut last = 0;
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(PATIENCE) {
            let progress = self.progress.load(Ordering::Relaxed);
            if progress == last {
                self.abort();
            }
            last = progress;
        }
    }

    fn abort(&self) -> ! {
        // Not with `eprintln!`: its output is captured until the test ends.
        let mut out = std::io::stderr();
        let _ = writeln!(out, "\nno progress for {PATIENCE:?}: {}", self.run);
        for (thread, place) in self.places.iter().enumerate() {
            let _ = writeln!(out, "  thread {thread}: {}", lock(place));
        }
        for wrong in &*lock(&self.wrong) {
            let _ = writeln!(out, "  wrong before: {wrong}");
        }
        std::process::abort()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // Joined, because tests count threads.
            let _ = thread.join();
        }
    }
}
