//! How attempts end: the one vocabulary of ledger, JSON, `retry_on` and `why` (design §6).

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every word, in the order of their declaration.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The word that ledger, JSON and people see.
            pub const fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }

            /// The value of a word, or `None` for a word that does not exist.
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How one attempt ended.
    Outcome {
        /// It did what was asked.
        Success = "success",
        /// It exited with a code that does not count as success.
        ExitCode = "exit-code",
        /// A signal ended it.
        Signal = "signal",
        /// A signal ended it and it left a core.
        CoreDump = "core-dump",
        /// The kernel killed it for memory.
        OomKill = "oom-kill",
        /// The program could not be started at all.
        ExecFailed = "exec-failed",
        /// It was not ready in time.
        StartTimeout = "start-timeout",
        /// It ran longer than it may.
        Timeout = "timeout",
        /// It printed nothing for longer than it may.
        IdleTimeout = "idle-timeout",
        /// Its heartbeat stayed away.
        Watchdog = "watchdog",
        /// A health probe failed it.
        Probe = "probe",
        /// It succeeded without the result that was required.
        NoResult = "no-result",
        /// Its result is unclosed, is no JSON, or does not fit the schema.
        Malformed = "malformed",
        /// A usage or rate limit; not a failure.
        RateLimited = "rate-limited",
        /// It is not logged in.
        Auth = "auth",
        /// It was not allowed to do what was asked.
        Refused = "refused",
        /// A blocking hook turned it down.
        Hook = "hook",
        /// Nobody knows how it ended.
        Lost = "lost",
        /// A person or the plan stopped it.
        Cancelled = "cancelled",
    }
}

words! {
    /// The class of an outcome, as `error.kind` of the result document.
    ErrorKind {
        /// The program ran and said no.
        Exit = "exit",
        /// A time limit.
        Timeout = "timeout",
        /// The silence limit.
        Idle = "idle",
        /// The result could not be used.
        Malformed = "malformed",
        /// A usage limit.
        Limit = "limit",
        /// The program could not be started.
        Spawn = "spawn",
        /// Nobody knows.
        Lost = "lost",
        /// A hook.
        Hook = "hook",
        /// Stopped on purpose.
        Cancelled = "cancelled",
    }
}

impl Outcome {
    /// The class of this outcome; `None` for success.
    pub const fn kind(self) -> Option<ErrorKind> {
        Some(match self {
            Outcome::Success => return None,
            Outcome::ExitCode
            | Outcome::Signal
            | Outcome::CoreDump
            | Outcome::OomKill
            | Outcome::NoResult
            | Outcome::Auth
            | Outcome::Refused => ErrorKind::Exit,
            Outcome::Timeout | Outcome::StartTimeout | Outcome::Watchdog | Outcome::Probe => {
                ErrorKind::Timeout
            }
            Outcome::IdleTimeout => ErrorKind::Idle,
            Outcome::ExecFailed => ErrorKind::Spawn,
            Outcome::RateLimited => ErrorKind::Limit,
            Outcome::Malformed => ErrorKind::Malformed,
            Outcome::Hook => ErrorKind::Hook,
            Outcome::Lost => ErrorKind::Lost,
            Outcome::Cancelled => ErrorKind::Cancelled,
        })
    }
}

/// The signals that have a name on Linux, with their numbers.
const SIGNALS: &[(&str, i32)] = &[
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGILL", 4),
    ("SIGTRAP", 5),
    ("SIGABRT", 6),
    ("SIGBUS", 7),
    ("SIGFPE", 8),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGSEGV", 11),
    ("SIGUSR2", 12),
    ("SIGPIPE", 13),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
    ("SIGSTKFLT", 16),
    ("SIGCHLD", 17),
    ("SIGCONT", 18),
    ("SIGSTOP", 19),
    ("SIGTSTP", 20),
    ("SIGTTIN", 21),
    ("SIGTTOU", 22),
    ("SIGURG", 23),
    ("SIGXCPU", 24),
    ("SIGXFSZ", 25),
    ("SIGVTALRM", 26),
    ("SIGPROF", 27),
    ("SIGWINCH", 28),
    ("SIGIO", 29),
    ("SIGPWR", 30),
    ("SIGSYS", 31),
];

/// The name of a signal number: `SIGKILL`, or `SIG40` for one without a name.
pub fn signal_name(number: i32) -> String {
    let known = SIGNALS.iter().find(|(_, n)| *n == number);
    known.map_or_else(|| format!("SIG{number}"), |(name, _)| (*name).to_owned())
}

/// The number of a signal name; `TERM`, `SIGTERM`, `sigterm` and `15` are all accepted.
pub fn signal_number(name: &str) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Ok(number) = bare.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    SIGNALS.iter().find(|(known, _)| known[3..] == *bare).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_but_success_has_a_class_and_a_word_of_its_own() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.kind().is_none(), *outcome == Outcome::Success);
            assert_eq!(Outcome::of_word(outcome.word()), Some(*outcome));
        }
        assert_eq!(Outcome::of_word("crashed"), None);
    }

    #[test]
    fn signal_names_and_numbers_agree() {
        for number in 1..=64 {
            assert_eq!(signal_number(&signal_name(number)), Some(number));
        }
        assert_eq!(signal_number("term"), Some(15));
        assert_eq!(signal_number("0"), None);
        assert_eq!(signal_number("SIGNOPE"), None);
    }
}
