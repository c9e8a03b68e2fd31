//! The figures of all rounds, and how they are shown.

use std::collections::BTreeMap;
use std::fmt;

/// What is measured: its name, unit, bar, and the figure that it is divided by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// What it should be at most, for people; may speak of the floor.
    pub(crate) bar: &'static str,
    /// The name of another figure.
    pub(crate) floor: Option<&'static str>,
}

/// All values of all figures, in the order in which figures were first noted.
#[derive(Debug, Default)]
pub(crate) struct Table {
    figures: Vec<Figure>,
    values: BTreeMap<&'static str, Vec<f64>>,
}

impl Table {
    /// Notes values of one round.
    pub(crate) fn note(&mut self, figure: Figure, values: impl IntoIterator<Item = f64>) {
        if !self.values.contains_key(figure.name) {
            self.figures.push(figure);
        }
        self.values.entry(figure.name).or_default().extend(values);
    }

    fn median(&self, name: &str) -> Option<f64> {
        self.values.get(name).and_then(|values| quantile(values, 0.5))
    }
}

/// The value below which that share of all values lies.
fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index of a short list"
    )]
    let at = (last as f64 * share).round() as usize;
    Some(sorted[at])
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | median | p99 | min–max | n | ÷ floor | bar |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for Figure { name, unit, bar, floor } in &self.figures {
            let values = &self.values[name];
            let at = |share| quantile(values, share).unwrap_or(f64::NAN);
            let ratio = floor.and_then(|floor| Some(at(0.5) / self.median(floor)?));
            let ratio =
                ratio.map_or(String::new(), |ratio| format!("{ratio:.2} × {}", floor.unwrap()));
            let (median, high, low, top) = (at(0.5), at(0.99), at(0.0), at(1.0));
            let n = values.len();
            writeln!(
                f,
                "| {name} | {median:.2} {unit} | {high:.2} | {low:.2}–{top:.2} | {n} | {ratio} | {bar} |"
            )?;
        }
        Ok(())
    }
}
