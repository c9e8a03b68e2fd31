//! Queries for results that are kept for later runs.

use rusqlite::{Connection, OptionalExtension, params};

use super::failure::{Error, sql};
use super::load::{column, moment, parse};
use super::statement::signed;
use crate::model::{
    AttemptId, CacheAnswer, CacheEntry, CacheQuestion, CacheSource, Moment, Output, RunId, WorkKey,
};

const DOING: &str = "look for a kept result";

/// Whether the result of some work is kept, and what its task was to do the last time.
pub(super) fn look_up(db: &Connection, question: CacheQuestion) -> Result<CacheAnswer, Error> {
    let (entry, last) = (entry(db, &question.work.key)?, last(db, &question)?);
    Ok(CacheAnswer { entry, last, ..CacheAnswer::nothing(question, None) })
}

fn entry(db: &Connection, key: &str) -> Result<Option<CacheEntry>, Error> {
    let text = "SELECT cache.run, cache.attempt, cache.agent, cache.at, blob.sha, blob.body
                FROM cache JOIN blob ON blob.sha = cache.output_sha WHERE cache.key = ?1";
    let found = super::load::all(db, text, [key], |row| {
        let sha: String = column(row, 4)?;
        let value = parse(format!("the output {sha}"), &column::<String>(row, 5)?)?;
        let source = CacheSource {
            run: RunId::new(column::<String>(row, 0)?),
            attempt: AttemptId::new(column::<String>(row, 1)?),
            agent: column(row, 2)?,
        };
        Ok(CacheEntry { source, at: moment(column(row, 3)?), output: Output { sha, value } })
    })?;
    Ok(found.into_iter().next())
}

fn last(db: &Connection, asked: &CacheQuestion) -> Result<Option<(RunId, WorkKey)>, Error> {
    let text = "SELECT run, row FROM work WHERE plan = ?1 AND task = ?2";
    let mut prepared = db.prepare_cached(text).map_err(sql(DOING))?;
    let values = params![asked.plan, asked.task.as_str()];
    let found = prepared.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional();
    let found: Option<(String, String)> = found.map_err(sql(DOING))?;
    let what = || format!("what `{}` of `{}` was to do", asked.task, asked.plan);
    found.map(|(run, row)| Ok((RunId::new(run), parse(what(), &row)?))).transpose()
}

/// How many are too old to be taken; those that nobody can ask for are not counted.
pub(super) fn expired(db: &Connection, now: Moment) -> Result<u32, Error> {
    let text = "SELECT count(*) FROM cache WHERE at + good_ms <= ?1 AND good_ms > 0";
    db.query_row(text, [signed(now.0)], |row| row.get(0)).map_err(sql(DOING))
}
