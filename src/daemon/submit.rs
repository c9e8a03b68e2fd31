//! Takes plans in: checks them against what this daemon knows, and gives runs their ids.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::control::{Failure, FailureKind, Responder, Submit};
use crate::document::Source;
use crate::failpoint;
use crate::model::{Finding, RunId, Severity, Submission};
use crate::plan::{Approval, Plan, Surroundings, check};
use crate::policy::Agent;
use crate::workflow;

use super::cost::whole;
use super::engine::{Engine, Leaving};
use super::refusal::{ending, internal};
use super::{Input, Templates, archive};

/// The longest file that a plan may name; a submission of several must fit into a transaction.
const FILE_BYTES_MAX: u64 = 8 << 20;

impl Engine {
    pub(super) fn submit(&mut self, submit: Submit, responder: Responder) {
        let yes = submit.yes;
        match failpoint::step("submit.check", || self.submission(submit)) {
            Err(failure) => responder.reply(failure),
            Ok(submission) => {
                let run = submission.run.clone();
                let submission = Submission { needs_approval: !yes, ..submission };
                self.learn(&submission.name);
                self.decide(Input::Workflow(workflow::Event::Submitted(Box::new(submission))));
                self.reply_run(run, responder);
            }
        }
    }

    /// Checks a plan against what this daemon knows, and gives the run its id.
    fn submission(&mut self, submit: Submit) -> Result<Submission, Failure> {
        if self.leaving != Leaving::No {
            return Err(ending());
        }
        let read_file = |path: &str| read_from(&submit.cwd, path);
        let checked = self.checked(&submit, &submit.inputs, &submit.env.0, &read_file);
        let mut plan = checked.map_err(|findings| {
            let message = format!("{} has problems; nothing was submitted", submit.path.display());
            Failure::new(FailureKind::Invalid, message).findings(findings)
        })?;
        if !submit.demo {
            self.expect_as_before(&mut plan);
        }
        Ok(Submission {
            run: self.next_run_id()?,
            name: plan.name.clone(),
            needs_approval: plan.approval != Approval::None,
            plan: serde_json::to_value(&plan).map_err(internal)?,
            text: submit.text,
            path: submit.path,
            cwd: submit.cwd,
            env: submit.env.0,
            demo: submit.demo,
            parent: None,
        })
    }

    /// A run that another one asks for knows of earlier ones what any other run knows (features
    /// E15, N11, P8).
    pub(super) fn informed(&mut self, submission: Submission) -> Submission {
        self.learn(&submission.name);
        if submission.demo {
            return submission;
        }
        let expecting =
            serde_json::from_value::<Plan>(submission.plan.clone()).and_then(|mut plan| {
                self.expect_as_before(&mut plan);
                serde_json::to_value(&plan)
            });
        match expecting {
            Ok(plan) => Submission { plan, ..submission },
            Err(_) => submission,
        }
    }

    /// Where the plan does not say how long a task takes, it takes as long as it did (features E15,
    /// P8); one that is a plan itself, as long as the runs of that. It is an estimate: a ledger that
    /// cannot be asked is found out elsewhere.
    fn expect_as_before(&self, plan: &mut Plan) {
        let earlier = self.reader.task_history(&plan.name).unwrap_or_default();
        for task in plan.tasks.iter_mut().filter(|task| task.expected_ms.is_none()) {
            let known = earlier.iter().find(|(id, _, _)| *id == task.id);
            let inner = || {
                let (_, _, took) = self.reader.plan_history(task.inner_plan()?).ok()?;
                took
            };
            task.expected_ms = known.map(|(_, avg_ms, _)| *avg_ms).or_else(inner).map(whole);
        }
    }

    /// The plan of a text that is to be run, or why it cannot be.
    pub(super) fn checked(
        &self,
        submit: &Submit,
        inputs: &BTreeMap<String, String>,
        env: &[(String, String)],
        read_file: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Plan, Vec<Finding>> {
        let base = submit.path.parent().unwrap_or(Path::new("/"));
        let source = Source::new(submit.path.display().to_string(), submit.text.clone());
        let templates = Templates::beside(self.settings.config_source.path());
        let checked = check(
            &source,
            &Surroundings {
                agents: &self.settings.config.agents,
                inputs,
                read_file,
                has_program: &|agent| has_program(agent, env, &submit.cwd),
                missing_program: Severity::Error,
                missing_input: Severity::Error,
                demo: submit.demo,
                max_parallel: submit.max_parallel,
                base_dir: base,
                template: &|name, set| templates.parts(name, set),
            },
        );
        checked.plan.ok_or(checked.findings)
    }

    pub(super) fn next_run_id(&mut self) -> Result<RunId, Failure> {
        let date = archive::date(self.clock.wall_ms());
        let number = if self.last_run.0 == date {
            self.last_run.1 + 1
        } else {
            self.reader.next_run_number(&date).map_err(internal)?
        };
        self.last_run = (date, number);
        Ok(RunId::of_day(&self.last_run.0, number))
    }
}

/// A file that was named on the command line, relative to where that was typed; files that a plan
/// names come with their full path.
pub(super) fn read_from(cwd: &Path, path: &str) -> Result<String, String> {
    let path = cwd.join(path);
    let found = std::fs::metadata(&path).map_err(|error| error.to_string())?;
    // The loop reads it, so it must not be something that is waited for, or that never ends.
    if !found.is_file() {
        return Err("it is no file".to_owned());
    }
    if found.len() > FILE_BYTES_MAX {
        return Err(format!("it has {} bytes, more than {FILE_BYTES_MAX}", found.len()));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Whether an agent's program can be found with the submitter's `PATH`.
fn has_program(agent: &Agent, env: &[(String, String)], cwd: &Path) -> bool {
    let Some(program) = agent.command.first() else { return false };
    if program.contains('/') {
        return is_executable(&cwd.join(program));
    }
    let own = agent.env.get("PATH").map(String::as_str);
    let inherited = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
    let path = own.or(inherited).unwrap_or("/usr/bin:/bin");
    std::env::split_paths(path).any(|dir: PathBuf| is_executable(&dir.join(program)))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
