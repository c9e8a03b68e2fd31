//! Reads regular expressions. Each is compiled here once, so that whoever uses it later knows that
//! it is right.

use regex::{Error, Regex};

use crate::document::{Span, Table, Value};

/// The code of what is wrong with one.
const CODE: &str = "C11";

/// The regular expression of a key; absent when it cannot be read.
pub(super) fn pattern(table: &mut Table<'_>, key: &str) -> Option<String> {
    compiled(&table.value(key)?).map(|(text, _)| text)
}

/// The same, with exactly one group.
pub(super) fn pattern_with_group(table: &mut Table<'_>, key: &str) -> Option<String> {
    let value = table.value(key)?;
    let (text, regex) = compiled(&value)?;
    // The whole match counts as a group.
    let groups = regex.captures_len() - 1;
    if groups != 1 {
        let message = format!("`{}` needs exactly one group, this one has {groups}", value.label());
        let problem = value.findings().error(CODE, value.span(), message);
        problem.help("put the part that is wanted in ( ), and others in (?: )");
        return None;
    }
    Some(text)
}

fn compiled(value: &Value<'_>) -> Option<(String, Regex)> {
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
    match Regex::new(&text) {
        Ok(regex) => return Some((text, regex)),
        Err(Error::Syntax(told)) => {
            let complaint =
                told.lines().filter_map(|line| line.strip_prefix("error: ")).next_back();
            report(place(value, &text, &told), complaint.unwrap_or("its syntax is wrong"));
        }
        Err(Error::CompiledTooBig(limit)) => {
            report(value.span(), &format!("it is larger than {limit} bytes when compiled"));
        }
        Err(other) => report(value.span(), &other.to_string()),
    }
    None
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
