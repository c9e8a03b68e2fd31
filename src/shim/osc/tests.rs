//! Tests of the reports of programs.

use data_encoding::BASE64;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn set(body: &str) -> Option<(String, Record)> {
    match parse(body.as_bytes()) {
        Some(Said::Set { id, record }) => Some((id, record)),
        Some(Said::Query | Said::Cleared { .. }) | None => None,
    }
}

fn after(bodies: &[&str]) -> Option<(Activity, Option<BlockKind>, Option<String>, i64)> {
    let mut records = Records::default();
    for (at, body) in bodies.iter().enumerate() {
        if let Some(said) = parse(body.as_bytes()) {
            records.take(said, i64::try_from(at).unwrap());
        }
    }
    let Doing { activity, kind, message, source, at_ms } = records.doing()?;
    assert_eq!(source, ActivitySource::Osc7501);
    Some((activity, kind, message, at_ms))
}

fn doing(body: &str) -> Option<(Activity, Option<BlockKind>, Option<String>)> {
    after(&[body]).map(|(activity, kind, message, _)| (activity, kind, message))
}

#[test]
fn states_become_activities() {
    use Activity::{Blocked, Idle, Working};
    let permission = Some(BlockKind::Permission);
    let said = |text: &str| Some(text.to_owned());
    for (body, expected) in [
        ("state=working:app=codex", (Working, None, None)),
        ("state=idle", (Idle, None, None)),
        ("state=done:msg=SGk=", (Idle, None, said("Hi"))),
        ("state=done:title=SGk", (Idle, None, said("Hi"))),
        ("state=blocked:kind=permission:msg=SGk=", (Blocked, permission, said("Hi"))),
        ("state=blocked:kind=question", (Blocked, Some(BlockKind::Question), None)),
        ("state=blocked:kind=auth", (Blocked, Some(BlockKind::Auth), None)),
        ("state=blocked:kind=weather", (Blocked, None, None)),
        ("state=working:kind=auth", (Working, None, None)),
        ("state=error:msg=SGk=", (Idle, None, said("error: Hi"))),
        ("state=error", (Idle, None, said("error"))),
        ("state=idle:state=working", (Working, None, None)),
        ("nonsense:=x:A=b:state=working:new=1:app=a b", (Working, None, None)),
    ] {
        assert_eq!(doing(body), Some(expected), "{body}");
    }
}

#[test]
fn what_the_draft_refuses_is_ignored_whole() {
    let long = |n: usize| "a".repeat(n);
    let control = BASE64.encode(b"a\x1b[2J");
    for body in [
        String::new(),
        "state".to_owned(),
        "state=asleep".to_owned(),
        "app=codex".to_owned(),
        "state=done:msg=!".to_owned() + "x=:msg=SG=k",
        "state=done:msg=SGk===".to_owned(),
        "state=done:msg=a".to_owned(),
        format!("state=done:msg={control}"),
        format!("state=done:msg={}", BASE64.encode(&[0xff])),
        format!("state=done:msg={}", BASE64.encode(&[b'a'; 2049])),
        format!("state=done:title={}", BASE64.encode(&[b'a'; 193])),
        format!("state=done:{}=1", long(17)),
        format!("state=done:app={}", long(33)),
        format!("state=done:id={}", long(33)),
        "state=done:id=a//b".to_owned(),
        "state=done:id=1/2/3/4/5/6/7/8/9".to_owned(),
    ] {
        assert_eq!(set(&body), None, "{body}");
    }
    assert_eq!(parse(b"state=done:msg=\xff"), None);
    assert_eq!(parse(b" ? "), Some(Said::Query));
}

#[test]
fn a_message_has_256_characters_and_nothing_hidden() {
    let text = format!("{}\u{202e}", "é".repeat(1000));
    let body = format!("state=blocked:msg={}", BASE64.encode(text.as_bytes()));
    assert_eq!(doing(&body).unwrap().2, Some("é".repeat(256)));
}

/// Who waits for a person speaks first, then who works; of the rest the last one.
#[test]
fn one_of_several_records_speaks_for_all() {
    use Activity::{Blocked, Idle, Working};
    let word = |bodies: &[&str]| after(bodies).map(|(activity, _, _, at)| (activity, at));
    assert_eq!(word(&["state=working", "state=done:id=a"]), Some((Working, 0)));
    assert_eq!(word(&["state=blocked:id=a/b", "state=working"]), Some((Blocked, 0)));
    assert_eq!(word(&["state=idle", "state=done:id=a"]), Some((Idle, 1)));
    assert_eq!(word(&["state=working", "state=idle"]), Some((Idle, 1)));
    assert_eq!(word(&["state=working", "state=working:progress=4"]), Some((Working, 0)));
    assert_eq!(word(&["state=blocked:id=a/b", "state=idle", "state=clear:id=a"]), Some((Idle, 1)));
    assert_eq!(word(&["state=working:id=ab", "state=clear:id=a"]), Some((Working, 0)));
    assert_eq!(word(&["state=working", "state=idle:id=x", "state=clear"]), None);
}

#[test]
fn a_prompt_ends_what_was_active_and_records_are_bounded() {
    let mut records = Records::default();
    let take = |records: &mut Records, body: &str| {
        records.take(parse(body.as_bytes()).unwrap(), 0);
        assert!(records.all.len() <= RECORDS_MAX);
    };
    take(&mut records, "state=done:id=a");
    for n in 0..1000 {
        take(&mut records, &format!("state=working:id=w{n}"));
    }
    take(&mut records, "state=error:id=e");
    records.forget_active();
    assert_eq!(records.doing().unwrap().message.as_deref(), Some("error"));
    records.forget();
    assert_eq!(records.doing(), None);
}

proptest! {
    /// Nothing that a program prints can make more of it than it says, or break us.
    #[test]
    fn any_body_is_harmless(body in vec(any::<u8>(), 0..4100)) {
        let mut records = Records::default();
        if let Some(said) = parse(&body) {
            records.take(said, 0);
        }
        let message = records.doing().and_then(|doing| doing.message).unwrap_or_default();
        prop_assert!(message.chars().count() <= 256 && !message.chars().any(char::is_control));
    }
}
