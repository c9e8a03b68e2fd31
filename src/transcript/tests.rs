//! The fixed rules of design §5, each as an agent might break them.

mod quoted;

use proptest::prelude::*;
use serde_json::json;

use super::escapes::Stripper;
use super::*;
use crate::model::{Extract, ResultSource};

fn complete(text: &str) -> Extract {
    Extract::Complete { source: ResultSource::Tagged, text: text.to_owned() }
}

fn scan_with(settings: &Settings<'_>, bytes: &[u8]) -> Extract {
    let mut scanner = Scanner::new(settings);
    scanner.feed(bytes);
    scanner.finish()
}

fn scan(text: &str) -> Extract {
    scan_with(&Settings::default(), text.as_bytes())
}

fn is_malformed(extract: &Extract) -> bool {
    matches!(extract, Extract::Malformed { .. })
}

/// Feature H11.
#[test]
fn the_last_complete_outermost_pair_wins() {
    let cases = [
        ("<result>42</result>", "42"),
        ("a<result>\n4 < 5 **b** &amp;\n</result>b", "\n4 < 5 **b** &amp;\n"),
        ("<result>draft</result> better: <result>final</result> bye", "final"),
        ("<result>a <result>b</result> c</result>", "a <result>b</result> c"),
        (
            "<result>a<result>b</result><result>c</result>d</result>",
            "a<result>b</result><result>c</result>d",
        ),
        ("<result></result>", ""),
        ("<<result>1</result>", "1"),
        ("<result>a</resul</result>", "a</resul"),
        ("<result >1</result\n>", "1"),
        ("<result id=\"k7f3\">1</result>", "1"),
        ("<result id='k7f3' >1</result>", "1"),
        ("</result><result>1</result></result>", "1"),
    ];
    for (written, expected) in cases {
        assert_eq!(scan(written), complete(expected), "{written}");
    }
}

#[test]
fn a_tag_that_prose_names_does_not_swallow_the_result() {
    let cases = [
        "I will answer in <result> tags.\n<result>42</result>",
        "I use <result> and again <result>.\n<result>42</result>",
        "<result>42</result>\nAs you see I used <result> tags.",
        "No </result> yet. <result>42</result>",
        "Not <results>, <result/> or <result of it>: <result>42</result>",
    ];
    for written in cases {
        assert_eq!(scan(written), complete("42"), "{written}");
    }
}

#[test]
fn without_a_pair_there_is_nothing_or_something_broken() {
    for written in
        ["", "done", "<results>1</results>", "<Result>1</Result>", "1</result>", "<resul"]
    {
        assert_eq!(scan(written), Extract::Missing, "{written}");
    }
    for written in ["<result>42", "<result>42</resul", "I will answer in <result> tags."] {
        assert!(is_malformed(&scan(written)), "{written}");
    }
}

#[test]
fn terminal_control_is_not_content_even_inside_a_tag() {
    let cases = [
        ("\x1b[1m<result>\x1b[32m4\x1b[0m2</result>\x1b[0m", "42"),
        ("<res\x1b[1;38;5;9mult>42</\x1b]0;title\x07result>", "42"),
        ("\x1b]0;<result>no</result>\x07<result>42</result>", "42"),
        ("<result>42</result>\x1b]8;;<result>no</result>\x1b\\", "42"),
        ("\x1bP<result>no</result>\x1b\\<result>42</result>", "42"),
        ("<result>4\x1b(B\x1b=2</result>", "42"),
        ("<result>a\x1b[999<b\x1b[Kc</result>", "ac"),
    ];
    for (written, expected) in cases {
        assert_eq!(scan(written), complete(expected), "{written:?}");
    }
}

#[test]
fn the_crlf_of_the_terminal_is_undone_and_nothing_else() {
    let written = "<result>\r\na\rb\r\r\nc\n\r</result>\r\n";
    assert_eq!(scan(written), complete("\na\rb\r\nc\n\r"));
    let pipes = Settings { terminal: false, ..Settings::default() };
    assert_eq!(scan_with(&pipes, b"<result>a\r\n</result>"), complete("a\r\n"));
}

/// In the raw log a line is as long as it was written, however narrow the pane.
#[test]
fn long_lines_and_large_results_are_whole() {
    let large = "0123456789 <b>äöü</b> ".repeat(1 << 16);
    assert!(large.len() > 1 << 20);
    let written = format!("\x1b[2J{}\r\n<result>{large}</result>\r\n", "x".repeat(500));
    assert_eq!(scan(&written), complete(&large));
}

#[test]
fn a_result_over_the_limit_is_malformed() {
    let settings = Settings { limit_bytes: 100, ..Settings::default() };
    let scan = |text: String| scan_with(&settings, text.as_bytes());
    let (fits, large) = ("x".repeat(100), "x".repeat(101));
    assert_eq!(scan(format!("<result>{fits}</result>")), complete(&fits));
    let Extract::Malformed { reason } = scan(format!("<result>{large}</result>")) else {
        panic!("too large")
    };
    assert!(reason.contains("larger than 100 bytes"), "{reason}");
    assert!(is_malformed(&scan(format!("<result>1</result><result>{large}</result>"))));
    assert!(is_malformed(&scan(format!("<result>{large}"))));
    let recovered = format!("I use <result> tags. {large}<result>{fits}</result>");
    assert_eq!(scan(recovered), complete(&fits));
    let nested = format!("<result>{fits}<result>1</result>{fits}");
    assert_eq!(
        scan(nested),
        complete("1"),
        "the pair inside is kept when the outer one is given up"
    );
}

#[test]
fn bytes_that_are_no_utf_8_are_replaced() {
    let settings = Settings::default();
    assert_eq!(
        scan_with(&settings, b"\xff<result>a\xffb\xc3</result>\xc3"),
        complete("a\u{fffd}b\u{fffd}")
    );
}

#[test]
fn with_an_id_only_that_tag_opens() {
    let settings = Settings { tag_id: Some("k7f3"), ..Settings::default() };
    let scan = |text: &str| scan_with(&settings, text.as_bytes());
    assert_eq!(scan("<result>no</result>"), Extract::Missing);
    assert_eq!(scan("<result>no"), Extract::Missing);
    assert_eq!(scan("<result id=\"k7f4\">no</result>"), Extract::Missing);
    assert_eq!(scan("<result id=\"k7f3\">yes</result><result>no</result>"), complete("yes"));
    let nested = "<result id=k7f3>a<result>b</result>c</result>";
    assert_eq!(scan(nested), complete("a<result>b</result>c"));
    assert!(is_malformed(&scan("<result id=\"k7f3\">yes")));
}

const PROMPT: &str = "Review the code in src.\nAnswer with one word, as in\n<result>yes</result> or \
                      <result>no</result>, or `<result>` and a reason. Be quick.\n";

/// Fault 61. `cat` as an agent, with and without a terminal in between, wrapped or not.
#[test]
fn an_echo_of_the_prompt_holds_no_result() {
    let settings = Settings { prompt: Some(PROMPT), ..Settings::default() };
    let scan = |text: &str| scan_with(&settings, text.as_bytes());
    assert_eq!(scan(PROMPT), Extract::Missing);
    assert_eq!(scan(&PROMPT.replace('\n', "\r\n")), Extract::Missing);
    assert_eq!(scan(&PROMPT.repeat(3)), Extract::Missing);
    let wrapped: String =
        PROMPT.chars().flat_map(|c| [Some(c), (c == ' ').then_some('\n')]).flatten().collect();
    assert_eq!(scan(&wrapped), Extract::Missing);
    let answered =
        |answer: &str| scan(&format!("> {PROMPT}I looked.\n<result>{answer}</result>\n"));
    assert_eq!(answered("maybe"), complete("maybe"));
    assert_eq!(answered("yes"), complete("yes"), "an answer may be one that the prompt offers");
    assert_eq!(scan("<result>no</result>"), complete("no"));
    assert_eq!(scan(&format!("<result>maybe</result>\n{PROMPT}")), complete("maybe"));
}

/// A full-screen program draws the prompt again, in a frame and wrapped.
#[test]
fn a_framed_echo_of_a_prompt_with_an_id_holds_no_result() {
    let prompt = "Look.\nThen write <result id=\"k7f3\">your whole answer</result> and stop.";
    let settings = Settings { tag_id: Some("k7f3"), prompt: Some(prompt), ..Settings::default() };
    let framed = "│ write <result id=\"k7f3\">your wh │\r\n│ ole answer </result> and │\r\n";
    assert_eq!(scan_with(&settings, framed.as_bytes()), Extract::Missing);
    let answered = format!("{framed}<result id=\"k7f3\">done</result>{framed}");
    assert_eq!(scan_with(&settings, answered.as_bytes()), complete("done"));
    let empty = "<result id=\"k7f3\">{}</result>";
    assert_eq!(scan_with(&settings, empty.as_bytes()), complete("{}"));
}

#[test]
fn a_tag_at_either_end_of_the_prompt_is_known_again() {
    for prompt in ["<result>x</result> is the form", "Close with </result>, begin with <result>"] {
        let settings = Settings { prompt: Some(prompt), ..Settings::default() };
        assert_eq!(scan_with(&settings, prompt.as_bytes()), Extract::Missing, "{prompt}");
    }
    let prompt = "End with <result>";
    let settings = Settings { prompt: Some(prompt), ..Settings::default() };
    assert_eq!(scan_with(&settings, b"<result>1</result>"), complete("1"));
}

/// Fault 61.
#[test]
fn memory_stays_bounded_over_a_flood() {
    let words = format!("\x1b[32mwork\x1b[0m <b>bold</b> a < b {}\r\n", "0123456789".repeat(20));
    let line = words.repeat(5000);
    let starts = ["<result>", "<result>1</result> now <result>", "\x1b]0;"].map(|start| (start, 8));
    for (start, mebibytes) in [("", 100)].into_iter().chain(starts) {
        let settings = Settings { limit_bytes: 1 << 20, ..Settings::default() };
        let mut scanner = Scanner::new(&settings);
        scanner.feed(start.as_bytes());
        let mut fed = 0;
        while fed < mebibytes << 20 {
            scanner.feed(line.as_bytes());
            fed += line.len();
            assert!(scanner.buffered() <= 5 << 20, "{} after {fed}", scanner.buffered());
        }
        if start.is_empty() {
            assert_eq!(scanner.buffered(), 0, "nothing is kept while no tag is open");
        }
    }
}

#[test]
fn a_thousand_open_tags_are_no_harm() {
    let written = format!("{}<result>42</result>", "<result>".repeat(100_000));
    assert_eq!(scan(&written), complete("42"));
}

#[test]
fn plain_text_is_what_a_person_would_have_read() {
    let cases = [
        ("\x1b[31mred\x1b[0m\r\nplain\r\n", "red\nplain\n"),
        ("10%\r50%\r100%\r\ndone\n", "100%\ndone\n"),
        ("a\tb\x07\x08\x00c", "a\tbc"),
        ("working…\r", "working…"),
        ("\r\n\n", "\n\n"),
        ("", ""),
    ];
    for (written, expected) in cases {
        assert_eq!(plain(written.as_bytes()), expected, "{written:?}");
    }
    assert_eq!(plain(b"\xe4\x1b[1"), "\u{fffd}");
    assert_eq!(tail(b"a\nb\r\nc\n\n", 2), "b\nc");
    assert_eq!(tail(b"a\nb", 40), "a\nb");
    assert_eq!(tail(b"a\nb", 0), "");
}

#[test]
fn without_a_schema_the_value_is_the_text() {
    assert_eq!(value_of("\n{\"a\": 1}\n", None), Ok(json!("{\"a\": 1}")));
    assert_eq!(value_of("\n\n a \n\n", None), Ok(json!("\n a \n")));
    assert_eq!(value_of("", None), Ok(json!("")));
}

#[test]
fn with_a_schema_the_value_is_found_wherever_it_is_put() {
    let schema =
        json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}});
    let texts = [
        "{\"a\": 1}",
        "\n  {\"a\": 1}  \n",
        "```json\n{\"a\": 1}\n```",
        "Here it is:\n```\n{\"a\": 1}\n```\nBye.",
        "See [1] and {x}: {\"a\": 1}. Done {\"a\": \"later\"}",
    ];
    for text in texts {
        assert_eq!(value_of(text, Some(&schema)), Ok(json!({"a": 1})), "{text}");
    }
    let list = json!({"type": "array"});
    assert_eq!(value_of("so: [1, [2]]", Some(&list)), Ok(json!([1, [2]])));
    let word = json!({"enum": ["yes", "no"]});
    assert_eq!(value_of("\nyes\n", Some(&word)), Ok(json!("yes")));
    assert_eq!(value_of("\"yes\"", Some(&word)), Ok(json!("yes")));
}

#[test]
fn a_miss_names_everything_that_is_wrong_in_one_paragraph() {
    let schema = json!({
        "type": "object", "required": ["a", "b"],
        "properties": {"a": {"type": "integer"}, "c": {"type": "array", "items": {"type": "string"}}}
    });
    let said = value_of("{\"a\": \"x\", \"c\": [1]}", Some(&schema)).unwrap_err();
    for part in ["/a: ", "/c/0: ", "\"b\" is a required property", "does not fit the schema"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains('\n') && said.len() < 500, "{said}");
    let many = json!({"type": "array", "items": {"type": "string"}});
    let numbers = json!((0..100).collect::<Vec<_>>()).to_string();
    assert!(value_of(&numbers, Some(&many)).unwrap_err().ends_with("and 92 more"));
    let long = format!("{{\"a\": \"{}\", \"b\": 1}}", "y".repeat(10_000));
    let said = value_of(&long, Some(&schema)).unwrap_err();
    assert!(said.contains("is not of type \"integer\"") && said.len() < 500, "{said}");
    assert!(value_of("hello", Some(&schema)).unwrap_err().contains("not JSON"));
    let said = whole_value_of("cannot read {\"a\": 1, \"b\": 2} sorry", Some(&schema)).unwrap_err();
    assert!(said.contains("not JSON"), "{said}");
    let whole = json!({"a": 1, "b": 2});
    assert_eq!(whole_value_of(&format!("{whole}\n"), Some(&schema)), Ok(whole));
    assert!(value_of(" ", Some(&schema)).unwrap_err().contains("empty"));
    let wrong = json!({"type": "no such type"});
    assert!(value_of("1", Some(&wrong)).unwrap_err().contains("schema itself is invalid"));
}

/// Fault 61. Every way to cut in two, for a text that holds a bit of everything.
#[test]
fn a_chunk_may_end_at_every_byte() {
    let text = "I use <result> tags\r\n\x1b[1m<res\x1b[0mult>ä\r\r\n\x1b]0;t\x1b\\42 <b></result\n>\r\n</re";
    let whole = scan(text);
    assert_eq!(whole, complete("ä\r\n42 <b>"));
    for cut in 0..=text.len() {
        let mut scanner = Scanner::new(&Settings::default());
        scanner.feed(&text.as_bytes()[..cut]);
        scanner.feed(&text.as_bytes()[cut..]);
        assert_eq!(scanner.finish(), whole, "cut at {cut}");
    }
}

fn stripped(chunks: &[&[u8]], terminal: bool) -> Vec<u8> {
    let mut text = Vec::new();
    let mut emit = |piece: &[u8]| text.extend_from_slice(piece);
    let mut stripper = Stripper::new(terminal);
    chunks.iter().for_each(|chunk| stripper.feed(chunk, &mut emit));
    stripper.finish(&mut emit);
    text
}

/// What the `vte` crate takes for text.
#[derive(Default)]
struct Oracle(String);

impl vte::Perform for Oracle {
    fn print(&mut self, c: char) {
        self.0.push(c);
    }

    fn execute(&mut self, byte: u8) {
        self.0.push(char::from(byte));
    }
}

/// Pieces that agents write, so that random texts are full of near misses.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "<result>",
        "</result>",
        "<result id=\"k7f3\">",
        "<res",
        "ult>",
        "</",
        ">",
        "<",
        "\x1b[1m",
        "\x1b",
        "[",
        "]0;",
        "\x07",
        "\x1b\\",
        "\r\n",
        "\r",
        "\n",
        "text",
        "ä",
        " ",
        "\x18",
        "P",
        "_",
        "id=",
        "{",
        "}",
        "\"",
        ":",
        ",",
        "[\"",
    ]);
    let piece = prop_oneof![
        4 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn ascii() -> impl Strategy<Value = Vec<u8>> {
    let controls =
        prop::sample::select(b"\x1b\x1b\x1b[]P_X^\\;?<=0m\x07\x18\x1a\n\r\x7f (".to_vec());
    let bytes = prop_oneof![3 => controls, 1 => 0u8..0x80];
    prop::collection::vec(bytes, 0..60)
}

proptest! {
    #[test]
    fn chunking_never_matters(bytes in fragments(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), id in any::<bool>(), terminal in any::<bool>()) {
        let settings = Settings {
            limit_bytes: 30,
            terminal,
            tag_id: id.then_some("k7f3"),
            prompt: Some("say <result>text</result> ä"),
        };
        let whole = scan_with(&settings, &bytes);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut scanner = Scanner::new(&settings);
        let mut from = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            scanner.feed(&bytes[from..cut]);
            from = cut;
        }
        prop_assert_eq!(scanner.finish(), whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(scan_with(&Settings::default(), &bytes));
        drop(plain(&bytes));
        drop(tail(&bytes, 3));
        let text = String::from_utf8_lossy(&bytes);
        drop(value_of(&text, Some(&json!({"type": "object"}))));
    }

    #[test]
    fn sequences_end_where_vte_says(bytes in ascii()) {
        let mut oracle = Oracle::default();
        vte::Parser::new().advance(&mut oracle, &bytes);
        // That which aborts a sequence is text for one and control for the other; nothing shows it.
        let visible = |text: String| text.replace(['\x18', '\x1a'], "");
        let text = String::from_utf8(stripped(&[&bytes], false)).unwrap();
        prop_assert_eq!(visible(text), visible(oracle.0));
    }

    #[test]
    fn text_without_control_passes_byte_for_byte(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != 0x1b).collect();
        prop_assert_eq!(stripped(&[&bytes], false), bytes);
    }

    #[test]
    fn a_result_comes_back_as_it_was_written(content in "[a-z<>/ \n\tä\r]{0,60}") {
        prop_assume!(!content.contains("result"));
        let written = format!("<result>{}</result>", content.replace('\n', "\r\n"));
        prop_assert_eq!(scan(&written), complete(&content));
    }
}
