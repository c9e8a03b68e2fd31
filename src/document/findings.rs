//! Collects the problems of one file.

use std::cell::{Cell, RefCell};

use crate::model::{Finding, Severity};

use super::{Source, Span};

/// How many problems of one file are told; a file with more is not what it was meant to be.
const FINDINGS_MAX: usize = 500;

/// The problems of one file, in the making. It is shared by reference, because many readers of
/// one file report into it.
#[derive(Debug)]
pub struct Findings<'s> {
    source: &'s Source,
    found: RefCell<Vec<Finding>>,
    errors_left_out: Cell<bool>,
}

/// A problem that was just reported, to say more about it.
#[derive(Debug)]
pub struct Problem<'f> {
    found: &'f RefCell<Vec<Finding>>,
    /// `None` for one too many, which is not kept.
    index: Option<usize>,
}

impl<'s> Findings<'s> {
    /// No problems yet.
    pub fn new(source: &'s Source) -> Self {
        Self { source, found: RefCell::default(), errors_left_out: Cell::new(false) }
    }

    /// The file.
    pub fn source(&self) -> &'s Source {
        self.source
    }

    /// Reports a problem that stops the work; one sentence without a full stop.
    pub fn error(&self, code: &str, span: Span, message: impl Into<String>) -> Problem<'_> {
        self.report(Severity::Error, code, span, message.into())
    }

    /// Reports a problem that does not stop the work.
    pub fn warning(&self, code: &str, span: Span, message: impl Into<String>) -> Problem<'_> {
        self.report(Severity::Warning, code, span, message.into())
    }

    /// Takes over a finding made elsewhere, e.g. about another file.
    pub fn push(&self, finding: Finding) {
        self.found.borrow_mut().push(finding);
    }

    /// Whether anything stops the work.
    pub fn has_errors(&self) -> bool {
        let kept = self.found.borrow();
        self.errors_left_out.get() || kept.iter().any(|f| f.severity == Severity::Error)
    }

    /// How many problems were reported so far.
    pub fn len(&self) -> usize {
        self.found.borrow().len()
    }

    /// Whether no problem was reported so far.
    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// All problems in the order of the file; the same problem is told once.
    pub fn finish(self) -> Vec<Finding> {
        let mut found = self.found.into_inner();
        found.sort_by(|a, b| {
            let key = |f: &Finding| (f.file != self.source.name(), f.line, f.column);
            let other = || a.file.cmp(&b.file);
            let (one, two) = (key(a), key(b));
            one.0.cmp(&two.0).then_with(other).then(one.cmp(&two)).then_with(|| a.code.cmp(&b.code))
        });
        found.dedup();
        found
    }

    /// The line (from 1) that a span starts on, for notes.
    pub fn line(&self, span: Span) -> u32 {
        self.source.place(span).line
    }

    fn report(&self, severity: Severity, code: &str, span: Span, message: String) -> Problem<'_> {
        let mut found = self.found.borrow_mut();
        if found.len() >= FINDINGS_MAX {
            self.errors_left_out.set(self.errors_left_out.get() || severity == Severity::Error);
            return Problem { found: &self.found, index: None };
        }
        let place = self.source.place(span);
        found.push(Finding {
            code: code.to_owned(),
            severity,
            message,
            file: self.source.name().to_owned(),
            line: place.line,
            column: place.column,
            width: place.width,
            end: place.column.saturating_add(place.width),
            excerpt: place.excerpt.to_owned(),
            help: None,
            notes: Vec::new(),
        });
        Problem { found: &self.found, index: Some(found.len() - 1) }
    }
}

impl Problem<'_> {
    /// Adds what is said behind the caret.
    pub fn help(self, help: impl Into<String>) -> Self {
        self.edit(|finding| finding.help = Some(help.into()));
        self
    }

    /// Adds what is said behind the caret, if there is anything to say.
    pub fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// Adds a line below.
    pub fn note(self, note: impl Into<String>) -> Self {
        self.edit(|finding| finding.notes.push(note.into()));
        self
    }

    fn edit(&self, change: impl FnOnce(&mut Finding)) {
        if let Some(index) = self.index {
            change(&mut self.found.borrow_mut()[index]);
        }
    }
}
