//! A small table from a file as JSON rows: the points of a sweep.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Map, Value};

/// Columns, and for each row one value for each of them. Values of a CSV are text; an empty one is null.
///
/// # Errors
/// Why the file cannot be read, in words.
pub fn read_rows(path: &Path) -> Result<(Vec<String>, Vec<Vec<Value>>), String> {
    let is_parquet = path.extension().is_some_and(|it| it == "parquet");
    let batches = if is_parquet { parquet(path)? } else { csv(path)? };
    let Some(first) = batches.first() else { return Ok((Vec::new(), Vec::new())) };
    let columns: Vec<String> = first.schema().fields().iter().map(|it| it.name().clone()).collect();
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::JsonArray>(Vec::new());
    writer.write_batches(&batches.iter().collect::<Vec<_>>()).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    let text = writer.into_inner();
    let rows: Vec<Map<String, Value>> = if text.is_empty() {
        Vec::new()
    } else {
        serde_json::from_slice(&text).map_err(|e| e.to_string())?
    };
    if let Some(twice) = (1..columns.len()).find(|at| columns[..*at].contains(&columns[*at])) {
        return Err(format!("there are two columns `{}`", columns[twice]));
    }
    let row = |mut it: Map<String, Value>| {
        columns.iter().map(|name| it.remove(name).unwrap_or_default()).collect::<Vec<Value>>()
    };
    let rows = rows.into_iter().map(row).collect();
    Ok((columns, rows))
}

fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|e| e.to_string())
}

fn parquet(path: &Path) -> Result<Vec<RecordBatch>, String> {
    let builder = ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(open(path)?)
        .map_err(|e| e.to_string())?;
    let schema = builder.schema().clone();
    let reader = builder.build().map_err(|e| e.to_string())?;
    let mut batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    batches.push(RecordBatch::new_empty(schema));
    Ok(batches)
}

fn csv(path: &Path) -> Result<Vec<RecordBatch>, String> {
    let (named, _) =
        Format::default().with_header(true).infer_schema(open(path)?, Some(0)).map_err(|e| e.to_string())?;
    let fields: Vec<Field> =
        named.fields().iter().map(|it| Field::new(it.name().trim(), DataType::Utf8, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let reader = ReaderBuilder::new(Arc::clone(&schema))
        .with_header(true)
        .build(open(path)?)
        .map_err(|e| e.to_string())?;
    let mut batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    batches.push(RecordBatch::new_empty(schema));
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_gives_text_by_column() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("points.csv");
        std::fs::write(&path, "window, alpha\n60,1e-3\n120,\n").expect("written");
        let (columns, rows) = read_rows(&path).expect("read");
        assert_eq!(columns, ["window", "alpha"]);
        assert_eq!(rows, [vec![Value::from("60"), "1e-3".into()], vec!["120".into(), Value::Null]]);
    }

    #[test]
    fn a_row_too_short_is_told_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("points.csv");
        std::fs::write(&path, "window,alpha\n60,1e-3\n120\n").expect("written");
        let error = read_rows(&path).expect_err("refused");
        assert!(error.contains("line 3"), "{error}");
    }
}
