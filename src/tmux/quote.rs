//! Writes commands so that tmux reads back exactly the words that were meant. Pure.
//!
//! There are two readers: the parser of control mode and of conf files (one line, quotes), and
//! the argument vector of a forked `tmux` (only a `;` at the end of a word is special).
//! Quoting protects from the parser alone; some arguments (`-n`, `-c`, `-F`) are expanded as
//! formats afterwards, see [`literal`].

use tmux_interface::TmuxCommand;

use super::Error;

/// The words of some commands.
pub(super) fn words(commands: &[TmuxCommand<'_>]) -> Result<Vec<Vec<String>>, Error> {
    let owned = |command: &TmuxCommand<'_>| -> Result<Vec<String>, Error> {
        command.to_vec().into_iter().map(|word| sayable(word.into_owned())).collect()
    };
    commands.iter().map(owned).collect()
}

fn sayable(word: String) -> Result<String, Error> {
    if word.contains('\0') {
        return Err(Error::Text { text: word.replace('\0', "\\0"), why: "it holds a NUL" });
    }
    Ok(word)
}

/// One line for the control connection or a conf file; tmux runs it as one sequence.
pub(super) fn line(commands: &[Vec<String>]) -> Vec<u8> {
    let rendered: Vec<String> = commands.iter().map(|words| one(words)).collect();
    let mut line = rendered.join(" ; ").into_bytes();
    line.push(b'\n');
    line
}

fn one(words: &[String]) -> String {
    let mut out = String::new();
    for (i, word) in words.iter().enumerate() {
        if i == 0 {
            out.push_str(word);
        } else {
            out.push(' ');
            quote(word, &mut out);
        }
    }
    out
}

/// Quotes one word for tmux's own parser; the result holds no LF, whatever the word holds.
fn quote(word: &str, out: &mut String) {
    out.push('"');
    for c in word.chars() {
        match c {
            // A tilde right after the quote would become a home directory.
            '"' | '\\' | '$' | '~' => out.extend(['\\', c]),
            '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\{:03o}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// One word for the argument vector of a forked `tmux`, where a final `;` separates commands.
pub(super) fn argument(word: &str) -> String {
    match word.strip_suffix(';') {
        Some(rest) => format!("{rest}\\;"),
        None => word.to_owned(),
    }
}

/// Escapes text for an argument that tmux expands as a format.
pub(super) fn literal(text: &str) -> String {
    text.replace('#', "##")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        let words = ["set", "a\nb\r", "~ $HOME \"q\" \\ é", ";"].map(str::to_owned).to_vec();
        let line = String::from_utf8(line(&[words.clone(), vec!["ls".into()]])).unwrap();
        assert_eq!(line, "set \"a\\012b\\015\" \"\\~ \\$HOME \\\"q\\\" \\\\ é\" \";\" ; ls\n");
    }

    #[test]
    fn only_a_final_semicolon_is_escaped_in_an_argument() {
        assert_eq!(argument(";"), "\\;");
        assert_eq!(argument("a\\;"), "a\\\\;");
        assert_eq!(argument(";a"), ";a");
    }

    #[test]
    fn nul_is_refused() {
        let mut command = TmuxCommand::with_name("ls");
        command.push_param("a\0b");
        assert!(matches!(words(&[command]), Err(Error::Text { .. })));
    }
}
