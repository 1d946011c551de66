//! How a lake, a writer and a reader are opened.

use arrow::datatypes::SchemaRef;
use tidemill_plan::{Time, WriteMode};

/// Who may change the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Takes no lock and changes nothing on disk, not even leftovers.
    Read,
    /// Takes the lake's lock; `command` is what others are told when they are refused.
    Write { command: String },
}

/// When bytes are forced to the disk. A killed process never loses or halves a table in any of these, because the
/// manifest is renamed into place after everything it names was written; this is about power loss only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Forces what is dear to compute again: tables of 1 MiB and more, and every append and upsert. A smaller table
    /// that a power loss tore is recognised by the length of its parts and computed again.
    Auto,
    Always,
    Never,
}

/// A lake's options; `Default` is what the command line starts from.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of decoded tables that the cache may hold; 0 turns it off.
    pub cache_bytes_max: u64,
    /// Larger tables are not cached. At most a quarter of the cache, so that one table cannot empty it.
    pub cached_table_bytes_max: u64,
    /// A part is closed at the first block boundary past this size.
    pub part_bytes_max: u64,
    pub durability: Durability,
    /// Tables that another program wrote are sorted in memory up to this size.
    pub foreign_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes_max: 256 << 20,
            cached_table_bytes_max: 64 << 20,
            part_bytes_max: 512 << 20,
            durability: Durability::Auto,
            foreign_bytes_max: 1 << 30,
        }
    }
}

/// What a table is and how it is written.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    pub schema: SchemaRef,
    /// A column of type timestamp or date. Rows must come sorted by it, then by the identifiers, without duplicates.
    pub time_index: Option<String>,
    /// Columns of strings, integers, dates or dictionaries of these.
    pub identifiers: Vec<String>,
    pub mode: WriteMode,
    /// Names the files of this attempt; unique per attempt as far as possible, and safe if it is not.
    pub attempt: String,
}

/// What a reader asks for.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The columns wanted, in this order; `None`: all.
    pub columns: Option<Vec<String>>,
    /// First time read. Ranges mean nothing to a table without time index, which is read whole.
    pub start: Option<Time>,
    /// First time no longer read.
    pub end: Option<Time>,
    /// Rows in a batch at most; `None`: 65,536.
    pub batch_rows_max: Option<usize>,
}
