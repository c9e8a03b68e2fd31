//! What an attempt used: tokens and money (features P1, P2).

use serde::{Deserialize, Serialize};

/// Tokens and money. Kinds of tokens do not overlap: `input` is what was not read from a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// The model, as its maker names it; empty when unknown.
    pub model: String,
    /// Input tokens that were not cached.
    pub input: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache.
    pub cache_write: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Millionths of a dollar; `None` when neither the program nor the price table tells.
    pub cost_microusd: Option<u64>,
    /// Whether the program itself told the cost; otherwise it comes from the price table.
    pub cost_reported: bool,
}

impl Spent {
    /// Input and output together.
    pub const fn tokens(&self) -> u64 {
        self.tokens_in().saturating_add(self.output)
    }

    /// All input tokens.
    pub const fn tokens_in(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// Adds what another attempt used. A cost that is unknown leaves the sum at what is known.
    pub fn add(&mut self, other: &Self) {
        self.input = self.input.saturating_add(other.input);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
        self.output = self.output.saturating_add(other.output);
        self.cost_microusd = match (self.cost_microusd, other.cost_microusd) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (one, other) => one.or(other),
        };
        if self.model.is_empty() {
            self.model.clone_from(&other.model);
        }
    }
}
