//! What the daemon asks of tmux: open, mark, list, watch and close windows.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use tmux_interface::{
    KillPane, KillServer, KillWindow, ListClients, ListPanes, NewSession, NewWindow, SetOption,
    TmuxCommand,
};
use tokio::time::sleep;

use super::quote::literal;
use super::{Error, Tmux, process};
use crate::model::{Token, signal_number};

/// The pane option that carries an attempt's token.
pub const MARK: &str = "@mv_attempt";

/// Field and record separators of the lists: tmux prints them as they are, and no name holds them.
const FIELD: char = '\x1f';
const RECORD: char = '\x1e';

/// Sessions come and go with their windows, so a creation may have to be worded anew.
const WORDINGS_MAX: usize = 6;

/// A window that is to be opened. It takes the size of whoever looks, 200×50 while nobody does.
#[derive(Clone, Debug)]
pub struct OpenWindow {
    /// The session, made when there is none of that name: `[A-Za-z0-9_-]+`.
    pub session: String,
    /// The window's name, unique within the session: `[A-Za-z0-9_-]+`.
    pub name: String,
    /// The attempt's fence, set as the pane's mark in the same step.
    pub token: Token,
    /// Program and at least one argument; run as they are, without a shell.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: PathBuf,
}

/// A window that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// `%12`.
    pub pane: String,
    /// `@7`.
    pub window: String,
    /// The pane's process.
    pub pid: i32,
}

/// How a pane's process ended, as tmux saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// A pane of the server, ours or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaneSeen {
    /// The session's name.
    pub session: String,
    /// The window's id.
    pub window: String,
    /// The window's name.
    pub name: String,
    /// The pane's id.
    pub pane: String,
    /// Its process, also after that ended.
    pub pid: i32,
    /// Whether its process is over.
    pub dead: bool,
    /// How it ended; `None` while tmux does not know, see [`Tmux::nudge`].
    pub death: Option<Death>,
    /// The token it was marked with.
    pub token: Option<Token>,
    /// What it was started with, as one text quoted by tmux: the second proof of whose it is.
    pub start_command: String,
}

impl Tmux {
    /// Opens a window and marks its pane, in one step that is never half done.
    ///
    /// # Errors
    /// [`Error::Text`] for names, paths or arguments tmux cannot take; [`Error::Unknown`] when it
    /// may have been opened: list and look for the token or the start command.
    pub async fn open_window(&self, window: &OpenWindow) -> Result<Opened, Error> {
        check(window)?;
        let _turn = self.shared.creations.acquire().await.expect("it is never closed");
        let mut with_session = false;
        let mut said = String::new();
        for _ in 0..WORDINGS_MAX {
            let (command, answer) = self.ask(&creation(window, with_session)?).await?;
            let Some(first) = answer.outputs.first() else {
                said = answer.refused.unwrap_or_default();
                if said.starts_with("can't find session") {
                    with_session = true;
                } else if said.starts_with("duplicate session") {
                    with_session = false;
                } else {
                    return Err(Error::Refused { command, said });
                }
                continue;
            };
            let Some(opened) = opened(first) else {
                self.distrust(&command, first);
                return Err(Error::Unknown { command });
            };
            if answer.refused.is_some() {
                // Another window has the same name: the new one is there, without its mark.
                let mark = SetOption::new().pane().target_pane(opened.pane.clone());
                self.run(&[mark.option(MARK).value(window.token.as_str()).build()]).await?;
            }
            return Ok(opened);
        }
        Err(Error::Refused { command: "new-window".to_owned(), said })
    }

    /// All panes of the server.
    ///
    /// # Errors
    /// When tmux does not answer.
    pub async fn list(&self) -> Result<Vec<PaneSeen>, Error> {
        let listed = ListPanes::new().all().format(record_format(&PANE_FIELDS)).build();
        let output = self.run_one(listed).await?;
        let text = String::from_utf8_lossy(&output);
        let (mut panes, mut known) = (Vec::new(), BTreeSet::new());
        for pane in text.split(RECORD).filter_map(pane_seen) {
            // A window that a person linked into a second session is listed twice.
            if known.insert(pane.pane.clone()) {
                panes.push(pane);
            }
        }
        if panes.is_empty() {
            // The keeper is always there, so this is no list, and never means "all are gone".
            self.distrust("list-panes", &output);
            return Err(Error::Unknown { command: "list-panes".to_owned() });
        }
        Ok(panes)
    }

    /// Closes a window; that it is gone already is no error. Panes that a person opened in it are
    /// not ours to close: with such a one the window stays, and only marked panes go.
    ///
    /// # Errors
    /// When tmux does not answer.
    pub async fn close_window(&self, window: &str) -> Result<(), Error> {
        // Whoever ended in it is not to stay a zombie of the server.
        self.nudge();
        let format = format!("#{{pane_id}}{FIELD}#{{{MARK}}}");
        let list = ListPanes::new().target(window).format(format).build();
        let listed = match self.run_one(list).await {
            Err(Error::Refused { said, .. }) if said.starts_with("can't find") => return Ok(()),
            other => other?,
        };
        let text = String::from_utf8_lossy(&listed);
        let panes: Vec<(&str, &str)> =
            text.lines().filter_map(|line| line.split_once(FIELD)).collect();
        let close: Vec<TmuxCommand<'_>> = if panes.iter().any(|(_, mark)| mark.is_empty()) {
            let ours = panes.iter().filter(|(_, mark)| !mark.is_empty());
            ours.map(|(pane, _)| KillPane::new().target_pane(*pane).build()).collect()
        } else {
            vec![KillWindow::new().target_window(window).build()]
        };
        for command in close {
            match self.run(&[command]).await {
                Err(Error::Refused { said, .. }) if said.starts_with("can't find") => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// The windows that people look at just then: the current ones of all attached terminals.
    ///
    /// # Errors
    /// When tmux does not answer.
    pub async fn windows_being_watched(&self) -> Result<Vec<String>, Error> {
        let clients = ListClients::new().format("#{client_control_mode} #{window_id}").build();
        let output = self.run_one(clients).await?;
        let text = String::from_utf8_lossy(&output);
        let mut windows: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("0 ")).map(str::to_owned).collect();
        windows.sort();
        windows.dedup();
        Ok(windows)
    }

    /// Makes the server look for dead children: tmux before 3.6 can lose the signal that says so
    /// (a library swaps the handler), and then never learns how a pane ended.
    pub fn nudge(&self) {
        process::signal(&self.shared.server, Signal::SIGCHLD);
    }

    /// Makes the server create its socket anew when the file was deleted; attaching needs it, the
    /// control connection does not notice.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn restore_socket(&self) -> Result<(), Error> {
        self.shared.host.restore_socket(&self.shared.server).await
    }

    /// Ends the server and every window. Shims hear a hang-up, and agents live on under them.
    ///
    /// # Errors
    /// When the server is still there after all.
    pub async fn kill_server(&self) -> Result<(), Error> {
        // It may be gone before it has answered; what counts is the process.
        let _ = self.run(&[KillServer::new().build()]).await;
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] {
            if !process::lives(&self.shared.server) {
                return Ok(());
            }
            sleep(Duration::from_millis(pause)).await;
        }
        let said = "it was told to end and lives".to_owned();
        Err(Error::Unreachable { socket: self.shared.host.config.socket.clone(), said })
    }

    async fn run_one(&self, command: TmuxCommand<'_>) -> Result<Vec<u8>, Error> {
        Ok(self.run(&[command]).await?.pop().unwrap_or_default())
    }
}

fn check(window: &OpenWindow) -> Result<(), Error> {
    check_name(&window.session)?;
    check_name(&window.name)?;
    if window.argv.len() < 2 {
        let text = window.argv.join(" ");
        return Err(Error::Text { text, why: "one word alone would go through a shell" });
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Error> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if name.is_empty() || !name.bytes().all(fine) {
        let why = "a name has letters, digits, `_` and `-` only";
        return Err(Error::Text { text: name.to_owned(), why });
    }
    Ok(())
}

/// The creation and the mark. The mark's target is explicit: without one, the active pane would
/// be marked, and that is not the new one.
fn creation(window: &OpenWindow, with_session: bool) -> Result<[TmuxCommand<'_>; 2], Error> {
    let cwd = window.cwd.to_str().map(literal).ok_or_else(|| Error::Text {
        text: window.cwd.to_string_lossy().into_owned(),
        why: "the path is not UTF-8",
    })?;
    let (session, name) = (&window.session, &window.name);
    let format = record_format(&["pane_id", "window_id", "pane_pid"]);
    let mut create = if with_session {
        let new = NewSession::new().detached().print().format(format).start_directory(cwd);
        new.session_name(session).window_name(name).build()
    } else {
        let new = NewWindow::new().detached().print().format(format).start_directory(cwd);
        new.target_window(format!("={session}:")).window_name(name).build()
    };
    create.push_param("--");
    for word in &window.argv {
        create.push_param(word);
    }
    let mark = SetOption::new().pane().target_pane(format!("={session}:={name}"));
    Ok([create, mark.option(MARK).value(window.token.as_str()).build()])
}

/// The fields of one pane; the one that may hold anything comes last.
const PANE_FIELDS: [&str; 10] = [
    "session_name",
    "window_id",
    "window_name",
    "pane_id",
    "pane_pid",
    "pane_dead",
    "pane_dead_status",
    "pane_dead_signal",
    MARK,
    "pane_start_command",
];

fn record_format(fields: &[&str]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| format!("#{{{field}}}")).collect();
    format!("{RECORD}{}", fields.join(&FIELD.to_string()))
}

fn opened(output: &[u8]) -> Option<Opened> {
    let text = std::str::from_utf8(output).ok()?.trim_end().strip_prefix(RECORD)?;
    let mut fields = text.split(FIELD);
    let (pane, window) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    Some(Opened { pane, window, pid: fields.next()?.parse().ok()? })
}

fn pane_seen(record: &str) -> Option<PaneSeen> {
    let mut fields = record.trim_end_matches('\n').splitn(PANE_FIELDS.len(), FIELD);
    let mut next = || fields.next().map(str::to_owned);
    let (session, window, name, pane) = (next()?, next()?, next()?, next()?);
    let (pid, dead) = (next()?.parse().ok()?, next()? == "1");
    let death = death(&next()?, &next()?);
    let token = Some(next()?).filter(|token| !token.is_empty()).map(Token::new);
    let start_command = next()?;
    Some(PaneSeen { session, window, name, pane, pid, dead, death, token, start_command })
}

/// Some systems print the signal's name, some its number.
fn death(code: &str, signal: &str) -> Option<Death> {
    if let Some(number) = signal_number(signal) {
        return Some(Death::Signal(number));
    }
    code.parse().ok().map(Death::Code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_known_only_when_tmux_says_how() {
        assert_eq!(death("", ""), None);
        assert_eq!(death("0", ""), Some(Death::Code(0)));
        assert_eq!(death("", "9"), Some(Death::Signal(9)));
        assert_eq!(death("", "KILL"), Some(Death::Signal(9)));
    }

    #[test]
    fn a_start_command_may_hold_the_separator() {
        let record = "s\x1f@1\x1fn\x1f%2\x1f33\x1f1\x1f\x1f9\x1ftok\x1fsh -c 'a\x1fb\nc'\n";
        let pane = pane_seen(record).unwrap();
        assert_eq!(pane.start_command, "sh -c 'a\x1fb\nc'");
        assert_eq!((pane.dead, pane.death), (true, Some(Death::Signal(9))));
        assert_eq!(pane.token, Some(Token::new("tok")));
    }
}
