//! Writes the parts of one attempt: blocks in, Parquet files out.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use tidemill_plan::TableName;

use crate::LakeError;
use crate::files::{Files, NewFile};
use crate::manifest::{Block, Part};
use crate::statistics::{self, Nans};

/// Names tried for a part before giving up.
const NAMES_MAX: u32 = 10;
/// Up to here a table is written without compression: setting the codec up costs more than it saves.
const PLAIN_BYTES_MAX: u64 = 4 << 10;

pub(crate) struct Parts {
    files: Arc<dyn Files>,
    table: TableName,
    folder: PathBuf,
    attempt: String,
    /// Of the files.
    schema: SchemaRef,
    /// Whether a catalogue will want to know what is in the files.
    reader: Reader,
    bytes_max: u64,
    current: Option<Open>,
    done: Vec<Part>,
    /// Every file created, for taking them away again.
    created: Vec<PathBuf>,
}

struct Open {
    writer: ArrowWriter<Counted>,
    path: PathBuf,
    file: String,
    blocks: Vec<Block>,
    nans: Nans,
}

/// Who will read the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// This program.
    Ourselves,
    /// DuckDB as well, by way of a catalogue.
    Anybody,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("folder", &self.folder)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// What a part is written to; buffers so that a small part is one write.
struct Counted {
    inner: io::BufWriter<Box<dyn NewFile>>,
    /// The last bytes written, which say how long the footer is.
    tail: [u8; 8],
}

impl Counted {
    /// A Parquet file ends with its footer, the footer's length in four bytes, and four letters.
    fn footer_bytes(&self) -> u64 {
        let [a, b, c, d, ..] = self.tail;
        u64::from(u32::from_le_bytes([a, b, c, d]))
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        let last = &bytes[written.saturating_sub(8)..written];
        self.tail.rotate_left(last.len());
        let from = self.tail.len() - last.len();
        self.tail[from..].copy_from_slice(last);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Whether a part's bytes are forced to the disk when it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    Yes,
    No,
    /// When the table has come to this size.
    FromBytes(u64),
}

impl Force {
    pub(crate) fn applies(self, bytes: u64) -> bool {
        match self {
            Self::Yes => true,
            Self::No => false,
            Self::FromBytes(min) => bytes >= min,
        }
    }
}

impl Parts {
    pub(crate) fn new(
        files: Arc<dyn Files>,
        table: TableName,
        folder: PathBuf,
        attempt: &str,
        schema: SchemaRef,
        reader: Reader,
        bytes_max: u64,
    ) -> Self {
        let attempt: String = attempt
            .chars()
            .take(64)
            .map(|it| if it.is_ascii_alphanumeric() || it == '-' { it } else { '-' })
            .collect();
        Self {
            files,
            table,
            folder,
            attempt,
            schema,
            reader,
            bytes_max,
            current: None,
            done: Vec::new(),
            created: Vec::new(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn attempt(&self) -> &str {
        &self.attempt
    }

    /// `block` describes `batch`, which becomes one row group.
    pub(crate) fn write(&mut self, batch: &RecordBatch, block: Block) -> Result<(), LakeError> {
        let bytes = crate::blocks::bytes_of(batch, 0, batch.num_rows());
        let mut open = match self.current.take() {
            Some(open) => open,
            None => self.open(bytes)?,
        };
        if self.reader == Reader::Anybody {
            open.nans.look_at(&self.schema, batch.columns());
        }
        open.writer.write(batch).map_err(|e| LakeError::writing(&self.table, &open.path, e))?;
        open.writer.flush().map_err(|e| LakeError::writing(&self.table, &open.path, e))?;
        open.blocks.push(block);
        self.current = Some(open);
        Ok(())
    }

    /// Whether the part that is open has come to its size.
    pub(crate) fn is_full(&self) -> bool {
        self.current.as_ref().is_some_and(|it| it.writer.bytes_written() as u64 >= self.bytes_max)
    }

    /// Takes a part of the version before as it is; what is written next is in another.
    pub(crate) fn carry(&mut self, part: Part, force: Force) -> Result<(), LakeError> {
        self.close(force)?;
        self.done.push(part);
        Ok(())
    }

    /// Closes the last part. A table without rows gets a part too: it carries the schema for other readers.
    pub(crate) fn finish(&mut self, force: Force) -> Result<Vec<Part>, LakeError> {
        if self.current.is_none() && self.done.is_empty() {
            self.current = Some(self.open(0)?);
        }
        self.close(force)?;
        Ok(self.done.clone())
    }

    fn open(&mut self, first_bytes: u64) -> Result<Open, LakeError> {
        let number = self.done.len();
        for _ in 0..NAMES_MAX {
            // Never a name that was used before, though attempts may be called alike: a reader that still holds the
            // manifest of two versions ago must find its file gone, not another's rows in it.
            let moment = format!("{} {}", crate::time::now().0, std::process::id());
            let unique = tidemill_plan::Digest::of(moment.as_bytes()).short();
            let file = format!("part-{}-{unique}-{number:05}.parquet", self.attempt);
            let path = self.folder.join(&file);
            match self.files.create_new(&path) {
                Ok(inner) => {
                    self.created.push(path.clone());
                    let inner = io::BufWriter::with_capacity(256 << 10, inner);
                    let inner = Counted { inner, tail: [0; 8] };
                    let properties = properties(&self.schema, first_bytes);
                    let writer = ArrowWriter::try_new(inner, self.schema.clone(), Some(properties))
                        .map_err(|e| LakeError::writing(&self.table, &path, e))?;
                    let nans = Nans::new(&self.schema);
                    return Ok(Open { writer, path, file, blocks: Vec::new(), nans });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(LakeError::io("create", &path, e)),
            }
        }
        let cause = format!("older files of attempt `{}` are in the way", self.attempt);
        Err(LakeError::NotWritable { path: self.folder.clone(), cause })
    }

    pub(crate) fn close(&mut self, force: Force) -> Result<(), LakeError> {
        let Some(mut open) = self.current.take() else { return Ok(()) };
        let written = |e| LakeError::writing(&self.table, &open.path, e);
        let metadata = open.writer.finish().map_err(written)?;
        let bytes = open.writer.bytes_written() as u64;
        let file = open.writer.inner_mut();
        file.flush().map_err(|e| LakeError::io("write", &open.path, e))?;
        let bytes_before: u64 = self.done.iter().map(|it| it.bytes).sum();
        let closed = file.inner.get_mut().close(force.applies(bytes_before + bytes));
        closed.map_err(|e| LakeError::io("write", &open.path, e))?;
        let statistics = (self.reader == Reader::Anybody)
            .then(|| statistics::of_file(&metadata, &self.schema, &open.nans, file.footer_bytes()));
        self.done.push(Part { file: open.file, bytes, blocks: open.blocks, statistics, foreign: None });
        Ok(())
    }

    /// Takes away every file of this attempt.
    pub(crate) fn abort(&mut self) {
        self.current = None;
        for path in self.created.drain(..) {
            // What cannot be removed now is removed when the lake is next opened for writing.
            self.files.remove(&path).ok();
        }
    }

    /// The files are the table's now.
    pub(crate) fn keep(&mut self) {
        self.created.clear();
    }
}

fn properties(schema: &Schema, first_bytes: u64) -> WriterProperties {
    let compression = if first_bytes <= PLAIN_BYTES_MAX {
        Compression::UNCOMPRESSED
    } else {
        // Level 1: on prices level 3 is a few percent smaller and takes half again as long.
        Compression::ZSTD(ZstdLevel::try_new(1).expect("zstd has a level 1"))
    };
    // Blocks decide where row groups end.
    let mut builder = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(usize::MAX));
    for field in schema.fields() {
        // Measured values rarely repeat: a dictionary of them is built only to be thrown away.
        if matches!(field.data_type(), DataType::Float64 | DataType::Float32) {
            builder =
                builder.set_column_dictionary_enabled(ColumnPath::new(vec![field.name().clone()]), false);
        }
    }
    builder.build()
}
