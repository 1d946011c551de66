//! Tables as other programs write them through a catalogue: files in any order, with lists of rows that are gone. They
//! are read whole and sorted in memory, and refused where they are too large for that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{
    SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tidemill_plan::{Digest, TableName, WriteMode};

use crate::blocks::{Blocks, bytes_of};
use crate::cache::Decoded;
use crate::catalogued::{Home, file_of};
use crate::decode::{PartReader, Rows, Undecoded, guarded, unread};
use crate::digest::ContentDigest;
use crate::ducklake::{CatalogColumn, root_ids, type_from_text};
use crate::files::Files;
use crate::index::{Index, IndexCheck};
use crate::manifest::{CatalogState, ForeignPart, Manifest, Part, Provenance, TimeRange};
use crate::{Lake, LakeError, WindowFolder};

/// Where delete files say which rows are gone.
const POSITION_COLUMN: &str = "pos";
/// Where a file that holds what several snapshots wrote, or took away, says which did.
const SNAPSHOT_COLUMN: &str = "_ducklake_internal_snapshot_id";

/// What a catalogue says of a table that another program has changed.
#[derive(Clone, Debug)]
pub struct ForeignTable {
    pub table: TableName,
    pub version: i64,
    /// The snapshot that is read: rows that a file has of later ones, or lists as gone by later ones, do not count.
    pub as_of: i64,
    /// All columns, each before those inside it.
    pub columns: Vec<CatalogColumn>,
    pub column_id_next: i64,
    /// Data files by absolute path, their length, and the files that name rows of each that are gone.
    pub files: Vec<(PathBuf, u64, Vec<PathBuf>)>,
    /// What it was before, for what the catalogue does not know: the index, exact types.
    pub like: Option<Manifest>,
}

/// Reads the table once, and describes it as if it had been written here: the snapshot is the digest of its content.
pub fn open_foreign(home: &Home, foreign: ForeignTable, bytes_max: u64) -> Result<Manifest, LakeError> {
    let ForeignTable { table, version, as_of, columns, column_id_next, files, like } = foreign;
    let schema = schema_of(&table, &columns, like.as_ref())?;
    let (time_index, identifiers) =
        like.as_ref().map_or((None, Vec::new()), |it| (it.time_index.clone(), it.identifiers.clone()));
    for column in time_index.iter().chain(&identifiers) {
        if schema.index_of(column).is_err() {
            let cause = format!("column `{column}` of its index is gone");
            return Err(LakeError::Foreign { table, cause });
        }
    }
    let parts = files.into_iter().map(|(path, bytes, deletes)| Part {
        file: path.display().to_string(),
        bytes,
        blocks: Vec::new(),
        statistics: None,
        foreign: Some(ForeignPart { deletes, as_of }),
    });
    let parts: Vec<Part> = parts.collect();
    let mut manifest = Manifest {
        window: WindowFolder::default(),
        rows: 0,
        bytes: parts.iter().map(|it| it.bytes).sum(),
        memory_bytes: 0,
        time_range: None,
        parts,
        snapshot: Digest::of(b""),
        mode: WriteMode::Replace,
        attempt: String::new(),
        provenance: Provenance {
            cache_key: Digest::of(format!("foreign {table} {version}").as_bytes()),
            task: String::new(),
            component: None,
            run: String::new(),
            node: String::new(),
            metrics: std::collections::BTreeMap::new(),
            artefacts: Vec::new(),
        },
        written_at: crate::time::now(),
        catalog: Some(CatalogState {
            column_ids: columns.iter().map(|it| it.id).collect(),
            column_id_next,
            version: Some(version),
            base: None,
        }),
        table,
        schema,
        time_index,
        identifiers,
    };
    let rows = load_at(home.root(), home.files.as_ref(), &manifest, bytes_max)?;
    describe(&mut manifest, &rows)?;
    Ok(manifest)
}

fn describe(manifest: &mut Manifest, rows: &Decoded) -> Result<(), LakeError> {
    let mut digest = ContentDigest::new(&manifest.schema);
    let index = Index::of(&manifest.schema, manifest.time_index.as_deref(), &[]);
    for block in &rows.blocks {
        digest.update(block).map_err(|e| LakeError::arrow(&manifest.table, "hash rows", &e))?;
        manifest.rows += block.num_rows() as u64;
        if let Some(index) = index.as_ref().filter(|_| block.num_rows() > 0) {
            let times = index.kind.values(block.column(index.time));
            let range =
                TimeRange { first: index.kind.time(times[0]), last: index.kind.time(times[times.len() - 1]) };
            manifest.time_range.get_or_insert(range).last = range.last;
        }
    }
    manifest.memory_bytes = rows.bytes;
    manifest.snapshot = digest.finish(manifest.time_index.as_deref(), &manifest.identifiers);
    Ok(())
}

/// The rows of a table of which another program wrote at least a part, sorted by its index.
pub(crate) fn load(lake: &Lake, manifest: &Manifest) -> Result<Arc<Decoded>, LakeError> {
    let root = lake.root().expect("a lake in memory has no files");
    load_at(root, lake.inner.files.as_ref(), manifest, lake.inner.options.foreign_bytes_max).map(Arc::new)
}

fn load_at(
    root: &Path,
    files: &dyn Files,
    manifest: &Manifest,
    bytes_max: u64,
) -> Result<Decoded, LakeError> {
    let table = &manifest.table;
    let mut batches = Vec::new();
    let mut bytes = 0;
    for part in &manifest.parts {
        let path = file_of(&manifest.folder(root), &part.file);
        let failed = |e: Undecoded| e.of(table, &part.file, &path);
        let ids = root_ids(manifest).map(Arc::new);
        let mut reader = PartReader::open(files, &path, part.bytes, ids)
            .map_err(|e| unread(table, &part.file, &path, e))?;
        let metadata = reader.about().map_err(failed)?;
        let groups: Vec<_> = metadata.metadata().row_groups().to_vec();
        bytes += groups.iter().map(|it| u64::try_from(it.total_byte_size()).unwrap_or(0)).sum::<u64>();
        if bytes > bytes_max {
            return Err(LakeError::ForeignTooLarge { table: table.clone(), bytes, max: bytes_max });
        }
        let gone = gone_rows(files, table, part.foreign.as_ref())?;
        let as_of = part.foreign.as_ref().map_or(i64::MAX, |it| it.as_of);
        let columns: Vec<usize> = (0..manifest.schema.fields().len()).collect();
        let fields = metadata.parquet_schema().root_schema().get_fields();
        let later = fields.iter().position(|it| it.name() == SNAPSHOT_COLUMN);
        let mut first = 0;
        for (group, about) in groups.iter().enumerate() {
            let rows = usize::try_from(about.num_rows()).unwrap_or(0);
            let batch = reader.decode(group, Rows { from: 0, to: rows }, &columns, &manifest.schema);
            let batch = batch.map_err(failed)?;
            let by = later.map(|it| reader.column(group, it).map_err(failed)).transpose()?;
            let kept = kept(first, rows as u64, &gone, by.as_ref(), as_of);
            batches.push(filter_record_batch(&batch, &kept).map_err(|e| failed(e.to_string().into()))?);
            first += rows as u64;
        }
    }
    let failed = |e| LakeError::arrow(table, "sort rows", &e);
    let whole = concat_batches(&manifest.schema, &batches).map_err(failed)?;
    drop(batches);
    let whole = sorted(manifest, whole)?;
    let bytes = bytes_of(&whole, 0, whole.num_rows());
    let mut blocks = Blocks::new(manifest.schema.clone());
    let mut cut = blocks.push(&whole).map_err(failed)?;
    cut.extend(blocks.take().map_err(failed)?);
    Ok(Decoded { blocks: cut, bytes })
}

/// By the index, where there is one; what breaks it is refused as when it is written.
fn sorted(manifest: &Manifest, rows: RecordBatch) -> Result<RecordBatch, LakeError> {
    let table = &manifest.table;
    let failed = |e| LakeError::arrow(table, "sort rows", &e);
    let index = Index::of(&manifest.schema, manifest.time_index.as_deref(), &manifest.identifiers);
    let Some(index) = index else { return Ok(rows) };
    let columns: Vec<SortColumn> =
        index.columns().map(|it| SortColumn { values: rows.column(it).clone(), options: None }).collect();
    let order = lexsort_to_indices(&columns, None).map_err(failed)?;
    let rows = take_record_batch(&rows, &order).map_err(failed)?;
    let checked = IndexCheck::new(Some(index)).check(&rows).map_err(failed)?;
    checked.map_err(|it| LakeError::violation(table, it))?;
    Ok(rows)
}

/// Which rows of a file are gone, by their number in it.
fn gone_rows(
    files: &dyn Files,
    table: &TableName,
    foreign: Option<&ForeignPart>,
) -> Result<Vec<u64>, LakeError> {
    let mut gone = Vec::new();
    let as_of = foreign.map_or(i64::MAX, |it| it.as_of);
    for path in foreign.iter().flat_map(|it| &it.deletes) {
        let file = files.read(path).map_err(|e| unread(table, &path.display().to_string(), path, e))?;
        let read = guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())?;
            let mut found = Vec::new();
            for batch in builder.build().map_err(|e| e.to_string())? {
                let batch = batch.map_err(|e| e.to_string())?;
                let positions = batch.column_by_name(POSITION_COLUMN).ok_or("has no column `pos`")?;
                let positions = positions.as_primitive_opt::<Int64Type>().ok_or("`pos` is no number")?;
                let by =
                    batch.column_by_name(SNAPSHOT_COLUMN).and_then(|it| it.as_primitive_opt::<Int64Type>());
                let counts = |row: usize| by.is_none_or(|it| it.is_null(row) || it.value(row) <= as_of);
                let positions =
                    positions.iter().enumerate().filter(|(row, _)| counts(*row)).map(|(_, it)| it);
                found.extend(positions.flatten().filter_map(|it| u64::try_from(it).ok()));
            }
            Ok(found)
        });
        let cause = |cause: String| LakeError::Io {
            verb: "read",
            path: path.clone(),
            cause: std::io::Error::other(cause),
        };
        gone.extend(read.map_err(cause)?);
    }
    gone.sort_unstable();
    gone.dedup();
    Ok(gone)
}

/// Which of `rows` rows, the first of which has number `first`, are there: not gone, and not written later than `as_of`
/// by the snapshots that `by` names.
fn kept(first: u64, rows: u64, gone: &[u64], by: Option<&ArrayRef>, as_of: i64) -> BooleanArray {
    let by = by.and_then(|it| it.as_primitive_opt::<Int64Type>());
    let kept = (0..rows).map(|row| {
        let place = usize::try_from(row).unwrap_or(usize::MAX);
        let is_later = by.is_some_and(|it| it.is_valid(place) && it.value(place) > as_of);
        Some(!is_later && gone.binary_search(&(first + row)).is_err())
    });
    kept.collect()
}

fn schema_of(
    table: &TableName,
    columns: &[CatalogColumn],
    like: Option<&Manifest>,
) -> Result<SchemaRef, LakeError> {
    let known = like.map(Manifest::catalog_columns).unwrap_or_default();
    let mut fields = Vec::new();
    for column in columns.iter().filter(|it| it.parent.is_none()) {
        // Exact types, such as dictionaries and zones, where nothing of the column has changed.
        let exact = like.filter(|_| is_as_before(column, columns, &known));
        let exact = exact.and_then(|it| it.schema.field_with_name(&column.name).ok());
        let data_type = match exact {
            Some(field) => field.data_type().clone(),
            None => data_type_of(column, columns).ok_or_else(|| LakeError::Foreign {
                table: table.clone(),
                cause: format!("column `{}` has type {}", column.name, column.data_type),
            })?,
        };
        fields.push(Field::new(&column.name, data_type, column.is_nullable));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn is_as_before(column: &CatalogColumn, columns: &[CatalogColumn], known: &[CatalogColumn]) -> bool {
    let inside = |all: &[CatalogColumn], id: i64| -> Vec<CatalogColumn> {
        all.iter().filter(|it| it.parent == Some(id)).cloned().collect()
    };
    let before = known.iter().find(|it| it.id == column.id && it.parent == column.parent);
    before.is_some_and(|it| it.name == column.name && it.data_type == column.data_type) && {
        let (now, then) = (inside(columns, column.id), inside(known, column.id));
        now.len() == then.len() && now.iter().all(|it| is_as_before(it, columns, known))
    }
}

fn data_type_of(column: &CatalogColumn, columns: &[CatalogColumn]) -> Option<DataType> {
    if let Some(plain) = type_from_text(&column.data_type) {
        return Some(plain);
    }
    let fields = columns.iter().filter(|it| it.parent == Some(column.id)).map(|it| {
        let is_nullable = it.is_nullable && !(column.data_type == "map" && it.name == "key");
        Some(Field::new(&it.name, data_type_of(it, columns)?, is_nullable))
    });
    let mut fields: Vec<Field> = fields.collect::<Option<_>>()?;
    match column.data_type.as_str() {
        "struct" if !fields.is_empty() => Some(DataType::Struct(fields.into())),
        "list" => Some(DataType::List(Arc::new(fields.pop()?))),
        "map" if fields.len() == 2 => {
            let entries = Field::new("entries", DataType::Struct(fields.into()), false);
            Some(DataType::Map(Arc::new(entries), false))
        }
        _ => None,
    }
}
