//! A text with its name, and places in it.

use std::ops::Range;

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
}

/// Where something stands in a [`Source`], in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A value with the place it was written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

/// A place as people count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'s> {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) width: u32,
    pub(super) excerpt: &'s str,
}

impl Source {
    /// A text and the name that findings give it. A byte-order mark is dropped, so that it does
    /// not count as a character of the first line.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text: String = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Self { name: name.into(), text }
    }

    /// The name, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text, without byte-order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line, column and width of a span. A span of several lines counts up to the end of its
    /// first; one that lies outside of the text is moved to its end.
    pub(super) fn place(&self, span: Span) -> Place<'_> {
        let start = self.boundary(span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &self.text[line_start..];
        let excerpt = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let line_end = line_start + excerpt.len();
        let start = start.min(line_end);
        let end = self.boundary(span.end.clamp(start, line_end));
        Place {
            line: number(self.text[..line_start].matches('\n').count() + 1),
            column: number(self.text[line_start..start].chars().count() + 1),
            width: number(self.text[start..end].chars().count().max(1)),
            excerpt,
        }
    }

    /// The nearest border between characters at or before that byte.
    fn boundary(&self, byte: usize) -> usize {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    }
}

impl Span {
    /// Where `part` is written inside of this span, or the span itself when it is not found as it
    /// stands (because of escapes). Narrows a string to the piece that is wrong.
    pub fn narrowed(self, source: &Source, part: &str) -> Self {
        let found = source.text.get(self.start..self.end).and_then(|text| text.find(part));
        found.map_or(self, |at| Self { start: self.start + at, end: self.start + at + part.len() })
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// Another value at the same place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: change(self.value), span: self.span }
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
