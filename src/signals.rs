//! Turns signals into words, with who sent them (design §8).

use std::io;
use std::thread;

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Cause;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// HUP: read the configuration again.
    Reload,
    /// HUP from the kernel: the terminal we were started in is gone, which is nobody's wish.
    GoOn,
    /// TERM: save and exit; agents live on.
    Leave,
    /// INT: stop all agents and exit.
    StopAll,
    /// QUIT: exit at once, touching nothing.
    Abandon,
    /// USR1: look again at everything.
    Reconcile,
    /// USR2: reopen the log and dump the state to it.
    Dump,
}

/// A signal that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// What it asks for.
    pub wish: Wish,
    /// Its name.
    pub name: &'static str,
    /// The process that sent it, if the kernel says.
    pub sender: Option<i32>,
}

/// Hands every signal to `deliver`, from a thread of its own, until that returns false.
///
/// # Errors
/// When the signals cannot be caught.
pub fn listen(deliver: impl Fn(Signal) -> bool + Send + 'static) -> io::Result<()> {
    let caught = [SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2];
    let mut signals = SignalsInfo::<WithOrigin>::new(caught)?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for origin in &mut signals {
            let by_kernel = matches!(origin.cause, Cause::Kernel);
            let Some((wish, name)) = meaning(origin.signal, by_kernel) else { continue };
            let sender = origin.process.map(|process| process.pid);
            if !deliver(Signal { wish, name, sender }) {
                return;
            }
        }
    })?;
    Ok(())
}

fn meaning(signal: i32, by_kernel: bool) -> Option<(Wish, &'static str)> {
    Some(match signal {
        SIGHUP if by_kernel => (Wish::GoOn, "SIGHUP"),
        SIGHUP => (Wish::Reload, "SIGHUP"),
        SIGTERM => (Wish::Leave, "SIGTERM"),
        SIGINT => (Wish::StopAll, "SIGINT"),
        SIGQUIT => (Wish::Abandon, "SIGQUIT"),
        SIGUSR1 => (Wish::Reconcile, "SIGUSR1"),
        SIGUSR2 => (Wish::Dump, "SIGUSR2"),
        _ => return None,
    })
}
