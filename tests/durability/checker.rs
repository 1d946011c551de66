//! Judges what is there by DuckDB and the file system alone; knows nothing of how it came to be.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::duckdb;

pub(super) struct Checker {
    /// Of the catalogue, as DuckDB attaches it.
    pub(super) address: String,
    /// A process that has mounts of its own, in which the files are.
    pub(super) inside: Option<u32>,
}

impl Checker {
    /// Every day that was asked for has its five rows in both books, each once, with the values that they must have;
    /// every run has succeeded; and every file that the catalogue names is there.
    pub(super) fn check(&self, days_min: u64, runs: &[Value]) {
        let not_succeeded: Vec<&Value> = runs.iter().filter(|it| it["state"] != "succeeded").collect();
        assert!(not_succeeded.is_empty(), "{not_succeeded:?}");
        let days = runs.len() as u64;
        assert!(days >= days_min, "{days} runs of {days_min}");
        let program = format!(
            r#"
attach({address:?})
tables = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND table_name LIKE 'ledger%'").fetchall()]
books = {{}}
for table in tables:
    rows = connection.execute(f'SELECT CAST(day AS VARCHAR), name, value FROM lake."{{table}}" ORDER BY value').fetchall()
    books[table] = rows
files = [path for (path,) in connection.execute("SELECT data_file FROM ducklake_list_files('lake', '" + tables[0] + "')").fetchall()] if tables else []
for table in tables[1:]:
    files += [path for (path,) in connection.execute("SELECT data_file FROM ducklake_list_files('lake', '" + table + "')").fetchall()]
print(json.dumps([books, files]))
"#,
            address = self.address
        );
        let answer: Value =
            serde_json::from_str(&duckdb::python_in(self.inside, &program)).expect("JSON of DuckDB");
        let books = answer[0].as_object().expect("tables by name");
        assert_eq!(books.len(), 2, "{:?}", books.keys());
        for (table, rows) in books {
            self.check_book(table, rows.as_array().expect("rows"), days);
        }
        for file in answer[1].as_array().expect("files") {
            let path = file.as_str().expect("a path");
            let path =
                self.inside.map_or_else(|| path.into(), |it| PathBuf::from(format!("/proc/{it}/root{path}")));
            assert!(path.exists(), "the catalogue names {}, which is not there", path.display());
        }
    }

    fn check_book(&self, table: &str, rows: &[Value], days: u64) {
        let mut seen = BTreeSet::new();
        for row in rows {
            let (name, value) = (row[1].as_str().expect("a name"), row[2].as_u64().expect("a value"));
            assert!(seen.insert(name.to_owned()), "{table}: {name} is there twice");
            let (day, number) = name.split_once('-').expect("day and number");
            let (day, number): (u64, u64) = (day.parse().expect("a day"), number.parse().expect("a number"));
            assert_eq!(value % 1_000_000, day * 10 + number, "{table}: {name} has another's value");
        }
        assert_eq!(rows.len() as u64, days * 5, "{table}: rows are missing or too many");
    }
}
