//! Reads TOML files that people write, for people: every problem at once, each with its line,
//! column, excerpt and, where there is one, a suggestion.
//!
//! Pure: it is given texts. What keys mean is decided by the rooms that ask for them.
//!
//! ```text
//! Source --Document::parse--> Document --root--> Table --text, duration, ...--> Spanned<T>
//!    \                                             |
//!     '----------------- Findings <----------------'   --finish--> Vec<Finding> --render--> text
//! ```

#[cfg(test)]
pub(crate) mod asked;
mod duration;
mod findings;
mod nearest;
mod render;
mod source;
mod table;
mod value;

#[cfg(test)]
mod tests;

pub use duration::{DurationError, parse_duration, show_duration};
pub use findings::{Findings, Problem};
pub use nearest::{did_you_mean, nearest};
pub use render::{render, tally};
pub use source::{Source, Span, Spanned};
pub use table::{Document, Table};
pub use value::{Kind, Value};
