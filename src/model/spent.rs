//! What an attempt used: tokens and money (features P1, P2).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::outcome::words;

words! {
    /// What a program writes about the tokens that it used, `usage = "…"`.
    UsageFormat {
        /// Whatever of the others is found.
        Auto = "auto",
        /// Claude Code, `--output-format json` or `stream-json`; Qwen Code writes the same.
        Claude = "claude",
        /// Codex, `exec --json`.
        Codex = "codex",
        /// Gemini CLI, `--output-format json` or `stream-json`.
        Gemini = "gemini",
        /// OpenCode, `run --format json`.
        OpenCode = "opencode",
        /// Nothing: its output is not looked at.
        None = "none",
    }
}

/// Nothing is looked for unless somebody says so; an agent that says nothing says `auto`.
impl Default for UsageFormat {
    fn default() -> Self {
        Self::None
    }
}

/// A report of usage that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("usage: {0}")]
pub struct BadUsage(String);

/// Tokens and money. Kinds of tokens do not overlap: `input` is what was not read from a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// The model, as its maker names it; empty when unknown.
    pub model: String,
    /// The program's own session that it was counted in; empty when unknown. Programs count on
    /// when a session is taken up again, so that the difference to what was known counts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub session: String,
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

    /// Whether it is nothing at all.
    pub const fn is_nothing(&self) -> bool {
        self.tokens() == 0 && self.cost_microusd.is_none()
    }

    /// What was added since `known`, of counters that only grow. Counters that were set back are
    /// counted from nothing.
    #[must_use]
    pub fn since(&self, known: &Self) -> Self {
        let shrank = self.input < known.input
            || self.cache_read < known.cache_read
            || self.cache_write < known.cache_write
            || self.output < known.output;
        if shrank {
            return self.clone();
        }
        let before = known.cost_microusd.filter(|_| known.cost_reported).unwrap_or(0);
        let cost = self.cost_microusd.map(|cost| cost.saturating_sub(before));
        Self {
            model: self.model.clone(),
            session: self.session.clone(),
            input: self.input - known.input,
            cache_read: self.cache_read - known.cache_read,
            cache_write: self.cache_write - known.cache_write,
            output: self.output - known.output,
            cost_microusd: cost,
            cost_reported: self.cost_reported,
        }
    }

    /// What an agent reports about itself: `{"input": 1200, "output": 56}`, and if it likes
    /// `cache_read`, `cache_write`, `reasoning` (added to `output`), `model`, `cost_usd`.
    ///
    /// # Errors
    /// When it is no such object, a number is no whole number, or nothing is in it.
    pub fn from_report(report: &Value) -> Result<Self, BadUsage> {
        let Some(fields) = report.as_object() else {
            return Err(BadUsage("an object is wanted, such as {\"input\":1200}".to_owned()));
        };
        let mut spent = Self::default();
        for (key, value) in fields {
            let wrong = |what: &str| BadUsage(format!("`{key}` is {what}, not {value}"));
            let count = || value.as_u64().ok_or_else(|| wrong("a whole number of tokens"));
            match key.as_str() {
                "input" | "input_tokens" | "tokens_in" => spent.input = count()?,
                "cache_read" | "cache_read_input_tokens" => spent.cache_read = count()?,
                "cache_write" | "cache_creation_input_tokens" => spent.cache_write = count()?,
                "output" | "output_tokens" | "tokens_out" => {
                    spent.output = spent.output.saturating_add(count()?);
                }
                "reasoning" => spent.output = spent.output.saturating_add(count()?),
                "model" => {
                    let model = value.as_str().ok_or_else(|| wrong("the name of a model"))?;
                    spent.model = model.to_owned();
                }
                "cost_usd" => {
                    let usd = value.as_f64().and_then(microusd);
                    spent.cost_microusd = Some(usd.ok_or_else(|| wrong("an amount of dollars"))?);
                    spent.cost_reported = true;
                }
                _ => return Err(BadUsage(format!("`{key}` is not known"))),
            }
        }
        if spent.is_nothing() {
            return Err(BadUsage("nothing is in it".to_owned()));
        }
        Ok(spent)
    }
}

/// Millionths of a dollar; none for what is no amount of money.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
pub fn microusd(usd: f64) -> Option<u64> {
    (usd.is_finite() && (0.0..1e9).contains(&usd)).then(|| (usd * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Feature P1: what an agent reports about itself is taken, and what means nothing is not.
    #[test]
    fn reports_are_read_or_refused() {
        let report = json!({
            "input": 10, "output": 5, "reasoning": 2, "model": "m", "cost_usd": 0.0125,
        });
        let spent = Spent::from_report(&report).unwrap();
        assert_eq!((spent.tokens_in(), spent.output, spent.model.as_str()), (10, 7, "m"));
        assert_eq!((spent.cost_microusd, spent.cost_reported), (Some(12_500), true));
        for wrong in [
            json!(5),
            json!({}),
            json!({ "input": -1 }),
            json!({ "inptu": 1 }),
            json!({ "cost_usd": "1" }),
            json!({ "cost_usd": -1.0 }),
        ] {
            assert!(Spent::from_report(&wrong).is_err(), "{wrong}");
        }
    }

    /// Feature P1: counters that go on in a session count by their difference.
    #[test]
    fn counters_that_go_on_become_differences() {
        let at = |input, output, cost| Spent {
            input,
            output,
            cost_microusd: cost,
            cost_reported: cost.is_some(),
            ..Spent::default()
        };
        assert_eq!(at(30, 9, Some(70)).since(&at(10, 4, Some(50))), at(20, 5, Some(20)));
        assert_eq!(at(5, 1, None).since(&at(10, 4, None)), at(5, 1, None));
    }
}
