//! For tests: which keys the readers of tables asked for, so that what is written elsewhere about
//! keys can be compared with what is read.

use std::cell::RefCell;
use std::collections::BTreeSet;

thread_local! {
    static ASKED: RefCell<Vec<(String, BTreeSet<String>)>> = const { RefCell::new(Vec::new()) };
}

/// Notes what a reader of a table asked for.
pub(super) fn note(label: &str, keys: &BTreeSet<String>) {
    ASKED.with_borrow_mut(|asked| asked.push((label.to_owned(), keys.clone())));
}

/// Everything that was noted on this thread: tables by their labels, with their keys.
pub(crate) fn taken() -> Vec<(String, BTreeSet<String>)> {
    ASKED.take()
}
