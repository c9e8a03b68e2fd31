//! Tags inside JSON strings are text, and what only looks like JSON loses nothing.

use proptest::prelude::*;

use super::{complete, is_malformed, scan, scan_with};
use crate::model::{Extract, ResultSource};
use crate::transcript::tag::{Piece, Tags};
use crate::transcript::{Scanner, Settings};

/// Features H11, G8.
#[test]
fn a_tag_in_a_json_string_is_text() {
    let cases = [
        r#"{"note": "write </result> at the end"}"#,
        r#"{"note": "write <result> at the start"}"#,
        r#"["<result>", "</result>", "</result>"]"#,
        r#""say <result>yes</result> or <result>no</result>""#,
        r#"{"<result>": {"</result>": [true, -1.5e3, "\" </result> \\"]}}"#,
        "\n```json\n{\"a\": \"</result>\"}\n```\n",
        "\r\n  {\r\n  \"a\": \"</result>\"\r\n}\r\n",
    ];
    let pipes = Settings { terminal: false, ..Settings::default() };
    for content in cases {
        let surroundings = [
            ("", ""),
            ("I answer in <result> tags.\n", "\nI closed it with </result>."),
            ("<result>a draft</result> ", ""),
            ("<result>{\"a\": \"a draft </result>\"}</result>", ""),
        ];
        for (before, after) in surroundings {
            // The tag that prose mentions makes a pair with a closing one behind it.
            let outer = before.contains("tags").then(|| format!(" tags.\n<result>{content}"));
            let expected = outer
                .map_or(content.to_owned(), |outer| format!("{outer}</result>\nI closed it with "));
            let written = format!("{before}<result>{content}</result>{after}");
            let seen = scan_with(&pipes, written.as_bytes());
            assert_eq!(seen, complete(&expected), "{written}");
        }
        let nested = format!("<result>so: <result>{content}</result> it is</result>");
        let expected = format!("so: <result>{content}</result> it is");
        assert_eq!(scan_with(&pipes, nested.as_bytes()), complete(&expected));
    }
}

#[test]
fn what_only_looks_like_json_loses_nothing() {
    let cases = [
        // A quote too many, and a later pair.
        ("<result>{\"a\": \"open </result> so \"he\" said <result>{\"b\":1}</result>", "{\"b\":1}"),
        (
            "<result>{\"a\": \"open </result>\n<result>{\"b\": \"</result>\"}</result>",
            "{\"b\": \"</result>\"}",
        ),
        // A string without an end, and a line that a screen has broken.
        ("<result>{\"a\": \"open</result>", "{\"a\": \"open"),
        ("<result>{\"a\": \"one\ntwo\"}</result> \"", "{\"a\": \"one\ntwo\"}"),
        ("<result>{\"a\": \"one </result> tw\no\"}</result>", "{\"a\": \"one "),
        // No JSON, however much it looks like it.
        ("<result>{\"a\": \"one </result>\",}</result>", "{\"a\": \"one "),
        ("<result>{'a': 'it's \"so</result>", "{'a': 'it's \"so"),
        ("<result>\"yes</result>, and I mean it", "\"yes"),
        ("<result>\"Well\", he said, \"so</result> be it\"</result>", "\"Well\", he said, \"so"),
        ("<result>it is {\"a\": \"</result>\"}</result>", "it is {\"a\": \""),
        // A string of another reading begins inside of this one.
        ("<result>[\"<result>[\"</result>\"]</result>", "[\"</result>\"]"),
        ("<result>[\"<result>{\"]</result>", "[\"<result>{\"]"),
        ("<result>[\"<result>[\",\"<result>[\",\"</result>", "[\",\""),
    ];
    for (written, expected) in cases {
        assert_eq!(scan(written), complete(expected), "{written}");
    }
    for written in ["<result>{\"a\": \"b", "<result>{\"a\": \"<result>", "<result>{\"a\": 1}"] {
        assert!(is_malformed(&scan(written)), "{written}");
    }
}

#[test]
fn with_an_id_tags_in_strings_are_text_too() {
    let settings = Settings { tag_id: Some("k7f3"), ..Settings::default() };
    let content = r#"{"a": "<result id=k7f3>no</result> and </result>"}"#;
    let written = format!("<result id=\"k7f3\">{content}</result>");
    assert_eq!(scan_with(&settings, written.as_bytes()), complete(content));
    let quoted = "<result id=\"k7f3\">{\"a\": \"<result id=\"k7f3\">b</result>";
    assert_eq!(scan_with(&settings, quoted.as_bytes()), complete("b"));
}

/// Fault 61. A prompt may show the form of an answer, and the answer may be just that.
#[test]
fn an_echo_of_a_form_with_tags_in_it_holds_no_result() {
    let form = r#"{"a": "what stands before </result>"}"#;
    let prompt = format!("Look, then say <result id=\"k7f3\">{form}</result> and stop.");
    let settings = Settings { tag_id: Some("k7f3"), prompt: Some(&prompt), ..Settings::default() };
    let framed = format!("│ <result id=\"k7f3\">{form}</result> │\r\n");
    for echo in [&prompt, &framed] {
        assert_eq!(scan_with(&settings, echo.as_bytes()), Extract::Missing, "{echo}");
        let answered = format!("<result id=\"k7f3\">[\"</result>\"]</result>{echo}");
        assert_eq!(scan_with(&settings, answered.as_bytes()), complete("[\"</result>\"]"));
    }
}

/// Feature G8: 5 MB are never lost, whatever they hold.
#[test]
fn a_large_json_result_is_whole() {
    let entry = r#""<result>a</result> or </result> \" ä","#;
    let content = format!("[{}1]", entry.repeat((5 << 20) / entry.len()));
    assert_eq!(scan(&format!("<result>{content}</result>\r\n")), complete(&content));
    let cut = &content[..content.len() - 4];
    let Extract::Complete { text, .. } = scan(&format!("<result>{cut}</result>")) else {
        panic!("the tags in it count")
    };
    assert!(text.len() < 10, "{text}");
}

#[test]
fn limits_hold_for_json_too() {
    let settings = Settings { limit_bytes: 40, ..Settings::default() };
    let scan = |text: &str| scan_with(&settings, text.as_bytes());
    let large = format!("<result>[\"a</result>{}\"]</result>", "x".repeat(40));
    assert_eq!(scan(&large), complete("[\"a"), "as if it were no JSON");
    let outer = format!("<result> tags {}<result>[\"</result>\"]</result>", "x".repeat(30));
    assert_eq!(scan(&outer), complete("[\"</result>\"]"));
    let broken = format!("<result> tags {}<result>[\"</result></result>\n", "x".repeat(15));
    assert_eq!(scan(&broken), complete(&format!(" tags {}<result>[\"</result>", "x".repeat(15))));
}

/// Fault 61.
#[test]
fn memory_stays_bounded_while_tags_are_put_off() {
    let line = "a <result> and </result>, over and over; ".repeat(1000);
    for start in ["<result>[\"", "<result>1</result><result> tags <result>{\"a\": \""] {
        let settings = Settings { limit_bytes: 1 << 20, ..Settings::default() };
        let mut scanner = Scanner::new(&settings);
        scanner.feed(start.as_bytes());
        for fed in 0..200 {
            scanner.feed(line.as_bytes());
            assert!(scanner.buffered() <= 8 << 20, "{} after {fed}", scanner.buffered());
        }
    }
}

/// The rule, for a text that is there as a whole; or the rule before JSON was known.
fn model(text: &str, json_counts: bool) -> Extract {
    let tags = tags(text);
    let mut open = Vec::new();
    let mut found = None;
    let mut rest = tags.as_slice();
    let mut opened = false;
    while let Some(((tag, opens), behind)) = rest.split_first() {
        rest = behind;
        let ends = |(end, opens): &(std::ops::Range<usize>, bool)| {
            json_counts && !opens && is_json(&text[tag.end..end.start])
        };
        if !opens {
            found = open.pop().map(|start| &text[start..tag.start]).or(found);
        } else if let Some(at) = behind.iter().position(ends) {
            found = Some(&text[tag.end..behind[at].0.start]);
            rest = &behind[at + 1..];
        } else {
            open.push(tag.end);
        }
        opened = !open.is_empty();
    }
    match found {
        Some(text) => complete(text),
        None if opened => Extract::Malformed { reason: String::new() },
        None => Extract::Missing,
    }
}

/// Where the tags stand, and whether they open.
fn tags(text: &str) -> Vec<(std::ops::Range<usize>, bool)> {
    let (mut found, mut at) = (Vec::new(), 0);
    let mut note = |piece: Piece<'_>| {
        let (written, tag) = match piece {
            Piece::Text(text) => (text, None),
            Piece::Open { written, .. } => (written, Some(true)),
            Piece::Close { written } => (written, Some(false)),
        };
        found.extend(tag.map(|opens| (at..at + written.len(), opens)));
        at += written.len();
    };
    let mut tags = Tags::default();
    tags.feed(text.as_bytes(), &mut note);
    tags.finish(&mut note);
    found
}

fn is_json(content: &str) -> bool {
    let trimmed = content.trim_matches([' ', '\t', '\r', '\n']);
    let inside = trimmed.strip_prefix("```").and_then(|rest| {
        let (language, rest) = rest.split_once('\n')?;
        let named = language.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ');
        rest.strip_suffix("```").filter(|_| named)
    });
    serde_json::from_str::<serde::de::IgnoredAny>(inside.unwrap_or(trimmed)).is_ok()
}

fn without_reason(extract: Extract) -> Extract {
    match extract {
        Extract::Malformed { .. } => Extract::Malformed { reason: String::new() },
        Extract::Complete { .. } | Extract::Missing => extract,
    }
}

/// Texts full of JSON that is nearly right.
fn near_json() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "<result>",
        "</result>",
        "<result>",
        "</result>",
        "<result>{\"é\": \"",
        "\"}</result>",
        "<result>[\"",
        "\"]</result>",
        "[\"</result>\"]",
        "\"",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "1",
        "é",
        " ",
        "\n",
        "\\",
        "```json\n",
        "```",
        "\\\"",
        "\",\"",
        "\"<result>\"",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Fault 61: what is found is what the rule says, wherever the output is cut.
    #[test]
    fn the_scanner_follows_the_rule(text in near_json(), size in 1usize..20) {
        let mut scanner = Scanner::new(&Settings { terminal: false, ..Settings::default() });
        text.as_bytes().chunks(size).for_each(|chunk| scanner.feed(chunk));
        prop_assert_eq!(without_reason(scanner.finish()), model(&text, true));
    }

    #[test]
    fn knowing_json_loses_no_result(text in near_json()) {
        let found = |extract: &Extract| {
            matches!(extract, Extract::Complete { source: ResultSource::Tagged, .. })
        };
        prop_assert!(!found(&model(&text, false)) || found(&scan(&text)), "{}", text);
    }

    #[test]
    fn every_json_value_comes_back_whole(words in prop::collection::vec("(<result>|</result>|[\"\\\\\n{}a])*", 1..4), pretty in any::<bool>()) {
        let value = serde_json::json!({"list": words, "in": {"it": words[0]}});
        let content = if pretty { format!("{value:#}") } else { value.to_string() };
        prop_assert_eq!(scan(&format!("<result>{content}</result>")), complete(&content));
    }
}
