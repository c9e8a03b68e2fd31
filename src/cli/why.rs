//! `why`: why something stands where it stands, what was decided, and what comes next.

use super::columns::{span, stamp};
use super::desk::Desk;
use super::failure::COMPLETED;
use super::voice::{Colour, Voice};
use crate::control::view::{HealthView, ProbeView, WhyReply};
use crate::control::{Failure, Request};

/// What to explain.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An instance, a run, a task, or RUN/TASK
    #[arg(value_name = "NAME|RUN|TASK")]
    target: String,
    /// Print the document instead of sentences
    #[arg(long)]
    pub(crate) json: bool,
}

/// Explains it.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let request = Request::Why { target: args.target.clone() };
    let seen: WhyReply = desk.ask(&request)?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else {
        desk.voice.say(&text(&seen, desk.voice));
    }
    Ok(COMPLETED)
}

fn text(seen: &WhyReply, voice: Voice) -> String {
    let title = voice.paint(Colour::Bold, &seen.target);
    let mut lines = vec![format!("{title} is {}: {}", seen.state, seen.why)];
    if let Some(next) = &seen.next {
        let due = next.due_in_ms.map_or(String::new(), |ms| format!(", in {}", span(ms)));
        lines.push(format!("next: {}{due}", next.text));
    }
    if let Some(serving) = &seen.failover.serving {
        lines.push(format!("served by: {serving}"));
    }
    if let Some(parked) = &seen.failover.parked {
        let until = stamp(parked.until_ms);
        lines.push(format!("{} is parked until {until}: {}", parked.agent, parked.why));
    }
    lines.extend(seen.counters.iter().map(|(name, counter)| {
        let limit = counter.limit.map_or(String::new(), |limit| format!(" of {limit}"));
        match name.strip_suffix("_ms") {
            Some(name) => format!("{}: {}", name.replace('_', " "), span(counter.value)),
            None => format!("{}: {}{limit}", name.replace('_', " "), counter.value),
        }
    }));
    lines.extend(seen.health.iter().flat_map(health));
    if !seen.decisions.is_empty() {
        lines.push("what happened, the newest first:".to_owned());
    }
    lines.extend(seen.decisions.iter().map(|decision| {
        let age = voice.paint(Colour::Dim, &format!("{:>8} ago", span(decision.age_ms)));
        format!("  {age}  {}", decision.text)
    }));
    lines.join("\n")
}

/// How a living agent is.
fn health(seen: &HealthView) -> Vec<String> {
    let ready = match seen.ready_ms {
        Some(ms) => format!("ready for {}", span(ms)),
        None => "not ready yet".to_owned(),
    };
    let age = seen.activity_ms.map_or(String::new(), |ms| format!(" for {}", span(ms)));
    let source = seen.activity_source.map_or(String::new(), |by| format!(", says {by}"));
    let heartbeat = seen.heartbeat_in_ms.map(|ms| format!("heartbeat: due in {}", span(ms)));
    let kind = seen.activity_kind.map_or(String::new(), |kind| format!(":{kind}"));
    let said = seen.activity_message.as_ref().map_or(String::new(), |text| format!(": {text}"));
    let activity = format!("activity: {}{kind}{age}{source}{said}", seen.activity);
    let lines = [Some(ready), Some(activity), heartbeat].into_iter().flatten();
    lines.chain(seen.probes.iter().map(probe)).collect()
}

fn probe(seen: &ProbeView) -> String {
    let mut line = format!("probe {}: {}", seen.name, seen.state);
    let (seen_so_far, enough) = (seen.failures, seen.failure_threshold);
    if seen_so_far > enough {
        line += &format!(" ({seen_so_far} failures in a row, {enough} were enough)");
    } else if seen_so_far > 0 {
        line += &format!(" ({seen_so_far} of {enough} failures)");
    }
    if let (Some(ms), Some(why)) = (seen.unknown_ms, &seen.unknown_why) {
        line += &format!(", unknown for {}: {why}", span(ms));
    }
    if let (Some(ms), Some(text)) = (seen.last_ms, &seen.last) {
        line += &format!(", last looked at {} ago: {text}", span(ms));
    }
    if let Some(why) = &seen.suspended {
        line += &format!("; nothing is done: {why}");
    }
    line
}
