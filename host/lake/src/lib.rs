//! Tables as Parquet in a folder: sources in, snapshots out, an in-memory cache of decoded tables.
//!
//! The only crate that names Parquet, and the only one that reads source files. It decides nothing about runs: it is
//! told which table to write and says what it wrote. A table is its manifest: what has no manifest is no table, and a
//! manifest is put in place by one rename, so that a crash at any moment leaves the old table or the new one.
//!
//! ```text
//! <lake>/tidemill-lake.json                     format version
//! <lake>/.lock                                  flock; says who writes
//! <lake>/<start>_<end>/<table>/part-*.parquet   data, named per attempt
//! <lake>/<start>_<end>/<table>/manifest.json    written last
//! ```

mod blocks;
mod bucket;
mod cache;
mod catalogued;
mod compaction;
mod compare;
mod decode;
mod digest;
mod distinct;
mod ducklake;
mod error;
mod excerpt;
mod export;
mod files;
mod folder;
mod foreign;
mod index;
mod lake;
mod leftovers;
mod lock;
mod manifest;
mod merge;
mod options;
mod output;
mod part;
mod progress;
mod reader;
mod revise;
mod rows;
mod shape;
mod since;
mod source;
mod statistics;
mod time;
mod value;
mod writer;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod fixture;

pub use cache::CacheUse;
pub use catalogued::{Home, Manifests, Orphan};
pub use compare::{
    ColumnDifference, FirstDifference, Largest, MatchedBy, Retyped, RowPlace, TableDifference, compare,
    compare_within, first_change, first_unequal,
};
pub use distinct::distinct_times;
pub use ducklake::{CatalogColumn, type_from_text};
pub use error::LakeError;
pub use excerpt::{Excerpt, WhichRows};
pub use export::{ExportError, ExportFormat, Exporter, export, with_plain_zones};
pub use folder::WindowFolder;
pub use foreign::{ForeignTable, open_foreign};
pub use lake::{Lake, TableEntry};
pub use lock::Holder;
pub use manifest::{
    Artefact, Block, CatalogState, ColumnStatistics, ForeignPart, Manifest, Part, PartStatistics, Provenance,
    TimeRange,
};
pub use options::{Access, Durability, Options, ReadOptions, WriterOptions};
pub use progress::{IDENTIFIERS_MAX, KeyProgress};
pub use reader::TableReader;
pub use rows::read_rows;
pub use since::Since;
pub use source::{
    RowOrder, SourceError, SourceFile, SourceReader, TableRows, open_source, open_table_source, source_files,
};
pub use statistics::Bounds;
pub use writer::TableWriter;
