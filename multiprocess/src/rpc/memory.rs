//! The memory of messages, and what is kept of it to be used again.
//!
//! A long message costs more by the pages that the system has to find and clear for it than by the
//! copying. So the memory of long ones is kept, up to a bound, until none was needed for a second.

use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use capnp::message::{Allocator, Builder};

use crate::driver::driver;

/// A message of this side's.
pub(crate) type Message = Builder<Segments>;

/// Memory of fewer bytes is the allocator's.
const LONG: usize = 128 << 10;
/// How many bytes are kept in this process.
const MOST: usize = 64 << 20;
/// For how long after the last use.
const KEEP: Duration = Duration::from_secs(1);
/// Further segments of a message are this many words at least, and each twice the one before.
const SECOND: u32 = 128;
const LARGEST: u32 = 8192;

/// A message with room for so many words in its first segment. The memory is zeroed, so that room
/// that is not used has a price; a larger message gets further segments.
pub(crate) fn new_message(words: u32) -> Message {
    Builder::new(Segments { first: Vec::new(), more: Vec::new(), next: words })
}

/// The segments of one message that is being written.
pub(crate) struct Segments {
    first: Vec<u64>,
    more: Vec<Vec<u64>>,
    next: u32,
}

// SAFETY: 1. Memory is zeroed when it is made, and what was written is zeroed again before it is
// given away to be kept. 2. and 3. Each segment is a Vec of its own, which is owned by this from
// `allocate_segment` to `deallocate_segment` and not touched meanwhile; moving it does not move its
// memory. 4. A Vec of u64 is aligned to 8 bytes.
unsafe impl Allocator for Segments {
    fn allocate_segment(&mut self, minimum_size: u32) -> (NonNull<u8>, u32) {
        let words = minimum_size.max(self.next);
        self.next = (2 * self.next).clamp(SECOND, LARGEST);
        let segment = take_words(words as usize);
        let place = if self.first.is_empty() {
            self.first = segment;
            &mut self.first
        } else {
            self.more.push(segment);
            let last = self.more.len() - 1;
            &mut self.more[last]
        };
        let length = u32::try_from(place.len()).unwrap_or(u32::MAX);
        (NonNull::from(&mut place[..]).cast(), length)
    }

    unsafe fn deallocate_segment(&mut self, ptr: NonNull<u8>, _word_size: u32, words_used: u32) {
        let is_it = |segment: &Vec<u64>| segment.as_ptr().cast() == ptr.as_ptr().cast_const();
        let segment = if is_it(&self.first) {
            std::mem::take(&mut self.first)
        } else {
            match self.more.iter().position(is_it) {
                Some(place) => self.more.swap_remove(place),
                None => return,
            }
        };
        give_words(segment, words_used as usize);
    }
}

/// Memory that is kept.
struct Spare {
    /// Zeroed throughout.
    words: Vec<Vec<u64>>,
    /// Empty.
    bytes: Vec<Vec<u8>>,
    held: usize,
    used: Option<Instant>,
    /// The driver will look whether it is needed still.
    watched: bool,
}

static SPARE: Mutex<Spare> =
    Mutex::new(Spare { words: Vec::new(), bytes: Vec::new(), held: 0, used: None, watched: false });

fn spare() -> MutexGuard<'static, Spare> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The smallest that is large enough and not far too large.
fn fitting(sizes: impl Iterator<Item = usize>, wanted: usize) -> Option<usize> {
    let fits = |(_, size): &(usize, usize)| (wanted..=4 * wanted).contains(size);
    Some(sizes.enumerate().filter(fits).min_by_key(|(_, size)| *size)?.0)
}

fn take_words(words: usize) -> Vec<u64> {
    if 8 * words >= LONG {
        let mut spare = spare();
        if let Some(place) = fitting(spare.words.iter().map(Vec::len), words) {
            let found = spare.words.swap_remove(place);
            spare.held -= 8 * found.len();
            return found;
        }
    }
    vec![0; words]
}

fn give_words(mut segment: Vec<u64>, used: usize) {
    let size = 8 * segment.len();
    if !(LONG..=MOST / 4).contains(&size) {
        return;
    }
    let used = used.min(segment.len());
    segment[..used].fill(0);
    keep(size, |spare| spare.words.push(segment));
}

/// Memory to read a long message into, if some is kept: empty, with room for so many bytes.
pub(crate) fn take_bytes(length: usize) -> Option<Vec<u8>> {
    let mut spare = spare();
    let place = fitting(spare.bytes.iter().map(Vec::capacity), length)?;
    let found = spare.bytes.swap_remove(place);
    spare.held -= found.capacity();
    Some(found)
}

pub(super) fn give_bytes(mut bytes: Vec<u8>) {
    let size = bytes.capacity();
    if !(LONG..=MOST / 4).contains(&size) {
        return;
    }
    bytes.clear();
    keep(size, |spare| spare.bytes.push(bytes));
}

fn keep(size: usize, add: impl FnOnce(&mut Spare)) {
    let mut spare = spare();
    if spare.held + size > MOST {
        return;
    }
    add(&mut spare);
    spare.held += size;
    spare.used = Some(Instant::now());
    let watched = std::mem::replace(&mut spare.watched, true);
    drop(spare);
    if !watched {
        look_later();
    }
}

fn look_later() {
    match driver() {
        Ok(driver) => drop(driver.add_timer(Instant::now() + KEEP, Box::new(look))),
        Err(_) => clear(&mut spare()),
    }
}

/// On the driver thread.
fn look() {
    let mut spare = spare();
    if spare.used.is_some_and(|used| used.elapsed() < KEEP) {
        drop(spare);
        return look_later();
    }
    clear(&mut spare);
}

fn clear(spare: &mut Spare) {
    (spare.words, spare.bytes, spare.held, spare.watched) = (Vec::new(), Vec::new(), 0, false);
}

#[cfg(test)]
mod tests {
    use super::{LONG, new_message, spare};

    /// The builder relies on it.
    #[test]
    fn memory_that_is_used_again_is_zeroed() {
        for round in 0..10_usize {
            let mut message = new_message(16);
            let data = vec![u8::MAX; LONG + 1000 * round];
            message.set_root::<capnp::data::Owned>(&data[..]).unwrap();
            drop(message);
            assert!(spare().words.iter().flatten().all(|word| *word == 0));
        }
    }
}
