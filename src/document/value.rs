//! One value of a file, with its place, and its conversion to what a reader asks for.

use serde_json::{Map, Number, Value as Json};
use toml::de::{DeInteger, DeValue};

use super::duration::parse_duration;
use super::nearest::did_you_mean;
use super::{Findings, Problem, Span, Spanned};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `"text"`.
    String,
    /// `12`.
    Integer,
    /// `1.5`.
    Float,
    /// `true`.
    Boolean,
    /// `2026-11-21`.
    Date,
    /// `[1, 2]`, or an array of tables.
    Array,
    /// `{ a = 1 }`, or `[table]`.
    Table,
}

/// A value of any kind. Its conversions report a finding and give `None` when it is of another
/// kind than asked for.
#[derive(Clone, Debug)]
pub struct Value<'a> {
    pub(super) raw: &'a DeValue<'a>,
    pub(super) span: Span,
    pub(super) key_span: Span,
    pub(super) label: String,
    pub(super) findings: &'a Findings<'a>,
    pub(super) code: &'static str,
}

impl Kind {
    /// With its article, as messages name it.
    pub const fn with_article(self) -> &'static str {
        match self {
            Kind::String => "a string",
            Kind::Integer => "an integer",
            Kind::Float => "a float",
            Kind::Boolean => "a boolean",
            Kind::Date => "a date",
            Kind::Array => "a list",
            Kind::Table => "a table",
        }
    }
}

impl<'a> Value<'a> {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self.raw {
            DeValue::String(_) => Kind::String,
            DeValue::Integer(_) => Kind::Integer,
            DeValue::Float(_) => Kind::Float,
            DeValue::Boolean(_) => Kind::Boolean,
            DeValue::Datetime(_) => Kind::Date,
            DeValue::Array(_) => Kind::Array,
            DeValue::Table(_) => Kind::Table,
        }
    }

    /// Where the value stands.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Where its key stands; for an item of a list, where the item stands.
    pub fn key_span(&self) -> Span {
        self.key_span
    }

    /// How messages call it: the key, or the key and the item's number.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where problems go.
    pub fn findings(&self) -> &'a Findings<'a> {
        self.findings
    }

    /// Whether it is exactly that string; never a finding.
    pub fn is_text(&self, text: &str) -> bool {
        self.raw.as_str() == Some(text)
    }

    /// Reports that it is of the wrong kind: `` `model`: expected a string, found an integer``.
    pub fn wrong_kind(&self, expected: &str) -> Problem<'a> {
        let found = self.kind().with_article();
        self.error(format!("`{}`: expected {expected}, found {found}", self.label))
    }

    /// Reports a problem at the value, with the code of its reader.
    pub fn error(&self, message: impl Into<String>) -> Problem<'a> {
        self.findings.error(self.code, self.span, message)
    }

    /// The text of a string.
    pub fn text(&self) -> Option<Spanned<String>> {
        match self.raw.as_str() {
            Some(text) => Some(self.at(text.to_owned())),
            None => self.refuse("a string"),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self) -> Option<Spanned<bool>> {
        match self.raw.as_bool() {
            Some(flag) => Some(self.at(flag)),
            None => self.refuse("true or false"),
        }
    }

    /// A whole number.
    pub fn integer(&self) -> Option<Spanned<i64>> {
        let Some(integer) = self.raw.as_integer() else { return self.refuse("an integer") };
        let value = whole(integer);
        if value.is_none() {
            self.error(format!("`{}` does not fit in 64 bits", self.label));
        }
        value.map(|value| self.at(value))
    }

    /// A whole number that is not negative.
    pub fn count(&self) -> Option<Spanned<u32>> {
        let value = self.integer()?.value;
        let count = u32::try_from(value).ok();
        if count.is_none() {
            self.error(format!("`{}` must be between 0 and {}, not {value}", self.label, u32::MAX));
        }
        count.map(|count| self.at(count))
    }

    /// A number, with or without fraction; not infinite, not NaN.
    pub fn number(&self) -> Option<Spanned<f64>> {
        let text = match self.raw {
            DeValue::Float(float) => float.as_str(),
            #[expect(clippy::cast_precision_loss, reason = "a setting needs no 53 bits")]
            DeValue::Integer(_) => return self.integer().map(|n| n.map(|n| n as f64)),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => return self.refuse("a number"),
        };
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        if number.is_none() {
            self.error(format!("`{}` must be a finite number, not {text}", self.label));
        }
        number.map(|number| self.at(number))
    }

    /// A span of time in milliseconds; the inner `None` is no limit.
    pub fn duration(&self) -> Option<Spanned<Option<u64>>> {
        const EXPECTED: &str = "a span of time such as \"90s\"";
        if let DeValue::Integer(number) = self.raw {
            self.wrong_kind(EXPECTED)
                .help(format!("did you mean `\"{number}ms\"` or `\"{number}s\"`?"));
            return None;
        }
        let Some(text) = self.raw.as_str() else { return self.refuse(EXPECTED) };
        match parse_duration(text) {
            Ok(ms) => Some(self.at(ms)),
            Err(error) => {
                self.error(format!("`{}`: the span of time `{text}` {error}", self.label))
                    .help("write it like \"250ms\", \"90s\", \"1h30m\" or \"infinity\"");
                None
            }
        }
    }

    /// One of a set of words.
    pub fn word<T: Copy>(&self, all: &[T], word: impl Fn(T) -> &'static str) -> Option<Spanned<T>> {
        let text = self.text()?.value;
        let found = all.iter().copied().find(|value| word(*value) == text);
        if found.is_none() {
            let words: Vec<_> = all.iter().map(|value| word(*value)).collect();
            let known: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            self.error(format!("`{}`: `{text}` is none of {}", self.label, known.join(", ")))
                .maybe_help(did_you_mean(&text, words));
        }
        found.map(|value| self.at(value))
    }

    /// The items of a list.
    pub fn items(&self) -> Option<Vec<Value<'a>>> {
        let Some(array) = self.raw.as_array() else { return self.refuse("a list") };
        Some(array.iter().enumerate().map(|(at, item)| self.item(at, item)).collect())
    }

    /// A list of strings; items of another kind are reported, each.
    pub fn texts(&self) -> Option<Vec<Spanned<String>>> {
        if self.kind() != Kind::Array {
            return self.refuse("a list of strings");
        }
        // Every item is looked at before the first failure counts.
        let read: Vec<_> = self.items()?.iter().map(Value::text).collect();
        read.into_iter().collect()
    }

    /// The same as JSON. Dates become strings, and so do `inf` and `nan`.
    pub fn json(&self) -> Json {
        json(self.raw)
    }

    fn item(&self, at: usize, item: &'a toml::Spanned<DeValue<'a>>) -> Value<'a> {
        let span = item.span().into();
        let label = format!("{}[{at}]", self.label);
        Value { raw: item.get_ref(), span, key_span: span, label, ..self.clone() }
    }

    fn at<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(value, self.span)
    }

    fn refuse<T>(&self, expected: &str) -> Option<T> {
        self.wrong_kind(expected);
        None
    }
}

fn whole(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::String(text.to_string()),
        DeValue::Integer(integer) => whole(integer).map_or_else(
            || Json::String(integer.to_string()),
            |number| Json::Number(number.into()),
        ),
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(|| Json::String(float.to_string()), Json::Number),
        DeValue::Boolean(flag) => Json::Bool(*flag),
        DeValue::Datetime(date) => Json::String(date.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<_>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                (key.to_string(), json(value.get_ref()))
            };
            Json::Object(table.iter().map(entry).collect::<Map<_, _>>())
        }
    }
}
