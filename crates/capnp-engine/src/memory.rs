//! The memory of messages that are written.

use std::cell::Cell;
use std::ptr::NonNull;

use capnp::message::{Allocator, Builder};

/// A message that this side writes.
pub type Message = Builder<Segments>;

const WORD: usize = size_of::<u64>();
/// Further segments have at least this many words, and each has twice as many as the one before.
const SECOND: u32 = 128;
const LARGEST: u32 = 8192;
/// For fewer bytes than this, zeroing costs less than the check.
const LONG: usize = 128 << 10;

/// The source of memory for messages, which also gets the memory back.
pub trait Pool: Sync {
    /// Memory of at least `words` words, all zero. The `overwritten` words after the first may have
    /// any value: they are written before they are read.
    fn take(&self, words: usize, overwritten: usize) -> Vec<u64>;

    /// Takes back memory. Only its first `used` words may be non-zero.
    fn give(&self, segment: Vec<u64>, used: usize);
}

/// Takes memory from the global allocator.
#[derive(Debug, Clone, Copy)]
pub struct Heap;

impl Pool for Heap {
    fn take(&self, words: usize, _overwritten: usize) -> Vec<u64> {
        zeroed(words)
    }

    fn give(&self, _segment: Vec<u64>, _used: usize) {}
}

/// For fewer bytes than this it is not asked first whether there is memory.
const ASKED: usize = 64 << 10;

/// There is no memory for a message that is written.
///
/// This is what a thread unwinds with, as the code that writes messages has no other way out: who runs such code
/// catches it, and reports it as an error of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoMemory {
    /// What was asked for.
    pub bytes: usize,
}

/// Memory of so many words, all zero, for a [`Pool`].
///
/// # Panics
/// There is no memory for it, and it is 64 KiB or more: unwinds with [`NoMemory`]. Where there is none for less,
/// the process is aborted, as it is for any small allocation.
pub fn zeroed(words: usize) -> Vec<u64> {
    let bytes = words.saturating_mul(WORD);
    // Asked for and given back: zeroed memory that may be refused is not to be had without `unsafe`. It costs
    // little beside writing so much.
    if bytes >= ASKED && Vec::<u64>::new().try_reserve_exact(words).is_err() {
        std::panic::resume_unwind(Box::new(NoMemory { bytes }));
    }
    vec![0; words]
}

/// A message whose first segment has `words` words. All of them are zeroed, so room that is not
/// used costs time; a larger message gets further segments.
pub fn new_message(pool: &'static dyn Pool, words: u32) -> Message {
    Builder::new(Segments { pool, first: Vec::new(), more: None, next: words })
}

thread_local! {
    /// The number of bytes that this thread is writing within [`overwriting`].
    static OVERWRITING: Cell<usize> = const { Cell::new(0) };
}

/// Sets a pointer of a message to a blob of `bytes` bytes. If the blob gets a segment of its own,
/// the memory that `set` overwrites need not be zeroed. `set` must set exactly one blob,
/// completely, and nothing else.
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
    /// Further segments. Most messages have none: boxed, so that the struct is small.
    more: Option<Box<Further>>,
    next: u32,
}

opaque!(Segments, impl std::fmt::Debug for Segments);

#[derive(Default)]
struct Further(Vec<Vec<u64>>);

// Each segment is a Vec of its own, owned by this from `allocate_segment` to `deallocate_segment`;
// moving the Vec does not move its memory. A pool gives zeroed memory, except for the content of a
// long blob: these words have arbitrary values until they are overwritten, which happens before
// anything else is done with the message (see `overwriting`). A pool that breaks this contract
// makes wrong messages, but no undefined behaviour.
//
// SAFETY: 1. zeroed, or initialised and written over before it is read; 2. and 3. owned and not
// touched by others meanwhile; 4. a Vec of u64 is aligned to 8 bytes. All as said above.
unsafe impl Allocator for Segments {
    fn allocate_segment(&mut self, minimum_size: u32) -> (NonNull<u8>, u32) {
        let words = minimum_size.max(self.next) as usize;
        self.next = (2 * self.next).clamp(SECOND, LARGEST);
        let blob = OVERWRITING.take();
        // The blob and the pointer to it, which comes before the blob.
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
