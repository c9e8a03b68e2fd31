//! Reads what an attempt left in its directory once its shim is gone: exit record, result, last
//! lines. Blocking; the log may be large, so it is read in pieces.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::clock;
use crate::failpoint;
use crate::model::{
    Ending, Exit, Extract, Order, PromptBy, ResultRule, ResultSource, Spent, UsageFormat, files,
};
use crate::transcript::{self, Metered, Scanner, end_lines, meter, plain, tail, without_echo};

use super::fence;

/// The largest result, in bytes (design §5).
const RESULT_MAX: u64 = 8 << 20;
/// How much of the log's end is looked at for the last lines.
const TAIL_BYTES: u64 = 32 << 10;
/// How many last lines are kept (research 5.2).
pub(super) const TAIL_LINES: usize = 40;

/// The exit record, if it is there and belongs to this attempt.
///
/// # Errors
/// When it is there and cannot be read just now.
pub(super) fn exit_record(dir: &Path, order: &Order) -> io::Result<Option<Exit>> {
    let bytes = match fs::read(dir.join(files::EXIT)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let exit: Option<Exit> = serde_json::from_slice(&bytes).ok();
    Ok(exit.filter(|exit| exit.token == order.token.as_str()))
}

/// Reads everything, and leaves `result.json` behind.
///
/// # Errors
/// When something was lacking that is there again soon, such as a file descriptor: what cannot be
/// read for that was said all the same.
pub(super) fn read(
    dir: &Path,
    order: &Order,
    exit: Option<Exit>,
) -> io::Result<(Ending, Vec<Spent>)> {
    let log = dir.join(files::LOG);
    let Metered { spent, answer } = metered(dir, order)?;
    let extract = lasting(extract(dir, order, answer.as_deref()))?.unwrap_or_else(|error| {
        Extract::Malformed { reason: format!("its output cannot be read: {error}") }
    });
    // The result is in the ledger too; this copy is for people and other programs.
    let _ = leave_result(dir, &extract);
    let end = lasting(end_of(&log))?.unwrap_or_default();
    // The complaint of one that failed may stand beside its answer.
    let ended_well = exit.as_ref().is_some_and(|exit| exit.code == Some(0));
    let prompt = order.prompt.as_deref();
    let tail = last_words(&end, answer.as_deref().filter(|_| ended_well), prompt);
    // What it was told is nothing that happened to it.
    let screen = said(since_cleared(&end), prompt);
    let ending = Ending { exit, extract, tail, log, screen, read_at: clock::wall_time() };
    Ok((ending, spent))
}

/// A want passes, and is the error; any other failure stays, and is a finding.
fn lasting<T>(read: io::Result<T>) -> io::Result<io::Result<T>> {
    match read {
        Err(error) if fence::is_shortage(&error) => Err(error),
        found => Ok(found),
    }
}

/// The last lines, for people and for the next attempt: what a program said, if it wrapped that in
/// output for machines, and else what it printed.
fn last_words(end: &[u8], answer: Option<&str>, prompt: Option<&str>) -> String {
    let answer = answer.filter(|answer| !answer.trim().is_empty());
    answer.map_or_else(|| said(end, prompt), |answer| tail(answer.as_bytes(), TAIL_LINES))
}

/// The last lines, without an echo of what it was told.
fn said(end: &[u8], prompt: Option<&str>) -> String {
    end_lines(without_echo(&plain(end), prompt), TAIL_LINES).to_owned()
}

/// What it used, and its answer if its output is for machines, as far as it wrote that down.
fn metered(dir: &Path, order: &Order) -> io::Result<Metered> {
    if order.usage == UsageFormat::None {
        return Ok(Metered::default());
    }
    let text = lasting(output_end(dir))?.unwrap_or_default();
    let metered = meter(order.usage, &text);
    // That some output looks like that of a known program says nothing of its result.
    let answer = metered.answer.filter(|_| order.usage != UsageFormat::Auto);
    Ok(Metered { answer, ..metered })
}

/// The end of what stands in the log as terminal output or standard output, without escapes.
fn output_end(dir: &Path) -> io::Result<String> {
    let index = BufReader::new(File::open(dir.join(files::INDEX))?);
    let mut log = File::open(dir.join(files::LOG))?;
    let size = log.metadata()?.len();
    let mut spans = output_spans(index, size);
    let mut left = RESULT_MAX;
    for (from, to) in spans.iter_mut().rev() {
        *from = (*from).max(to.saturating_sub(left));
        left -= *to - *from;
    }
    let mut bytes = Vec::new();
    for (from, to) in spans {
        log.seek(SeekFrom::Start(from))?;
        bytes.extend(read_up_to(&log, to - from)?);
    }
    Ok(plain(&bytes))
}

/// The result in an answer that stood in machine output.
fn answered(answer: &str, order: &Order) -> Option<Extract> {
    let source = ResultSource::Structured;
    match order.result {
        ResultRule::Stdout => Some(Extract::Complete { source, text: answer.to_owned() }),
        ResultRule::Tag => {
            let mut scanner = Scanner::new(&transcript::Settings {
                terminal: false,
                ..transcript::Settings::default()
            });
            scanner.feed(answer.as_bytes());
            Some(match scanner.finish() {
                Extract::Complete { text, .. } => Extract::Complete { source, text },
                other @ (Extract::Malformed { .. } | Extract::Missing) => other,
            })
        }
        ResultRule::Submit | ResultRule::None => None,
    }
}

fn extract(dir: &Path, order: &Order, answer: Option<&str>) -> io::Result<Extract> {
    if let Some(submitted) = submitted(&dir.join(files::SUBMITTED))? {
        return Ok(submitted);
    }
    if let Some(extract) = answer.and_then(|answer| answered(answer, order)) {
        return Ok(extract);
    }
    match order.result {
        ResultRule::Tag => tagged(dir, order),
        ResultRule::Stdout => stdout(dir),
        ResultRule::Submit | ResultRule::None => Ok(Extract::Missing),
    }
}

fn submitted(path: &Path) -> io::Result<Option<Extract>> {
    // A pipe that the agent made there would be waited for in vain.
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let reason = "what it submitted is no file".to_owned();
            return Ok(Some(Extract::Malformed { reason }));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let bytes = read_up_to(File::open(path)?, RESULT_MAX + 1)?;
    if bytes.len() as u64 > RESULT_MAX {
        return Ok(Some(too_large("the submitted result")));
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Some(Extract::Complete { source: ResultSource::Submitted, text }))
}

/// What stands between tags. A program that talks on standard error while it answers must not tear
/// its answer apart, so standard output is read alone first, and then all of the log.
fn tagged(dir: &Path, order: &Order) -> io::Result<Extract> {
    let mut log = File::open(dir.join(files::LOG))?;
    let size = log.metadata()?.len();
    if !order.terminal {
        let index = BufReader::new(File::open(dir.join(files::INDEX))?);
        let alone = scan(&mut log, &output_spans(index, size), order)?;
        if alone != Extract::Missing {
            return Ok(alone);
        }
    }
    scan(&mut log, &[(0, size)], order)
}

fn scan(log: &mut File, spans: &[(u64, u64)], order: &Order) -> io::Result<Extract> {
    let typed = order.prompt_by == PromptBy::Type;
    let mut scanner = Scanner::new(&transcript::Settings {
        terminal: order.terminal,
        tag_id: typed.then(|| order.token.tag()),
        prompt: order.prompt.as_deref(),
        ..transcript::Settings::default()
    });
    let mut chunk = vec![0; 64 << 10];
    for (from, to) in spans {
        log.seek(SeekFrom::Start(*from))?;
        let mut span = (&*log).take(to - from);
        loop {
            match span.read(&mut chunk)? {
                0 => break,
                n => scanner.feed(&chunk[..n]),
            }
        }
    }
    Ok(scanner.finish())
}

/// What stands in the log as terminal output or standard output, without escapes.
fn stdout(dir: &Path) -> io::Result<Extract> {
    let index = BufReader::new(File::open(dir.join(files::INDEX))?);
    let mut log = File::open(dir.join(files::LOG))?;
    let size = log.metadata()?.len();
    let mut bytes = Vec::new();
    for (from, to) in output_spans(index, size) {
        log.seek(SeekFrom::Start(from))?;
        bytes.extend(read_up_to(&log, (to - from).min(RESULT_MAX + 1))?);
        if bytes.len() as u64 > RESULT_MAX {
            return Ok(too_large("its standard output"));
        }
    }
    let text = plain(&bytes);
    if text.trim().is_empty() {
        return Ok(Extract::Missing);
    }
    Ok(Extract::Complete { source: ResultSource::Stdout, text })
}

/// The spans of the log that are terminal output or standard output, from index lines
/// `<ms> <offset> <stream>`; each holds until the next of another stream. A torn line ends the
/// list. A long life has millions of lines and few changes, so only changes are held.
fn output_spans(index: impl BufRead, size: u64) -> Vec<(u64, u64)> {
    let mark = |line: io::Result<String>| {
        let line = line.ok()?;
        let mut words = line.split(' ');
        let offset: u64 = words.nth(1)?.parse().ok()?;
        let stream = words.next()?.chars().next()?;
        Some((offset, matches!(stream, 't' | 'o')))
    };
    let mut spans = Vec::new();
    let mut open = None;
    for (offset, is_output) in index.lines().map_while(mark) {
        if is_output {
            open.get_or_insert(offset);
        } else if let Some(from) = open.take() {
            spans.push((from, offset.min(size)));
        }
    }
    spans.extend(open.map(|from| (from, size)));
    spans.retain(|(from, to)| from < to);
    spans
}

fn too_large(what: &str) -> Extract {
    Extract::Malformed { reason: format!("{what} is larger than {} MiB", RESULT_MAX >> 20) }
}

fn read_up_to(file: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last lines of a log, as plain text.
pub(super) fn last_lines(log: &Path) -> io::Result<String> {
    Ok(tail(&end_of(log)?, TAIL_LINES))
}

pub(super) fn end_of(log: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES)))?;
    read_up_to(file, TAIL_BYTES)
}

/// What was printed after the screen was cleared or changed for another for the last time: what
/// stood before is no longer to be seen.
pub(super) fn since_cleared(bytes: &[u8]) -> &[u8] {
    const CLEARS: [&[u8]; 6] =
        [b"\x1b[2J", b"\x1b[3J", b"\x1bc", b"\x1b[H\x1b[J", b"\x1b[?1049h", b"\x1b[?1049l"];
    let ends = CLEARS
        .iter()
        .filter_map(|clear| memchr::memmem::rfind(bytes, clear).map(|at| at + clear.len()));
    &bytes[ends.max().unwrap_or(0)..]
}

fn leave_result(dir: &Path, extract: &Extract) -> io::Result<()> {
    let partial = dir.join("result.json.tmp");
    failpoint::io("follow.write-result", || {
        let mut file = File::create(&partial)?;
        serde_json::to_writer(&mut file, extract)?;
        file.flush()
    })?;
    failpoint::io("follow.name-result", || fs::rename(partial, dir.join(files::RESULT)))
}

/// How long ago an attempt last printed, given how long it has run: from the last line of its
/// index, whose times no wall clock can move.
pub(super) fn quiet_ms(dir: &Path, ran_ms: u64) -> u64 {
    let last = || -> io::Result<Option<u64>> {
        let mut index = File::open(dir.join(files::INDEX))?;
        let size = index.metadata()?.len();
        index.seek(SeekFrom::Start(size.saturating_sub(256)))?;
        let text = String::from_utf8_lossy(&read_up_to(index, 256)?).into_owned();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let line = whole.rsplit('\n').next().unwrap_or_default();
        Ok(line.split(' ').next().and_then(|ms| ms.parse().ok()))
    };
    ran_ms.saturating_sub(last().ok().flatten().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_follow_the_streams_and_survive_a_torn_line() {
        let index = "0 0 o\n5 10 e\n9 15 o\n12 20 g\n13 20 o\n14 2";
        let spans = |index: &str| output_spans(index.as_bytes(), 30);
        assert_eq!(spans(index), [(0, 10), (15, 20), (20, 30)]);
        assert_eq!(spans(""), []);
        assert_eq!(spans("0 0 t\n"), [(0, 30)]);
        assert_eq!(spans("0 0 t\n7 9 t\n8 12 o\n9 14 e\n"), [(0, 14)]);
    }

    /// Fault 52: what was cleared away is not seen.
    #[test]
    fn what_was_cleared_is_not_on_the_screen() {
        let table: [(&[u8], &str); 4] = [
            (b"quota\n\x1b[2J\x1b[Hfine", "fine"),
            (b"quota\n\x1b[H\x1b[Jfine\n", "fine"),
            (b"\x1b[?1049hquota\x1b[?1049lfine", "fine"),
            (b"still\nhere", "still\nhere"),
        ];
        for (bytes, seen) in table {
            assert_eq!(transcript::tail(since_cleared(bytes), TAIL_LINES), seen);
        }
    }

    /// What cannot be read for want of a descriptor is read again; what is not there said nothing.
    #[test]
    fn a_want_is_no_finding() {
        let failed = |errno: nix::errno::Errno| lasting::<()>(Err(errno.into()));
        assert!(failed(nix::errno::Errno::EMFILE).is_err());
        assert!(failed(nix::errno::Errno::ENOENT).unwrap().is_err());
    }

    /// Feature K2: the next attempt reads what the one before said, not what wraps it.
    #[test]
    fn last_words_are_those_of_the_answer() {
        let log = b"{\"result\":\"a\\nb\"}".as_slice();
        assert_eq!(last_words(log, Some("a\nb\n"), None), "a\nb");
        for nothing in [None, Some(" \n")] {
            assert_eq!(last_words(log, nothing, None), "{\"result\":\"a\\nb\"}");
        }
    }

    #[test]
    fn silence_is_counted_from_the_last_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(quiet_ms(dir.path(), 700), 700);
        fs::write(dir.path().join(files::INDEX), "0 0 t\n450 12 t\n9999 1").unwrap();
        assert_eq!(quiet_ms(dir.path(), 700), 250);
    }
}
