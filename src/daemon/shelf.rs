//! What a person keeps beside the configuration file: templates and plans, by name.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::control::{Failure, FailureKind};
use crate::document::Source;
use crate::plan::{TemplateOutput, TemplateParts};
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

/// The templates for a plan that is checked; they are read when the first is asked for.
#[derive(Debug)]
pub struct Templates<'a> {
    config: &'a Path,
    library: OnceCell<Result<Library, String>>,
}

impl<'a> Templates<'a> {
    /// Those that go with a configuration file.
    pub fn beside(config: &'a Path) -> Self {
        Self { config, library: OnceCell::new() }
    }

    /// What a template makes of values.
    ///
    /// # Errors
    /// Why it makes nothing, as a sentence.
    pub fn parts(
        &self,
        name: &str,
        set: &BTreeMap<String, String>,
    ) -> Result<TemplateParts, String> {
        let library = self.library.get_or_init(|| library(self.config).map_err(|why| told(&why)));
        let template = library.as_ref()?.find(name).map_err(|error| error.to_string())?;
        let values = set.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        let parts = template.render(&values.collect()).map_err(|problems| {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            told.join("; ")
        })?;
        Ok(TemplateParts {
            description: parts.description(),
            role: parts.role,
            constraints: parts.constraints,
            output: parts.output.map(TemplateOutput::Short),
        })
    }
}

/// A failure in one line; the rest of it `templates list` tells.
fn told(failure: &Failure) -> String {
    let first = failure.findings.first();
    let first = first.map(|it| format!(": line {}: {}", it.line, it.message));
    format!("{}{}", failure.message, first.unwrap_or_default())
}
