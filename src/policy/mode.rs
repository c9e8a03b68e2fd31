//! What holds for an agent in the mode that it has, and what its program hears of.

use crate::model::{PromptBy, ResultRule, UsageFormat};

use super::agent::{Agent, AgentMode, AgentType, Invocation};

impl Agent {
    /// What was written down for the mode that holds.
    pub fn written(&self) -> &Invocation {
        match self.mode {
            AgentMode::Headless => &self.modes.headless,
            AgentMode::Tui => &self.modes.tui,
        }
    }

    /// Works out what may differ between its modes from what was written down for the one it has.
    ///
    /// A placeholder in the command says how the prompt is meant to arrive. Without one, a service
    /// is given none, an agent with a screen has it typed, and every other reads it.
    pub fn settle(&mut self) {
        let Invocation { command, prompt, terminal, result, model_args, tools_args, usage } =
            self.written().clone();
        let service = self.kind == AgentType::Service;
        let screen = self.mode == AgentMode::Tui;
        self.command = command.unwrap_or_default();
        self.model_args = model_args.unwrap_or_default();
        self.tools_args = tools_args.unwrap_or_default();
        self.usage = usage.unwrap_or(UsageFormat::Auto);
        let unsaid = match (self.takes("{prompt}"), self.takes("{prompt_file}")) {
            (true, _) => PromptBy::Argv,
            (false, true) => PromptBy::File,
            (false, false) if service => PromptBy::None,
            (false, false) if screen => PromptBy::Type,
            (false, false) => PromptBy::Stdin,
        };
        self.prompt = prompt.unwrap_or(unsaid);
        self.terminal = terminal.unwrap_or(service || screen);
        self.result = result.unwrap_or(if service { ResultRule::None } else { ResultRule::Tag });
    }

    /// Whether its program hears of its model.
    pub fn passes_model(&self) -> bool {
        self.takes("{model}") || !self.model_args.is_empty()
    }

    /// Whether its program hears of the tools that it may use.
    pub fn passes_tools(&self) -> bool {
        !self.tools_args.is_empty()
    }

    /// Whether its command holds that placeholder.
    pub fn takes(&self, placeholder: &str) -> bool {
        self.command.iter().any(|argument| argument.contains(placeholder))
    }
}
