//! Reads the raw batches of one file, whatever its format.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::{FileReader, StreamReader};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use tidemill_plan::{SourceFormat, Time};

use super::{SourceError, SourceFile};
use crate::decode::guarded;
use crate::time::TimeKind;

const BATCH_ROWS: usize = 65_536;

/// A batch as the file has it.
#[derive(Debug)]
pub(crate) struct RawBatch {
    pub(crate) batch: RecordBatch,
    /// Row of the file at which it begins, from 0.
    pub(crate) first_row: u64,
}

/// What is read elsewhere; errors are told in words.
pub(crate) type RawBatches = Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send>;

/// An open file.
pub(crate) struct Input {
    batches: Batches,
    next_row: u64,
    rows_skipped: u64,
}

enum Batches {
    Iterator(RawBatches),
    Parquet(ParquetGroups),
}

/// Row groups that may hold rows of the window.
struct ParquetGroups {
    file: File,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    /// Number and first row.
    groups: VecDeque<(usize, u64)>,
    current: Option<ParquetRecordBatchReader>,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("next_row", &self.next_row).finish_non_exhaustive()
    }
}

/// The columns of a file. Of CSV all are text; of JSON lines they come by name.
pub(crate) fn raw_schema(file: &SourceFile, format: SourceFormat) -> Result<SchemaRef, SourceError> {
    guarded(|| match format {
        SourceFormat::Parquet => {
            let metadata = ArrowReaderMetadata::load(&open(file)?, ArrowReaderOptions::new());
            Ok(metadata.map_err(|e| e.to_string())?.schema().clone())
        }
        SourceFormat::Csv => csv_schema(file),
        SourceFormat::Arrow => arrow_batches(file, None).map(|(schema, _)| schema),
        SourceFormat::JsonLines => json_schema(file),
    })
    .map_err(|e| SourceError::unreadable(&file.name, e))
}

impl Input {
    /// Reads the columns `names`; of Parquet only the row groups whose statistics allow for times in `range`.
    pub(crate) fn open(
        file: &SourceFile,
        format: SourceFormat,
        raw: &SchemaRef,
        names: &[&str],
        range: Option<(&str, Option<Time>, Option<Time>)>,
    ) -> Result<Self, SourceError> {
        let columns: Vec<usize> = names.iter().filter_map(|it| raw.index_of(it).ok()).collect();
        let mut rows_skipped = 0;
        let batches = guarded(|| {
            Ok(match format {
                SourceFormat::Parquet => {
                    let (groups, skipped) = parquet_groups(file, &columns, range)?;
                    rows_skipped = skipped;
                    Batches::Parquet(groups)
                }
                SourceFormat::Csv => {
                    let reader = arrow::csv::ReaderBuilder::new(raw.clone())
                        .with_header(true)
                        .with_batch_size(BATCH_ROWS)
                        .with_projection(columns)
                        .build_buffered(open_text(file)?)
                        .map_err(|e| e.to_string())?;
                    Batches::Iterator(Box::new(reader.map(|it| it.map_err(|e| e.to_string()))))
                }
                SourceFormat::Arrow => Batches::Iterator(arrow_batches(file, Some(columns))?.1),
                SourceFormat::JsonLines => {
                    let wanted = raw.project(&columns).map_err(|e| e.to_string())?;
                    let reader = arrow::json::ReaderBuilder::new(Arc::new(wanted))
                        .with_batch_size(BATCH_ROWS)
                        .with_coerce_primitive(true)
                        .build(open_text(file)?)
                        .map_err(|e| e.to_string())?;
                    Batches::Iterator(Box::new(reader.map(|it| it.map_err(|e| e.to_string()))))
                }
            })
        });
        let batches = batches.map_err(|e| SourceError::unreadable(&file.name, e))?;
        Ok(Self { batches, next_row: 0, rows_skipped })
    }

    /// Of batches that have their types already: the columns `names`.
    pub(crate) fn of_batches(batches: RawBatches, raw: &SchemaRef, names: &[&str]) -> Self {
        let columns: Vec<usize> = names.iter().filter_map(|it| raw.index_of(it).ok()).collect();
        let batches = batches.map(move |it| it?.project(&columns).map_err(|e| e.to_string()));
        Self { batches: Batches::Iterator(Box::new(batches)), next_row: 0, rows_skipped: 0 }
    }

    /// The next batch, never empty. `file` is for the error.
    pub(crate) fn next(&mut self, file: &str) -> Result<Option<RawBatch>, SourceError> {
        loop {
            let next = guarded(|| match &mut self.batches {
                Batches::Iterator(batches) => batches.next().transpose(),
                Batches::Parquet(groups) => groups.next(&mut self.next_row),
            });
            let Some(batch) = next.map_err(|e| SourceError::unreadable(file, e))? else { return Ok(None) };
            let first_row = self.next_row;
            self.next_row += batch.num_rows() as u64;
            if batch.num_rows() > 0 {
                return Ok(Some(RawBatch { batch, first_row }));
            }
        }
    }

    /// Rows that were left out because they cannot be in the window.
    pub(crate) fn rows_skipped(&self) -> u64 {
        self.rows_skipped
    }
}

impl ParquetGroups {
    fn next(&mut self, next_row: &mut u64) -> Result<Option<RecordBatch>, String> {
        loop {
            if let Some(current) = &mut self.current
                && let Some(batch) = current.next()
            {
                return batch.map(Some).map_err(|e| e.to_string());
            }
            let Some((group, first_row)) = self.groups.pop_front() else { return Ok(None) };
            *next_row = first_row;
            let file = self.file.try_clone().map_err(|e| e.to_string())?;
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(self.mask.clone())
                .with_batch_size(BATCH_ROWS)
                .build();
            self.current = Some(reader.map_err(|e| e.to_string())?);
        }
    }
}

fn open(file: &SourceFile) -> Result<File, String> {
    File::open(&file.path).map_err(|e| e.to_string())
}

/// Without the byte order mark that spreadsheets write.
fn open_text(file: &SourceFile) -> Result<BufReader<File>, String> {
    let mut text = open(file)?;
    let mut mark = [0; 3];
    let is_marked = text.read_exact(&mut mark).is_ok() && mark == [0xef, 0xbb, 0xbf];
    if !is_marked {
        text.rewind().map_err(|e| e.to_string())?;
    }
    Ok(BufReader::with_capacity(1 << 20, text))
}

fn csv_schema(file: &SourceFile) -> Result<SchemaRef, String> {
    let format = arrow::csv::reader::Format::default().with_header(true);
    let (header, _) = format.infer_schema(open_text(file)?, Some(0)).map_err(|e| e.to_string())?;
    let fields: Vec<Field> =
        header.fields().iter().map(|it| Field::new(it.name(), DataType::Utf8, true)).collect();
    if let Some(position) = fields.iter().position(|it| it.name().trim().is_empty()) {
        return Err(format!("column {} has no name in the header", position + 1));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn json_schema(file: &SourceFile) -> Result<SchemaRef, String> {
    let inferred = arrow::json::reader::infer_json_schema(open_text(file)?, None);
    let (schema, _) = inferred.map_err(|e| match first_bad_line(file) {
        Some((line, cause)) => format!("line {line}: {cause}"),
        None => e.to_string(),
    })?;
    let mut fields: Vec<Field> = schema.fields().iter().map(|it| it.as_ref().clone()).collect();
    for field in &mut fields {
        // Nothing but nulls says nothing about the type.
        if *field.data_type() == DataType::Null {
            field.set_data_type(DataType::Utf8);
        }
    }
    fields.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(Arc::new(Schema::new(fields)))
}

fn first_bad_line(file: &SourceFile) -> Option<(usize, String)> {
    let lines = open_text(file).ok()?.lines().enumerate();
    for (number, line) in lines {
        let line = match line {
            Ok(line) => line,
            Err(e) => return Some((number + 1, e.to_string())),
        };
        match serde_json::from_str::<serde_json::Value>(&line) {
            _ if line.trim().is_empty() => {}
            Ok(serde_json::Value::Object(_)) => {}
            Ok(_) => return Some((number + 1, "not a JSON object".into())),
            Err(e) => return Some((number + 1, e.to_string())),
        }
    }
    None
}

type ArrowBatches = Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send>;

/// The file format begins with `ARROW1`; anything else is taken for a stream.
fn arrow_batches(
    file: &SourceFile,
    columns: Option<Vec<usize>>,
) -> Result<(SchemaRef, ArrowBatches), String> {
    let mut input = open(file)?;
    let mut magic = [0; 6];
    let is_file = input.read_exact(&mut magic).is_ok() && &magic == b"ARROW1";
    input.rewind().map_err(|e| e.to_string())?;
    let input = BufReader::with_capacity(1 << 20, input);
    if is_file {
        let reader = FileReader::try_new(input, columns).map_err(|e| e.to_string())?;
        Ok((reader.schema(), Box::new(reader.map(|it| it.map_err(|e| e.to_string())))))
    } else {
        let reader = StreamReader::try_new(input, columns).map_err(|e| e.to_string())?;
        Ok((reader.schema(), Box::new(reader.map(|it| it.map_err(|e| e.to_string())))))
    }
}

fn parquet_groups(
    file: &SourceFile,
    columns: &[usize],
    range: Option<(&str, Option<Time>, Option<Time>)>,
) -> Result<(ParquetGroups, u64), String> {
    let input = open(file)?;
    let metadata = ArrowReaderMetadata::load(&input, ArrowReaderOptions::new()).map_err(|e| e.to_string())?;
    let wanted = range.and_then(|(name, start, end)| groups_in(&metadata, name, start, end));
    let (mut groups, mut row, mut skipped) = (VecDeque::new(), 0, 0);
    for (group, described) in metadata.metadata().row_groups().iter().enumerate() {
        let rows = u64::try_from(described.num_rows()).unwrap_or(0);
        if wanted.as_ref().is_none_or(|it| it[group]) {
            groups.push_back((group, row));
        } else {
            skipped += rows;
        }
        row += rows;
    }
    let mask = ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
    Ok((ParquetGroups { file: input, metadata, mask, groups, current: None }, skipped))
}

/// Per row group, whether it may hold times in [start, end); `None` when the statistics do not say.
fn groups_in(
    metadata: &ArrowReaderMetadata,
    name: &str,
    start: Option<Time>,
    end: Option<Time>,
) -> Option<Vec<bool>> {
    if start.is_none() && end.is_none() {
        return None;
    }
    let kind = TimeKind::of(metadata.schema().field_with_name(name).ok()?.data_type())?;
    let converter = StatisticsConverter::try_new(name, metadata.schema(), metadata.parquet_schema()).ok()?;
    let groups = metadata.metadata().row_groups();
    let (first, last) = (converter.row_group_mins(groups).ok()?, converter.row_group_maxes(groups).ok()?);
    let nulls = converter.row_group_null_counts(groups).ok()?;
    let (firsts, lasts) = (kind.values(&first), kind.values(&last));
    let may_hold = |group: usize| {
        // A null time is an error to be reported, so such a group is read.
        let is_known =
            first.is_valid(group) && last.is_valid(group) && nulls.is_valid(group) && nulls.value(group) == 0;
        !is_known
            || (start.is_none_or(|it| it <= kind.time(lasts[group]))
                && end.is_none_or(|it| kind.time(firsts[group]) < it))
    };
    Some((0..groups.len()).map(may_hold).collect())
}
