//! What can go wrong with a store: who was wrong, and whether trying again helps.

use tidemill_plan::{Code, Problem};

/// What PostgreSQL names when another program commits a snapshot of the catalog at the same moment.
const SNAPSHOT_KEY: &str = "ducklake_snapshot_pkey";

/// Why the store refused or failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("cannot reach the store `{url}`: {cause}")]
    Unreachable { url: String, cause: String },
    #[error("the store `{url}` is busy: {cause}")]
    Busy { url: String, cause: String },
    #[error("the store `{url}` cannot be written: {cause}")]
    NotWritable { url: String, cause: String },
    #[error(
        "the store `{url}` was written by a newer version: it has migration {found}, and this program knows up to {known}"
    )]
    Newer { url: String, found: i64, known: i64 },
    #[error("`{url}` is no store: {cause}")]
    BadUrl { url: String, cause: String },
    /// Others have taken this process for dead and its runs over.
    #[error("this host was silent for too long, and others have taken its runs over")]
    Fenced,
    /// Only a run's owner writes into its journal.
    #[error("run `{run}` belongs to another host by now")]
    NotOwner { run: String },
    /// What was asked for cannot be, and the statement that says so.
    #[error("{}", .0.what)]
    Refused(Problem),
    #[error("the store holds something that this version cannot read: {cause}")]
    Unreadable { cause: String },
    #[error("the store refused a statement: {cause}")]
    Statement { cause: String },
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn unreadable(cause: &dyn std::fmt::Display) -> Self {
        Self::Unreadable { cause: cause.to_string() }
    }

    /// Sorts out what a database said. `url` is shown, so it must hold no password.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all that is not named is about one statement")]
    pub(crate) fn of(url: &str, error: &sqlx::Error) -> Self {
        let (url, cause) = (url.to_owned(), error.to_string());
        match error {
            sqlx::Error::Database(it) => {
                let code = it.code().unwrap_or_default().into_owned();
                if it.constraint() == Some(SNAPSHOT_KEY) {
                    return Self::Busy { url, cause };
                }
                match Kind::of(&code) {
                    Kind::Busy => Self::Busy { url, cause },
                    Kind::Gone => Self::Unreachable { url, cause },
                    Kind::NotWritable => Self::NotWritable { url, cause },
                    Kind::Other => Self::Statement { cause },
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unreachable { url, cause },
            sqlx::Error::Configuration(_) => Self::BadUrl { url, cause },
            _ => Self::Statement { cause },
        }
    }

    /// Whether the same may go well a little later, without anybody doing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. } | Self::NotWritable { .. })
    }

    #[must_use]
    pub fn problem(&self) -> Problem {
        let (code, mend) = match self {
            Self::Unreachable { .. } => (
                Code("store-unreachable"),
                "start the database, or name another with `store` in the configuration; runs go on by themselves",
            ),
            Self::Busy { .. } => (
                Code("store-busy"),
                "another program holds the database; end what it does there, or try again",
            ),
            Self::NotWritable { .. } => (
                Code("store-not-writable"),
                "make room on the disk, or let the service's user write there; runs go on by themselves",
            ),
            Self::Newer { .. } => (
                Code("store-newer"),
                "start the version that wrote it, or a newer one; a store never goes back",
            ),
            Self::BadUrl { .. } => (
                Code("store-url"),
                "name it as `sqlite:FOLDER/FILE` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`",
            ),
            Self::Fenced | Self::NotOwner { .. } => (
                Code("host-fenced"),
                "nothing is lost: the runs go on elsewhere, and this host takes new ones",
            ),
            Self::Refused(problem) => return problem.clone(),
            Self::Unreadable { .. } => (
                Code("store-unreadable"),
                "it was changed by another program: restore a backup, or report this with the message",
            ),
            Self::Statement { .. } => {
                (Code("internal"), "this is a defect of Tidemill; please report it with the message")
            }
            Self::Closed => (Code("store-closed"), "the service is stopping: ask again when it is up"),
        };
        Problem::new(code, self.to_string(), mend)
    }
}

impl From<Problem> for StoreError {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// What the codes of both databases mean to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Busy,
    Gone,
    NotWritable,
    Other,
}

impl Kind {
    /// SQLite's extended result codes are numbers, PostgreSQL's SQLSTATEs have five characters.
    fn of(code: &str) -> Self {
        const SQLITE_PRIMARY: i32 = 0xff;
        if code.len() == 5 {
            return match code {
                // Serialization failure, deadlock, lock not available, unique violation of two that race.
                "40001" | "40P01" | "55P03" => Self::Busy,
                "25006" | "53100" => Self::NotWritable,
                // The server ended a transaction in which nothing happened for too long.
                "25P03" => Self::Gone,
                _ if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => {
                    Self::Gone
                }
                _ => Self::Other,
            };
        }
        match code.parse::<i32>().map(|it| it & SQLITE_PRIMARY) {
            // SQLITE_BUSY, SQLITE_LOCKED.
            Ok(5 | 6) => Self::Busy,
            // SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN.
            Ok(8 | 10 | 13 | 14) => Self::NotWritable,
            _ => Self::Other,
        }
    }
}
