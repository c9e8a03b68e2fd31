//! Reads a template file: Markdown with a head of TOML, or TOML alone.
//!
//! ```text
//! +++                                          description = "Review code"
//! description = "Review code"                  role        = "…"
//! [variables]                                  task        = "…"
//! focus = { description = "…" }                constraints = ["…"]
//! +++                                          [variables]
//! ## Role                                      …
//! …
//! ```

use serde_json::Value as Json;

use super::engine::{self, FillError};
use super::shape::{Sections, Template, Variable};
use crate::document::{Document, Findings, Source, Span, Table, did_you_mean};
use crate::model::Finding;

/// The line before and after the head.
const FENCE: &str = "+++";
const HEAD: &str = "T01";
const SECTION: &str = "T02";
const TEXT: &str = "T03";

/// Reads a template. The name of the source decides the form: `.toml` is TOML, anything else is
/// Markdown. The template is `None` when anything is wrong.
pub fn read(name: &str, source: &Source) -> (Option<Template>, Vec<Finding>) {
    let findings = Findings::new(source);
    let template = if source.name().ends_with(".toml") {
        of_toml(name, source, &findings)
    } else {
        of_markdown(name, source, &findings)
    };
    let template = template.filter(|_| !findings.has_errors());
    (template, findings.finish())
}

fn of_toml(name: &str, source: &Source, findings: &Findings<'_>) -> Option<Template> {
    let document = Document::parse(source, HEAD, findings)?;
    let mut table = document.root(findings, HEAD);
    let mut template = head(name, &mut table);
    for (heading, key) in [
        ("Role", "role"),
        ("Task", "task"),
        ("Constraints", "constraints"),
        ("Output Format", "output_format"),
        ("Output Interface", "output_interface"),
    ] {
        let Some(value) = table.value(key) else { continue };
        let text = if heading == "Constraints" {
            let points = value.texts().unwrap_or_default();
            points.iter().map(|point| format!("- {}\n", point.value)).collect()
        } else {
            value.text().map(|text| text.value).unwrap_or_default()
        };
        examine(&template, heading, &text, &|_| value.span(), findings);
        *template.sections.under(heading).expect("a known heading") = text;
    }
    table.finish();
    complete(&template, findings);
    Some(template)
}

fn of_markdown(name: &str, source: &Source, findings: &Findings<'_>) -> Option<Template> {
    let (head_text, body_at) = split(source.text()).or_else(|| {
        findings
            .error(HEAD, Span::default(), "the file does not begin with a head")
            .help("begin with a line `+++`, then `description = \"…\"`, then a line `+++`");
        None
    })?;
    // One empty line stands for the first fence, so that lines are counted as in the file.
    let head_source = Source::new(source.name(), format!("\n{head_text}"));
    let head_findings = Findings::new(&head_source);
    let template = Document::parse(&head_source, HEAD, &head_findings).map(|document| {
        let mut table = document.root(&head_findings, HEAD);
        let template = head(name, &mut table);
        table.finish();
        template
    });
    let read = template.map(|template| sections(template, source, body_at, findings));
    head_findings.finish().into_iter().for_each(|finding| findings.push(finding));
    let template = read?;
    complete(&template, findings);
    Some(template)
}

/// The text between the fences, and where the body begins.
fn split(text: &str) -> Option<(&str, usize)> {
    let (first, rest) = text.split_once('\n')?;
    if first.trim_end() != FENCE {
        return None;
    }
    let start = text.len() - rest.len();
    let mut at = start;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == FENCE {
            return Some((&text[start..at], at + line.len()));
        }
        at += line.len();
    }
    None
}

/// What a head says, without sections.
fn head(name: &str, table: &mut Table<'_>) -> Template {
    let text = |text: Option<crate::document::Spanned<String>>| {
        text.map(|text| text.value).unwrap_or_default()
    };
    let description = text(table.text("description"));
    if description.trim().is_empty() {
        table.findings().error(HEAD, table.span(), "a template needs a `description`");
    }
    let aliases = table.texts("aliases").unwrap_or_default();
    let output = table.value("output").map(|value| value.json());
    let mut variables = Vec::new();
    for (name, value) in table.table("variables").iter_mut().flat_map(Table::entries) {
        let Some(mut about) = value.table() else { continue };
        let default = about.value("default").map(|value| value.json());
        let required = about.flag("required").is_some_and(|flag| flag.value);
        if required && default.is_some() {
            let message = format!("`{}` is required, so its default means nothing", name.value);
            about.findings().error(HEAD, name.span, message);
        }
        let description = text(about.text("description"));
        about.finish();
        variables.push(Variable { name: name.value, description, default, required });
    }
    Template {
        name: name.to_owned(),
        aliases: aliases.into_iter().map(|alias| alias.value).collect(),
        description,
        variables,
        output,
        sections: Sections::default(),
    }
}

/// Reads the sections below the head.
fn sections(
    mut template: Template,
    source: &Source,
    body_at: usize,
    findings: &Findings<'_>,
) -> Template {
    let mut at = body_at;
    let mut open: Option<(&str, usize)> = None;
    for line in source.text()[body_at..].split_inclusive('\n') {
        let span = Span { start: at, end: at + line.trim_end().len() };
        if let Some(heading) = line.strip_prefix("## ") {
            close(&mut template, open.take(), at, source, findings);
            open = Some((heading.trim(), at + line.len()));
            heading_is_known(&mut template, heading.trim(), span, findings);
        } else if open.is_none() && !line.trim().is_empty() {
            findings.error(SECTION, span, "this text stands in no section").help("`## Task`");
        }
        at += line.len();
    }
    close(&mut template, open, at, source, findings);
    template
}

fn heading_is_known(template: &mut Template, heading: &str, span: Span, findings: &Findings<'_>) {
    let headings: Vec<&str> = template.sections.all().map(|(heading, _)| heading).to_vec();
    match template.sections.under(heading) {
        None => {
            let known = did_you_mean(heading, headings.iter().copied());
            findings
                .error(SECTION, span, format!("there is no section `{heading}`"))
                .maybe_help(known)
                .note(format!("sections: {}", headings.join(", ")));
        }
        Some(text) if !text.is_empty() => {
            findings.error(SECTION, span, format!("the section `{heading}` is there twice"));
        }
        Some(_) => {}
    }
}

fn close(
    template: &mut Template,
    open: Option<(&str, usize)>,
    end: usize,
    source: &Source,
    findings: &Findings<'_>,
) {
    let Some((heading, start)) = open else { return };
    let text = &source.text()[start..end];
    // A place by its line in the section.
    let place = |line: usize| {
        let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let width = text[before..].lines().next().map_or(0, str::len);
        Span { start: start + before, end: start + before + width }
    };
    examine(template, heading, text, &place, findings);
    if let Some(section) = template.sections.under(heading) {
        text.clone_into(section);
    }
}

/// Whether a section can be filled in, and asks only for what the head declares.
fn examine(
    template: &Template,
    heading: &str,
    text: &str,
    place: &dyn Fn(usize) -> Span,
    findings: &Findings<'_>,
) {
    match engine::names(text) {
        Ok(names) => {
            let known = || template.variables.iter().map(|variable| variable.name.as_str());
            for name in names.iter().filter(|name| !known().any(|known| known == *name)) {
                let line = text.lines().position(|line| line.contains(name.as_str()));
                let message = format!("`{name}` in `{heading}` is not among the variables");
                findings
                    .error(TEXT, place(line.unwrap_or(0) + 1), message)
                    .help(did_you_mean(name, known()).unwrap_or("add it to [variables]".into()));
            }
        }
        Err(FillError::Text { message, line }) => {
            findings.error(TEXT, place(line.unwrap_or(1)), message);
        }
        Err(error @ (FillError::TooLong | FillError::TooSlow)) => {
            findings.error(TEXT, place(1), error.to_string());
        }
    }
}

fn complete(template: &Template, findings: &Findings<'_>) {
    if template.sections.task.trim().is_empty() {
        let end = findings.source().text().len();
        findings
            .error(SECTION, Span { start: end, end }, "the template has no section `Task`")
            .help("it says what is to be done");
    }
    if let Some(Json::Null) = template.output {
        findings.error(HEAD, Span::default(), "`output` says nothing");
    }
}
