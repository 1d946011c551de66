//! The statements that a mirror is made of. Every name in them is quoted here.

use tidemill_lake::Manifest;
use tidemill_plan::{MIRROR_TABLE, MirrorTarget};
use tidemill_store::{MirrorTx, Value};

use super::Failed;
use super::changes::Changed;
use super::columns::MirrorColumn;

/// Lives as long as the transaction.
pub(super) const STAGING: &str = "pg_temp.tidemill_staging";

/// A table of the mirror as it is to be.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: MirrorTarget,
    pub(super) columns: Vec<MirrorColumn>,
    /// The time index and the identifiers, which the lake has seen to be unique and never null. Empty: there is no index.
    pub(super) key: Vec<String>,
}

impl Target {
    pub(super) fn new(name: &MirrorTarget, columns: Vec<MirrorColumn>, manifest: &Manifest) -> Self {
        let identifiers = manifest.time_index.iter().flat_map(|_| &manifest.identifiers);
        let key = manifest.time_index.iter().chain(identifiers).cloned().collect();
        Self { name: name.clone(), columns, key }
    }

    /// As it stands in a statement.
    pub(super) fn table(&self) -> String {
        qualified(&self.name.schema, &self.name.table)
    }

    /// The names of its columns, between commas.
    pub(super) fn column_list(&self) -> String {
        list(self.columns.iter().map(|it| it.name.as_str()), quoted)
    }

    fn definitions(&self) -> String {
        let definitions: Vec<String> =
            self.columns.iter().map(|it| format!("{} {}", quoted(&it.name), it.sql_type)).collect();
        definitions.join(", ")
    }

    pub(super) fn create(&self) -> String {
        let key = match self.key.is_empty() {
            true => String::new(),
            false => format!(", PRIMARY KEY ({})", list(self.key.iter().map(String::as_str), quoted)),
        };
        format!("CREATE TABLE {} ({}{key})", self.table(), self.definitions())
    }

    pub(super) fn create_staging(&self) -> String {
        format!("CREATE TEMPORARY TABLE tidemill_staging ({}) ON COMMIT DROP", self.definitions())
    }

    /// `schema` is where TimescaleDB has its functions. The form with a column's name is understood by all its versions.
    pub(super) fn hypertable(&self, schema: &str, time: &str) -> String {
        let (table, time) = (literal(&self.table()), literal(time));
        format!("SELECT 1 FROM {}.create_hypertable({table}, {time})", quoted(schema))
    }

    /// Rows that the staging table does not have, of those that it speaks of.
    pub(super) fn delete_vanished(&self, changed: &Changed) -> String {
        let matches: Vec<String> = self.key.iter().map(|it| format!("s.{0} = t.{0}", quoted(it))).collect();
        let range = match (changed, self.key.first().and_then(|it| self.column(it))) {
            (Changed::Times(ranges), Some(time)) => {
                let between = |it: &tidemill_lake::TimeRange| {
                    format!(
                        "t.{0} BETWEEN CAST('{1}' AS {3}) AND CAST('{2}' AS {3})",
                        quoted(&time.name),
                        it.first,
                        it.last,
                        time.sql_type
                    )
                };
                // Without any, nothing has changed.
                let ranges: Vec<String> = ranges.iter().map(between).chain(["false".to_owned()]).collect();
                format!("({}) AND ", ranges.join(" OR "))
            }
            (Changed::All, _) | (Changed::Times(_), None) => String::new(),
        };
        format!(
            "DELETE FROM {} AS t WHERE {range}NOT EXISTS (SELECT 1 FROM {STAGING} AS s WHERE {})",
            self.table(),
            matches.join(" AND ")
        )
    }

    /// Rows that are as they were stay untouched.
    pub(super) fn upsert(&self) -> String {
        let columns = self.column_list();
        let rest: Vec<&str> = self
            .columns
            .iter()
            .map(|it| it.name.as_str())
            .filter(|it| !self.key.iter().any(|key| key == it))
            .collect();
        let action = if rest.is_empty() {
            "NOTHING".to_owned()
        } else {
            let set = list(rest.iter().copied(), |it| format!("{0} = excluded.{0}", quoted(it)));
            let old = list(rest.iter().copied(), |it| format!("t.{}", quoted(it)));
            let new = list(rest.iter().copied(), |it| format!("excluded.{}", quoted(it)));
            format!("UPDATE SET {set} WHERE ROW({old}) IS DISTINCT FROM ROW({new})")
        };
        format!(
            "INSERT INTO {} AS t ({columns}) SELECT {columns} FROM {STAGING} ON CONFLICT ({}) DO {action}",
            self.table(),
            list(self.key.iter().map(String::as_str), quoted)
        )
    }

    fn column(&self, name: &str) -> Option<&MirrorColumn> {
        self.columns.iter().find(|it| it.name == name)
    }
}

pub(super) fn add_column(target: &Target, name: &str, of_type: &str) -> String {
    format!("ALTER TABLE {} ADD COLUMN {} {of_type}", target.table(), quoted(name))
}

pub(super) fn drop_column(target: &Target, name: &str) -> String {
    format!("ALTER TABLE {} DROP COLUMN {}", target.table(), quoted(name))
}

/// Where the mirror keeps what it knows of the tables of a schema.
pub(super) fn known_table(schema: &str) -> String {
    qualified(schema, MIRROR_TABLE)
}

pub(super) fn create_known(schema: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (target TEXT NOT NULL PRIMARY KEY, store TEXT NOT NULL, source TEXT NOT NULL, \
         version BIGINT NOT NULL, digest TEXT NOT NULL, shape TEXT NOT NULL, mirrored_at TIMESTAMPTZ NOT NULL)",
        known_table(schema)
    )
}

pub(super) fn create_schema(schema: &str) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema))
}

/// Whether there is a table, a view or the like of that name.
pub(super) async fn exists(tx: &mut MirrorTx, qualified: &str) -> Result<bool, Failed> {
    let rows = tx.fetch("SELECT 1 WHERE to_regclass($1) IS NOT NULL", &[Value::from(qualified)]).await?;
    Ok(!rows.is_empty())
}

pub(super) async fn has_schema(tx: &mut MirrorTx, schema: &str) -> Result<bool, Failed> {
    let sql = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1";
    Ok(!tx.fetch(sql, &[Value::from(schema)]).await?.is_empty())
}

/// Where TimescaleDB has its functions; `None`: it is not there.
pub(super) async fn timescale_schema(tx: &mut MirrorTx) -> Result<Option<String>, Failed> {
    let sql = "SELECT CAST(n.nspname AS TEXT) FROM pg_catalog.pg_extension e \
               JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'";
    let rows = tx.fetch(sql, &[]).await?;
    Ok(rows.first().map(|it| it.get(0)).transpose()?)
}

fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(table))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn list<'a>(names: impl Iterator<Item = &'a str>, write: impl Fn(&str) -> String) -> String {
    names.map(write).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use expect_test::{Expect, expect};
    use tidemill_lake::TimeRange;
    use tidemill_plan::Time;

    use super::*;

    fn target(key: &[&str], rest: &[&str]) -> Target {
        let column = |name: &&str| MirrorColumn {
            name: (*name).to_owned(),
            sql_type: if *name == "t" { "timestamptz" } else { "text" }.to_owned(),
            sent_as: DataType::Utf8,
        };
        Target {
            name: MirrorTarget::parse("research.returns").expect("a name"),
            columns: key.iter().chain(rest).map(column).collect(),
            key: key.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "`expect![…]` reads best where it is checked")]
    fn check(sql: String, expected: Expect) {
        expected.assert_eq(&sql);
    }

    #[test]
    fn a_table_has_its_index_as_key_and_is_a_hypertable_where_timescale_is() {
        let table = target(&["t", "id"], &["it's \"x\""]);
        check(
            table.create(),
            expect![[
                r#"CREATE TABLE "research"."returns" ("t" timestamptz, "id" text, "it's ""x""" text, PRIMARY KEY ("t", "id"))"#
            ]],
        );
        check(
            table.hypertable("public", "t"),
            expect![[r#"SELECT 1 FROM "public".create_hypertable('"research"."returns"', 't')"#]],
        );
        check(target(&[], &["a"]).create(), expect![[r#"CREATE TABLE "research"."returns" ("a" text)"#]]);
    }

    #[test]
    fn only_what_differs_is_written() {
        check(
            target(&["t", "id"], &["a", "b"]).upsert(),
            expect![[
                r#"INSERT INTO "research"."returns" AS t ("t", "id", "a", "b") SELECT "t", "id", "a", "b" FROM pg_temp.tidemill_staging ON CONFLICT ("t", "id") DO UPDATE SET "a" = excluded."a", "b" = excluded."b" WHERE ROW(t."a", t."b") IS DISTINCT FROM ROW(excluded."a", excluded."b")"#
            ]],
        );
        check(
            target(&["t"], &[]).upsert(),
            expect![[
                r#"INSERT INTO "research"."returns" AS t ("t") SELECT "t" FROM pg_temp.tidemill_staging ON CONFLICT ("t") DO NOTHING"#
            ]],
        );
    }

    #[test]
    fn only_what_could_have_vanished_is_deleted() {
        let range = |first, last| TimeRange { first: Time(first), last: Time(last) };
        let ranges = vec![range(0, 1_000), range(1_700_000_000_000_000_000, 1_700_000_000_000_001_000)];
        let table = target(&["t", "id"], &["a"]);
        check(
            table.delete_vanished(&Changed::Times(ranges)),
            expect![[
                r#"DELETE FROM "research"."returns" AS t WHERE (t."t" BETWEEN CAST('1970-01-01T00:00:00Z' AS timestamptz) AND CAST('1970-01-01T00:00:00.000001Z' AS timestamptz) OR t."t" BETWEEN CAST('2023-11-14T22:13:20Z' AS timestamptz) AND CAST('2023-11-14T22:13:20.000001Z' AS timestamptz) OR false) AND NOT EXISTS (SELECT 1 FROM pg_temp.tidemill_staging AS s WHERE s."t" = t."t" AND s."id" = t."id")"#
            ]],
        );
        check(
            table.delete_vanished(&Changed::Times(Vec::new())),
            expect![[
                r#"DELETE FROM "research"."returns" AS t WHERE (false) AND NOT EXISTS (SELECT 1 FROM pg_temp.tidemill_staging AS s WHERE s."t" = t."t" AND s."id" = t."id")"#
            ]],
        );
        check(
            table.delete_vanished(&Changed::All),
            expect![[
                r#"DELETE FROM "research"."returns" AS t WHERE NOT EXISTS (SELECT 1 FROM pg_temp.tidemill_staging AS s WHERE s."t" = t."t" AND s."id" = t."id")"#
            ]],
        );
    }
}
