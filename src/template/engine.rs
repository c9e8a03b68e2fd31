//! Fills in texts: the only file that knows the template engine. A text sees the values it is
//! given and nothing else: no file, no clock, no other text; what a value says is never looked at
//! again.

use std::collections::BTreeSet;
use std::io::{self, Write};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use serde_json::Value as Json;

/// The longest text that may come of one; a prompt has a few kilobytes.
pub const BYTES_MAX: usize = 1 << 20;
/// How many steps one may take: a loop over a large table ends long before.
const STEPS_MAX: u64 = 5_000_000;

/// Why a text cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// It cannot be read, or names something that is not there.
    #[error("{message}")]
    Text {
        /// What is wrong.
        message: String,
        /// The line of the text, from 1, where that is known.
        line: Option<usize>,
    },
    /// Too much came of it.
    #[error("it grows beyond {} KiB", BYTES_MAX >> 10)]
    TooLong,
    /// It never ends, or as good as.
    #[error("it takes too many steps")]
    TooSlow,
}

/// Fills in a text in the language of Jinja: `{{ name }}`, `{% for x in list %}`. `values` is a
/// table; a name that is not in it is an error. Nothing is escaped.
///
/// # Errors
/// What is wrong with the text, or that it grows too large.
pub fn fill(text: &str, values: &Json) -> Result<String, FillError> {
    let environment = environment();
    let template = environment.template_from_str(text).map_err(told)?;
    let mut out = Bounded::default();
    template.render_captured_to(Value::from(Serde(values)), &mut out).map(drop).map_err(
        |error| {
            if out_of_space(&error) { FillError::TooLong } else { told(error) }
        },
    )?;
    Ok(String::from_utf8_lossy(&out.text).into_owned())
}

/// The names that a text asks for, without those that the language itself has.
///
/// # Errors
/// That it cannot be read.
pub(super) fn names(text: &str) -> Result<BTreeSet<String>, FillError> {
    let environment = environment();
    let template = environment.template_from_str(text).map_err(told)?;
    let own: BTreeSet<&str> = environment.globals().map(|(name, _)| name).collect();
    let asked = template.undeclared_variables(false);
    Ok(asked.into_iter().filter(|name| !own.contains(name.as_str())).collect())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(STEPS_MAX));
    // A line that holds a block only leaves no line behind.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
    environment
}

fn told(error: minijinja::Error) -> FillError {
    if error.kind() == ErrorKind::OutOfFuel {
        return FillError::TooSlow;
    }
    let kind = error.kind();
    let message = match error.detail() {
        Some(detail) if kind == ErrorKind::SyntaxError => detail.to_owned(),
        Some(detail) => format!("{kind}: {detail}"),
        None => kind.to_string(),
    };
    FillError::Text { message, line: error.line() }
}

fn out_of_space(error: &minijinja::Error) -> bool {
    error.kind() == ErrorKind::WriteFailure
}

/// A text that refuses to grow beyond its limit.
#[derive(Default)]
struct Bounded {
    text: Vec<u8>,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > BYTES_MAX {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
