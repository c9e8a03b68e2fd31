//! What an agent's definition means for one attempt: the order that launches and judges it.

use std::path::PathBuf;

use crate::model::{
    AttemptId, Limits, Mint, Order, Owner, ResultRule, StartReason, Token, window_label,
};

use super::{Agent, Policy};

/// Who an attempt is and whom it works for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its fence.
    pub token: Token,
    /// Whom it works for.
    pub owner: Owner,
    /// Number of the attempt of that owner, from 1.
    pub n: u32,
    /// Why it is made.
    pub reason: StartReason,
}

impl Identity {
    /// Mints the identity of an owner's next attempt.
    pub fn mint(mint: &mut Mint, owner: Owner, n: u32, reason: StartReason) -> Self {
        Self { attempt: mint.attempt_id(), token: mint.token(), owner, n, reason }
    }
}

impl Agent {
    /// The order for one attempt of this agent, without prompt and schema. `cwd` is the owner's
    /// working directory, used when the agent names none.
    pub fn order(&self, identity: Identity, cwd: PathBuf) -> Order {
        let (session, label) = match &identity.owner {
            Owner::Task { run, task } => (
                run.to_string(),
                window_label(&["wf", run.as_str(), task.as_str(), &self.name], &identity.attempt),
            ),
            Owner::Instance { name } => {
                ("agents".to_owned(), window_label(&["agent", name], &identity.attempt))
            }
        };
        Order {
            attempt: identity.attempt,
            token: identity.token,
            owner: identity.owner,
            n: identity.n,
            reason: identity.reason,
            agent: self.name.clone(),
            label,
            session,
            windowed: true,
            argv: self.argv(),
            env: self.env.clone(),
            env_filter: self.env_filter.clone(),
            cwd: self.cwd.clone().unwrap_or(cwd),
            prompt: None,
            prompt_by: self.prompt,
            terminal: self.terminal,
            result: self.result,
            result_required: self.require_result && self.result != ResultRule::None,
            schema: None,
            success_codes: self.policy.success_codes.clone(),
            success_signals: self.policy.success_signals.clone(),
            stop: self.policy.stop.clone(),
            limits: limits(&self.policy),
            oom_score_adjust: self.policy.oom_score_adjust,
            resources: self.policy.resources.clone(),
            care: self.policy.care.clone(),
            handover: None,
            files: std::collections::BTreeMap::new(),
            // What its program was not told is no word about what it used.
            model: self.model.clone().filter(|_| self.passes_model()),
            usage: self.usage,
            pools: Vec::new(),
        }
    }

    /// Whether the process of that order would be another one if it were started now: it is `stale`
    /// until its next start. Policies do not count, they hold at once.
    pub fn makes_stale(&self, order: &Order) -> bool {
        let identity = Identity {
            attempt: order.attempt.clone(),
            token: order.token.clone(),
            owner: order.owner.clone(),
            n: order.n,
            reason: order.reason,
        };
        let now = self.order(identity, PathBuf::from("."));
        now.argv != order.argv
            || now.env != order.env
            || now.env_filter != order.env_filter
            || now.cwd != order.cwd
            || now.prompt_by != order.prompt_by
            || now.terminal != order.terminal
            || now.result != order.result
            || now.oom_score_adjust != order.oom_score_adjust
            || now.resources != order.resources
    }

    /// The command with `{model}` filled in, and with what a model and a list of tools add; what
    /// depends on the attempt's directory is filled in at launch.
    pub fn argv(&self) -> Vec<String> {
        let model = self.model.as_deref().unwrap_or_default();
        let fill = |words: &[String], name: &str, value: &str| -> Vec<String> {
            words.iter().map(|word| word.replace(name, value)).collect()
        };
        let mut argv = fill(&self.command, "{model}", model);
        let mut added = Vec::new();
        if !model.is_empty() && !self.takes("{model}") {
            added = fill(&self.model_args, "{model}", model);
        }
        let tools = self.traits.tools.join(",");
        if !tools.is_empty() {
            added.extend(fill(&self.tools_args, "{tools}", &tools));
        }
        // What stands behind `--` are no options.
        let end = argv.iter().position(|word| word == "--").unwrap_or(argv.len());
        argv.splice(end..end, added);
        argv
    }
}

impl Order {
    /// Has what lives judged by a policy that was configured after its start.
    pub fn take_policy(&mut self, policy: &Policy) {
        self.success_codes.clone_from(&policy.success_codes);
        self.success_signals.clone_from(&policy.success_signals);
        self.stop.clone_from(&policy.stop);
        self.limits = limits(policy);
        self.care.clone_from(&policy.care);
    }
}

fn limits(policy: &Policy) -> Limits {
    Limits {
        start_ms: policy.start_timeout_ms,
        run_ms: policy.timeout_ms,
        idle_ms: policy.idle_timeout_ms,
    }
}
