//! What the kernel says of a process in `/proc/PID/stat`. Only the words: whoever needs them reads
//! the file.

/// The fields that tell who a process is and whether it can still do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    /// `R`, `S`, `Z`, …
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// The id of its session: the pid of the process that began it.
    pub session: i32,
    /// The device of its controlling terminal; 0 when it has none.
    pub terminal: i32,
    /// The kernel's `PF_` flags.
    pub flags: u64,
    /// When it started, in clock ticks since boot: pids are reused, start times are not.
    pub start_ticks: u64,
}

impl ProcessStat {
    /// Reads the file's content. The name in field 2 may hold spaces, parentheses and bytes that
    /// are no text, so the fields are counted from its end.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().rposition(|b| *b == b')')?;
        let rest = std::str::from_utf8(bytes.get(end + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            terminal: fields.get(4)?.parse().ok()?,
            flags: fields.get(6)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it can still do anything: a zombie cannot, and neither can one that is on its way
    /// out (`PF_EXITING`), though it may still hold files and locks.
    pub fn can_run(&self) -> bool {
        const PF_EXITING: u64 = 4;
        !matches!(self.state, 'Z' | 'X' | 'x') && self.flags & PF_EXITING == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_move_the_fields() {
        let line = b"7 (a) Z 1 (b)) S 3 7 7 34816 7 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        let stat = ProcessStat::parse(line).unwrap();
        let expected = ProcessStat {
            state: 'S',
            parent: 3,
            session: 7,
            terminal: 34816,
            flags: 4_194_304,
            start_ticks: 4711,
        };
        assert_eq!(stat, expected);
        assert!(stat.can_run());
        assert!(!ProcessStat { state: 'Z', ..stat }.can_run());
        assert!(!ProcessStat { flags: stat.flags | 4, ..stat }.can_run());
    }

    #[test]
    fn a_name_need_not_be_text() {
        let line = b"7 (\xff) S 3 7 7 34816 7 0 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        assert_eq!(ProcessStat::parse(line).unwrap().start_ticks, 4711);
        assert_eq!(ProcessStat::parse(b""), None);
    }
}
