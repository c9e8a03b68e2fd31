//! Exact messages and places, as people see them.

use super::*;
use crate::model::{Finding, Severity};

/// Reads with a small schema: `name`, `size`, `share`, `wait`, `on`, `words`, `color`, `[inner]`
/// (`depth`) and `[[row]]` (`id`).
fn read(text: &str) -> Vec<Finding> {
    let source = Source::new("a.toml", text);
    let findings = Findings::new(&source);
    if let Some(document) = Document::parse(&source, "E01", &findings) {
        let mut root = document.root(&findings, "E01");
        root.text("name");
        root.count("size");
        root.number("share");
        root.duration("wait");
        root.flag("on");
        root.texts("words");
        root.word("color", &[Severity::Error, Severity::Warning], Severity::word);
        if let Some(mut inner) = root.table("inner") {
            inner.integer("depth");
            inner.finish();
        }
        for mut row in root.tables("row") {
            row.text("id");
            row.finish();
        }
        root.finish();
    }
    findings.finish()
}

/// `line:column+width message (help)`, one line per finding.
fn told(text: &str) -> String {
    let line = |f: &Finding| {
        let help = f.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{}:{}+{} {}{help}", f.line, f.column, f.width, f.message)
    };
    read(text).iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_kind_of_problem_is_told_with_its_place() {
    let cases = [
        ("name = \"x\"\nsize = 3\n[inner]\ndepth = 1\n", ""),
        ("", "1:1+1 the file is empty"),
        (" \r\n\t\n", "1:1+1 the file is empty"),
        ("# only a comment\n", ""),
        ("name = 3", "1:8+1 `name`: expected a string, found an integer"),
        ("size = \"3\"", "1:8+3 `size`: expected an integer, found a string"),
        ("size = -1", "1:8+2 `size` must be between 0 and 4294967295, not -1"),
        ("size = 99999999999999999999", "1:8+20 `size` does not fit in 64 bits"),
        ("size = 0x10", ""),
        ("share = 1", ""),
        ("share = inf", "1:9+3 `share` must be a finite number, not inf"),
        ("share = true", "1:9+4 `share`: expected a number, found a boolean"),
        ("on = \"yes\"", "1:6+5 `on`: expected true or false, found a string"),
        ("words = \"a\"", "1:9+3 `words`: expected a list of strings, found a string"),
        (
            "words = [1, \"a\", 2026-11-21]",
            "1:10+1 `words[0]`: expected a string, found an integer\n\
             1:18+10 `words[2]`: expected a string, found a date",
        ),
        ("nmae = 1", "1:1+4 unknown key `nmae` (did you mean `name`?)"),
        ("inner = 1.5", "1:9+3 `inner`: expected a table, found a float"),
        ("[inner]\ndetph = 1", "2:1+5 unknown key `detph` in `inner` (did you mean `depth`?)"),
        ("[[row]]\n[[row]]\nid = []", "3:6+2 `row[1].id`: expected a string, found a list"),
        ("[row]\nid = 'one'", ""),
        ("row = [1]", "1:8+1 `row[0]`: expected a table, found an integer"),
        ("row = 1", "1:7+1 `row`: expected a list of tables, found an integer"),
        (
            "color = \"eror\"",
            "1:9+6 `color`: `eror` is none of `error`, `warning` (did you mean `error`?)",
        ),
        (
            "wait = 15",
            "1:8+2 `wait`: expected a span of time such as \"90s\", found an integer \
             (did you mean `\"15ms\"` or `\"15s\"`?)",
        ),
        (
            "wait = \"15\"",
            "1:8+4 `wait`: the span of time `15` needs a unit: ms, s, m, h or d \
             (write it like \"250ms\", \"90s\", \"1h30m\" or \"infinity\")",
        ),
        (
            "name = 'a'\nname = 'b'\nsize = 'c'",
            "2:1+4 duplicate key `name`\n3:8+3 `size`: expected an integer, found a string",
        ),
        (
            "name = \nshare = ]\nsize = true",
            "1:8+1 string values must be quoted, expected literal string\n2:9+1 missing array opening, expected `[`",
        ),
        ("name = \"open\nsize = 1", "1:13+1 invalid basic string, expected `\"`"),
        ("[inner\ndepth = 1", "1:7+1 unclosed table, expected `]`"),
    ];
    for (text, expected) in cases {
        assert_eq!(told(text), expected, "for {text:?}");
    }
}

#[test]
fn columns_count_characters_whatever_stands_before() {
    let cases = [
        ("\u{feff}name = 1", "1:8+1"),
        ("name = 'a'\r\nsize = 'b'\r\n", "2:8+3"),
        ("\tsize = 'b'", "1:9+3"),
        ("inner = { 'é世' = 1, depth = 'x' }", "1:29+3"),
        ("words = ['é世', 1]", "1:16+1"),
        ("size = '''a\nb'''", "1:8+4"),
    ];
    for (text, expected) in cases {
        let findings = read(text);
        let last = findings.iter().max_by_key(|f| (f.line, f.column)).expect("one problem");
        assert_eq!(format!("{}:{}+{}", last.line, last.column, last.width), expected, "{text:?}");
        assert!(!last.excerpt.ends_with('\r') && !last.excerpt.starts_with('\u{feff}'));
    }
}

#[test]
fn durations() {
    let good = [
        ("250ms", Some(250)),
        ("2s", Some(2_000)),
        ("0s", Some(0)),
        ("15m", Some(900_000)),
        ("1h30m", Some(5_400_000)),
        ("1h 30m", Some(5_400_000)),
        ("7d", Some(604_800_000)),
        ("1s500ms", Some(1_500)),
        ("infinity", None),
        ("off", None),
    ];
    for (text, expected) in good {
        assert_eq!(parse_duration(text), Ok(expected), "{text}");
    }
    let bad = [
        ("", DurationError::Empty),
        ("15", DurationError::NoUnit),
        ("15min", DurationError::UnknownUnit("min".to_owned())),
        ("30m1h", DurationError::Order),
        ("1s1s", DurationError::Order),
        ("-1s", DurationError::Malformed),
        ("1.5h", DurationError::Fraction),
        ("soon", DurationError::Malformed),
        ("99999999999999999999s", DurationError::TooLong),
        ("999999999999999999d", DurationError::TooLong),
    ];
    for (text, expected) in bad {
        assert_eq!(parse_duration(text), Err(expected), "{text}");
    }
}

#[test]
fn suggestions_are_near_or_absent() {
    let known = ["restart", "restart_delay", "cwd", "timeout"];
    assert_eq!(nearest("restrat", known), Some("restart"));
    assert_eq!(nearest("restart-delay", known), Some("restart_delay"));
    assert_eq!(nearest("Timeout", known), Some("timeout"));
    assert_eq!(nearest("cmd", known), Some("cwd"));
    assert_eq!(nearest("banana", known), None);
    assert_eq!(nearest("", known), None);
}

#[test]
fn entries_keep_the_order_of_the_file() {
    let source = Source::new("a.toml", "b = 1\na = 2\n[z]\n[c]\n");
    let findings = Findings::new(&source);
    let document = Document::parse(&source, "E01", &findings).expect("it is TOML");
    let mut root = document.root(&findings, "E01");
    let keys: Vec<_> = root.entries().into_iter().map(|(key, _)| key.value).collect();
    assert_eq!(keys, ["b", "a", "z", "c"]);
    root.finish();
    assert!(findings.is_empty());
}

#[test]
fn values_become_json_and_dates_become_strings() {
    let text = "a = [1, 1.5, true, 'x', 2026-11-21, inf, 0x10, { b = { c = [] } }]";
    let source = Source::new("a.toml", text);
    let findings = Findings::new(&source);
    let document = Document::parse(&source, "E01", &findings).expect("it is TOML");
    let mut root = document.root(&findings, "E01");
    let json = root.value("a").expect("it is there").json();
    let expected =
        serde_json::json!([1, 1.5, true, "x", "2026-11-21", "inf", 16, { "b": { "c": [] } }]);
    assert_eq!(json, expected);
}

#[test]
fn a_span_narrows_to_the_part_that_is_wrong() {
    let source = Source::new("a.toml", "x = \"${b.patnets}\"");
    let findings = Findings::new(&source);
    let document = Document::parse(&source, "E03", &findings).expect("it is TOML");
    let text = document.root(&findings, "E03").text("x").expect("a string");
    let span = text.span.narrowed(&source, "patnets");
    findings
        .error("E03", span, "`b` has no output field `patnets`")
        .help("did you mean `patents`?")
        .note("`b` gives: patents");
    let findings = findings.finish();
    let expected = "\
error[E03]: `b` has no output field `patnets`
 --> a.toml:1:10
  |
1 | x = \"${b.patnets}\"
  |          ^^^^^^^ did you mean `patents`?
  |
  = note: `b` gives: patents";
    assert_eq!(render(&findings[0]), expected);
    assert_eq!(tally(&findings), "1 error");
}

#[test]
fn a_file_of_nothing_but_problems_is_cut_short() {
    let text: String = (0..2_000).map(|n| format!("k{n} = 1\n")).collect();
    assert_eq!(read(&text).len(), 500);
    let source = Source::new("a.toml", "x");
    let findings = Findings::new(&source);
    for n in 0..600 {
        findings.warning("W01", Span::default(), format!("{n}")).help("h").note("n");
    }
    assert!(!findings.has_errors());
    findings.error("E01", Span::default(), "one too many").help("h").note("n");
    assert!(findings.has_errors(), "an error is known even where it is not told");
}

#[test]
fn odd_findings_are_rendered_too() {
    let findings = read("\tsize = 'é世'\nname = 1");
    assert_eq!(tally(&findings), "2 errors");
    let expected = "\
error[E01]: `size`: expected an integer, found a string
 --> a.toml:1:9
  |
1 |     size = 'é世'
  |            ^^^^^";
    assert_eq!(render(&findings[0]), expected);
    let foreign = Finding { column: 900, width: 0, line: 0, ..findings[1].clone() };
    assert!(render(&foreign).contains("a.toml"));
    let blank = read("");
    assert!(render(&blank[0]).starts_with("error[E01]: the file is empty\n --> a.toml:1:1\n"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\PC|[\\[\\]{}\"'=#.\n\r\t\u{feff} ]|name|row|inner){0,60}") {
        for finding in read(&text) {
            render(&finding);
        }
    }
}

/// Plans come from others: what they are made of must not speak to the terminal.
#[test]
fn control_characters_are_shown_and_not_sent() {
    let source = Source::new("a\u{1b}[31m.toml", "\"\\u001b[2J\" = 1 # \u{7f}\u{9b}2J");
    let findings = Findings::new(&source);
    findings
        .error("E01", Span::default(), "m\u{1b}[2J\u{202e}")
        .help("h\u{1b}[2J")
        .note("n\u{1b}[2J\u{9b}");
    let text = render(&findings.finish()[0]);
    let control = text.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
    assert_eq!(control, None, "{text:?}");
}
