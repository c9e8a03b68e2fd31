//! How an agent does, from its latest attempts (feature N12).

use crate::control::items::Skill;
use crate::ledger::{AttemptRecord, Error, Reader};
use crate::model::{Outcome, StartReason, ms};

/// How many attempts are looked at, and as many before them to compare with.
const WINDOW: usize = 20;
/// Fewer attempts than this tell nothing to compare with.
const BEFORE_MIN: usize = 5;

/// An attempt that says something about its agent.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    success: bool,
    took_ms: u64,
    is_retry: bool,
}

/// How an agent does.
pub(super) fn skill(reader: &Reader, agent: &str) -> Result<Skill, Error> {
    // What a person or a usage limit ended says nothing, so a few more are read.
    let records = reader.attempts_of_agent(agent, u32::try_from(WINDOW * 3).unwrap_or(u32::MAX))?;
    let samples: Vec<Sample> = records.iter().filter_map(sample).collect();
    Ok(judge(agent, &samples))
}

fn sample(record: &AttemptRecord) -> Option<Sample> {
    let row = &record.row;
    let end = row.end.as_ref()?;
    if matches!(end.outcome, Outcome::Cancelled | Outcome::RateLimited) {
        return None;
    }
    let took = end.at.since(row.started.unwrap_or(end.at));
    Some(Sample {
        success: end.outcome == Outcome::Success,
        took_ms: ms(took),
        is_retry: row.order.reason != StartReason::First,
    })
}

/// The newest first.
fn judge(agent: &str, samples: &[Sample]) -> Skill {
    let (now, before) = samples.split_at(samples.len().min(WINDOW));
    let before = &before[..before.len().min(WINDOW)];
    let count = |holds: fn(&Sample) -> bool| {
        u32::try_from(now.iter().filter(|sample| holds(sample)).count()).unwrap_or(u32::MAX)
    };
    let total: u64 = now.iter().map(|sample| sample.took_ms).fold(0, u64::saturating_add);
    let failures = samples.iter().take_while(|sample| !sample.success).count();
    Skill {
        agent: agent.to_owned(),
        attempts: u32::try_from(now.len()).unwrap_or(u32::MAX),
        success_ratio: ratio(now).unwrap_or(1.0),
        before: ratio(before).filter(|_| before.len() >= BEFORE_MIN),
        mean_ms: total / (now.len() as u64).max(1),
        retries: count(|sample| sample.is_retry),
        failures_in_row: u32::try_from(failures).unwrap_or(u32::MAX),
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most twenty of each")]
fn ratio(samples: &[Sample]) -> Option<f64> {
    let good = samples.iter().filter(|sample| sample.success).count();
    (!samples.is_empty()).then(|| good as f64 / samples.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(text: &str) -> Vec<Sample> {
        let sample = |c: char| Sample { success: c == '+', took_ms: 10, is_retry: c == 'r' };
        text.chars().map(sample).collect()
    }

    #[test]
    fn the_newest_attempts_are_compared_with_as_many_before() {
        let skill = judge("a", &samples(&format!("--r{}{}", "+".repeat(17), "+".repeat(30))));
        assert_eq!((skill.attempts, skill.retries, skill.failures_in_row), (20, 1, 3));
        assert_eq!((skill.success_ratio, skill.before, skill.mean_ms), (0.85, Some(1.0), 10));
        let few = judge("a", &samples("+-+"));
        assert_eq!((few.attempts, few.before, few.failures_in_row), (3, None, 0));
        let none = judge("a", &[]);
        assert_eq!((none.attempts, none.success_ratio, none.mean_ms), (0, 1.0, 0));
    }
}
