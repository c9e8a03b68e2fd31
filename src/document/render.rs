//! Shows findings on a terminal, in the manner of the Rust compiler.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::model::{Finding, Severity};

/// A finding as several lines of plain text, without a newline at the end. Nothing that a file
/// holds can speak to the terminal: control characters are replaced.
pub fn render(finding: &Finding) -> String {
    let excerpt = harmless(&finding.excerpt);
    let mut caret = AnnotationKind::Primary.span(caret(&excerpt, finding));
    if let Some(help) = &finding.help {
        caret = caret.label(harmless(help));
    }
    let snippet = Snippet::source(excerpt)
        .path(harmless(&finding.file))
        .line_start(finding.line as usize)
        .annotation(caret);
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(harmless(&finding.message)).id(finding.code.as_str());
    let mut group = title.element(snippet);
    for note in &finding.notes {
        group = group.element(Level::NOTE.message(harmless(note)));
    }
    Renderer::plain().render(&[group])
}

/// The closing line: `2 errors, 1 warning`; empty when nothing was found.
pub fn tally(findings: &[Finding]) -> String {
    let of = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let counted = |count: usize, noun: &str| match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        more => Some(format!("{more} {noun}s")),
    };
    let errors = counted(of(Severity::Error), "error");
    let warnings = counted(of(Severity::Warning), "warning");
    errors.into_iter().chain(warnings).collect::<Vec<_>>().join(", ")
}

/// The bytes of the excerpt that the caret underlines. A finding may come from elsewhere, so a
/// column that lies outside of the line is moved to its end.
fn caret(excerpt: &str, finding: &Finding) -> std::ops::Range<usize> {
    let at = |chars: usize| {
        let place = excerpt.char_indices().nth(chars).map(|(byte, _)| byte);
        place.unwrap_or(excerpt.len())
    };
    let start = finding.column.saturating_sub(1) as usize;
    at(start)..at(start + finding.width.max(1) as usize)
}

/// The text with a picture or a mark for each character that would act instead of show; as many
/// characters as before, so that columns stay.
fn harmless(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' | '\n' => c,
        '\u{7f}' => '␡',
        // The pictures of the control characters stand in their order.
        c if c < ' ' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        c if c.is_control() => '\u{fffd}',
        // Marks that turn the direction of what follows.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}
