//! What stands outside of all tasks may refer to little: what events start knows the event, and
//! what comes after everything may not count on any output (E05, E09).

use super::draft::Draft;
use super::names;
use super::reference::Written;
use super::target::Target;
use super::tell::report_unknown;
use super::text::Text;
use crate::document::Findings;

/// Checks the references of `[[on]]` and `[on_finish]`.
pub(crate) fn check(draft: &Draft, findings: &Findings<'_>) {
    for trigger in &draft.triggers {
        let mut each = |text: &Text| {
            text.references().for_each(|written| of_trigger(draft, text, written, findings));
        };
        trigger.start.inputs.iter().for_each(|(_, value)| value.for_each_text(&mut each));
        trigger.when.iter().for_each(|when| each(&when.text));
    }
    for text in draft.finish.iter().flatten() {
        text.references().for_each(|written| of_finish(draft, text, written, findings));
    }
}

fn of_trigger(draft: &Draft, text: &Text, written: &Written, findings: &Findings<'_>) {
    match names::target(draft, written) {
        Ok(Target::Event { .. } | Target::Input { .. } | Target::Run { .. }) => {}
        Ok(
            Target::Output { .. }
            | Target::PhaseOutputs { .. }
            | Target::Status { .. }
            | Target::Error { .. }
            | Target::Results { .. }
            | Target::Failed { .. }
            | Target::Item { .. }
            | Target::Index,
        ) => {
            let place = text.place(findings.source(), &written.range);
            findings
                .error("E05", place, format!("`[[on]]` knows no tasks, and no `{}`", written.text))
                .help("it knows `${event}`, `${input.…}` and `${run.…}`");
        }
        Err(unknown) => report_unknown(unknown, text, written, findings),
    }
}

fn of_finish(draft: &Draft, text: &Text, written: &Written, findings: &Findings<'_>) {
    let place = || text.place(findings.source(), &written.range);
    match names::target(draft, written) {
        Ok(Target::Output { .. } | Target::Results { .. } | Target::Failed { .. })
            if written.default.is_none() =>
        {
            findings
                .error("E09", place(), "`[on_finish]` runs even if there is no such output")
                .help("add `?? 'not available'` before the brace");
        }
        Ok(
            Target::Output { .. }
            | Target::Results { .. }
            | Target::Failed { .. }
            | Target::PhaseOutputs { .. }
            | Target::Status { .. }
            | Target::Error { .. }
            | Target::Input { .. }
            | Target::Run { .. },
        ) => {}
        Ok(Target::Item { .. } | Target::Index | Target::Event { .. }) => {
            let message = format!("`{}` means nothing in `[on_finish]`", written.text);
            findings.error("E05", place(), message);
        }
        Err(unknown) => report_unknown(unknown, text, written, findings),
    }
}
