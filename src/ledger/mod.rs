//! The ledger: the SQLite record of everything decided. The only room that touches SQLite.
//!
//! ```text
//! daemon --commit--> writer thread --one transaction per group--> ledger.db
//!                                                                     |
//! queries <------------------ Reader (its own connections) <----------'
//! ```
//!
//! One thread owns the only connection that writes. Whatever waits for it goes into one
//! transaction, and nobody is answered before that transaction is on disk. A run's facts are kept
//! as they are (`event`) and can be replayed; attempts and instances are rows; the rows of runs
//! and tasks are projections that change in the same transaction as their fact.
//!
//! It never decides: the only thing it refuses is a fact that contradicts the fence (a result from
//! an attempt that the task does not wait for, a second result, a second end).

mod failure;
mod handle;
mod kept;
mod load;
mod open;
mod past;
mod reader;
mod record;
mod schema;
mod spending;
mod statement;
#[cfg(test)]
mod tests;
mod writer;

pub use failure::Error;
pub use handle::Ledger;
pub use load::{AttemptRecord, Memory, RunLog};
pub use reader::{Reader, RunMark, RunSummary};
pub use spending::{Lately, SpentRow, WorkRow};
