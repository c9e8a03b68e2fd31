//! The texts of a plan as they were read: templates, values with templates in them, and what is
//! said about an output.

use std::ops::Range;

use serde_json::Value as Json;

use super::reference::{Piece, Written, pieces};
use crate::document::{Findings, Source, Span, Spanned};

/// What a task's output looks like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// What the engine says about a command.
    Report,
    /// JSON of this schema.
    Json(Json),
    /// Nobody knows: it could not be read, or the kind is not supported.
    Unknown,
}

/// A value with templates in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum InputText {
    Text(Text),
    Plain(Json),
    List(Vec<InputText>),
    Table(Vec<(String, InputText)>),
}

/// Text with references, as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) span: Span,
    pub(crate) pieces: Vec<Piece>,
}

impl Text {
    /// Reads a template, and reports what in it cannot be read.
    pub(crate) fn read(text: Spanned<String>, findings: &Findings<'_>) -> Self {
        let (pieces, unreadable) = pieces(&text.value);
        let read = Self { value: text.value, span: text.span, pieces };
        for problem in unreadable {
            let written = &read.value[problem.range.clone()];
            let place = read.place(findings.source(), &problem.range);
            findings
                .error("E03", place, format!("`{written}` is not a reference: {}", problem.why))
                .help("write `$${` for the text `${`");
        }
        read
    }

    /// A text that nobody wrote, in place of something that stands there.
    pub(crate) fn made(value: String, span: Span) -> Self {
        let (pieces, _) = pieces(&value);
        Self { value, span, pieces }
    }

    /// Its references.
    pub(crate) fn references(&self) -> impl Iterator<Item = &Written> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Reference(written) => Some(written),
            Piece::Text(_) => None,
        })
    }

    /// Where a part of the value stands in the file.
    pub(crate) fn place(&self, source: &Source, part: &Range<usize>) -> Span {
        let whole = self.span.narrowed(source, &self.value);
        if whole == self.span {
            // Escapes keep the value from being found as a whole; its parts mostly have none.
            return self.span.narrowed(source, &self.value[part.clone()]);
        }
        Span { start: whole.start + part.start, end: whole.start + part.end }
    }
}

impl InputText {
    /// The reference that is the whole of it, which keeps the type of its value.
    pub(crate) fn only_reference(&self) -> Option<&Written> {
        match self {
            InputText::Text(text) => match text.pieces.as_slice() {
                [Piece::Reference(written)] => Some(written),
                _ => None,
            },
            InputText::Plain(_) | InputText::List(_) | InputText::Table(_) => None,
        }
    }

    /// Calls `each` with every text in it.
    pub(crate) fn for_each_text<'t>(&'t self, each: &mut dyn FnMut(&'t Text)) {
        match self {
            InputText::Text(text) => each(text),
            InputText::Plain(_) => {}
            InputText::List(items) => items.iter().for_each(|item| item.for_each_text(each)),
            InputText::Table(entries) => {
                entries.iter().for_each(|(_, value)| value.for_each_text(each));
            }
        }
    }
}
