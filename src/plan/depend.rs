//! Who waits for whom, and why: collects the dependencies of a plan and reports those that
//! cannot be (E03, E04, E05, E09).

use serde_json::Value as Json;

use super::draft::{Draft, DraftTask, InputKind, Site};
use super::graph::{self, Wait};
use super::names;
use super::reference::Written;
use super::schema::Why;
use super::target::Target;
use super::tell::{report_circles, report_name, report_unknown};
use super::text::Text;
use super::{DependsCause, Mode, OnPartialFailure, as_text, schema, shapes_of};
use crate::document::{Findings, Span, did_you_mean};

/// The dependencies of a plan.
#[derive(Debug)]
pub(crate) struct Dependencies {
    /// Of tasks, one per pair.
    pub(crate) waits: Vec<Wait>,
    /// Positions of the phases that each phase follows.
    pub(crate) phases: Vec<Vec<usize>>,
    /// Positions of the tasks whose output somebody reads.
    pub(crate) read: Vec<bool>,
}

struct Collector<'d> {
    draft: &'d Draft,
    findings: &'d Findings<'d>,
    waits: Vec<Wait>,
    read: Vec<bool>,
}

/// Collects them all.
pub(crate) fn collect(draft: &Draft, findings: &Findings<'_>) -> Dependencies {
    let read = vec![false; draft.tasks.len()];
    let mut collector = Collector { draft, findings, waits: Vec::new(), read };
    for (at, task) in draft.tasks.iter().enumerate() {
        for (text, written, site) in task.references() {
            collector.reference(at, text, written, site);
        }
        collector.explicit(at, task);
        collector.messages(at, task);
    }
    for (at, phase) in draft.phases.iter().enumerate() {
        for written in phase.when.iter().flat_map(|when| when.text.references()) {
            collector.condition(at, phase.when.as_ref().map(|when| &when.text), written);
        }
    }
    collector.sequential();
    let phases = phase_order(draft, findings);
    collector.phases(&phases);
    report_circles(
        &graph::circles(draft.tasks.len(), &collector.waits),
        |at| &draft.tasks[at].id.value,
        findings,
    );
    let after = phases.iter().map(|waits| waits.iter().map(|wait| wait.on).collect()).collect();
    Dependencies {
        waits: graph::one_per_pair(&collector.waits),
        phases: after,
        read: collector.read,
    }
}

impl Collector<'_> {
    /// What a reference means; what it does not mean is reported.
    fn target(&self, text: &Text, written: &Written) -> Option<(Target, Span)> {
        let place = text.place(self.findings.source(), &written.range);
        match names::target(self.draft, written) {
            Ok(target) => Some((target, place)),
            Err(unknown) => {
                report_unknown(unknown, text, written, self.findings);
                None
            }
        }
    }

    fn reference(&mut self, at: usize, text: &Text, written: &Written, site: Site) {
        let Some((target, place)) = self.target(text, written) else { return };
        if site == Site::Hook {
            self.of_hook(at, &target, place);
            return;
        }
        match target {
            Target::Output { task, .. } => {
                self.read[task] = true;
                let has_default = written.default.is_some();
                self.needs_default(task, has_default, place);
                self.refer(at, task, !has_default, place);
            }
            Target::Results { task } => {
                self.read[task] = true;
                self.refer(at, task, false, place);
            }
            Target::Status { task } | Target::Error { task } | Target::Failed { task } => {
                self.refer(at, task, false, place);
            }
            Target::PhaseOutputs { phase } => self.refer_to_phase(at, phase, place),
            Target::Input { name, .. } => self.input(&name, written, place),
            Target::Item { path } => {
                if self.item(at, written, site, place) {
                    self.field_of_item(at, text, written, &path);
                }
            }
            Target::Index => {
                self.item(at, written, site, place);
            }
            Target::Event { .. } => self.event(written, place),
            Target::Run { .. } => {}
        }
    }

    /// An item is known to those who work on it.
    fn item(&self, at: usize, written: &Written, site: Site, place: Span) -> bool {
        let task = &self.draft.tasks[at];
        let (name, id) = (&written.text, task.called());
        match (&task.for_each, site) {
            (Some(_), Site::Body | Site::Hook) => return true,
            (Some(_), Site::Whole) => {
                let message = format!("`{name}` is not known here, where {id} has no items yet");
                self.findings.error("E05", place, message);
            }
            (None, _) => {
                self.findings
                    .error("E05", place, format!("{id} has no items: `{name}` means nothing in it"))
                    .help("add `for_each = \"${…}\"`");
            }
        }
        false
    }

    /// Whether the entries of the list have what is asked of one of them.
    fn field_of_item(&self, at: usize, text: &Text, written: &Written, path: &[Json]) {
        let Some(items) = &self.draft.tasks[at].for_each else { return };
        let entries = shapes_of::entries(self.draft, &items.over).unwrap_or_default();
        let [entry] = entries.as_slice() else { return };
        let entry = match items.partition {
            Some(_) => serde_json::json!({ "type": "array", "items": entry }),
            None => entry.clone(),
        };
        let Err(wrong) = schema::at(&entry, path) else { return };
        let part = written.steps.get(wrong.step + 1).map_or(&written.range, |(_, range)| range);
        let place = text.place(self.findings.source(), part);
        let name = as_text(&path[wrong.step]);
        let near = did_you_mean(&name, wrong.fields.iter().map(String::as_str));
        let help = match wrong.why {
            Why::NoField => near.or_else(|| Some(format!("it has: {}", wrong.fields.join(", ")))),
            Why::IsList => Some("it is a list; take one entry with `[0]`".to_owned()),
            Why::IsPlain => None,
        };
        let message = format!("an item of {} has no `{name}`", self.draft.tasks[at].called());
        self.findings.error("E03", place, message).maybe_help(help);
    }

    fn event(&self, written: &Written, place: Span) {
        self.findings
            .error("E05", place, format!("`{}` is known in `[[on]]` only", written.text))
            .help("what a task of kind `wait` waited for is its output");
    }

    /// A hook belongs to its task, and knows nothing else.
    fn of_hook(&self, at: usize, target: &Target, place: Span) {
        let fits = match target {
            Target::Output { task, .. }
            | Target::Status { task }
            | Target::Error { task }
            | Target::Results { task }
            | Target::Failed { task } => *task == at,
            Target::Input { .. } | Target::Run { .. } => true,
            Target::PhaseOutputs { .. }
            | Target::Item { .. }
            | Target::Index
            | Target::Event { .. } => false,
        };
        if !fits {
            let id = self.draft.tasks[at].called();
            self.findings
                .error("E05", place, format!("a hook of {id} knows nothing but {id} itself"))
                .help("make it a task of its own");
        }
    }

    /// The condition of a phase makes all of its tasks wait.
    fn condition(&mut self, phase: usize, text: Option<&Text>, written: &Written) {
        let Some(text) = text else { return };
        let Some((target, place)) = self.target(text, written) else { return };
        let (id, tasks) = (&self.draft.phases[phase].id.value, &self.draft.phases[phase].tasks);
        let hard = written.default.is_none();
        let on: Vec<(usize, bool)> = match target {
            Target::Output { task, .. } => {
                self.read[task] = true;
                self.needs_default(task, !hard, place);
                vec![(task, hard)]
            }
            Target::Status { task }
            | Target::Error { task }
            | Target::Failed { task }
            | Target::Results { task } => vec![(task, false)],
            Target::PhaseOutputs { phase } => {
                self.draft.phases[phase].tasks.clone().map(|task| (task, false)).collect()
            }
            Target::Input { name, .. } => {
                self.input(&name, written, place);
                Vec::new()
            }
            Target::Item { .. } | Target::Index => {
                let message = format!("`{}` means nothing in a phase", written.text);
                self.findings.error("E05", place, message);
                Vec::new()
            }
            Target::Event { .. } => {
                self.event(written, place);
                Vec::new()
            }
            Target::Run { .. } => Vec::new(),
        };
        if on.iter().any(|(task, _)| tasks.contains(task)) {
            let message = format!("whether phase `{id}` is done cannot depend on its own tasks");
            self.findings.error("E05", place, message);
            return;
        }
        let cause = DependsCause::Reference;
        for node in tasks.clone() {
            self.waits.extend(on.iter().map(|(on, hard)| Wait {
                node,
                on: *on,
                cause,
                hard: *hard,
                place,
            }));
        }
    }

    /// Tasks that are written to exist; nobody waits for a message.
    fn messages(&self, at: usize, task: &DraftTask) {
        for name in &task.messages {
            match names::task(self.draft, &name.value) {
                Ok(to) if to == at => {
                    let message = format!("{} sends messages to itself", task.called());
                    self.findings.error("E05", name.span, message);
                }
                Ok(_) => {}
                Err(unknown) => report_name(unknown, name, self.findings),
            }
        }
    }

    /// What may be absent needs something to stand in for it.
    fn input(&self, name: &str, written: &Written, place: Span) {
        let Some(input) = self.draft.inputs.get(name) else { return };
        let always = input.required || input.default.is_some() || input.kind == InputKind::List;
        if !always && written.default.is_none() {
            let message = format!("input `{name}` may be absent, and this reader gives no default");
            self.findings
                .error("E09", place, message)
                .help("add `?? '…'` before the brace, or make the input required");
        }
    }

    fn needs_default(&self, task: usize, has_default: bool, place: Span) {
        let task = &self.draft.tasks[task];
        if task.settings.optional == Some(true) && !has_default {
            let id = &task.id.value;
            let message = format!("`{id}` is optional, and this reader gives no default");
            self.findings
                .error("E09", place, message)
                .help("add `?? 'not available'` before the brace");
        }
    }

    fn refer(&mut self, at: usize, on: usize, hard: bool, place: Span) {
        let (reader, other) = (&self.draft.tasks[at], &self.draft.tasks[on]);
        let id = reader.called();
        if at == on {
            self.findings.error("E05", place, format!("{id} refers to itself"));
        } else if self.is_later(at, on) {
            let phase = &self.draft.phases[reader.phase].id.value;
            let other = &other.id.value;
            let message = format!(
                "{id} refers to `{other}`, which comes later in the sequential phase `{phase}`"
            );
            self.findings.error("E05", place, message);
        } else {
            let cause = DependsCause::Reference;
            self.waits.push(Wait { node: at, on, cause, hard, place });
        }
    }

    fn refer_to_phase(&mut self, at: usize, phase: usize, place: Span) {
        let tasks = self.draft.phases[phase].tasks.clone();
        if tasks.contains(&at) {
            let (id, phase) = (self.draft.tasks[at].called(), &self.draft.phases[phase].id.value);
            let message = format!("{id} refers to all of its own phase `{phase}`");
            self.findings.error("E05", place, message);
            return;
        }
        for on in tasks {
            self.read[on] = true;
            let cause = DependsCause::Reference;
            self.waits.push(Wait { node: at, on, cause, hard: false, place });
        }
    }

    fn is_later(&self, at: usize, on: usize) -> bool {
        let phase = self.draft.tasks[at].phase;
        self.draft.tasks[on].phase == phase && on > at && self.draft.mode(phase) == Mode::Sequential
    }

    fn explicit(&mut self, at: usize, task: &DraftTask) {
        for name in &task.depends_on {
            match names::task(self.draft, &name.value) {
                Ok(on) if on == at => {
                    let message = format!("`{}` depends on itself", task.id.value);
                    self.findings.error("E05", name.span, message);
                }
                Ok(on) => {
                    let cause = DependsCause::Explicit;
                    self.waits.push(Wait { node: at, on, cause, hard: true, place: name.span });
                }
                Err(unknown) => report_name(unknown, name, self.findings),
            }
        }
    }

    /// A step of a pipeline needs the one before (feature K16), and so does a step of a phase
    /// that gives up on the first failure; elsewhere the order is all that matters.
    fn sequential(&mut self) {
        for (at, phase) in self.draft.phases.iter().enumerate() {
            if self.draft.mode(at) != Mode::Sequential {
                continue;
            }
            let hard =
                self.draft.is_pipeline() || phase.on_partial_failure == OnPartialFailure::Abort;
            for node in phase.tasks.clone().skip(1) {
                let place = self.draft.tasks[node].id.span;
                let cause = DependsCause::Sequential;
                self.waits.push(Wait { node, on: node - 1, cause, hard, place });
            }
        }
    }

    fn phases(&mut self, order: &[Vec<Wait>]) {
        for wait in order.iter().flatten() {
            for node in self.draft.phases[wait.node].tasks.clone() {
                for on in self.draft.phases[wait.on].tasks.clone() {
                    self.waits.push(Wait { node, on, ..*wait });
                }
            }
        }
    }
}

/// Which phases each phase follows, without those that make a circle. In a pipeline, a phase
/// that does not say follows the one before.
fn phase_order(draft: &Draft, findings: &Findings<'_>) -> Vec<Vec<Wait>> {
    let mut waits = Vec::new();
    for (node, phase) in draft.phases.iter().enumerate() {
        let hard = draft.is_pipeline();
        let mut wait = |on, place| {
            waits.push(Wait { node, on, cause: DependsCause::Phase, hard, place });
        };
        match &phase.after {
            None if hard && node > 0 => wait(node - 1, phase.id.span),
            None => {}
            Some(names) => {
                for name in names {
                    match names::phase(draft, &name.value) {
                        Ok(on) if on == node => {
                            let message = format!("phase `{}` depends on itself", phase.id.value);
                            findings.error("E05", name.span, message);
                        }
                        Ok(on) => wait(on, name.span),
                        Err(unknown) => report_name(unknown, name, findings),
                    }
                }
            }
        }
    }
    let circles = graph::circles(draft.phases.len(), &waits);
    report_circles(&circles, |at| &draft.phases[at].id.value, findings);
    let inside = |wait: &Wait| circles.iter().flatten().any(|other| other.node == wait.node);
    waits.retain(|wait| !inside(wait));
    let mut order = vec![Vec::new(); draft.phases.len()];
    for wait in graph::one_per_pair(&waits) {
        order[wait.node].push(wait);
    }
    order
}
