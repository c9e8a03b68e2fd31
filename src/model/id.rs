//! Ids and tokens, and the mint that makes them: random enough to be a fence, yet a pure function
//! of a seed, so that a simulation can repeat itself.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text that is known to be such an id.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// One execution of a plan: `PLAN-2026-11-21-001` (feature A17).
    RunId
}
text_id! {
    /// A task of a plan, unique within it: `task-1a` (feature A18).
    TaskId
}
text_id! {
    /// One process of one agent; also the name of its directory and of its socket, hence short.
    AttemptId
}

/// The fence of an attempt: whoever reports for it must know this. 128 random bits in hex.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// Wraps a text that is known to be a token.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token as text; for the child's environment and the tmux mark, not for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The four letters that interactive prompts carry: `<result id="k7f3">`.
    pub fn tag(&self) -> &str {
        self.0.get(..4).unwrap_or(&self.0)
    }
}

/// Debug output ends up in logs, and a token is a secret: only its tag is shown.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}…)", self.tag())
    }
}

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a run id: expected the form PLAN-2026-11-21-001")]
pub struct IdError {
    /// What was given.
    pub text: String,
}

impl RunId {
    /// The id of the `n`th run of a day; `date` is `YYYY-MM-DD`.
    pub fn of_day(date: &str, n: u32) -> Self {
        Self(format!("PLAN-{date}-{n:03}"))
    }

    /// Reads an id that a person typed.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let error = || IdError { text: text.to_owned() };
        let rest = text.strip_prefix("PLAN-").ok_or_else(error)?;
        let mut parts = rest.split('-');
        let digits = |part: Option<&str>, least: usize, most: usize| {
            part.is_some_and(|p| {
                (least..=most).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit())
            })
        };
        let fits = digits(parts.next(), 4, 4)
            && digits(parts.next(), 2, 2)
            && digits(parts.next(), 2, 2)
            && digits(parts.next(), 3, 9)
            && parts.next().is_none();
        if fits { Ok(Self(text.to_owned())) } else { Err(error()) }
    }
}

/// Makes attempt ids and tokens from a secret seed and a counter (SHA-256 of both).
///
/// The daemon seeds it from the operating system at every start, so that ids never repeat;
/// a simulation seeds it with its own number.
#[derive(Clone)]
pub struct Mint {
    seed: [u8; 32],
    count: u64,
}

impl Mint {
    /// A mint that starts from `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, count: 0 }
    }

    /// The next attempt id: ten letters and digits, without those that look alike.
    pub fn attempt_id(&mut self) -> AttemptId {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let bytes = self.draw();
        let text = bytes.iter().take(10).map(|b| char::from(ALPHABET[usize::from(b % 32)]));
        AttemptId(text.collect())
    }

    /// The next token.
    pub fn token(&mut self) -> Token {
        let bytes = self.draw();
        Token(bytes.iter().take(16).map(|b| format!("{b:02x}")).collect())
    }

    /// A number for seeded jitter.
    pub fn number(&mut self) -> u64 {
        let bytes = self.draw();
        u64::from_le_bytes(bytes[..8].try_into().expect("a digest has 32 bytes"))
    }

    fn draw(&mut self) -> [u8; 32] {
        self.count += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.count.to_le_bytes());
        hash.finalize().into()
    }
}

/// The seed is a secret, because tokens follow from it.
impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mint").field("count", &self.count).finish_non_exhaustive()
    }
}

/// The name of an attempt's tmux window, `wf_<id>_<task>_<desc>` (feature H6).
///
/// tmux expands formats in names and people type them, so only `[A-Za-z0-9_-]` is kept; the
/// attempt id at the end makes the name unique, which the creation line needs.
pub fn window_label(parts: &[&str], attempt: &AttemptId) -> String {
    let clean = |part: &&str| -> String {
        let kept =
            part.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' });
        let text: String = kept.take(32).collect();
        text.trim_matches('-').to_owned()
    };
    let mut words: Vec<String> = parts.iter().map(clean).filter(|w| !w.is_empty()).collect();
    words.push(attempt.as_str().to_owned());
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feature A17: run ids have one form, and nothing else passes for one.
    #[test]
    fn run_ids_are_read_and_written_in_one_form() {
        assert_eq!(RunId::of_day("2026-02-04", 1).as_str(), "PLAN-2026-02-04-001");
        assert!(RunId::parse("PLAN-2026-02-04-001").is_ok());
        for wrong in [
            "",
            "PLAN-",
            "plan-2026-02-04-001",
            "PLAN-2026-02-04",
            "PLAN-2026-2-04-001",
            "PLAN-2026-02-04-001-x",
            "PLAN-2026-02-04-01",
            "../PLAN-2026-02-04-001",
        ] {
            assert!(RunId::parse(wrong).is_err(), "{wrong} must be refused");
        }
    }

    #[test]
    fn a_mint_repeats_itself_only_from_the_same_seed() {
        let (mut one, mut two, mut other) =
            (Mint::new([1; 32]), Mint::new([1; 32]), Mint::new([2; 32]));
        let first = one.attempt_id();
        assert_eq!(first, two.attempt_id());
        assert_ne!(first, other.attempt_id());
        assert_ne!(first, one.attempt_id());
        assert_eq!(one.token().as_str().len(), 32);
    }

    /// Feature H6, and names such as `finance@cowork` (A19) are safe in tmux.
    #[test]
    fn labels_hold_nothing_that_tmux_would_expand() {
        let label = window_label(
            &["wf", "PLAN-2026-11-21-001", "task-1a", "#{x}: a;b"],
            &AttemptId::new("k7f3"),
        );
        assert_eq!(label, "wf_PLAN-2026-11-21-001_task-1a_x---a-b_k7f3");
    }
}
