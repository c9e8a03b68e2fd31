//! Reads the configuration file and has it checked.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::failure::{invalid, unreadable};
use super::home::ConfigFile;
use crate::control::Failure;
use crate::daemon::{Home, Kept, LastGood};
use crate::document::{Findings, Source, Span};
use crate::model::Finding;
use crate::policy::{Beside, Config};

/// Longer files are neither plans nor configuration.
const BYTES_MAX: u64 = 2 << 20;

/// What a daemon of this home is started with.
pub(crate) struct InForce {
    /// The configuration.
    pub(crate) config: Config,
    /// What the file says; `None` when there is none, or none that can be read.
    pub(crate) text: Option<String>,
    /// Why it is the last good one and not what the file says.
    pub(crate) kept: Option<Kept>,
}

/// What the file says, or what it said when it was right last; its problems when it never was.
pub(crate) fn in_force(home: &Home, file: &ConfigFile) -> Result<InForce, Failure> {
    let read = text(file);
    let text = read.as_ref().ok().cloned().flatten();
    let failure = match read.and_then(|text| judge(file, text)) {
        Ok(config) => return Ok(InForce { config, text, kept: None }),
        Err(failure) => failure,
    };
    let good = LastGood::read(home, &file.path);
    let config = good.as_ref().and_then(|good| judge(file, Some(good.text.clone())).ok());
    match (config, good) {
        (Some(config), Some(LastGood { accepted_ms, .. })) => {
            Ok(InForce { config, text, kept: Some(Kept { failure, accepted_ms }) })
        }
        (None, _) | (_, None) => Err(failure),
    }
}

/// The configuration, or its problems as a failure.
pub(crate) fn load(file: &ConfigFile) -> Result<Config, Failure> {
    judge(file, text(file)?)
}

/// The configuration of that text, or its problems as a failure.
pub(crate) fn judge(file: &ConfigFile, text: Option<String>) -> Result<Config, Failure> {
    let (config, findings) = check_text(file, text);
    config.ok_or_else(|| {
        let name = format!("the configuration {}", file.path.display());
        invalid(&name, findings).hint("`muxvisor check` shows it alone")
    })
}

/// Checks it. Without a file, the compiled-in configuration stands alone.
pub(crate) fn check(file: &ConfigFile) -> Result<(Option<Config>, Vec<Finding>), Failure> {
    Ok(check_text(file, text(file)?))
}

/// The text of the file; `None` when there is none and nobody named it.
pub(crate) fn text(file: &ConfigFile) -> Result<Option<String>, Failure> {
    match read_text(&file.path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !file.named => Ok(None),
        Err(error) => Err(unreadable(&file.path, &error)),
    }
}

fn check_text(file: &ConfigFile, text: Option<String>) -> (Option<Config>, Vec<Finding>) {
    let built_in = Config::built_in();
    let base_dir = file.path.parent().unwrap_or(Path::new("/"));
    let beside = match beside(base_dir) {
        Ok(beside) => beside,
        Err(finding) => return (None, vec![*finding]),
    };
    let alone = beside.contracts.is_empty() && beside.prices.is_none();
    let text = match text {
        None if alone => return (Some(built_in), Vec::new()),
        None => "schema = 1\n".to_owned(),
        Some(text) => text,
    };
    let source = Source::new(file.path.display().to_string(), text);
    Config::read_all(&source, &beside, base_dir, &built_in)
}

/// What lies beside the file: contracts, and prices.
fn beside(dir: &Path) -> Result<Beside, Box<Finding>> {
    let prices = source(&dir.join("prices.toml"))?;
    let mut paths: Vec<PathBuf> = match fs::read_dir(dir.join("skill_contracts")) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => Vec::new(),
    };
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    let mut contracts = Vec::new();
    for path in paths {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        contracts.extend(source(&path)?.map(|source| (stem, source)));
    }
    Ok(Beside { contracts, prices })
}

/// A file, if it is there. One that cannot be read is a problem of the configuration.
fn source(path: &Path) -> Result<Option<Source>, Box<Finding>> {
    match read_text(path) {
        Ok(text) => Ok(Some(Source::new(path.display().to_string(), text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let nothing = Source::new(path.display().to_string(), "");
            let findings = Findings::new(&nothing);
            findings.error("C15", Span::default(), format!("it cannot be read: {error}"));
            let finding = findings.finish().into_iter().next();
            Err(Box::new(finding.expect("it was reported just now")))
        }
    }
}

/// Reads a text file of a size that a person can have written.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    // A device has no length, and may have no end.
    fs::File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        let most = BYTES_MAX >> 20;
        return Err(io::Error::other(format!("it is larger than {most} MiB, the most allowed")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        io::Error::other(format!("it is no text: byte {} is not UTF-8", place + 1))
    })
}
