//! Reads signals and exit statuses.

use crate::document::{Kind, Table, Value, did_you_mean};
use crate::model::{signal_name, signal_number};

/// Codes and signal numbers.
#[derive(Debug, Default)]
pub(super) struct Statuses {
    pub(super) codes: Vec<i32>,
    pub(super) signals: Vec<i32>,
}

/// The name of a signal, as `SIGTERM`, whichever way it was written.
pub(super) fn signal(table: &mut Table<'_>, key: &str) -> Option<String> {
    let value = table.value(key)?;
    let name = value.text()?.value;
    signal_of(&value, &name).map(signal_name)
}

/// A list of exit codes (`3`) and signals (`"SIGTERM"`), as systemd has it.
pub(super) fn statuses(table: &mut Table<'_>, key: &str) -> Option<Statuses> {
    let value = table.value(key)?;
    if value.kind() != Kind::Array {
        value.wrong_kind("a list of exit codes and signals").help(format!("write `{key} = [3]`"));
        return None;
    }
    let mut statuses = Statuses::default();
    for item in value.items()? {
        match item.kind() {
            Kind::Integer => statuses.codes.extend(code_of(&item)),
            Kind::String => {
                let name = item.text()?.value;
                statuses.signals.extend(signal_of(&item, &name));
            }
            Kind::Float | Kind::Boolean | Kind::Date | Kind::Array | Kind::Table => {
                item.wrong_kind("an exit code or the name of a signal");
            }
        }
    }
    Some(statuses)
}

fn code_of(item: &Value<'_>) -> Option<i32> {
    let code = item.integer()?.value;
    let fits = i32::try_from(code).ok().filter(|code| (0..=255).contains(code));
    if fits.is_none() {
        let message =
            format!("`{}`: an exit code lies between 0 and 255, not {code}", item.label());
        item.findings().error("C05", item.span(), message);
    }
    fits
}

fn signal_of(value: &Value<'_>, name: &str) -> Option<i32> {
    let plain_number = name.parse::<i64>().is_ok();
    let number = signal_number(name).filter(|_| !plain_number);
    if number.is_none() {
        let message = format!("`{}`: there is no signal `{name}`", value.label());
        let problem = value.findings().error("C05", value.span(), message);
        problem.maybe_help(if plain_number {
            Some("name it, like \"SIGTERM\"; an exit code has no quotes".to_owned())
        } else {
            meant_signal(name)
        });
    }
    number
}

fn meant_signal(name: &str) -> Option<String> {
    let upper = name.to_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    let known: Vec<_> = (1..=31).map(signal_name).collect();
    did_you_mean(&full, known.iter().map(String::as_str))
}
