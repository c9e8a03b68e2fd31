//! Performs what was decided and committed. An effect that fails comes back as an event; nothing
//! here decides what to do about it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cgroup;
use crate::failpoint;
use crate::model::{AttemptId, Order, Owner, ProcessMark, ServerMark, ms};
use crate::shim;
use crate::supervisor::Event;
use crate::tmux::{self, OpenWindow, PaneSeen, Tmux};

use super::adopt::Place;
use super::engine::Engine;
use super::process::Signal;
use super::watch::{Followed, follow};
use super::windows::WindowNews;
use super::{Effect, Inbox, Incoming, Settings, ending, launch, process};

impl Engine {
    /// Performs it. A window is closed only in the `server` that had it when that was decided.
    pub(super) fn perform(&self, effect: Effect, server: Option<&ServerMark>) {
        match effect {
            Effect::Launch(order) => self.launch(*order),
            Effect::Stop(attempt) => {
                // Its policy may have changed since `spec.json` was written.
                let row = self.core.supervisor.attempt(&attempt);
                let how = row.map(|row| row.order.stop.clone());
                self.ask_shim(&attempt, shim::Request::Stop { how });
            }
            Effect::Kill(attempt) => self.ask_shim(&attempt, shim::Request::Kill),
            Effect::TypePrompt { attempt, text } => {
                self.ask_shim(&attempt, shim::Request::Prompt { text });
            }
            Effect::Sample { attempt, probe, ask } => self.sample(&attempt, probe, ask),
            Effect::Press { attempt, keys } => {
                self.ask_shim(&attempt, shim::Request::Keys { keys });
            }
            Effect::AskQuiet(attempt) => self.ask_quiet(&attempt),
            Effect::LookUp(questions) => self.look_up(questions),
            Effect::CloseWindow { window, success } if self.server() == server => {
                self.close_window(window, success);
            }
            // It went with its server; the next one gives its id to another window.
            Effect::CloseWindow { .. } => {}
        }
    }

    fn launch(&self, mut order: Order) {
        self.put_own_program(&mut order);
        let env = match &order.owner {
            Owner::Task { run, .. } => self.core.workflow.run(run).map(|run| &run.submission.env),
            Owner::Instance { .. } => Some(&self.settings.env),
        };
        let env = env.cloned().unwrap_or_default();
        let confinement = cgroup::confine(&self.ground, &order.resources, &order.attempt);
        // Not all settings: with a copy of the configuration for each launch 100 of them left 30 MiB.
        let Settings { home, cwd, program, .. } = &self.settings;
        let (home, cwd, program) = (home.clone(), cwd.clone(), program.clone());
        let tmux = self.tmux.clone();
        let server = tmux.as_ref().map(|tmux| tmux.server().clone());
        let boot_id = self.clock.boot_id().to_owned();
        let (inbox, notices) = (self.inbox.clone(), self.notices.clone());
        tokio::spawn(async move {
            let write = {
                let (order, server) = (order.clone(), server.clone());
                let (home, program) = (home.clone(), program.clone());
                tokio::task::spawn_blocking(move || {
                    let around = launch::Surroundings {
                        home: &home,
                        env: &env,
                        cwd: &cwd,
                        program: &program,
                        server,
                        confinement,
                    };
                    launch::write_spec(&order, &around)
                })
                .await
            };
            let failed = |message: String| {
                let attempt = order.attempt.clone();
                inbox.put(Incoming::Supervisor(Event::LaunchFailed { attempt, message }));
            };
            let dir = match write {
                Ok(Ok(dir)) => dir,
                Ok(Err(error)) => return failed(format!("failed to write spec.json: {error}")),
                Err(_) => return failed("the writer of spec.json panicked".to_owned()),
            };
            match start(tmux.as_ref(), &order, &program, &dir).await {
                Ok((pid, place)) => {
                    let shim = process::mark(pid, &boot_id);
                    let attempt = order.attempt.clone();
                    let socket = home.shim_socket(&order.attempt);
                    failpoint::step("launch.report", || {
                        inbox.launched(attempt, shim.clone(), place, server);
                    });
                    let followed = Followed { order, dir, socket, shim, boot_id };
                    follow(followed, notices, inbox).await;
                }
                Err(message) => failed(message),
            }
        });
    }

    pub(super) fn ask_shim(&self, attempt: &AttemptId, request: shim::Request) {
        let Some(row) = self.core.supervisor.attempt(attempt) else { return };
        // Without a shim there is nobody to tell yet; the launch that is under way will ask again.
        let Some(shim) = row.shim.clone() else { return };
        let socket = self.settings.home.shim_socket(attempt);
        let boot_id = self.clock.boot_id().to_owned();
        let (attempt, inbox) = (attempt.clone(), self.inbox.clone());
        // An end that was ordered is never dropped: it is asked for until it is heard. Neither is
        // a prompt, which is typed once however often it is asked for.
        let ends = matches!(request, shim::Request::Stop { .. } | shim::Request::Kill);
        let lasts = ends || matches!(request, shim::Request::Prompt { .. });
        let request = Arc::new(request);
        tokio::spawn(async move {
            loop {
                let told = {
                    let (socket, request) = (socket.clone(), request.clone());
                    let (shim, boot_id) = (shim.clone(), boot_id.clone());
                    move || {
                        failpoint::step("ask.tell-shim", || {
                            tell_shim(&socket, &request, &shim, &boot_id)
                        })
                    }
                };
                let told = tokio::task::spawn_blocking(told).await;
                let refused = matches!(told, Ok(Ok(shim::Reply::Refused { .. })));
                let why = match told {
                    Ok(Ok(shim::Reply::Done | shim::Reply::Status(_))) => return,
                    Ok(Ok(shim::Reply::Refused { message })) => message,
                    Ok(Err(error)) => error.to_string(),
                    Err(panic) => panic.to_string(),
                };
                let what = word(&request);
                let text = format!("attempt {attempt} could not be told to {what}: {why}");
                inbox.put(Incoming::Fault(text));
                if !lasts || (refused && !ends) {
                    return;
                }
                tokio::time::sleep(TELL_AGAIN).await;
            }
        });
    }

    fn ask_quiet(&self, attempt: &AttemptId) {
        let Some(row) = self.core.supervisor.attempt(attempt) else { return };
        let started = row.started.unwrap_or(row.intended);
        let ran = self.clock.now().since(started);
        let ran_ms = ms(ran);
        let quiet_ms = ending::quiet_ms(&self.attempt_dir(attempt), ran_ms);
        let attempt = attempt.clone();
        self.inbox.put(Incoming::Supervisor(Event::Heard { attempt, quiet_ms }));
    }

    fn close_window(&self, window: String, success: bool) {
        // An id of a server that died meanwhile may be the id of somebody's window in the next.
        if self.core.supervisor.attempts().any(|row| row.window.as_ref() == Some(&window)) {
            return;
        }
        let Some(tmux) = self.tmux.clone() else { return };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let server = tmux.server().clone();
            // Not to know who looks is no reason to close anything.
            let watched = tmux.windows_being_watched();
            let watched = failpoint::future("window.look-before", watched).await;
            if matches!(watched, Err(tmux::Error::ServerGone { .. })) {
                return;
            }
            if watched.is_ok_and(|watched| !watched.contains(&window)) {
                // A window that is gone already is what was wanted.
                let closed = failpoint::future("window.close", tmux.close_window(&window)).await;
                if let Err(error) = closed {
                    tracing::debug!("window {window} was not closed: {error}");
                }
            } else {
                inbox.put(Incoming::Windows(WindowNews::Left { server, window, success }));
            }
        });
    }
}

/// How often a shim is asked that is there and does not listen yet, and how long between.
const YOUNG_TRIES: u32 = 100;
const YOUNG_AGAIN_MS: u32 = 20;
/// How long between two tries to tell a shim to end that could not be told.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// Tells a shim on its socket. One that does not answer there is told to stop by signal: a first
/// SIGTERM asks, a second one kills. A shim that was only just started listens in a moment, and a
/// signal would end it before it could leave a record, so it is asked again first.
fn tell_shim(
    socket: &Path,
    request: &shim::Request,
    mark: &ProcessMark,
    boot_id: &str,
) -> Result<shim::Reply, shim::AskError> {
    let mut asked = shim::ask(socket, request);
    for _ in 0..YOUNG_TRIES {
        if !matches!(asked, Err(shim::AskError::Gone(_))) {
            break;
        }
        // Nobody there to be told: its end is on its way.
        if process::gone_within(mark, boot_id, YOUNG_AGAIN_MS) {
            return Ok(shim::Reply::Done);
        }
        asked = shim::ask(socket, request);
    }
    let ends = matches!(request, shim::Request::Stop { .. } | shim::Request::Kill);
    if asked.is_err() && ends && process::signal(mark, boot_id, Signal::TERM) {
        return Ok(shim::Reply::Done);
    }
    asked
}

/// What a request is about, without the texts in it, which are nobody's business in a log.
fn word(request: &shim::Request) -> &'static str {
    match request {
        shim::Request::Status => "say how it is",
        shim::Request::Stop { .. } => "stop",
        shim::Request::Kill => "end at once",
        shim::Request::Send { .. } => "type a text",
        shim::Request::Prompt { .. } => "type the prompt",
        shim::Request::Keys { .. } => "press keys",
        shim::Request::Size { .. } => "change its size",
        shim::Request::View { .. } => "show itself",
        shim::Request::Look { .. } => "show its output sooner or later",
    }
}

/// Starts the shim: its pid, and where it is.
async fn start(
    tmux: Option<&Tmux>,
    order: &Order,
    program: &Path,
    dir: &Path,
) -> Result<(i32, Place), String> {
    let windowless = || {
        let pid = launch::start_windowless(program, dir);
        let pid = pid.map_err(|error| format!("failed to start a shim: {error}"))?;
        Ok((pid, (None, None)))
    };
    // While there is no server its agent does not wait; it is shown as soon as there is one.
    let Some(tmux) = tmux.filter(|_| order.windowed) else { return windowless() };
    let text = |path: &Path| path.display().to_string();
    let window = OpenWindow {
        session: order.session.clone(),
        name: order.label.clone(),
        token: order.token.clone(),
        argv: [text(program), "shim".to_owned(), text(dir)]
            .into_iter()
            .chain(failpoint::words())
            .collect(),
        cwd: PathBuf::from("/"),
    };
    let opened = failpoint::future("launch.open-window", tmux.open_window(&window)).await;
    let found = match opened {
        Ok(opened) => return Ok((opened.pid, (Some(opened.pane), Some(opened.window)))),
        Err(tmux::Error::Unknown { .. }) => find(tmux, order).await,
        Err(error) => Err(error),
    };
    match found {
        // A shim that it may have started after all holds the attempt; a second one leaves it so.
        Err(tmux::Error::ServerGone { .. }) => windowless(),
        Err(error) => Err(error.to_string()),
        Ok(Some(pane)) => Ok((pane.pid, (Some(pane.pane), Some(pane.window)))),
        Ok(None) => Err("tmux gave no answer, and there is no such window".to_owned()),
    }
}

/// A creation whose answer was lost is never sent again blindly: it is looked for by its mark.
async fn find(tmux: &Tmux, order: &Order) -> Result<Option<PaneSeen>, tmux::Error> {
    let panes = failpoint::future("launch.find-window", tmux.list()).await?;
    Ok(panes.into_iter().find(|pane| pane.token.as_ref() == Some(&order.token)))
}

impl Inbox {
    /// Follows an attempt that an earlier daemon launched.
    pub(super) fn follow(&self, followed: Followed, notices: super::notices::Notices) {
        tokio::spawn(follow(followed, notices, self.clone()));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a process stands in for a young shim")]

    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    /// A stop between the start of a shim and its first lines must reach it as a request: a signal
    /// would end it before it could leave a record.
    #[test]
    fn a_shim_that_does_not_listen_yet_is_asked_again_and_not_signalled() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let mut young = Command::new("sleep").arg("1000").spawn().unwrap();
        let mark = process::mark(i32::try_from(young.id()).unwrap(), "boot");
        let shim = {
            let (socket, mark) = (socket.clone(), mark.clone());
            std::thread::spawn(move || {
                let ended = process::gone_within(&mark, "boot", 200);
                let listener = UnixListener::bind(socket).unwrap();
                let (mut client, _) = listener.accept().unwrap();
                let mut line = String::new();
                BufReader::new(&client).read_line(&mut line).unwrap();
                client.write_all(b"{\"reply\":\"done\"}\n").unwrap();
                (ended, line)
            })
        };
        let request = shim::Request::Stop { how: None };
        tell_shim(&socket, &request, &mark, "boot").unwrap();
        assert!(young.try_wait().unwrap().is_none(), "it was signalled");
        young.kill().unwrap();
        young.wait().unwrap();
        let (ended, line) = shim.join().unwrap();
        assert!(!ended && line.contains("stop"), "{line}");
        // One that has ended needs to be told nothing.
        tell_shim(&dir.path().join("none"), &request, &mark, "boot").unwrap();
    }
}
