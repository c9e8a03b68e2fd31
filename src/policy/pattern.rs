//! Reads regular expressions. Each is read here once, so that whoever uses it later knows that it is
//! right.
//!
//! Reading one is cheap, building its automaton is not (a class like `\w` has hundreds of ranges),
//! and every command that looks at the configuration would do it for each rule of every agent. So
//! only what may be too large is built here.

use regex::{Error, Regex};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::document::{Span, Table, Value};

/// The code of what is wrong with one.
const CODE: &str = "C11";

/// Up to this weight none is too large: the limit of the `regex` crate lies some ten times higher.
const WEIGHT_SAFE: usize = 10_000;

/// The regular expression of a key; absent when it cannot be read.
pub(super) fn pattern(table: &mut Table<'_>, key: &str) -> Option<String> {
    read(&table.value(key)?).map(|(text, _)| text)
}

/// The same, with exactly one group.
pub(super) fn pattern_with_group(table: &mut Table<'_>, key: &str) -> Option<String> {
    let value = table.value(key)?;
    let (text, syntax) = read(&value)?;
    let groups = syntax.properties().explicit_captures_len();
    if groups != 1 {
        let message = format!("`{}` needs exactly one group, this one has {groups}", value.label());
        let problem = value.findings().error(CODE, value.span(), message);
        problem.help("put the part that is wanted in ( ), and others in (?: )");
        return None;
    }
    Some(text)
}

fn read(value: &Value<'_>) -> Option<(String, Hir)> {
    let text = value.text()?.value;
    let report = |span: Span, complaint: &str| {
        let message = format!("`{}` is no regular expression: {complaint}", value.label());
        value.findings().error(CODE, span, message);
    };
    if text.is_empty() {
        let message = format!("`{}` is empty, which matches everything", value.label());
        value.findings().error(CODE, value.span(), message);
        return None;
    }
    let syntax = match regex_syntax::parse(&text) {
        Ok(syntax) => syntax,
        Err(error) => {
            let told = error.to_string();
            let complaint =
                told.lines().filter_map(|line| line.strip_prefix("error: ")).next_back();
            report(place(value, &text, &told), complaint.unwrap_or("its syntax is wrong"));
            return None;
        }
    };
    if weight(&syntax) > WEIGHT_SAFE {
        match Regex::new(&text) {
            Ok(_) => {}
            Err(Error::CompiledTooBig(limit)) => {
                report(value.span(), &format!("it is larger than {limit} bytes when compiled"));
                return None;
            }
            Err(other) => {
                report(value.span(), &other.to_string());
                return None;
            }
        }
    }
    Some((text, syntax))
}

/// About how many states its automaton has.
fn weight(syntax: &Hir) -> usize {
    let all = |parts: &[Hir]| parts.iter().map(weight).fold(0, usize::saturating_add);
    match syntax.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => class.ranges().len().max(1),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len().max(1),
        HirKind::Capture(capture) => weight(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => all(parts),
        HirKind::Repetition(again) => {
            let times = again.max.unwrap_or(again.min).max(1);
            weight(&again.sub).saturating_mul(times as usize)
        }
    }
}

/// Where inside of the value the crate's caret points, as far as that can be told: the text must
/// stand in the file as it is, without escapes, and be one line.
fn place(value: &Value<'_>, text: &str, told: &str) -> Span {
    let whole = value.span();
    let inner = whole.narrowed(value.findings().source(), text);
    if inner == whole || text.contains('\n') {
        return whole;
    }
    // The caret stands below the pattern, which is shown behind four spaces.
    let below = |line: &&str| line.trim_start().starts_with('^');
    let Some(line) = told.lines().find(below) else { return inner };
    let skip = line.find('^').unwrap_or_default().saturating_sub(4);
    let width = line.trim().chars().take_while(|c| *c == '^').count();
    let byte = |chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    Span { start: inner.start + byte(skip), end: inner.start + byte(skip + width) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is not built when it is read can be built when it is needed. The ranges here are those
    /// that need the most states.
    #[test]
    fn what_counts_as_light_is_light() {
        let wide = r"[\x{80}-\x{10FFFF}]";
        for text in [
            format!("{wide}{{9990}}"),
            format!("(?:{wide}|x){{4900}}"),
            format!("{wide}{{0,9990}}"),
            r"(?:[a&&b]{90}){100}".to_owned(),
            r"(?:(?:){99}){99}".to_owned(),
            r"\w{12}".to_owned(),
            "(?i)k{3000}".to_owned(),
        ] {
            let syntax = regex_syntax::parse(&text).unwrap();
            assert!(weight(&syntax) <= WEIGHT_SAFE, "{text} weighs {}", weight(&syntax));
            assert!(Regex::new(&text).is_ok(), "{text} weighs {}", weight(&syntax));
        }
    }
}
