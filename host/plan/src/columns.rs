//! Whether a table has the columns that a port takes.

use arrow_schema::{DataType, Field, Schema};

use crate::data_type::{data_type, data_type_name};
use crate::file::SourceDecl;
use crate::nearest::{list, nearest};
use crate::{Code, Problem};

/// What is known of a table before it is there.
#[derive(Clone, Debug)]
pub(crate) struct KnownColumns {
    columns: Vec<(String, DataType)>,
    others: Others,
}

/// Columns that may be there beyond the known ones.
#[derive(Clone, Debug)]
enum Others {
    None,
    /// These are there, of a type that only reading tells.
    Untyped(Vec<String>),
    /// Only reading tells.
    Unknown,
}

impl Others {
    fn may_have(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Untyped(names) => names.iter().any(|it| it == name),
            Self::Unknown => true,
        }
    }
}

/// The first column that is missing or of another type.
pub(crate) struct Misfit {
    pub(crate) code: Code,
    pub(crate) what: String,
    pub(crate) mend: String,
}

impl KnownColumns {
    pub(crate) fn of_schema(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|it| (it.name().clone(), it.data_type().clone())).collect();
        Self { columns, others: Others::None }
    }

    /// `None` where the source declares no columns: only reading tells.
    pub(crate) fn of_source(decl: &SourceDecl, time_index: Option<&str>) -> Option<Self> {
        if decl.columns.list.is_empty() {
            return None;
        }
        let columns = decl
            .columns
            .iter()
            .filter_map(|it| Some((it.name.clone(), data_type(&it.value.0.data_type)?)))
            .collect();
        // An index that is not named is found on reading, maybe in a column that is not declared.
        let others = match (time_index, &decl.identifiers) {
            (Some(time), Some(identifiers)) => Others::Untyped(
                std::iter::once(time).map(str::to_owned).chain(identifiers.iter().cloned()).collect(),
            ),
            _ => Others::Unknown,
        };
        Some(Self { columns, others })
    }

    /// `upstream` and `port` are named in the message.
    pub(crate) fn misfits(&self, wanted: &Schema, upstream: &str, port: &str) -> Vec<Misfit> {
        wanted.fields().iter().filter_map(|it| self.misfit(it, upstream, port)).collect()
    }

    fn misfit(&self, field: &Field, upstream: &str, port: &str) -> Option<Misfit> {
        let (name, expected) = (field.name(), field.data_type());
        let Some((_, found)) = self.columns.iter().find(|(it, _)| it == name) else {
            if self.others.may_have(name) {
                return None;
            }
            let what = format!(
                "{port} needs column `{name}` of type `{}`, which `{upstream}` does not have",
                data_type_name(expected)
            );
            let known = || self.columns.iter().map(|(name, _)| name.as_str());
            let mend = match (nearest(name, known()), list(known())) {
                (Some(near), _) => {
                    format!("bind a table that has it (did you mean `{near}`, which is there?)")
                }
                (None, Some(all)) => format!("bind a table that has it; `{upstream}` has {all}"),
                (None, None) => "bind a table that has it".to_owned(),
            };
            return Some(Misfit { code: Code("column-missing"), what, mend });
        };
        if found == expected {
            return None;
        }
        let what = format!(
            "{port} needs column `{name}` as `{}`, but `{upstream}` has it as `{}`",
            data_type_name(expected),
            data_type_name(found)
        );
        let mend = "declare the type that the task takes, or convert the column in a task between the two";
        Some(Misfit { code: Code("column-type"), what, mend: mend.to_owned() })
    }
}

/// What of a table's columns does not suit an input port that wants others; `upstream` and `port` name the two.
#[must_use]
pub fn misfits(found: &Schema, wanted: &Schema, upstream: &str, port: &str) -> Vec<Problem> {
    let misfits = KnownColumns::of_schema(found).misfits(wanted, upstream, port);
    misfits.into_iter().map(|it| Problem::new(it.code, it.what, it.mend)).collect()
}
