//! The memory of messages, some of which is kept to be used again.
//!
//! For a long message, getting and clearing pages from the system costs more than copying the data. So
//! the memory of long messages is kept for a second or two, up to a bound for the process. It is zeroed
//! when it is used again, except for the part that is overwritten at once. Each thread also keeps the
//! memory of one or two short messages, zeroed, because allocators are slow to give zeroed memory.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use capnp_engine::{Pool, zeroed};

use crate::driver::driver;
use crate::forked::is_forked;

/// The memory of this process's messages.
pub(crate) static MEMORY: Memory = Memory;

pub(crate) struct Memory;

impl Pool for Memory {
    fn take(&self, words: usize, overwritten: usize) -> Vec<u64> {
        take_words(words, overwritten)
    }

    fn give(&self, segment: Vec<u64>, used: usize) {
        give_words(segment, used);
    }
}

const WORD: usize = size_of::<u64>();
/// Segments of so many bytes are long, and kept for the process. Shorter ones are kept by threads.
const LONG: usize = 128 << 10;
/// What a thread keeps: how many segments, and of how many words each at most.
const MAX_SHORT: (usize, usize) = (2, 1024);
/// How many bytes are kept for the process at most: enough to read one message of the greatest length
/// that [`Limits`](crate::Limits) allows by default, and to write one.
const MAX_KEPT: usize = 144 << 20;
/// How long memory is kept at least after it was last used, and how often the driver checks that.
const KEEP: Duration = Duration::from_secs(1);

thread_local! {
    /// Short segments, zeroed.
    static SPARE_SHORT: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

/// The memory that is kept for the process.
struct Spare {
    /// Segments, to build messages in.
    words: Vec<Kept<u64>>,
    /// Empty buffers, to read long messages into.
    bytes: Vec<Kept<u8>>,
    /// How many bytes both lists have.
    total: usize,
    /// The driver has a timer that will drop what is too old.
    watched: bool,
}

struct Kept<T> {
    memory: Vec<T>,
    /// How many items at the start may not be zero.
    used: usize,
    since: Instant,
}

impl<T> Kept<T> {
    fn size(&self) -> usize {
        self.memory.capacity() * size_of::<T>()
    }
}

static SPARE: Mutex<Spare> =
    Mutex::new(Spare { words: Vec::new(), bytes: Vec::new(), total: 0, watched: false });

fn spare() -> MutexGuard<'static, Spare> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the smallest one that has so many bytes, and at most twice as many.
fn take<T>(kept: &mut Vec<Kept<T>>, total: &mut usize, bytes: usize) -> Option<Kept<T>> {
    let fits = |(_, size): &(usize, usize)| (bytes..=2 * bytes).contains(size);
    let sizes = kept.iter().map(Kept::size).enumerate();
    let (place, size) = sizes.filter(fits).min_by_key(|(_, size)| *size)?;
    *total -= size;
    Some(kept.swap_remove(place))
}

/// Memory of `words` words. The first is zero; the next `overwritten` may have any value, as the caller
/// overwrites them before they are read; the rest is zero.
fn take_words(words: usize, overwritten: usize) -> Vec<u64> {
    if WORD * words < LONG {
        return take_short(words).unwrap_or_else(|| zeroed(words));
    }
    let kept = {
        let spare = &mut *spare();
        take(&mut spare.words, &mut spare.total, WORD * words)
    };
    let Some(Kept { mut memory, used, .. }) = kept else { return zeroed(words) };
    let before = used.min(1);
    memory[..before].fill(0);
    let after = used.min(before + overwritten);
    memory[after..used].fill(0);
    memory
}

fn give_words(segment: Vec<u64>, used: usize) {
    let used = used.min(segment.len());
    if WORD * segment.len() < LONG {
        return give_short(segment, used);
    }
    keep(segment, used, |spare| &mut spare.words);
}

fn take_short(words: usize) -> Option<Vec<u64>> {
    let take = |spare: &RefCell<Vec<Vec<u64>>>| {
        let spare = &mut *spare.borrow_mut();
        let place = spare.iter().position(|segment| segment.len() >= words)?;
        Some(spare.swap_remove(place))
    };
    // Fails while the thread ends.
    SPARE_SHORT.try_with(take).ok()?
}

fn give_short(mut segment: Vec<u64>, used: usize) {
    let (most, longest) = MAX_SHORT;
    if segment.len() > longest {
        return;
    }
    let _ = SPARE_SHORT.try_with(|spare| {
        let spare = &mut *spare.borrow_mut();
        if spare.len() >= most {
            // Longer ones fit more messages, so the shortest makes place.
            let shortest = spare.iter().map(Vec::len).enumerate().min_by_key(|(_, length)| *length);
            match shortest {
                Some((place, length)) if length < segment.len() => drop(spare.swap_remove(place)),
                _ => return,
            }
        }
        segment[..used].fill(0);
        spare.push(segment);
    });
}

/// A buffer to read a long message into, if one is kept: empty, with room for so many bytes.
pub(crate) fn take_bytes(length: usize) -> Option<Vec<u8>> {
    let spare = &mut *spare();
    take(&mut spare.bytes, &mut spare.total, length).map(|kept| kept.memory)
}

pub(crate) fn give_bytes(mut bytes: Vec<u8>) {
    if bytes.capacity() < LONG {
        return;
    }
    bytes.clear();
    keep(bytes, 0, |spare| &mut spare.bytes);
}

fn keep<T>(memory: Vec<T>, used: usize, place: impl FnOnce(&mut Spare) -> &mut Vec<Kept<T>>) {
    if is_forked() {
        return; // Another thread of the parent may have had the lock.
    }
    let kept = Kept { memory, used, since: Instant::now() };
    let mut spare = spare();
    let size = kept.size();
    if spare.total + size > MAX_KEPT {
        return;
    }
    place(&mut spare).push(kept);
    spare.total += size;
    let watched = std::mem::replace(&mut spare.watched, true);
    drop(spare);
    if !watched {
        start_timer();
    }
}

fn start_timer() {
    if cfg!(miri) {
        return; // which has no epoll for a driver
    }
    match driver() {
        Ok(driver) => drop(driver.add_timer(Instant::now() + KEEP, Box::new(drop_old))),
        Err(_) => {
            drop(take_old(Duration::ZERO));
            spare().watched = false;
        }
    }
}

/// The timer, on the driver thread: drops what is too old, and starts the timer again if some is left.
fn drop_old() {
    drop(take_old(KEEP));
    let mut spare = spare();
    spare.watched = spare.total > 0;
    if spare.watched {
        drop(spare);
        start_timer();
    }
}

/// Takes out what was given back at least so long ago, so that it is dropped outside the lock.
fn take_old(age: Duration) -> (Vec<Kept<u64>>, Vec<Kept<u8>>) {
    fn remove<T>(kept: &mut Vec<Kept<T>>, total: &mut usize, age: Duration) -> Vec<Kept<T>> {
        let removed: Vec<_> = kept.extract_if(.., |kept| kept.since.elapsed() >= age).collect();
        *total -= removed.iter().map(Kept::size).sum::<usize>();
        removed
    }
    let spare = &mut *spare();
    let words = remove(&mut spare.words, &mut spare.total, age);
    (words, remove(&mut spare.bytes, &mut spare.total, age))
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use capnp::any_pointer_list::Builder as List;
    use capnp::{data, serialize, text};

    use capnp_engine::{Message, overwriting};

    use super::{KEEP, Kept, LONG, MAX_SHORT, MEMORY, SPARE_SHORT, spare, take_old};

    fn new_message(words: u32) -> Message {
        capnp_engine::new_message(&MEMORY, words)
    }

    /// Held by tests that depend on what the process keeps.
    static EXCLUSIVE: Mutex<()> = Mutex::new(());

    /// Only what was kept for long enough is given back to the system.
    #[test]
    fn what_is_not_used_is_given_back() {
        let _exclusive = EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = (Instant::now(), Instant::now().checked_sub(KEEP).unwrap());
        // Sizes that fit no message of another test of this process.
        for (since, size) in [(young, 5 * LONG + 1), (old, 5 * LONG + 2)] {
            let mut spare = spare();
            let kept = Kept { memory: Vec::<u8>::with_capacity(size), used: 0, since };
            spare.total += kept.size();
            spare.bytes.push(kept);
        }
        drop(take_old(KEEP));
        let mut spare = spare();
        let is_there = |size| spare.bytes.iter().any(|kept| kept.size() == size);
        assert!(is_there(5 * LONG + 1) && !is_there(5 * LONG + 2));
        spare.bytes.retain(|kept| kept.size() != 5 * LONG + 1);
        spare.total = spare.bytes.iter().map(Kept::size).sum::<usize>()
            + spare.words.iter().map(Kept::size).sum::<usize>();
    }

    /// Sets a blob; with `over`, into memory that is not zeroed first.
    fn set(over: bool, bytes: usize, set: impl FnOnce()) {
        if over { overwriting(bytes, set) } else { set() }
    }

    /// A message with data, a text, a long list of null pointers, and a little data.
    fn message(data: &[u8], over: bool) -> Vec<u8> {
        let mut message = new_message(16);
        let mut list = message.initn_root::<List<'_>>(4);
        set(over, data.len(), || list.reborrow().get(0).set_as::<data::Owned>(data).unwrap());
        let text = "x".repeat(data.len());
        set(over, text.len(), || {
            list.reborrow().get(1).set_as::<text::Owned>(text.as_str()).unwrap()
        });
        list.reborrow().get(2).initn_as::<List<'_>>(LONG as u32 / 8);
        list.reborrow().get(3).set_as::<data::Owned>(&data[..9]).unwrap();
        serialize::write_message_to_words(&message)
    }

    /// A message built in memory that is used again has the same bytes as one in new memory.
    #[test]
    fn memory_that_is_used_again_does_not_show() {
        let _exclusive = EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let rounds = if cfg!(miri) { 4 } else { 40 };
        for round in 0..rounds {
            let used = vec![u8::MAX; LONG + 1000 * (round % 7) + round];
            drop(message(&used, round % 2 == 0));
            let data = vec![1; LONG + 900 * (round % 7) + round];
            let [over, not_over] = [true, false].map(|over| message(&data, over));
            drop(take_old(Duration::ZERO));
            let new = message(&data, false);
            assert!(over == new && not_over == new, "round {round}");
        }
    }

    /// Short segments are zeroed when they are kept, and few are kept.
    #[test]
    fn short_memory_that_is_used_again_does_not_show() {
        for round in 0..20 {
            for words in [16, 40, 200] {
                let mut message = new_message(words);
                let full = vec![u8::MAX; 100 + 60 * round];
                message.set_root::<data::Owned>(&full[..]).unwrap();
                drop(message);
                let mut message = new_message(words);
                message.initn_root::<List<'_>>(10 + round as u32);
                let bytes = serialize::write_message_to_words(&message);
                assert!(bytes.iter().filter(|byte| **byte != 0).count() < 16);
            }
        }
        let kept = SPARE_SHORT.with_borrow(|spare| spare.iter().map(Vec::len).collect::<Vec<_>>());
        assert!(
            (1..=MAX_SHORT.0).contains(&kept.len())
                && kept.iter().all(|words| *words <= MAX_SHORT.1)
        );
    }

    /// `overwriting` leaves only the blob itself without zeroing, and only in a segment of its own.
    #[test]
    fn what_is_not_that_blob_is_zeroed() {
        let _exclusive = EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let size = 9 * LONG;
        for _ in 0..2 {
            let mut message = new_message(16);
            message.set_root::<data::Owned>(&vec![u8::MAX; size][..]).unwrap();
        }
        let mut message = new_message(16);
        let mut list = Some(message.init_root::<capnp::any_pointer::Builder<'_>>());
        overwriting(size - 100, || {
            list.take().unwrap().initn_as::<List<'_>>(size as u32 / 8);
        });
        let segments = message.get_segments_for_output();
        let words =
            segments.iter().map(|segment| segment.iter().filter(|byte| **byte != 0).count());
        assert!(words.sum::<usize>() < 64);
    }
}
