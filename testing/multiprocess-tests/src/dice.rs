//! Pseudo-random choices, repeatable by their seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// A small generator of numbers (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The seed in this variable of the environment, or one that is new each time.
    ///
    /// # Panics
    /// The variable is not a number: the run would not be the one that was to be repeated.
    pub fn seed(variable: &str) -> u64 {
        match std::env::var(variable) {
            Ok(seed) => seed.parse().unwrap_or_else(|error| panic!("{variable}={seed}: {error}")),
            Err(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(1, |since| since.as_nanos() as u64 & 0xffff_ffff),
        }
    }

    /// The choices of one step of one thread. They depend neither on earlier steps nor on other
    /// threads.
    pub fn of(seed: u64, thread: usize, step: usize) -> Dice {
        let mut dice = Dice(seed);
        for part in [thread as u64, step as u64] {
            dice.0 = dice.number() ^ part;
        }
        dice
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.number() % sides.max(1)
    }

    /// The same, as an index.
    pub fn index(&mut self, count: usize) -> usize {
        self.roll(count as u64) as usize
    }

    /// True once in `often` times.
    pub fn one_in(&mut self, often: u64) -> bool {
        self.roll(often) == 0
    }

    /// Puts the items into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }

    /// Up to `most` bytes, small amounts as often as large ones.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let most = most >> self.roll(20);
        let length = self.index(most + 1);
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
