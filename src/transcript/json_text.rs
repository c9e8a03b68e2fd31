//! Follows a text that may be JSON (RFC 8259), byte by byte: whether it is inside a string, and
//! whether the value is whole. A fence around the value is no part of it.
//!
//! A text that breaks the grammar is broken for good. Words and numbers are not looked at closely,
//! since no tag can stand in them.

/// Deeper texts count as broken; nobody could parse them either.
const DEPTH_MAX: u32 = 127;

/// How many backticks make a fence.
const FENCE: u8 = 3;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// White space, a fence or the value.
    Start,
    /// The rest of an opening fence that has this many backticks.
    Ticks(u8),
    /// The rest of the line on which a fence opens.
    Language,
    Value,
    /// The first value of a list, or its end.
    FirstValue,
    Name,
    /// The first name of an object, or its end.
    FirstName,
    Colon,
    String,
    Escape,
    /// So many digits of `\u`.
    Digits(u8),
    /// The rest of a word or a number.
    Word,
    /// What comes behind a value.
    After,
    Broken,
}

/// What has been read of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonText {
    place: Place,
    /// Whether the string is a name in an object.
    is_name: bool,
    /// A bit for each bracket that is open, the innermost last: whether it opens an object.
    objects: u128,
    depth: u32,
    /// How many backticks of the closing fence are still to come.
    ticks_due: u8,
}

impl JsonText {
    /// Nothing has been read.
    pub(super) const START: Self =
        Self { place: Place::Start, is_name: false, objects: 0, depth: 0, ticks_due: 0 };

    /// It is no JSON.
    pub(super) const BROKEN: Self = Self { place: Place::Broken, ..Self::START };

    /// Reads on.
    pub(super) fn read(&mut self, mut text: &[u8]) {
        while let Some((&byte, rest)) = text.split_first() {
            if self.place == Place::Broken {
                return;
            }
            text = rest;
            if self.place != Place::String || !is_plain(byte) {
                self.place = self.next(byte);
            } else {
                let plain = rest.iter().take_while(|byte| is_plain(**byte)).count();
                text = &rest[plain..];
            }
        }
    }

    /// Whether the next byte belongs to a string.
    pub(super) fn is_in_string(&self) -> bool {
        self.place == Place::String
    }

    /// Whether it is one value, and nothing but white space around it.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.place, Place::After | Place::Word) && self.depth == 0 && self.ticks_due == 0
    }

    /// Whether it cannot become JSON any more.
    pub(super) fn is_broken(&self) -> bool {
        self.place == Place::Broken
    }

    fn next(&mut self, byte: u8) -> Place {
        match (self.place, byte) {
            (Place::String, b'"') if self.is_name => Place::Colon,
            (Place::String, b'"') => Place::After,
            (Place::String, b'\\') => Place::Escape,
            (Place::String, _) => Place::Broken,
            (Place::Escape, b'u') => Place::Digits(4),
            (Place::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                Place::String
            }
            (Place::Digits(1), _) if byte.is_ascii_hexdigit() => Place::String,
            (Place::Digits(left), _) if byte.is_ascii_hexdigit() => Place::Digits(left - 1),
            (Place::Start, b'`') => Place::Ticks(1),
            (Place::Ticks(FENCE) | Place::Language, _) => self.fenced(byte),
            (Place::Ticks(count), b'`') => Place::Ticks(count + 1),
            (Place::Word, _) if is_of_word(byte) => Place::Word,
            (Place::Word, _) => self.behind(byte),
            (Place::Escape | Place::Digits(_) | Place::Ticks(_), _) => Place::Broken,
            (place, b' ' | b'\t' | b'\r' | b'\n') => place,
            (Place::Start | Place::Value, _) => self.value(byte),
            (Place::FirstValue, b']') => self.close(),
            (Place::FirstValue, _) => self.value(byte),
            (Place::FirstName, b'}') => self.close(),
            (Place::FirstName | Place::Name, b'"') => self.string(true),
            (Place::Colon, b':') => Place::Value,
            (Place::After, _) => self.behind(byte),
            (Place::FirstName | Place::Name | Place::Colon | Place::Broken, _) => Place::Broken,
        }
    }

    fn fenced(&mut self, byte: u8) -> Place {
        match byte {
            b'\n' => {
                self.ticks_due = FENCE;
                Place::Value
            }
            b' ' | b'\t' | b'\r' => Place::Language,
            _ if byte.is_ascii_alphanumeric() => Place::Language,
            _ => Place::Broken,
        }
    }

    fn value(&mut self, byte: u8) -> Place {
        match byte {
            b'{' => self.open(true),
            b'[' => self.open(false),
            b'"' => self.string(false),
            _ if is_of_word(byte) => Place::Word,
            _ => Place::Broken,
        }
    }

    fn behind(&mut self, byte: u8) -> Place {
        let in_object = self.objects & 1 == 1;
        match (byte, self.depth) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => Place::After,
            (b'`', 0) if self.ticks_due > 0 => {
                self.ticks_due -= 1;
                Place::After
            }
            (_, 0) => Place::Broken,
            (b',', _) if in_object => Place::Name,
            (b',', _) => Place::Value,
            (b'}', _) if in_object => self.close(),
            (b']', _) if !in_object => self.close(),
            (_, _) => Place::Broken,
        }
    }

    fn string(&mut self, is_name: bool) -> Place {
        self.is_name = is_name;
        Place::String
    }

    fn open(&mut self, is_object: bool) -> Place {
        if self.depth == DEPTH_MAX {
            return Place::Broken;
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_object);
        if is_object { Place::FirstName } else { Place::FirstValue }
    }

    fn close(&mut self) -> Place {
        self.depth -= 1;
        self.objects >>= 1;
        Place::After
    }
}

/// What a string consists of, apart from its end and its escapes.
fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> JsonText {
        let mut json = JsonText::START;
        json.read(text.as_bytes());
        json
    }

    #[test]
    fn a_value_is_whole_at_its_end_and_not_before() {
        let texts = [
            r#"{"a": [1, -2.5e3, true, null, {}, []], "b": "\u00e4 \" \\ </result>"}"#,
            r#" "text" "#,
            "[[], [[\"a\"]], {\"b\": {\"c\": {}}}]",
            "\n```json\n{\"a\": 1}\n```\n",
            "```\r\n[1]\r\n```",
        ];
        for text in texts {
            assert!(read(text).is_whole(), "{text}");
            let solid = text.trim_end().len();
            for cut in (0..solid).filter(|cut| text.is_char_boundary(*cut)) {
                assert!(!read(&text[..cut]).is_whole(), "{}", &text[..cut]);
                assert!(!read(&text[..cut]).is_broken(), "{}", &text[..cut]);
            }
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_broken_for_good() {
        let texts = [
            "{\"a\": \"b\n\"}",
            "{\"a\" 1}",
            "{\"a\": 1,}",
            "[1,]",
            "[1}",
            "{]",
            "{a: 1}",
            "[1 2]",
            "\"a\" b",
            "'a'",
            "\"\\x\"",
            "\"\\u00g0\"",
            "[1]]",
            "[1]`",
            "``[1]",
            "```a`\n1",
            "{\"a\": \"says \"no\" to it\"}",
            "so: [1]",
        ];
        for text in texts {
            assert!(read(text).is_broken(), "{text}");
            assert!(read(&format!("{text} \"] }} [1]")).is_broken(), "{text}");
        }
        assert!(read(&"[".repeat(127)).place == Place::FirstValue);
        assert!(read(&"[".repeat(128)).is_broken());
    }

    #[test]
    fn strings_are_known_from_everything_else() {
        let cases = [
            ("{", false),
            ("{\"", true),
            ("{\"a", true),
            ("{\"a\"", false),
            ("{\"a\": \"", true),
            ("\"\\\"", true),
            ("\"\\", false),
            ("\"\\\\\"", false),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).is_in_string(), expected, "{text}");
        }
    }
}
