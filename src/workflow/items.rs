//! The items of a task that is done for each entry of a list: what they are, what identifies them
//! (features C12, C13), and what of them stays when the list is read again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::model::{Item, Moment, TaskId};
use crate::plan::{self, ForEach, Origin, Partition};

/// A key that people and terminals can bear is taken as it is; a longer one is cut.
const KEY_MAX: usize = 64;
/// How much of a key that must be cut stays readable.
const KEY_HEAD: usize = 40;
/// How many hex digits of a hash identify an item.
const HASH_DIGITS: usize = 12;

/// One entry or part of the list, before it has a key.
struct Entry {
    /// The key that it has in its table, if the list is one.
    name: Option<String>,
    value: Value,
}

/// The items of `over`. `key_of` gives the key that the plan writes for an item, by its value and
/// position; none when the plan writes none.
///
/// # Errors
/// One sentence that says what is wrong with the list.
pub(super) fn items(
    for_each: &ForEach,
    over: Value,
    key_of: impl Fn(&Value, usize) -> Option<Result<String, String>>,
) -> Result<Vec<Item>, String> {
    let entries = parted(entries(over)?, for_each.partition);
    let (count, least, most) = (entries.len(), for_each.min_items, for_each.max_items);
    if count < least as usize {
        return Err(format!("`for_each` gives {count} items, fewer than `min_items` = {least}"));
    }
    if count > most as usize {
        return Err(format!(
            "`for_each` gives {count} items, more than `max_items` = {most}; raise it or use \
             `partition`"
        ));
    }
    let mut keyed = Vec::with_capacity(count);
    for (index, entry) in entries.into_iter().enumerate() {
        let key = match (key_of(&entry.value, index), entry.name) {
            (Some(written), _) => plain(&written?, index)?,
            (None, Some(name)) => plain(&name, index)?,
            (None, None) => hash(&entry.value),
        };
        keyed.push(Item { key, value: entry.value });
    }
    told_apart(keyed)
}

/// A list's entries, a table's values with their keys, a text's lines that are not blank.
fn entries(over: Value) -> Result<Vec<Entry>, String> {
    let unnamed = |value| Entry { name: None, value };
    match over {
        Value::Array(list) => Ok(list.into_iter().map(unnamed).collect()),
        Value::Object(table) => {
            Ok(table.into_iter().map(|(key, value)| Entry { name: Some(key), value }).collect())
        }
        Value::String(text) => Ok(text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| unnamed(Value::from(line)))
            .collect()),
        Value::Null => Err(not_a_list("nothing")),
        Value::Bool(_) => Err(not_a_list("true or false")),
        Value::Number(_) => Err(not_a_list("a number")),
    }
}

fn not_a_list(what: &str) -> String {
    format!("`for_each` needs a list, a table or text, and was given {what}")
}

/// Even parts, whose sizes differ by one at most, in the order of the list (feature C13).
fn parted(entries: Vec<Entry>, partition: Option<Partition>) -> Vec<Entry> {
    let count = entries.len();
    let parts = match partition {
        None => return entries,
        Some(Partition::Parts(parts)) => (parts as usize).min(count),
        Some(Partition::Size(size)) => count.div_ceil(size.max(1) as usize),
    };
    let mut rest = entries.into_iter();
    (0..parts)
        .map(|part| {
            let size = count / parts + usize::from(part < count % parts);
            whole(rest.by_ref().take(size).collect())
        })
        .collect()
}

/// A part of a table is a table, a part of a list is a list.
fn whole(part: Vec<Entry>) -> Entry {
    let table = part.iter().all(|entry| entry.name.is_some());
    let value = if table {
        let named = part.into_iter().filter_map(|entry| Some((entry.name?, entry.value)));
        Value::Object(named.collect::<Map<_, _>>())
    } else {
        part.into_iter().map(|entry| entry.value).collect()
    };
    Entry { name: None, value }
}

/// A key becomes a part of names that people type and terminals show. What is not fit for that is
/// kept apart by its hash.
fn plain(key: &str, index: usize) -> Result<String, String> {
    if key.trim().is_empty() {
        return Err(format!("item {index} has an empty key; check `key`"));
    }
    let fit = |c: char| !c.is_control() && !matches!(c, '[' | ']');
    let as_it_is = key.chars().all(fit) && key.trim() == key && key.chars().count() <= KEY_MAX;
    if as_it_is {
        return Ok(key.to_owned());
    }
    let head: String = key.trim().chars().filter(|c| fit(*c)).take(KEY_HEAD).collect();
    Ok(format!("{}~{}", head.trim(), digest(key.as_bytes())))
}

/// What identifies an item by its content alone.
fn hash(value: &Value) -> String {
    digest(value.to_string().as_bytes())
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..HASH_DIGITS].to_owned()
}

/// Items that are the same in everything are numbered; different ones may not share a key.
fn told_apart(mut items: Vec<Item>) -> Result<Vec<Item>, String> {
    let written: BTreeSet<String> = items.iter().map(|item| item.key.clone()).collect();
    let mut first: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for index in 0..items.len() {
        let key = items[index].key.clone();
        let Some((of, mut times)) = first.get(&key).copied() else {
            first.insert(key, (index, 1));
            continue;
        };
        if items[of].value != items[index].value {
            return Err(format!(
                "items {of} and {index} have the same key `{key}` and are not the same ({} and \
                 {}); choose a `key` that tells them apart",
                short(&items[of].value),
                short(&items[index].value)
            ));
        }
        times += 1;
        while written.contains(&format!("{key}-{times}")) {
            times += 1;
        }
        items[index].key = format!("{key}-{times}");
        first.insert(key, (of, times));
    }
    Ok(items)
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

/// A `for_each` task whose list was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mapped {
    /// When.
    pub(super) since: Moment,
    /// The tasks of its items, in the order of the list.
    pub(super) items: Vec<TaskId>,
}

/// The id of an item's task: `score[KEY]`.
pub(super) fn id(of: &TaskId, key: &str) -> TaskId {
    TaskId::new(format!("{of}[{key}]"))
}

/// The task that does one item: the `for_each` task itself, for this entry.
pub(super) fn definition(of: &plan::Task, item: &Item, index: usize) -> plan::Task {
    plan::Task {
        id: id(&of.id, &item.key),
        for_each: None,
        when: None,
        optional: false,
        origin: Some(Origin::Item {
            of: of.id.clone(),
            key: item.key.clone(),
            index,
            value: item.value.clone(),
        }),
        ..of.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::plan::InputValue;

    fn for_each(partition: Option<Partition>) -> ForEach {
        ForEach {
            over: InputValue::Plain(Value::Null),
            key: None,
            partition,
            max_items: 1000,
            min_items: 0,
            min_success: None,
            gather_timeout_ms: None,
        }
    }

    fn of(over: Value) -> Result<Vec<Item>, String> {
        items(&for_each(None), over, |_, _| None)
    }

    fn by_id(over: Value) -> Result<Vec<Item>, String> {
        items(&for_each(None), over, |item, _| {
            Some(item["id"].as_str().map(str::to_owned).ok_or_else(|| "no id".to_owned()))
        })
    }

    fn keys(items: &[Item]) -> Vec<&str> {
        items.iter().map(|item| item.key.as_str()).collect()
    }

    /// Feature C12: lists, tables and texts; equal entries are numbered.
    #[test]
    fn lists_tables_and_texts_have_items() {
        let table = of(json!({ "b": 1, "a": 2 })).unwrap();
        assert_eq!(keys(&table), ["a", "b"]);
        let lines = of(json!("one\n\ntwo\r\n  \none\n")).unwrap();
        let values: Vec<&Value> = lines.iter().map(|item| &item.value).collect();
        assert_eq!(values, [&json!("one"), &json!("two"), &json!("one")]);
        assert_eq!(lines[2].key, format!("{}-2", lines[0].key));
        assert_eq!(of(json!([])), Ok(Vec::new()));
        assert!(of(json!(3)).unwrap_err().contains("was given a number"));
    }

    #[test]
    fn two_things_with_one_key_are_an_error_that_names_both() {
        let twice = by_id(json!([{ "id": "a", "n": 1 }, { "id": "b" }, { "id": "a", "n": 2 }]));
        let message = twice.unwrap_err();
        assert!(message.contains("items 0 and 2") && message.contains("`a`"), "{message}");
        let same = by_id(json!([{ "id": "a" }, { "id": "a" }, { "id": "a-2" }])).unwrap();
        assert_eq!(keys(&same), ["a", "a-3", "a-2"]);
        assert!(by_id(json!([{ "id": " " }])).unwrap_err().contains("item 0 has an empty key"));
    }

    #[test]
    fn too_few_and_too_many_items_are_errors() {
        let rule = ForEach { min_items: 2, max_items: 3, ..for_each(None) };
        let count = |n: usize| items(&rule, (0..n).map(Value::from).collect(), |_, _| None);
        assert!(count(1).unwrap_err().contains("fewer than `min_items` = 2"));
        assert!(count(4).unwrap_err().contains("more than `max_items` = 3"));
        assert_eq!(count(3).map(|items| items.len()), Ok(3));
    }

    /// What agents wrote becomes a key that is safe to show and type, and stays unique.
    #[test]
    fn hostile_keys_are_cut_and_kept_apart() {
        let keys: Vec<String> = ["a/b.py", "x]\n[y", "x\u{1b}[31m]y", &"k".repeat(5000), "é ü"]
            .iter()
            .map(|key| plain(key, 0).unwrap())
            .collect();
        assert_eq!((keys[0].as_str(), keys[4].as_str()), ("a/b.py", "é ü"));
        assert!(keys.iter().all(|key| key.chars().count() <= KEY_MAX), "{keys:?}");
        assert!(keys.iter().all(|key| !key.contains(['\n', '\u{1b}', '[', ']'])), "{keys:?}");
        assert_ne!(plain("x]y", 0), plain("x[y", 0));
    }

    proptest! {
        /// Feature C13: nothing is lost, and sizes differ by one at most.
        #[test]
        fn parts_are_even(count in 0_usize..200, parts in 1_u32..12, by_size in any::<bool>()) {
            let list: Vec<Value> = (0..count).map(Value::from).collect();
            let rule = if by_size { Partition::Size(parts) } else { Partition::Parts(parts) };
            let made = items(&for_each(Some(rule)), Value::Array(list.clone()), |_, _| None).unwrap();
            let sizes: Vec<usize> =
                made.iter().map(|item| item.value.as_array().unwrap().len()).collect();
            let joined: Vec<Value> =
                made.into_iter().flat_map(|item| item.value.as_array().unwrap().clone()).collect();
            prop_assert_eq!(joined, list);
            let (least, most) = (sizes.iter().min(), sizes.iter().max());
            prop_assert!(most.unwrap_or(&0) - least.unwrap_or(&0) <= 1, "{:?}", sizes);
            prop_assert!(sizes.iter().all(|size| *size > 0));
            match rule {
                Partition::Parts(_) => prop_assert_eq!(sizes.len(), count.min(parts as usize)),
                Partition::Size(_) => prop_assert!(sizes.iter().all(|n| *n <= parts as usize)),
            }
        }

        /// Adding an entry anywhere leaves the keys of the others as they were.
        #[test]
        fn keys_do_not_depend_on_the_place(mut list in proptest::collection::vec("[a-e]{1,3}", 0..20),
                                           at in any::<prop::sample::Index>()) {
            list.sort();
            list.dedup();
            let text = |list: &[String]| Value::from(list.to_vec());
            let before = of(text(&list)).unwrap();
            list.insert(at.index(list.len() + 1), "new".to_owned());
            let after = of(text(&list)).unwrap();
            for item in &before {
                prop_assert!(after.contains(item));
            }
        }
    }
}
