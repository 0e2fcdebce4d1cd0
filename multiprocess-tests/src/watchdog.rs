//! Ends a test that hangs, and says what it was at.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Far longer than anything takes, on a machine that is busy as well.
const PATIENCE: Duration = Duration::from_secs(120);

/// Aborts the process, having said where each of the threads is, when none has made progress for two
/// minutes. Until dropped.
pub struct Watchdog {
    seen: Arc<Seen>,
    running: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

struct Seen {
    /// Which run this is: what it takes to repeat it.
    run: String,
    progress: AtomicU64,
    places: Vec<Mutex<String>>,
}

impl Watchdog {
    /// Watches over this many threads of a run.
    pub fn new(run: String, threads: usize) -> Watchdog {
        let places = (0..threads).map(|_| Mutex::default()).collect();
        let seen = Arc::new(Seen { run, progress: AtomicU64::new(0), places });
        let (stop, stopped) = mpsc::channel();
        let watched = Arc::clone(&seen);
        let thread = std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || watched.watch(&stopped))
            .expect("a thread");
        Watchdog { seen, running: Some((stop, thread)) }
    }

    /// This thread is now here.
    pub fn at(&self, thread: usize, place: impl Into<String>) {
        let mut known = self.seen.places[thread].lock().unwrap_or_else(PoisonError::into_inner);
        *known = place.into();
        drop(known);
        self.progress();
    }

    /// Something went on.
    pub fn progress(&self) {
        self.seen.progress.fetch_add(1, Ordering::Relaxed);
    }
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
        // Not by the macros: what they print is kept back until the test ends.
        let mut out = std::io::stderr();
        let _ = writeln!(out, "\nno progress for {PATIENCE:?}: {}", self.run);
        for (thread, place) in self.places.iter().enumerate() {
            let place = place.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(out, "  thread {thread}: {place}");
        }
        std::process::abort()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // It may be counted: it ends before the test does.
            let _ = thread.join();
        }
    }
}
