//! `template`: text by a template of the plan's author. What agents gave is data in it; a brace
//! in a value means nothing.

use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value as Seen};
use serde_json::{Map, Value, json};

use super::entries::Entry;

/// The longest text that may come of one: as long as the largest result.
const BYTES_MAX: usize = 8 << 20;
/// How many steps one may take: a loop over a large table ends long before.
const STEPS_MAX: u64 = 20_000_000;

/// Fills in the template. It sees `from`, `entries` (each with `name` and `value`) and the inputs
/// of the task; no file, no clock.
pub(super) fn fill(
    text: &str,
    from: Value,
    entries: &[Entry],
    inputs: Map<String, Value>,
) -> Result<String, String> {
    let mut values = inputs;
    let named = |entry: &Entry| json!({ "name": entry.name, "value": entry.value });
    values.insert("entries".to_owned(), entries.iter().map(named).collect());
    values.insert("from".to_owned(), from);
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(STEPS_MAX));
    let template = environment.template_from_str(text).map_err(|error| told(&error))?;
    let mut out = Bounded::default();
    let values = Value::Object(values);
    let filled = template.render_captured_to(Seen::from(Serde(&values)), &mut out);
    filled.map(drop).map_err(|error| told(&error))?;
    Ok(String::from_utf8_lossy(&out.text).into_owned())
}

fn told(error: &minijinja::Error) -> String {
    let place = error.line().map_or(String::new(), |line| format!(" in line {line}"));
    let kind = error.kind();
    if kind == ErrorKind::OutOfFuel {
        return "the template takes too many steps".to_owned();
    }
    if kind == ErrorKind::WriteFailure {
        return format!("the text of the template grows beyond {} MiB", BYTES_MAX >> 20);
    }
    let detail = error.detail().map_or(String::new(), |detail| format!(": {detail}"));
    format!("the template cannot be filled in{place}: {kind}{detail}")
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
