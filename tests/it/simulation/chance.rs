//! Chance that repeats itself: everything random in the simulation comes from one number.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A stream of random numbers (splitmix64).
pub(super) struct Chance(u64);

impl Chance {
    /// The stream that belongs to a thing, whatever else happened before: so that an agent does
    /// the same in a world with crashes as in one without.
    pub(super) fn of(seed: u64, thing: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, thing).hash(&mut hasher);
        Self(hasher.finish())
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.number() % (high - low + 1)
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.number() % 100 < share
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.within(0, from.len() as u64 - 1);
        &from[usize::try_from(at).expect("a list fits in memory")]
    }
}
