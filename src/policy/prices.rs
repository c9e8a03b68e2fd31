//! What tokens cost (feature P2): a table of prices per million tokens, by pattern of the model's
//! name. It is only asked where a program does not tell its cost itself.

use serde::{Deserialize, Serialize};

use crate::document::{Document, Findings, Source, Table};
use crate::model::{Spent, microusd};

/// The code of what is wrong with a price.
const CODE: &str = "C16";

/// What a million tokens of a model cost, in dollars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// The model's name; `*` stands for anything.
    pub model: String,
    /// Input.
    pub input: f64,
    /// Output, reasoning included.
    pub output: f64,
    /// Input read from a cache; as other input when nobody says.
    pub cache_read: Option<f64>,
    /// Input written to a cache; as other input when nobody says.
    pub cache_write: Option<f64>,
}

impl Price {
    #[expect(clippy::cast_precision_loss, reason = "nobody uses 2^53 tokens")]
    fn of(&self, spent: &Spent) -> Option<u64> {
        let part = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
        let usd = part(spent.input, self.input)
            + part(spent.output, self.output)
            + part(spent.cache_read, self.cache_read.unwrap_or(self.input))
            + part(spent.cache_write, self.cache_write.unwrap_or(self.input));
        microusd(usd)
    }
}

/// Fills in what it cost, if the program did not tell and there is a price for its model. Of
/// several patterns that fit the most telling counts, and among those the last one.
pub fn fill_in_cost(prices: &[Price], spent: &mut Spent) {
    if spent.cost_microusd.is_some() {
        return;
    }
    let telling = |price: &&Price| price.model.chars().filter(|c| *c != '*').count();
    let fits = prices.iter().filter(|price| matches(&price.model, &spent.model));
    spent.cost_microusd = fits.max_by_key(telling).and_then(|price| price.of(spent));
}

/// Whether a name fits a pattern; only `*` is special, and a name that is not known fits nothing.
fn matches(pattern: &str, name: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

/// Reads `[prices]`; what is there comes after what was known, and so before it in rank.
pub(super) fn read_prices(root: &mut Table<'_>, prices: &mut Vec<Price>) {
    let Some(mut tables) = root.table("prices") else { return };
    for (model, value) in tables.entries() {
        let Some(mut table) = value.table() else { continue };
        let (input, output) = (dollars(&mut table, "input"), dollars(&mut table, "output"));
        let (cache_read, cache_write) =
            (dollars(&mut table, "cache_read"), dollars(&mut table, "cache_write"));
        for key in ["input", "output"].into_iter().filter(|key| !table.has(key)) {
            let message = format!("the price of `{}` has no `{key}`", model.value);
            let problem = table.findings().error(CODE, model.span, message);
            problem.help("dollars per million tokens, as in { input = 1.0, output = 5.0 }");
        }
        table.finish();
        if let (Some(input), Some(output)) = (input, output) {
            prices.retain(|known| known.model != model.value);
            prices.push(Price { model: model.value, input, output, cache_read, cache_write });
        }
    }
}

fn dollars(table: &mut Table<'_>, key: &str) -> Option<f64> {
    let price = table.number(key)?;
    if price.value.is_finite() && price.value >= 0.0 {
        return Some(price.value);
    }
    let message = format!("`{key}` is a number of dollars per million tokens");
    table.findings().error(CODE, price.span, message);
    None
}

/// Reads a file of prices over those that are known.
pub(super) fn read_price_file(source: &Source, prices: &mut Vec<Price>, findings: &Findings<'_>) {
    if source.text().lines().all(|line| matches!(line.trim().chars().next(), None | Some('#'))) {
        return;
    }
    let Some(document) = Document::parse(source, CODE, findings) else { return };
    let mut root = document.root(findings, CODE);
    read_prices(&mut root, prices);
    root.finish();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(model: &str, input: f64) -> Price {
        let (cache_read, cache_write) = (Some(0.1), None);
        Price { model: model.to_owned(), input, output: 5.0, cache_read, cache_write }
    }

    fn cost(prices: &[Price], model: &str) -> Option<u64> {
        let mut spent = Spent {
            model: model.to_owned(),
            input: 1_234,
            cache_read: 1_000,
            cache_write: 200,
            output: 56,
            ..Spent::default()
        };
        fill_in_cost(prices, &mut spent);
        spent.cost_microusd
    }

    /// Feature P2: a cost comes from the price of the model, and stays unknown without one.
    #[test]
    fn tokens_cost_what_their_model_costs() {
        let prices = [price("maker-*", 1.0), price("maker-small*", 0.5), price("*", 9.0)];
        assert_eq!(cost(&prices[..2], "maker-large-2"), Some(1_234 + 100 + 200 + 280));
        assert_eq!(cost(&prices[..2], "maker-small-2"), Some(617 + 100 + 100 + 280));
        assert_eq!(cost(&prices[..2], "other"), None);
        assert_eq!(cost(&prices, ""), None);
    }

    #[test]
    fn what_a_program_tells_itself_counts() {
        let (known, told) = (Some(7), true);
        let mut spent = Spent { cost_microusd: known, cost_reported: told, ..Spent::default() };
        fill_in_cost(&[price("*", 1.0)], &mut spent);
        assert_eq!(spent.cost_microusd, known);
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, fits) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abcd", false),
            ("*opus*", "claude-opus-4", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
