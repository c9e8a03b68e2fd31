//! A table of a file, and a reader for it that knows which keys were asked for, so that the keys
//! that nobody asked for can be reported with the one that was probably meant.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::nearest::did_you_mean;
use super::value::{Kind, Value};
use super::{Findings, Source, Span, Spanned};

/// How many syntax errors of one file are told; more are noise from the first.
const SYNTAX_ERRORS_MAX: usize = 20;
/// The one syntax error after which the rest of the file still means what it says.
const DUPLICATE: &str = "duplicate key";
/// How many known keys a message about an unknown one lists at most.
const KEYS_LISTED_MAX: usize = 16;

/// A file whose syntax was read.
#[derive(Debug)]
pub struct Document<'s> {
    root: DeTable<'s>,
}

/// A reader of one table. Call [`Table::finish`] at the end.
#[derive(Debug)]
pub struct Table<'a> {
    raw: &'a DeTable<'a>,
    span: Span,
    label: String,
    findings: &'a Findings<'a>,
    code: &'static str,
    asked: BTreeSet<String>,
}

impl<'s> Document<'s> {
    /// Reads the syntax of a file; `None` when it cannot be relied on. Every syntax error is
    /// reported under `code`, also that the file is empty. A duplicate key is reported, and the
    /// rest is still given.
    pub fn parse(source: &'s Source, code: &str, findings: &Findings<'_>) -> Option<Self> {
        if source.text().trim().is_empty() {
            findings.error(code, Span::default(), "the file is empty");
            return None;
        }
        let (root, errors) = DeTable::parse_recoverable(source.text());
        let mut lines = BTreeSet::new();
        let mut reliable = true;
        for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
            let end = source.text().len();
            let span = error.span().map_or(Span { start: end, end }, Span::from);
            // The rest of a line that went wrong tells nothing.
            if lines.insert(findings.line(span)) {
                findings.error(code, span, sentence(source, span, error.message()));
            }
            reliable &= error.message().starts_with(DUPLICATE);
        }
        reliable.then(|| Self { root: root.into_inner() })
    }

    /// The reader of the outermost table; problems are reported under `code`.
    pub fn root<'a>(&'a self, findings: &'a Findings<'a>, code: &'static str) -> Table<'a> {
        Table {
            raw: &self.root,
            span: Span::default(),
            label: String::new(),
            findings,
            code,
            asked: BTreeSet::new(),
        }
    }
}

impl<'a> Value<'a> {
    /// A reader of the table that this value is.
    pub fn table(&self) -> Option<Table<'a>> {
        let Some(raw) = self.raw.as_table() else {
            self.wrong_kind("a table");
            return None;
        };
        let (span, label, asked) = (self.span, self.label.clone(), BTreeSet::new());
        Some(Table { raw, span, label, findings: self.findings, code: self.code, asked })
    }
}

impl<'a> Table<'a> {
    /// How messages call it: its path (`agent.coder`), empty for the outermost.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where it stands: the header, or the braces.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The code under which problems are reported.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Reports problems under another code from here on.
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }

    /// Where problems go.
    pub fn findings(&self) -> &'a Findings<'a> {
        self.findings
    }

    /// Whether it holds that key, without asking for it.
    pub fn has(&self, key: &str) -> bool {
        self.raw.contains_key(key)
    }

    /// Where a key stands; the table itself when it is not there.
    pub fn key_span(&self, key: &str) -> Span {
        self.raw.get_key_value(key).map_or(self.span, |(key, _)| key.span().into())
    }

    /// Where the value of a key stands; the table itself when it is not there.
    pub fn value_span(&self, key: &str) -> Span {
        self.raw.get(key).map_or(self.span, |value| value.span().into())
    }

    /// The value of a key, of any kind. This and every getter below counts as asking for the key,
    /// also when it is absent; each gives `None` for an absent key without a finding.
    pub fn value(&mut self, key: &str) -> Option<Value<'a>> {
        self.asked.insert(key.to_owned());
        let (key, value) = self.raw.get_key_value(key)?;
        Some(self.entry(key.span().into(), key.get_ref(), value))
    }

    /// The text of a string.
    pub fn text(&mut self, key: &str) -> Option<Spanned<String>> {
        self.value(key)?.text()
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str) -> Option<Spanned<bool>> {
        self.value(key)?.flag()
    }

    /// A whole number.
    pub fn integer(&mut self, key: &str) -> Option<Spanned<i64>> {
        self.value(key)?.integer()
    }

    /// A whole number that is not negative.
    pub fn count(&mut self, key: &str) -> Option<Spanned<u32>> {
        self.value(key)?.count()
    }

    /// A number with or without fraction.
    pub fn number(&mut self, key: &str) -> Option<Spanned<f64>> {
        self.value(key)?.number()
    }

    /// A span of time in milliseconds; the inner `None` is no limit.
    pub fn duration(&mut self, key: &str) -> Option<Spanned<Option<u64>>> {
        self.value(key)?.duration()
    }

    /// A list of strings.
    pub fn texts(&mut self, key: &str) -> Option<Vec<Spanned<String>>> {
        self.value(key)?.texts()
    }

    /// One of a set of words: `all` values and the word of each.
    pub fn word<T: Copy>(
        &mut self,
        key: &str,
        all: &[T],
        word: impl Fn(T) -> &'static str,
    ) -> Option<Spanned<T>> {
        self.value(key)?.word(all, word)
    }

    /// A table.
    pub fn table(&mut self, key: &str) -> Option<Table<'a>> {
        self.value(key)?.table()
    }

    /// An array of tables; a single table counts as one of one. Empty when absent.
    pub fn tables(&mut self, key: &str) -> Vec<Table<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        match value.kind() {
            Kind::Table => value.table().into_iter().collect(),
            Kind::Array => {
                let items = value.items().unwrap_or_default();
                items.iter().filter_map(Value::table).collect()
            }
            Kind::String | Kind::Integer | Kind::Float | Kind::Boolean | Kind::Date => {
                value.wrong_kind("a list of tables");
                Vec::new()
            }
        }
    }

    /// Every key with its value in the order of the file; all count as asked for.
    pub fn entries(&mut self) -> Vec<(Spanned<String>, Value<'a>)> {
        let mut entries: Vec<_> = self
            .raw
            .iter()
            .map(|(key, value)| {
                let span = key.span().into();
                let name = Spanned::new(key.get_ref().to_string(), span);
                (name, self.entry(span, key.get_ref(), value))
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.span);
        self.asked.extend(entries.iter().map(|(key, _)| key.value.clone()));
        entries
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self) {
        #[cfg(test)]
        super::asked::note(&self.label, &self.asked);
        let known = || self.asked.iter().map(String::as_str);
        for key in self.raw.keys().filter(|key| !self.asked.contains(key.get_ref().as_ref())) {
            let name = key.get_ref();
            let place = match self.label.as_str() {
                "" => String::new(),
                label => format!(" in `{label}`"),
            };
            let message = format!("unknown key `{name}`{place}");
            let problem = self.findings.error(self.code, key.span().into(), message);
            if let Some(help) = did_you_mean(name, known()) {
                problem.help(help);
            } else if (1..=KEYS_LISTED_MAX).contains(&self.asked.len()) {
                let known: Vec<_> = known().collect();
                problem.note(format!("known keys: {}", known.join(", ")));
            }
        }
    }

    fn entry(&self, key_span: Span, key: &str, value: &'a toml::Spanned<DeValue<'a>>) -> Value<'a> {
        let label = match self.label.as_str() {
            "" => key.to_owned(),
            label => format!("{label}.{key}"),
        };
        let span = value.span().into();
        let (findings, code) = (self.findings, self.code);
        Value { raw: value.get_ref(), span, key_span, label, findings, code }
    }
}

/// A syntax error's message in the manner of the other findings: it begins in lower case, and
/// names the key that is there twice.
fn sentence(source: &Source, span: Span, message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|first| first.to_lowercase().to_string());
    let sentence = first.unwrap_or_default() + chars.as_str();
    match source.text().get(span.start..span.end) {
        Some(key) if sentence == DUPLICATE => format!("{DUPLICATE} `{key}`"),
        Some(_) | None => sentence,
    }
}
