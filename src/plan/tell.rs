//! How wrong names and circles are told.

use super::DependsCause;
use super::graph::Wait;
use super::reference::Written;
use super::target::Unknown;
use super::text::Text;
use crate::document::{Findings, Span, Spanned};

/// Reports a reference that means nothing, at the step of it that is wrong.
pub(crate) fn report_unknown(
    unknown: Unknown,
    text: &Text,
    written: &Written,
    findings: &Findings<'_>,
) {
    let part = unknown.step.map_or(&written.range, |step| &written.steps[step].1);
    let place = text.place(findings.source(), part);
    findings.error(unknown.code, place, unknown.message).maybe_help(unknown.help);
}

/// Reports a name that means nothing.
pub(crate) fn report_name(unknown: Unknown, name: &Spanned<String>, findings: &Findings<'_>) {
    let place = place_of(name, findings);
    findings.error(unknown.code, place, unknown.message).maybe_help(unknown.help);
}

/// One finding per circle, with a line per wait.
pub(crate) fn report_circles<'d>(
    circles: &[Vec<Wait>],
    name: impl Fn(usize) -> &'d String,
    findings: &Findings<'_>,
) {
    for circle in circles {
        let names: Vec<&String> = circle.iter().map(|wait| name(wait.node)).collect();
        let path: Vec<&str> = names.iter().chain(names.first()).map(|name| name.as_str()).collect();
        let place = circle.iter().map(|wait| wait.place).min().unwrap_or_default();
        let mut problem =
            findings.error("E04", place, format!("dependency cycle: {}", path.join(" -> ")));
        let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
        for wait in circle {
            let (node, on) = (name(wait.node), name(wait.on));
            let line = findings.line(wait.place);
            problem = problem.note(format!(
                "{node:width$} waits for {on:width$} ({}, line {line})",
                cause_word(wait.cause),
            ));
        }
    }
}

const fn cause_word(cause: DependsCause) -> &'static str {
    match cause {
        DependsCause::Reference => "reference",
        DependsCause::Explicit => "depends_on",
        DependsCause::Phase => "phase order",
        DependsCause::Sequential => "sequential",
    }
}

/// The places of names, for findings about them.
pub(crate) fn place_of(name: &Spanned<String>, findings: &Findings<'_>) -> Span {
    name.span.narrowed(findings.source(), &name.value)
}
