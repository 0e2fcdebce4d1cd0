//! The memory of messages that are being written.

use std::cell::Cell;
use std::ptr::NonNull;

use capnp::message::{Allocator, Builder};

/// A message of this side's.
pub type Message = Builder<Segments>;

const WORD: usize = size_of::<u64>();
/// Further segments of a message are this many words at least, and each twice the one before.
const SECOND: u32 = 128;
const LARGEST: u32 = 8192;
/// For fewer bytes zeroing costs less than asking.
const LONG: usize = 128 << 10;

/// Where messages get their memory from, and give it back to.
pub trait Pool: Sync {
    /// Memory of so many words or more, all zero; but of the words after the first, `overwritten` are
    /// written over before they are read, and may be anything.
    fn take(&self, words: usize, overwritten: usize) -> Vec<u64>;

    /// Memory that is not needed any more, of whose words so many may not be zero.
    fn give(&self, segment: Vec<u64>, used: usize);
}

/// The allocator's memory.
#[derive(Debug, Clone, Copy)]
pub struct Heap;

impl Pool for Heap {
    fn take(&self, words: usize, _overwritten: usize) -> Vec<u64> {
        vec![0; words]
    }

    fn give(&self, _segment: Vec<u64>, _used: usize) {}
}

/// A message with room for so many words in its first segment. Room that is not used has a price, as
/// the memory is zeroed; a larger message gets further segments.
pub fn new_message(pool: &'static dyn Pool, words: u32) -> Message {
    Builder::new(Segments { pool, first: Vec::new(), more: None, next: words })
}

thread_local! {
    /// How many bytes this thread is writing by [`overwriting`].
    static OVERWRITING: Cell<usize> = const { Cell::new(0) };
}

/// Sets a pointer of a message of this side's to so many bytes. If they get a segment of their own,
/// its memory need not be zeroed where `set` writes them: it must set one blob, whole, and nothing
/// else.
pub fn overwriting(bytes: usize, set: impl FnOnce()) {
    struct Reset;

    impl Drop for Reset {
        fn drop(&mut self) {
            OVERWRITING.set(0);
        }
    }

    if bytes < LONG {
        return set();
    }
    let _reset = Reset;
    OVERWRITING.set(bytes);
    set();
}

/// The segments of one message that is being written.
pub struct Segments {
    pool: &'static dyn Pool,
    first: Vec<u64>,
    /// Most messages have no further ones: apart, so that the rest is small.
    more: Option<Box<Further>>,
    next: u32,
}

#[derive(Default)]
struct Further(Vec<Vec<u64>>);

// Each segment is a Vec of its own, owned by this from `allocate_segment` to `deallocate_segment`;
// moving the Vec does not move its memory. A pool gives zeroed memory, but for the content of a long
// blob: that is numbers that mean nothing until they are written over, before anything else is done
// with the message (see `overwriting`). A pool that gives other numbers makes wrong messages, and
// nothing worse.
//
// SAFETY: 1. zeroed, or initialised and written over before it is read; 2. and 3. owned and not
// touched by others meanwhile; 4. a Vec of u64 is aligned to 8 bytes. All as said above.
unsafe impl Allocator for Segments {
    fn allocate_segment(&mut self, minimum_size: u32) -> (NonNull<u8>, u32) {
        let words = minimum_size.max(self.next) as usize;
        self.next = (2 * self.next).clamp(SECOND, LARGEST);
        let blob = OVERWRITING.take();
        // The blob and the pointer before it, which leads to it.
        let alone = minimum_size as usize == blob.div_ceil(WORD) + 1;
        let mut segment = self.pool.take(words, if alone { blob / WORD } else { 0 });
        if segment.len() < words {
            segment.resize(words, 0);
        }
        let place = if self.first.is_empty() {
            self.first = segment;
            &mut self.first
        } else {
            let Further(more) = &mut **self.more.get_or_insert_default();
            more.push(segment);
            let last = more.len() - 1;
            &mut more[last]
        };
        let length = u32::try_from(place.len()).unwrap_or(u32::MAX);
        (NonNull::from(&mut place[..]).cast(), length)
    }

    // SAFETY: it relies on nothing of the caller's: memory that is no segment of this is left alone.
    unsafe fn deallocate_segment(&mut self, ptr: NonNull<u8>, _word_size: u32, words_used: u32) {
        let is_it = |segment: &Vec<u64>| segment.as_ptr().cast() == ptr.as_ptr().cast_const();
        let segment = if is_it(&self.first) {
            std::mem::take(&mut self.first)
        } else {
            let Some(Further(more)) = self.more.as_deref_mut() else { return };
            match more.iter().position(is_it) {
                Some(place) => more.swap_remove(place),
                None => return,
            }
        };
        let used = (words_used as usize).min(segment.len());
        self.pool.give(segment, used);
    }
}
