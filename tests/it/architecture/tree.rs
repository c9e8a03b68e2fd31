//! Reads the files of the repository, as they lie on the disk.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of all files under a folder, from the root, in order. Build output and the
/// repository's own records are left out.
pub(crate) fn paths(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder of the repository can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != ".git" {
            collect(&path, found);
        } else if path.is_file() && name != ".git" {
            let path = path.strip_prefix(root()).expect("it lies under the root");
            found.push(path.to_string_lossy().into_owned());
        }
    }
}

/// Path and text of all Rust files under a folder.
pub(crate) fn rust_files(folder: &str) -> Vec<(String, String)> {
    with_texts(paths(folder).into_iter().filter(|path| path.ends_with(".rs")))
}

/// Path and text of all files that are text.
pub(crate) fn texts() -> Vec<(String, String)> {
    with_texts(paths("").into_iter())
}

fn with_texts(paths: impl Iterator<Item = String>) -> Vec<(String, String)> {
    paths
        .filter_map(|path| {
            let text = String::from_utf8(fs::read(root().join(&path)).ok()?).ok()?;
            Some((path, text))
        })
        .collect()
}

/// The modules that lie directly in a folder: files without their ending, and folders with a
/// `mod.rs`.
pub(crate) fn modules_in(folder: &str) -> Vec<String> {
    let inside = paths(folder);
    let names = inside.iter().filter_map(|path| {
        let name = path.strip_prefix(&format!("{folder}/"))?.strip_suffix(".rs")?;
        let name = name.strip_suffix("/mod").unwrap_or(name);
        (!name.contains('/')).then(|| name.to_owned())
    });
    names.collect()
}
