//! What is fuzzed: one function for each parser that reads what others write. Each takes any bytes
//! and panics when a law is broken. They know nothing of who drives them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use muxvisor::control::frame::{self, Decoder};
use muxvisor::control::{Reply, Request};
use muxvisor::document::{Source, render};
use muxvisor::model::{Extract, Finding, Severity};
use muxvisor::plan::{Plan, Surroundings, check};
use muxvisor::policy::Config;
use muxvisor::shim;
use muxvisor::transcript::{Scanner, Settings, plain, tail};

/// A parser under attack.
pub(crate) type Target = fn(&[u8]);

/// All of them, by the name of their corpus.
pub(crate) const ALL: &[(&str, Target)] = &[
    ("config", config),
    ("plan", plan),
    ("transcript", transcript),
    ("frames", frames),
    ("shim-requests", shim_requests),
    ("osc", osc),
];

/// The longest frame that the decoder under test lets through.
const FRAME_BYTES_MAX: usize = 4096;
/// The largest result that the scanner under test keeps.
const RESULT_BYTES_MAX: usize = 512;

static BUILT_IN: LazyLock<Config> = LazyLock::new(Config::built_in);

fn assert_places(text: &str, findings: &[Finding]) {
    let lines: Vec<&str> = text.split('\n').collect();
    for finding in findings {
        let line = finding.line as usize;
        assert!(line >= 1 && line <= lines.len().max(1), "line {line} of {}", lines.len());
        // A tab or a wide letter is one column; the end of a line is a place too.
        let width = lines.get(line - 1).map_or(0, |line| line.chars().count());
        let column = finding.column as usize;
        assert!(column >= 1 && column <= width + 2, "column {column} of {width}: {finding:?}");
        assert!(!render(finding).is_empty());
    }
}

/// A configuration file.
pub(crate) fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let source = Source::new("muxvisor.toml", text.clone());
    let (config, findings) = Config::read(&source, Path::new("/etc"), &BUILT_IN);
    assert_places(&text, &findings);
    let wrong = findings.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(config.is_none(), wrong, "an error, and only an error, refuses it: {findings:?}");
    let (again, same) = Config::read(&source, Path::new("/etc"), &BUILT_IN);
    assert_eq!((config, findings), (again, same), "read twice, it is not the same");
}

/// A plan file, as far as what is committed of it is concerned.
pub(crate) fn plan(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let surroundings = Surroundings {
        agents: &BUILT_IN.agents,
        inputs: &BTreeMap::new(),
        read_file: &|_| Err("there are no files here".to_owned()),
        has_program: &|_| true,
        missing_program: Severity::Warning,
        missing_input: Severity::Warning,
        demo: false,
        max_parallel: None,
        base_dir: Path::new("/srv"),
        template: &muxvisor::plan::no_templates,
    };
    let checked = check(&Source::new("plan.toml", text.clone()), &surroundings);
    let own: Vec<Finding> =
        checked.findings.iter().filter(|one| one.file == "plan.toml").cloned().collect();
    assert_places(&text, &own);
    let wrong = checked.findings.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(checked.plan.is_none(), wrong, "{:?}", checked.findings);
    if let Some(plan) = checked.plan {
        let written = serde_json::to_value(&plan).expect("a plan is JSON");
        let again: Plan = serde_json::from_value(written.clone()).expect("and back");
        let twice = serde_json::to_value(&again).expect("a plan is JSON");
        assert_eq!(written, twice, "a plan is not what it was after a restart");
    }
}

/// What an agent wrote. The first byte chooses the settings and the size of the chunks.
pub(crate) fn transcript(data: &[u8]) {
    let (choice, data) = data.split_first().map_or((0, data), |(choice, rest)| (*choice, rest));
    let settings = Settings {
        limit_bytes: RESULT_BYTES_MAX,
        terminal: choice & 1 == 0,
        tag_id: (choice & 2 != 0).then_some("k7f3"),
        prompt: (choice & 4 != 0).then_some("say <result>this</result>, and more"),
    };
    let mut whole = Scanner::new(&settings);
    whole.feed(data);
    let size = usize::from(choice >> 3) + 1;
    let mut pieces = Scanner::new(&settings);
    let mut most = 0;
    for chunk in data.chunks(size) {
        pieces.feed(chunk);
        most = most.max(pieces.buffered());
    }
    assert!(most <= 16 * RESULT_BYTES_MAX + 4096, "{most} bytes are held");
    let (whole, pieces) = (whole.finish(), pieces.finish());
    assert_eq!(whole, pieces, "chunks of {size} bytes change the result");
    if let Extract::Complete { text, .. } = &whole {
        assert!(text.len() <= RESULT_BYTES_MAX * 3, "a result of {} bytes", text.len());
    }
    let text = plain(data);
    assert!(text.len() <= data.len() * 3, "plain text is longer than what was written");
    assert!(tail(data, 40).lines().count() <= 40);
}

/// Bytes on the control socket: the first chooses the size of the chunks.
pub(crate) fn frames(data: &[u8]) {
    let (choice, data) = data.split_first().map_or((0, data), |(choice, rest)| (*choice, rest));
    let whole = frames_of(data, data.len().max(1));
    assert_eq!(whole, frames_of(data, usize::from(choice) + 1), "chunks change the frames");
    for content in &whole {
        if let Ok(request) = frame::decode::<Request>(content) {
            let bytes = frame::encode(&request, usize::MAX).expect("what was read can be written");
            let again: Request = frame::decode(&bytes[4..]).expect("and read again");
            assert_eq!(again, request);
        }
        if let Ok(reply) = frame::decode::<Reply>(content) {
            let bytes = frame::encode(&reply, usize::MAX).expect("what was read can be written");
            let again: Reply = frame::decode(&bytes[4..]).expect("and read again");
            assert_eq!(again, reply);
        }
    }
}

fn frames_of(data: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut decoder = Decoder::new(FRAME_BYTES_MAX);
    let mut frames = Vec::new();
    for chunk in data.chunks(size) {
        decoder.feed(chunk);
        while let Ok(Some(frame)) = decoder.next_frame() {
            assert!(!frame.is_empty() && frame.len() <= FRAME_BYTES_MAX);
            frames.push(frame);
        }
        assert!(
            decoder.pending() <= FRAME_BYTES_MAX + 4 + size,
            "{} bytes wait",
            decoder.pending()
        );
    }
    frames
}

/// A line on a shim's socket.
pub(crate) fn shim_requests(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(request) = serde_json::from_slice::<shim::Request>(line) {
            let bytes = serde_json::to_vec(&request).expect("what was read can be written");
            assert!(!bytes.contains(&b'\n'), "a request is one line");
            let again: shim::Request = serde_json::from_slice(&bytes).expect("and read again");
            assert_eq!(again, request);
        }
    }
}

/// What a program says to its terminal. The first byte is the size of the chunks.
pub(crate) fn osc(data: &[u8]) {
    let (choice, data) = data.split_first().map_or((0, data), |(choice, rest)| (*choice, rest));
    let whole = shim::overheard(data, data.len());
    let pieces = shim::overheard(data, usize::from(choice) + 1);
    assert_eq!(whole, pieces, "chunks change what was heard");
    if let Some(message) = whole.1.and_then(|doing| doing.message) {
        assert!(message.len() <= 4096, "a message of {} bytes", message.len());
        assert!(!message.chars().any(char::is_control), "a message that could press keys");
    }
}
