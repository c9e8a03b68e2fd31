//! The conversation over the control connection: questions go out in order, answers come back in
//! the same order. When the connection breaks, open questions end as unknown, and the keeper tries
//! for a new one for as long as the server's process lives.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::control::Control;
use super::host::{Answer, Host};
use super::parse::Frame;
use super::{Notice, process};
use crate::model::ServerMark;

/// The pauses between two tries for a new connection double from the first to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_LAST: Duration = Duration::from_secs(2);

/// No more is taken from the queue while this much waits to be written.
const UNWRITTEN_MAX_BYTES: usize = 1 << 20;

/// What became of a question.
#[derive(Debug)]
pub(super) enum Outcome {
    /// An answer came.
    Answered(Answer),
    /// It never left: there is no connection just then.
    NotSent,
    /// It left, and the connection broke.
    Broken,
    /// There is no server any more.
    ServerGone,
}

/// A question: one line that gets `replies` replies, fewer when one is a refusal.
pub(super) struct Ask {
    pub(super) line: Vec<u8>,
    pub(super) replies: usize,
    pub(super) answer: oneshot::Sender<Outcome>,
}

/// What the keeper is told.
pub(super) enum Message {
    /// Ask this.
    Ask(Ask),
    /// The connection owes an answer for too long: give it up.
    Hang,
}

struct Pending {
    replies: usize,
    so_far: Answer,
    answer: oneshot::Sender<Outcome>,
}

/// Why a conversation ended.
enum Over {
    /// The connection broke.
    Broken,
    /// Nobody has questions any more.
    Dropped,
}

/// Keeps the connection to one server.
pub(super) struct Keeper {
    pub(super) host: Arc<Host>,
    pub(super) server: ServerMark,
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    pub(super) notify: mpsc::UnboundedSender<Notice>,
}

impl Keeper {
    /// Serves until the server or the last handle is gone.
    pub(super) async fn serve(mut self, mut control: Option<Control>) {
        let mut broken = Vec::new();
        loop {
            if let Some(open) = control.take() {
                let mut talk = Conversation::new(open);
                let over = talk.run(&mut self.messages, &self.notify).await;
                broken.extend(talk.pending.drain(..).map(|pending| pending.answer));
                if matches!(over, Over::Dropped) {
                    return;
                }
                tracing::warn!("the control connection to tmux broke");
            }
            match self.reconnect(&mut broken).await {
                Reconnect::Done(fresh) => {
                    control = Some(*fresh);
                    let _ = self.notify.send(Notice::Reconnected);
                }
                Reconnect::ServerGone => return self.refuse_all().await,
                Reconnect::Dropped => return,
            }
        }
    }

    /// Tries until the server's process is gone: unreachable is not dead.
    ///
    /// The first try also sends the old client away. Only after it are the `broken` questions
    /// called unknown, and new ones let through: what is listed then is final, because nothing
    /// that was sent on the old connection can still be carried out.
    async fn reconnect(&mut self, broken: &mut Vec<oneshot::Sender<Outcome>>) -> Reconnect {
        let mut pause = PAUSE_FIRST;
        while process::lives(&self.server) {
            let tried = self.host.reopen_control(&self.server).await;
            broken.drain(..).for_each(|answer| drop(answer.send(Outcome::Broken)));
            match tried {
                Ok(control) => return Reconnect::Done(Box::new(control)),
                Err(error) => tracing::debug!(%error, "no control connection yet"),
            }
            let _ = timeout(pause, self.turn_away()).await;
            if self.messages.is_closed() {
                return Reconnect::Dropped;
            }
            pause = (pause * 2).min(PAUSE_LAST);
        }
        broken.drain(..).for_each(|answer| drop(answer.send(Outcome::Broken)));
        Reconnect::ServerGone
    }

    /// Tells all questions that there is no connection; ends when nobody is left to ask.
    async fn turn_away(&mut self) {
        while let Some(message) = self.messages.recv().await {
            match message {
                Message::Ask(ask) => drop(ask.answer.send(Outcome::NotSent)),
                Message::Hang => {}
            }
        }
    }

    async fn refuse_all(&mut self) {
        tracing::error!(pid = self.server.pid, "the tmux server is gone");
        let _ = self.notify.send(Notice::ServerGone);
        while let Some(message) = self.messages.recv().await {
            match message {
                Message::Ask(ask) => drop(ask.answer.send(Outcome::ServerGone)),
                Message::Hang => {}
            }
        }
    }
}

enum Reconnect {
    Done(Box<Control>),
    ServerGone,
    Dropped,
}

struct Conversation {
    control: Control,
    pending: VecDeque<Pending>,
    unwritten: Vec<u8>,
}

impl Conversation {
    fn new(control: Control) -> Self {
        Self { control, pending: VecDeque::new(), unwritten: Vec::new() }
    }

    async fn run(
        &mut self,
        messages: &mut mpsc::UnboundedReceiver<Message>,
        notify: &mpsc::UnboundedSender<Notice>,
    ) -> Over {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let (writes, asks) =
                (!self.unwritten.is_empty(), self.unwritten.len() < UNWRITTEN_MAX_BYTES);
            tokio::select! {
                read = self.control.reader.read(&mut chunk) => match read {
                    Ok(length) if length > 0 => {
                        if !self.take_all(&chunk[..length], notify) {
                            return Over::Broken;
                        }
                    }
                    Ok(_) | Err(_) => return Over::Broken,
                },
                wrote = self.control.writer.write(&self.unwritten), if writes => match wrote {
                    Ok(length) => drop(self.unwritten.drain(..length)),
                    Err(_) => return Over::Broken,
                },
                message = messages.recv(), if asks => match message {
                    Some(Message::Ask(ask)) => self.send(ask),
                    Some(Message::Hang) => return Over::Broken,
                    None => return Over::Dropped,
                },
            }
        }
    }

    fn send(&mut self, ask: Ask) {
        // Whoever gave up waiting was told that it is unknown, and may have looked by then.
        if ask.answer.is_closed() {
            return;
        }
        self.unwritten.extend_from_slice(&ask.line);
        let so_far = Answer::default();
        self.pending.push_back(Pending { replies: ask.replies, so_far, answer: ask.answer });
    }

    /// False when the stream makes no sense any more.
    fn take_all(&mut self, bytes: &[u8], notify: &mpsc::UnboundedSender<Notice>) -> bool {
        let Ok(frames) = self.control.parser.push(bytes) else { return false };
        frames.into_iter().all(|frame| self.take(frame, notify))
    }

    fn take(&mut self, frame: Frame, notify: &mpsc::UnboundedSender<Notice>) -> bool {
        match frame {
            Frame::Reply { ours: false, .. } => true,
            Frame::Reply { good, body, .. } => self.take_reply(good, body),
            Frame::Notification(line) => {
                if let Some(notice) = notice_of(&line) {
                    let _ = notify.send(notice);
                }
                true
            }
        }
    }

    fn take_reply(&mut self, good: bool, body: Vec<u8>) -> bool {
        // A reply that nobody waits for (`source-file` gives such) means that answers and questions
        // no longer pair up.
        let Some(mut front) = self.pending.pop_front() else { return false };
        if good {
            front.so_far.outputs.push(body);
        } else {
            front.so_far.refused = Some(String::from_utf8_lossy(&body).trim().to_owned());
        }
        if !good || front.so_far.outputs.len() == front.replies {
            let _ = front.answer.send(Outcome::Answered(front.so_far));
        } else {
            self.pending.push_front(front);
        }
        true
    }
}

/// What a notification means to the daemon; most mean nothing.
fn notice_of(line: &[u8]) -> Option<Notice> {
    let text = std::str::from_utf8(line).ok()?;
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    match name {
        "%window-close" | "%unlinked-window-close" => {
            Some(Notice::WindowClosed { window: rest.to_owned() })
        }
        "%client-session-changed" | "%client-detached" | "%session-window-changed" => {
            Some(Notice::WatchersChanged)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_few_notifications_matter() {
        let closed = Notice::WindowClosed { window: "@7".to_owned() };
        assert_eq!(notice_of(b"%unlinked-window-close @7"), Some(closed));
        assert_eq!(notice_of(b"%client-detached client-1"), Some(Notice::WatchersChanged));
        assert_eq!(notice_of(b"%window-add @8"), None);
        assert_eq!(notice_of(b"\xff"), None);
    }
}
