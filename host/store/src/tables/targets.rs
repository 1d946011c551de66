//! Which columns of the catalog a commit writes, and as what.

use super::bulk::{Kind, Target};

pub(super) const SNAPSHOT: Target = Target {
    table: "ducklake_snapshot",
    columns: &[
        ("snapshot_id", Kind::Int),
        ("snapshot_time", Kind::Time),
        ("schema_version", Kind::Int),
        ("next_catalog_id", Kind::Int),
        ("next_file_id", Kind::Int),
    ],
    then: "",
};
pub(super) const SNAPSHOT_CHANGES: Target = Target {
    table: "ducklake_snapshot_changes",
    columns: &[
        ("snapshot_id", Kind::Int),
        ("changes_made", Kind::Text),
        ("author", Kind::Text),
        ("commit_message", Kind::Text),
    ],
    then: "",
};
pub(super) const TABLE: Target = Target {
    table: "ducklake_table",
    columns: &[
        ("table_id", Kind::Int),
        ("table_uuid", Kind::Uuid),
        ("begin_snapshot", Kind::Int),
        ("schema_id", Kind::Int),
        ("table_name", Kind::Text),
        ("path", Kind::Text),
        ("path_is_relative", Kind::Flag),
    ],
    then: "",
};
pub(super) const SCHEMA_VERSIONS: Target = Target {
    table: "ducklake_schema_versions",
    columns: &[("begin_snapshot", Kind::Int), ("schema_version", Kind::Int), ("table_id", Kind::Int)],
    then: "",
};
pub(super) const COLUMN: Target = Target {
    table: "ducklake_column",
    columns: &[
        ("column_id", Kind::Int),
        ("begin_snapshot", Kind::Int),
        ("table_id", Kind::Int),
        ("column_order", Kind::Int),
        ("column_name", Kind::Text),
        ("column_type", Kind::Text),
        ("default_value", Kind::Text),
        ("nulls_allowed", Kind::Flag),
        ("parent_column", Kind::Int),
        ("default_value_type", Kind::Text),
        ("default_value_dialect", Kind::Text),
    ],
    then: "",
};
pub(super) const DATA_FILE: Target = Target {
    table: "ducklake_data_file",
    columns: &[
        ("data_file_id", Kind::Int),
        ("table_id", Kind::Int),
        ("begin_snapshot", Kind::Int),
        ("path", Kind::Text),
        ("path_is_relative", Kind::Flag),
        ("file_format", Kind::Text),
        ("record_count", Kind::Int),
        ("file_size_bytes", Kind::Int),
        ("footer_size", Kind::Int),
        ("row_id_start", Kind::Int),
    ],
    then: "",
};
pub(super) const FILE_COLUMN_STATS: Target = Target {
    table: "ducklake_file_column_stats",
    columns: &[
        ("data_file_id", Kind::Int),
        ("table_id", Kind::Int),
        ("column_id", Kind::Int),
        ("column_size_bytes", Kind::Int),
        ("value_count", Kind::Int),
        ("null_count", Kind::Int),
        ("min_value", Kind::Text),
        ("max_value", Kind::Text),
        ("contains_nan", Kind::Flag),
    ],
    then: "",
};
pub(super) const TABLE_STATS: Target = Target {
    table: "ducklake_table_stats",
    columns: &[
        ("table_id", Kind::Int),
        ("record_count", Kind::Int),
        ("next_row_id", Kind::Int),
        ("file_size_bytes", Kind::Int),
    ],
    then: "",
};
pub(super) const TABLE_COLUMN_STATS: Target = Target {
    table: "ducklake_table_column_stats",
    columns: &[
        ("table_id", Kind::Int),
        ("column_id", Kind::Int),
        ("contains_null", Kind::Flag),
        ("contains_nan", Kind::Flag),
        ("min_value", Kind::Text),
        ("max_value", Kind::Text),
    ],
    then: "",
};
pub(super) const VERSIONS: Target = Target {
    table: "tidemill_versions",
    columns: &[
        ("table_id", Kind::Int),
        ("version", Kind::Int),
        ("name", Kind::Text),
        ("digest", Kind::Text),
        ("cache_key", Kind::Text),
        ("run", Kind::Text),
        ("node", Kind::Text),
        ("task", Kind::Text),
        ("component", Kind::Text),
        ("attempt", Kind::Text),
        ("mode", Kind::Text),
        ("window_start", Kind::Int),
        ("window_end", Kind::Int),
        ("as_of", Kind::Int),
        ("row_count", Kind::Int),
        ("byte_count", Kind::Int),
        ("state", Kind::Text),
        ("metrics", Kind::Text),
        ("committed_at", Kind::Int),
        ("manifest", Kind::Text),
    ],
    then: "",
};
pub(super) const READS: Target = Target {
    table: "tidemill_reads",
    columns: &[
        ("table_id", Kind::Int),
        ("version", Kind::Int),
        ("input", Kind::Text),
        ("input_version", Kind::Int),
        ("input_digest", Kind::Text),
    ],
    then: "",
};
pub(super) const PROGRESS: Target = Target {
    table: "tidemill_progress",
    columns: &[("table_id", Kind::Int), ("identifiers", Kind::Text), ("last_time", Kind::Int)],
    then: "ON CONFLICT (table_id, identifiers) DO UPDATE SET last_time = CASE \
           WHEN excluded.last_time > tidemill_progress.last_time THEN excluded.last_time \
           ELSE tidemill_progress.last_time END",
};
