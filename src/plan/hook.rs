//! Reads hooks: what follows a task that succeeded, before its readers start (features N10-N12).

use super::reader::missing;
use super::text::Text;
use crate::document::{Kind, Spanned, Table};

/// The hooks that the program brings along: a gate over artifacts and tests, what was learned,
/// and how the agent does.
pub(crate) const BUILT_IN: &[&str] = &["sanity-check", "reflect", "skill-lifecycle"];

/// What follows a task that succeeded.
#[derive(Clone, Debug)]
pub(crate) struct DraftHook {
    pub(crate) run: HookRun,
    pub(crate) blocks: bool,
}

/// What a hook runs.
#[derive(Clone, Debug)]
pub(crate) enum HookRun {
    /// One of the built-in words, or an agent.
    Word(Spanned<String>),
    /// Program and arguments.
    Command(Vec<Text>),
}

/// `[[phase.task.hook]] run = "sanity-check", blocks = true`.
pub(crate) fn read(table: &mut Table<'_>) -> Vec<DraftHook> {
    table.tables("hook").into_iter().filter_map(one).collect()
}

fn one(mut table: Table<'_>) -> Option<DraftHook> {
    let findings = table.findings();
    let blocks = table.flag("blocks").is_some_and(|flag| flag.value);
    let place = table.key_span("run");
    let run = match table.value("run") {
        None => {
            missing(&table, "run");
            None
        }
        Some(value) if value.kind() == Kind::Array => value.texts().map(|words| {
            if words.is_empty() {
                findings.error("E01", place, "`run` names no program");
            }
            HookRun::Command(words.into_iter().map(|word| Text::read(word, findings)).collect())
        }),
        Some(value) => value.text().map(HookRun::Word),
    };
    table.finish();
    Some(DraftHook { run: run?, blocks })
}

impl DraftHook {
    /// Its word, which names it behind the task's id: `build!sanity-check`.
    pub(crate) fn word(&self) -> String {
        let program = match &self.run {
            HookRun::Word(word) => return word.value.clone(),
            HookRun::Command(words) => words.first().map_or("", |word| word.value.as_str()),
        };
        let name = program.rsplit('/').next().unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name: String = name.chars().filter(|c| fits(*c)).collect();
        if name.is_empty() { "hook".to_owned() } else { name }
    }
}
