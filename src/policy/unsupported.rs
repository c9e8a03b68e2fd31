//! The keys that are part of the format and that nothing acts on yet. They are refused, because a
//! policy that is silently ignored is worse than none; a value that asks for what happens anyway
//! is fine.

use crate::document::{Span, Table};

/// A key, and the one value of it that asks for nothing.
pub(super) type Unsupported = (&'static str, Option<&'static str>);

/// Keys of an agent, and of `[defaults]`.
pub(super) const OF_AGENTS: &[Unsupported] = &[("acp", None), ("price", None)];

/// Keys of `[daemon]`.
pub(super) const OF_THE_DAEMON: &[Unsupported] = &[("tmux_socket", Some("private"))];

/// Refuses those of the keys that are there.
pub(super) fn refuse(table: &mut Table<'_>, keys: &[Unsupported]) {
    for (key, harmless) in keys {
        let Some(value) = table.value(key) else { continue };
        if harmless.is_some_and(|word| value.is_text(word)) {
            continue;
        }
        report(table, value.key_span(), key);
    }
}

/// Reports one that is there.
pub(super) fn report(table: &Table<'_>, span: Span, what: &str) {
    table.findings().error("C09", span, format!("`{what}` is not supported yet"));
}
