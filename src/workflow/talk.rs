//! What agents say while they work, judged by the plan: whom they may write to (feature I12, ruling
//! Z11), and which actions they may take by themselves (feature H14).

use crate::model::{Ask, AskKind, Message, RunFact, TaskId};

use super::Run;
use super::kept::Question;

/// The longest text of a message or a question, in bytes.
const TEXT_MAX: usize = 64 << 10;
/// The highest tier there is.
pub const TIER_MAX: u8 = 9;
/// Who answers when the agent's own tier reaches.
const BY_TIER: &str = "tier";

/// Why something that an agent says is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The plan grants it nothing.
    #[error("task `{from}` may not write to `{to}`: the plan does not grant it")]
    NotGranted {
        /// Who wants to write.
        from: TaskId,
        /// To whom.
        to: String,
        /// To whom it may.
        granted: Vec<TaskId>,
    },
    /// Nobody may write to it, and it may write to nobody.
    #[error("task `{task}` has no inbox: the plan grants it no messages")]
    NoInbox {
        /// Who asks.
        task: TaskId,
    },
    /// There is no text, or too much of it.
    #[error("a text has 1 to {TEXT_MAX} bytes, and this has {0}")]
    Length(usize),
    /// There is no such tier.
    #[error("there is no tier {0}: tiers are 0 to {TIER_MAX}")]
    Tier(u8),
    /// There is no such question.
    #[error("there is no question `{0}`")]
    NoQuestion(String),
    /// It is for somebody else to answer.
    #[error("`{task}` may not answer `{ask}`: {why}")]
    NotYours {
        /// Who wants to answer.
        task: TaskId,
        /// What.
        ask: String,
        /// Why not.
        why: String,
    },
}

impl Run {
    /// The message that an agent sends; none when it was sent before.
    ///
    /// # Errors
    /// When the plan does not grant it.
    pub fn message(
        &self,
        from: &TaskId,
        to: &str,
        text: &str,
        key: &str,
    ) -> Result<Option<Message>, Denial> {
        let granted = self.plan.task(from).map_or(&[][..], |plan| plan.messages.as_slice());
        let Some(to) = granted.iter().find(|id| id.as_str() == to) else {
            let (from, granted) = (from.clone(), granted.to_vec());
            return Err(Denial::NotGranted { from, to: to.to_owned(), granted });
        };
        has_length(text)?;
        let sent = |message: &Message| message.from == *from && message.key == key;
        if !key.is_empty() && self.kept.messages.iter().any(sent) {
            return Ok(None);
        }
        Ok(Some(self.numbered(from.clone(), to.clone(), text.to_owned(), key.to_owned())))
    }

    fn numbered(&self, from: TaskId, to: TaskId, text: String, key: String) -> Message {
        let last = self.kept.messages.last().map_or(0, |message| message.number);
        Message { number: last + 1, from, to, text, key }
    }

    /// What was written to a task after a number.
    ///
    /// # Errors
    /// When nobody could have written to it.
    pub fn inbox(&self, task: &TaskId, since: u64) -> Result<Vec<Message>, Denial> {
        if !self.may_be_written_to(task) {
            return Err(Denial::NoInbox { task: task.clone() });
        }
        let all = self.kept.messages.iter();
        let new = |message: &&Message| message.to == *task && message.number > since;
        Ok(all.filter(new).cloned().collect())
    }

    /// Whether a task has an inbox: another may write to it, or it may write itself, or it has
    /// workers, whose questions come there.
    pub fn may_be_written_to(&self, task: &TaskId) -> bool {
        let own = self.plan.task(task);
        own.is_some_and(|plan| plan.lead.is_some() || !plan.messages.is_empty())
            || self.plan.tasks.iter().any(|other| other.messages.contains(task))
    }

    /// What follows from an agent's wish to take an action of some tier: the name of the question,
    /// and what is to be recorded. An action within its own tier is allowed at once; another one
    /// goes back to the lead, or to a person when there is no lead whose tier reaches.
    ///
    /// # Errors
    /// When there is no such tier, or no text.
    pub fn action(
        &self,
        task: &TaskId,
        tier: u8,
        text: &str,
    ) -> Result<(String, Vec<RunFact>), Denial> {
        if tier > TIER_MAX {
            return Err(Denial::Tier(tier));
        }
        has_length(text)?;
        let question = format!("{task} wants to take an action of tier {tier}: {text}");
        let prefix = format!("tier{tier}-");
        let same = |known: &&Question| {
            known.ask.task.as_ref() == Some(task)
                && known.ask.id.starts_with(&prefix)
                && known.ask.question == question
        };
        if let Some(known) = self.kept.asks.values().find(same) {
            return Ok((known.ask.id.clone(), Vec::new()));
        }
        let number = (1..).find(|n| !self.kept.asks.contains_key(&format!("{prefix}{n}")));
        let id = format!("{prefix}{}", number.unwrap_or_default());
        let answers = vec!["yes".to_owned(), "no".to_owned()];
        let own = self.plan.task(task).map_or(0, |plan| plan.tier);
        let ask = Ask {
            id: id.clone(),
            kind: AskKind::Action,
            task: Some(task.clone()),
            question: question.clone(),
            answers,
            expires: None,
            on_expire: None,
        };
        let lead = self.answers(&ask).cloned();
        let mut facts = vec![RunFact::Asked(ask)];
        if tier <= own {
            let (ask, answer, by) = (id.clone(), "yes".to_owned(), BY_TIER.to_owned());
            facts.push(RunFact::Answered { ask, answer, by });
        } else if let Some(lead) = lead {
            let text =
                format!("{question}\nAnswer with `muxvisor note --answer {id} yes` or `no`.");
            let message = self.numbered(task.clone(), lead, text, id.clone());
            facts.push(RunFact::Messaged(message));
        }
        Ok((id, facts))
    }

    /// The lead that is to answer for an action, if its own tier reaches and it is not over.
    pub fn answers(&self, ask: &Ask) -> Option<&TaskId> {
        let lead = self.plan.task(ask.task.as_ref()?)?.worker_of()?;
        let reaches = self.plan.task(lead)?.tier >= tier_of(ask)?;
        let lives = self.task(lead).is_some_and(|lead| !lead.state.is_end());
        (ask.kind == AskKind::Action && reaches && lives).then_some(lead)
    }

    /// The answer of a lead to a question of its worker; none when it is answered already.
    ///
    /// # Errors
    /// When it is not for this agent to answer.
    pub fn answer(&self, task: &TaskId, id: &str, yes: bool) -> Result<Option<RunFact>, Denial> {
        let known = self.kept.asks.get(id).ok_or_else(|| Denial::NoQuestion(id.to_owned()))?;
        let mine =
            |asker: &TaskId| self.plan.task(asker).is_some_and(|p| p.worker_of() == Some(task));
        let why = match known.ask.task.as_ref() {
            Some(asker) if known.ask.kind == AskKind::Action && mine(asker) => {
                if self.answers(&known.ask) == Some(task) {
                    let answer = if yes { "yes" } else { "no" }.to_owned();
                    let fact =
                        RunFact::Answered { ask: id.to_owned(), answer, by: task.to_string() };
                    return Ok(known.answer.is_none().then_some(fact));
                }
                "its own tier does not reach, a person has to decide"
            }
            Some(_) | None => "it is no question of a worker of it",
        };
        let why = why.to_owned();
        Err(Denial::NotYours { task: task.clone(), ask: id.to_owned(), why })
    }
}

/// The tier that is asked for, which the question's name tells: `tier3-1`.
fn tier_of(ask: &Ask) -> Option<u8> {
    ask.id.strip_prefix("tier")?.split_once('-')?.0.parse().ok()
}

fn has_length(text: &str) -> Result<(), Denial> {
    let fits = !text.trim().is_empty() && text.len() <= TEXT_MAX;
    if fits { Ok(()) } else { Err(Denial::Length(text.len())) }
}
