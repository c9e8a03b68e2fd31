//! Which file knows which: arrows between rooms against a table, and circles inside a room.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// A room and the rooms it may import.
pub(crate) type Table<'a> = &'a [(&'a str, &'a [&'a str])];

/// Files by their module path.
type Files<'a> = BTreeMap<&'a [String], &'a Source>;

/// Arrows between rooms that the table does not allow, and rooms that it does not know.
pub(crate) fn forbidden(sources: &[Source], table: Table<'_>) -> Vec<String> {
    let rooms: BTreeSet<&str> = sources.iter().map(Source::room).collect();
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.room() != "lib") {
        let Some((_, allowed)) = table.iter().find(|(room, _)| *room == source.room()) else {
            found.push(format!("{}: no such room in the table", source.path));
            continue;
        };
        let targets: BTreeSet<&str> =
            source.facts.uses.iter().filter_map(|path| path.first()).map(String::as_str).collect();
        for target in targets {
            let foreign = target != source.room() && rooms.contains(target);
            if foreign && !allowed.contains(&target) {
                found.push(format!("{}: {} may not import {target}", source.path, source.room()));
            }
        }
    }
    found
}

/// Uses of the outside world by a room that must not know it. `banned` are path beginnings such
/// as `std::fs`; `owners` are the rooms that may.
pub(crate) fn trespasses(sources: &[Source], banned: &str, owners: &[&str]) -> Vec<String> {
    let begins = |path: &Vec<String>| {
        let mut parts = path.iter();
        banned.split("::").all(|part| parts.next().is_some_and(|p| p == part))
    };
    let strangers = sources.iter().filter(|source| !owners.contains(&source.room()));
    strangers
        .filter(|source| source.facts.outside.iter().any(begins))
        .map(|source| format!("{}: {} may not use {banned}", source.path, source.room()))
        .collect()
}

/// Circles between the files of a room, each as the list of its files.
///
/// What counts is the file where a name is defined: `super::Name` that `mod.rs` only re-exports
/// from a sibling is an arrow to that sibling, and a re-export is no arrow at all. The words of a
/// room's contract, such as its error, may stand in its door: a child that says them makes no
/// arrow, but one that calls a function of the door does.
pub(crate) fn circles(sources: &[Source]) -> Vec<String> {
    let files: Files<'_> = sources.iter().map(|source| (&source.module[..], source)).collect();
    let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.room() != "lib") {
        let inside = source.facts.uses.iter().filter(|used| used.first() == source.module.first());
        for used in inside {
            if let Some((target, name)) = home_of(&files, used)
                && target.room() == source.room()
                && target.path != source.path
                && !is_word_of_the_door(source, target, name.as_deref())
            {
                arrows.entry(&source.path).or_default().insert(&target.path);
            }
        }
    }
    let mut done = BTreeSet::new();
    let starts: Vec<&str> = arrows.keys().copied().collect();
    starts.into_iter().filter_map(|from| walk(&arrows, from, &mut Vec::new(), &mut done)).collect()
}

/// The first circle met on the way down from `from`.
fn walk<'a>(
    arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    from: &'a str,
    trail: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<String> {
    if let Some(start) = trail.iter().position(|file| *file == from) {
        return Some([&trail[start..], &[from]].concat().join(" -> "));
    }
    if done.contains(from) {
        return None;
    }
    trail.push(from);
    let next = arrows.get(from).into_iter().flatten();
    let circle = next.copied().find_map(|to| walk(arrows, to, trail, done));
    trail.pop();
    done.insert(from);
    circle
}

fn is_word_of_the_door(child: &Source, door: &Source, name: Option<&str>) -> bool {
    child.module.starts_with(&door.module) && name.is_some_and(|n| door.facts.words.contains(n))
}

/// The file in which the thing at `path` is defined, and its name there.
fn home_of<'a>(files: &Files<'a>, path: &[String]) -> Option<(&'a Source, Option<String>)> {
    let mut path = path.to_vec();
    // A chain of re-exports is short; the limit only guards against two that name each other.
    for _ in 0..16 {
        let file = deepest(files, &path)?;
        let rest = &path[file.module.len()..];
        let Some(name) = rest.first() else { return Some((file, None)) };
        if file.facts.defined.contains(name) {
            return Some((file, Some(name.clone())));
        }
        let through_glob = || {
            let homes = file.facts.globs.iter().filter_map(|module| deepest(files, module));
            homes.into_iter().find(|home| home.facts.defined.contains(name))
        };
        match file.facts.aliases.get(name) {
            Some(target) => path = [&target[..], &rest[1..]].concat(),
            None => return Some((through_glob().unwrap_or(file), Some(name.clone()))),
        }
    }
    None
}

/// The file whose module path is the longest beginning of `path`.
fn deepest<'a>(files: &Files<'a>, path: &[String]) -> Option<&'a Source> {
    (0..=path.len()).rev().find_map(|length| files.get(&path[..length]).copied())
}
