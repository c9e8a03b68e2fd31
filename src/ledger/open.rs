//! Opens the ledger's file: creates it, refuses what it cannot read, migrates what is older.
//!
//! A file that is newer, damaged or not ours is looked at without being written: it stays as it
//! is, byte for byte, and the error names it (design §7).

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::failure::{Error, sql};
use super::schema::{APPLICATION_ID, MIGRATIONS, READER_PRAGMAS, VERSION, WRITER_PRAGMAS};
use crate::failpoint;

/// Up to this size every page is checked at each start; beyond it only the tables that a start
/// reads, because the check reads what it checks and a start must be quick.
const FULL_CHECK_MAX_BYTES: u64 = 16 << 20;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the header keeps `user_version` and `application_id` (SQLite file format, 1.3).
const VERSION_AT: usize = 60;
const APPLICATION_AT: usize = 68;

/// The connection that may write; creates and migrates.
pub(super) fn writer(path: &Path) -> Result<Connection, Error> {
    if is_new(path)? {
        create(path)?;
    } else {
        inspect(path)?;
    }
    let mut db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(sql("open the ledger"))?;
    db.execute_batch(WRITER_PRAGMAS).map_err(sql("configure the ledger"))?;
    db.set_prepared_statement_cache_capacity(64);
    failpoint::step("start.migrate-ledger", || migrate(&mut db))?;
    Ok(db)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, Error> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(sql("open the ledger for reading"))?;
    db.execute_batch(READER_PRAGMAS).map_err(sql("configure the ledger for reading"))?;
    refuse_foreign(&db, path)?;
    Ok(db)
}

/// Whether there is nothing yet: no file, or an empty one, which a crash while creating leaves.
fn is_new(path: &Path) -> Result<bool, Error> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(source) => Err(Error::File { doing: "look at", path: path.to_owned(), source }),
    }
}

/// Readable by the owner only, because submissions hold environments.
fn create(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { doing: "create", path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// Refuses a file that is not a sound ledger of a version we know, without changing it.
fn inspect(path: &Path) -> Result<(), Error> {
    let header = header(path)?;
    if header[..16] != MAGIC[..] {
        return Err(damaged(path, "it does not begin like an SQLite file"));
    }
    let (version, application) = (number(&header, VERSION_AT), number(&header, APPLICATION_AT));
    if application == APPLICATION_ID.unsigned_abs() && version > VERSION {
        return Err(Error::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    let db = looking(path)?;
    refuse_foreign(&db, path)?;
    let size = std::fs::metadata(path).map_or(0, |found| found.len());
    check(&db, path, size <= FULL_CHECK_MAX_BYTES)
}

fn header(path: &Path) -> Result<[u8; 100], Error> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return damaged(path, "it is shorter than a header");
        }
        Error::File { doing: "read", path: path.to_owned(), source }
    };
    let mut header = [0; 100];
    File::open(path).and_then(|mut file| file.read_exact(&mut header)).map_err(failed)?;
    Ok(header)
}

fn number(header: &[u8; 100], at: usize) -> u32 {
    header[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// A connection that leaves the file and its directory as they are.
///
/// Without a log beside it the file is complete and can be opened as immutable, which creates
/// nothing. With one, what was committed is partly in the log, and it must be read along.
fn looking(path: &Path) -> Result<Connection, Error> {
    let log = beside(path, "-wal");
    let has_log = std::fs::metadata(&log).is_ok_and(|found| found.len() > 0);
    let mut uri = String::from("file:");
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri.push_str(if has_log { "?mode=ro" } else { "?mode=ro&immutable=1" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags).map_err(|error| unreadable(path, error))
}

fn refuse_foreign(db: &Connection, path: &Path) -> Result<(), Error> {
    let ask = |pragma: &str| {
        db.query_row(pragma, [], |row| row.get::<_, i64>(0)).map_err(|e| unreadable(path, e))
    };
    let version = u32::try_from(ask("PRAGMA user_version")?).unwrap_or(u32::MAX);
    let ours = ask("PRAGMA application_id")? == i64::from(APPLICATION_ID);
    let tables = ask("SELECT count(*) FROM sqlite_schema")?;
    if !ours && (version > 0 || tables > 0) {
        return Err(damaged(path, "it is an SQLite file of another program"));
    }
    if version > VERSION {
        return Err(Error::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    Ok(())
}

/// Asks SQLite whether the file is sound.
pub(super) fn check(db: &Connection, path: &Path, whole: bool) -> Result<(), Error> {
    const STARTED_FROM: [&str; 4] = ["meta", "run", "attempt", "instance"];
    let version: i64 = db
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| unreadable(path, error))?;
    if whole || version == 0 {
        return verdict(db, path, "PRAGMA quick_check(1)");
    }
    STARTED_FROM
        .iter()
        .try_for_each(|table| verdict(db, path, &format!("PRAGMA quick_check({table})")))
}

fn verdict(db: &Connection, path: &Path, pragma: &str) -> Result<(), Error> {
    let found: String =
        db.query_row(pragma, [], |row| row.get(0)).map_err(|error| unreadable(path, error))?;
    if found == "ok" { Ok(()) } else { Err(damaged(path, &found)) }
}

fn migrate(db: &mut Connection) -> Result<(), Error> {
    let doing = "migrate the ledger";
    let found: u32 = db
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(sql("read the version"))?;
    for (step, text) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        let change = db.transaction().map_err(sql(doing))?;
        change.execute_batch(text).map_err(sql(doing))?;
        change.pragma_update(None, "application_id", APPLICATION_ID).map_err(sql(doing))?;
        change.pragma_update(None, "user_version", step).map_err(sql(doing))?;
        change.commit().map_err(sql(doing))?;
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::Damaged { path: path.to_owned(), reason: reason.to_owned() }
}

/// What SQLite says about a file that it cannot read; a permission is not damage.
fn unreadable(path: &Path, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            damaged(path, &error.to_string())
        }
        _ => sql("inspect the ledger")(error),
    }
}
