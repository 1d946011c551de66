//! What can be in the way of a mirror, and whether it may go away by itself.

use tidemill_lake::LakeError;
use tidemill_plan::{Code, MirrorTarget, Problem};
use tidemill_store::{MirrorRow, StoreError};

/// An attempt that changed nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.what)]
pub(crate) struct Failed(pub(crate) Problem);

/// What the mirror's database says.
impl From<StoreError> for Failed {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all that is not named is about one statement")]
    fn from(error: StoreError) -> Self {
        let (code, what, mend) = match error {
            StoreError::Unreachable { url, cause } => (
                Code("mirror-unreachable"),
                format!("cannot reach the mirror `{url}`: {cause}"),
                "start the database, or correct `mirror_url`; the mirror follows by itself, and runs do not wait for it",
            ),
            StoreError::Busy { url, cause } | StoreError::NotWritable { url, cause } => (
                Code("mirror-refused"),
                format!("the mirror `{url}` cannot be written now: {cause}"),
                "it is tried again by itself",
            ),
            StoreError::Statement { cause } | StoreError::Unreadable { cause } => {
                return Self::refused(&cause);
            }
            other => return Self::refused(&other.to_string()),
        };
        Self(Problem::new(code, what, mend))
    }
}

impl Failed {
    fn refused(cause: &str) -> Self {
        let mend = "look at what PostgreSQL says: a right that is lacking, or a view that needs what has changed; it is \
                    tried again by itself";
        Self(Problem::new(Code("mirror-refused"), format!("the mirror refused a statement: {cause}"), mend))
    }

    /// What the service's own store says.
    pub(crate) fn of_store(error: &StoreError) -> Self {
        Self(error.problem())
    }

    pub(crate) fn of_lake(error: &LakeError) -> Self {
        Self(Problem::from(error))
    }

    pub(super) fn in_the_way(target: &MirrorTarget, is_of_another_service: bool) -> Self {
        let whose =
            if is_of_another_service { "another service mirrors into it" } else { "no mirror made it" };
        let what = format!("table `{target}` is there, and {whose}");
        let mend =
            "name another table in `mirror`, or drop or rename the one that is there; it is left alone";
        Self(Problem::new(Code("mirror-in-the-way"), what, mend))
    }

    pub(super) fn table_gone(row: &MirrorRow) -> Self {
        let what = format!("table `{}`, which `{}` is to mirror, is no longer there", row.table, row.target);
        Self(Problem::new(Code("mirror-table-gone"), what, "run the pipeline again"))
    }

    pub(super) fn unencoded(cause: &str) -> Self {
        let what = format!("rows could not be written as PostgreSQL takes them: {cause}");
        Self(Problem::new(
            Code("internal"),
            what,
            "this is a defect of Tidemill; please report it with the message",
        ))
    }

    pub(super) fn never_there(target: &MirrorTarget) -> Self {
        let what =
            format!("the versions that `{target}` is to mirror expire faster than they can be looked up");
        Self(Problem::new(Code("mirror-table-gone"), what, "expire snapshots less often"))
    }
}
