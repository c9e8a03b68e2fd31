//! What a person keeps beside the configuration file: templates and plans, by name.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::control::{Failure, FailureKind};
use crate::document::Source;
use crate::template::Library;

/// Longer files are no templates.
const BYTES_MAX: u64 = 256 << 10;

/// The shipped templates, and over them those in `templates` beside the configuration file.
///
/// # Errors
/// A template that cannot be read, with everything that is wrong with it.
pub fn library(config: &Path) -> Result<Library, Failure> {
    let mut library = Library::shipped();
    for (name, path) in shelf(config, "templates", &["md", "toml"])? {
        let text = read(&path).map_err(|error| unreadable(&path, &error))?;
        let findings = library.add(&name, &Source::new(path.display().to_string(), text));
        if !findings.is_empty() {
            let message = format!("the template {} has problems", path.display());
            return Err(Failure::new(FailureKind::Invalid, message).findings(findings));
        }
    }
    Ok(library)
}

/// The files of a folder beside the configuration file, by their names without ending; a folder
/// that is not there has none.
///
/// # Errors
/// A folder that cannot be read.
pub fn shelf(
    config: &Path,
    folder: &str,
    endings: &[&str],
) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let folder = config.parent().unwrap_or(Path::new("/")).join(folder);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(unreadable(&folder, &error)),
    };
    let mut found = BTreeMap::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if endings.contains(&ending) && !name.is_empty() && path.is_file() {
            found.insert(name.to_owned(), path.clone());
        }
    }
    Ok(found)
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {} KiB", BYTES_MAX >> 10)));
    }
    fs::read_to_string(path)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(FailureKind::Usage, format!("failed to read {}: {error}", path.display()))
}
