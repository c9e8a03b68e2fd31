//! Named steps at which a test makes this program die, stand still, or find the disk full.
//!
//! Only builds with debug assertions know them; in a release build every function here is what it
//! wraps and nothing else (docs/decisions/0007-fail-points.md). Unarmed, a step costs one relaxed
//! load. `MUXVISOR_FAILPOINT` arms them: `NAME=ACTION[@PASS]`, several with commas.
//!
//! | action | what happens |
//! |---|---|
//! | `kill-before`, `kill-after` | the process kills itself before or after the step, if nobody did so before |
//! | `stand` | the process stops itself (SIGSTOP) before the step, likewise once |
//! | `enospc`, `eio`, `emfile`, `erofs` | the step fails so, from that pass on, while the mark is there |
//! | `+MS`, `-MS` | `clock.wall` is moved by so many milliseconds while the mark is there |
//! | `trace` | every step (of the name, or of all with `*`) writes its name into the mark |
//!
//! `MUXVISOR_FAILPOINT_MARK` names a file, the mark: a death makes it and writes its name there, and
//! where it is already nobody dies any more; failures last as long as it is there.

mod steps;

pub use steps::ALL;

#[cfg(debug_assertions)]
pub use armed::{arm, arm_with, future, io, step, wall_ms, words};
#[cfg(not(debug_assertions))]
pub use unarmed::{arm, arm_with, future, io, step, wall_ms, words};

#[cfg(debug_assertions)]
mod armed {
    #![expect(clippy::disallowed_methods, reason = "whoever tests says by environment what fails")]

    use std::collections::BTreeMap;
    use std::fs::OpenOptions;
    use std::io::{self, Write};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};

    use nix::errno::Errno;
    use nix::sys::signal::{Signal, raise};

    /// What `MUXVISOR_FAILPOINT` is called.
    const ORDERS: &str = "MUXVISOR_FAILPOINT";
    /// What names the mark.
    const MARK: &str = "MUXVISOR_FAILPOINT_MARK";

    static ARMED: AtomicBool = AtomicBool::new(false);
    static STATE: OnceLock<State> = OnceLock::new();

    struct State {
        words: [String; 2],
        orders: Vec<Order>,
        mark: PathBuf,
        passes: Mutex<BTreeMap<&'static str, u32>>,
    }

    struct Order {
        name: String,
        action: Action,
        pass: u32,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Action {
        KillBefore,
        KillAfter,
        Stand,
        Fail(Errno),
        Shift(i64),
        Trace,
    }

    /// Arms what the environment says.
    pub fn arm() {
        if let Ok(orders) = std::env::var(ORDERS) {
            arm_with([orders, std::env::var(MARK).unwrap_or_default()].into_iter());
        }
    }

    /// Arms what these words say: the orders and the mark, as [`words`] gives them.
    ///
    /// # Panics
    /// When they mean nothing: a test that arms nothing would prove nothing.
    pub fn arm_with(mut words: impl Iterator<Item = String>) {
        let Some(text) = words.next() else { return };
        let mark = words.next().unwrap_or_default();
        let orders = text.split(',').map(|order| {
            parse(order).unwrap_or_else(|| panic!("`{order}` orders no failure that exists"))
        });
        let state = State {
            orders: orders.collect(),
            mark: PathBuf::from(&mark),
            words: [text.clone(), mark],
            passes: Mutex::default(),
        };
        if STATE.set(state).is_ok() {
            ARMED.store(true, Ordering::Relaxed);
        }
    }

    fn parse(order: &str) -> Option<Order> {
        let (name, action) = order.split_once('=')?;
        let (action, pass) = match action.split_once('@') {
            Some((action, pass)) => (action, pass.parse().ok()?),
            None => (action, 1),
        };
        let known = name == "*" || super::ALL.contains(&name);
        let action = match action {
            "kill-before" => Action::KillBefore,
            "kill-after" => Action::KillAfter,
            "stand" => Action::Stand,
            "enospc" => Action::Fail(Errno::ENOSPC),
            "eio" => Action::Fail(Errno::EIO),
            "emfile" => Action::Fail(Errno::EMFILE),
            "erofs" => Action::Fail(Errno::EROFS),
            "trace" => Action::Trace,
            ms => Action::Shift(ms.parse().ok()?),
        };
        known.then(|| Order { name: name.to_owned(), action, pass })
    }

    /// What a child has to be told so that it is armed like us; nothing when we are not.
    pub fn words() -> Vec<String> {
        state().map(|state| state.words.to_vec()).unwrap_or_default()
    }

    /// A step that cannot fail by itself.
    pub fn step<T>(name: &'static str, act: impl FnOnce() -> T) -> T {
        let Some(state) = state() else { return act() };
        let pass = state.before(name);
        let done = act();
        state.strike(name, Action::KillAfter, pass);
        done
    }

    /// A step that the system may refuse.
    ///
    /// # Errors
    /// Its own, or the one that was ordered.
    pub fn io<T>(name: &'static str, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(state) = state() else { return act() };
        let pass = state.before(name);
        let failure = state.orders.iter().find_map(|order| match order.action {
            Action::Fail(errno) => {
                (order.name == name && pass >= order.pass && state.is_marked()).then_some(errno)
            }
            Action::KillBefore
            | Action::KillAfter
            | Action::Stand
            | Action::Shift(_)
            | Action::Trace => None,
        });
        if let Some(errno) = failure {
            return Err(errno.into());
        }
        let done = act();
        state.strike(name, Action::KillAfter, pass);
        done
    }

    /// A step that others may run beside.
    pub async fn future<T>(name: &'static str, work: impl Future<Output = T>) -> T {
        let Some(state) = state() else { return work.await };
        let pass = state.before(name);
        let done = work.await;
        state.strike(name, Action::KillAfter, pass);
        done
    }

    /// The wall clock as it is to be believed.
    pub fn wall_ms(ms: i64) -> i64 {
        let Some(state) = state().filter(|state| state.is_marked()) else { return ms };
        let shift = state.orders.iter().find_map(|order| match order.action {
            Action::Shift(by) => (order.name == "clock.wall").then_some(by),
            Action::KillBefore
            | Action::KillAfter
            | Action::Stand
            | Action::Fail(_)
            | Action::Trace => None,
        });
        ms.saturating_add(shift.unwrap_or(0))
    }

    fn state() -> Option<&'static State> {
        if ARMED.load(Ordering::Relaxed) { STATE.get() } else { None }
    }

    impl State {
        /// Counts the pass.
        fn before(&self, name: &'static str) -> u32 {
            assert!(super::ALL.contains(&name), "`{name}` is not in the table");
            let pass = {
                let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
                let pass = passes.entry(name).or_default();
                *pass += 1;
                *pass
            };
            for order in self.orders.iter().filter(|order| order.action == Action::Trace) {
                if order.name == "*" || order.name == name {
                    let line = format!("{name} {}\n", std::process::id());
                    let mut options = OpenOptions::new();
                    let mark = options.append(true).create(true).open(&self.mark);
                    // Who traces sees what is missing.
                    let _ = mark.and_then(|mut mark| mark.write_all(line.as_bytes()));
                }
            }
            self.strike(name, Action::KillBefore, pass);
            self.strike(name, Action::Stand, pass);
            pass
        }

        fn strike(&self, name: &str, action: Action, pass: u32) {
            let is_due = |o: &Order| o.name == name && o.action == action && pass >= o.pass;
            if !self.orders.iter().any(is_due) {
                return;
            }
            // The first to make the mark dies; nobody after it does.
            let Ok(mut mark) = OpenOptions::new().write(true).create_new(true).open(&self.mark)
            else {
                return;
            };
            let _ = writeln!(mark, "{name} {pass} {}", std::process::id());
            let signal = if action == Action::Stand { Signal::SIGSTOP } else { Signal::SIGKILL };
            let _ = raise(signal);
        }

        fn is_marked(&self) -> bool {
            self.mark.exists()
        }
    }
}

#[cfg(not(debug_assertions))]
mod unarmed {
    use std::io;

    /// Arms nothing.
    pub fn arm() {}

    /// Arms nothing.
    pub fn arm_with(_: impl Iterator<Item = String>) {}

    /// Nothing.
    pub fn words() -> Vec<String> {
        Vec::new()
    }

    /// The step.
    #[inline]
    pub fn step<T>(_: &'static str, act: impl FnOnce() -> T) -> T {
        act()
    }

    /// The step.
    ///
    /// # Errors
    /// Its own.
    #[inline]
    pub fn io<T>(_: &'static str, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        act()
    }

    /// The step.
    #[inline]
    pub async fn future<T>(_: &'static str, work: impl Future<Output = T>) -> T {
        work.await
    }

    /// The wall clock.
    #[inline]
    pub fn wall_ms(ms: i64) -> i64 {
        ms
    }
}
