//! What each signal makes the daemon do (design §8, fixed).

use crate::failpoint;
use crate::policy::OnTerm;
use crate::signals::{Signal, Wish};
use crate::supervisor::Event;
use crate::workflow;

use super::Input;
use super::engine::{Engine, Leaving};
use super::reload::By;

impl Engine {
    pub(super) fn signalled(&mut self, signal: &Signal) {
        let sender = signal.sender.map_or_else(String::new, |pid| format!(" from pid {pid}"));
        tracing::info!("{}{sender}", signal.name);
        match signal.wish {
            Wish::Leave => match self.settings.config.daemon.on_term {
                OnTerm::Detach => self.leaving = Leaving::Now,
                OnTerm::Stop => self.stop_all(),
            },
            Wish::Abandon => self.leaving = Leaving::Now,
            Wish::StopAll => self.stop_all(),
            Wish::Reload => {
                // What is wrong was noted, and nobody waits for an answer.
                let _ = self.reload(By::Person);
            }
            Wish::GoOn => tracing::info!("the terminal is gone, the daemon goes on"),
            Wish::Reconcile => self.reconcile(),
            Wish::Dump => self.dump(),
        }
    }

    /// Stops every agent, then leaves. Asked again, it kills.
    pub(super) fn stop_all(&mut self) {
        self.decide(Input::Workflow(workflow::Event::Closing));
        self.decide(Input::Supervisor(Event::Closing));
        self.leaving = Leaving::WhenEmpty;
    }

    /// Something vanished from the runtime directory, or all of it did: the sockets matter, and the
    /// folder in which shims have theirs.
    pub(super) fn file_removed(&mut self) {
        if let Err(error) = self.settings.home.prepare() {
            tracing::error!("{error}");
        }
        if !self.door.stands() || !self.settings.home.tmux_socket().exists() {
            self.mend();
        }
        if let Err(error) = self.watch_runtime() {
            tracing::error!("{error}");
        }
    }

    /// Makes sure that clients and tmux can be reached, and looks at every attempt again: at its
    /// files, and at where its pane is.
    pub(super) fn reconcile(&mut self) {
        self.notices.look_again();
        self.mend();
    }

    /// Makes sure that clients and tmux can be reached. Looks at no file again: whoever waits for
    /// removals would come back here at once, for as long as there is no tmux.
    fn mend(&mut self) {
        match failpoint::step("reconcile.mend", || self.door.mend()) {
            Ok(true) => tracing::warn!("the control socket was gone and is made anew"),
            Ok(false) => {}
            Err(error) => tracing::error!("the control socket cannot be made anew: {error}"),
        }
        let Some(tmux) = self.tmux.clone() else { return };
        tokio::spawn(async move {
            let restored = tmux.restore_socket();
            let restored = failpoint::future("reconcile.restore-socket", restored).await;
            if let Err(error) = restored {
                tracing::error!("tmux: {error}");
            }
        });
        self.relist();
    }

    /// Opens the log anew and writes the state into it, tokens left out.
    fn dump(&self) {
        if let Err(error) = failpoint::io("dump.reopen-log", || self.log.reopen()) {
            tracing::error!("the log cannot be opened anew: {error}");
        }
        for run in self.core.workflow.runs() {
            let tasks = run.tasks().map(|(plan, task)| format!("{}={}", plan.id, task.state));
            let tasks: Vec<String> = tasks.collect();
            tracing::info!("run {} is {}: {}", run.id, run.state, tasks.join(" "));
        }
        for row in self.core.supervisor.instances() {
            tracing::info!(
                "instance {} is {}, wanted {}: {}",
                row.name,
                row.state,
                row.desired,
                row.why
            );
        }
        for row in self.core.supervisor.attempts() {
            let pid = row.process.as_ref().map(|mark| mark.pid);
            tracing::info!("attempt {} is {}, process {pid:?}", row.order.label, row.state);
        }
    }
}
