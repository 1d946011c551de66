//! Carries out what the engine wants: local mode, in this process, on all cores.
//!
//! The lake writes tables, the sandbox runs attempts, the engine decides; none of them knows the others. This
//! crate introduces them.

mod artefacts;
mod attempt;
mod catalog;
mod check;
mod checkpoint;
mod compare;
mod diff;
mod failure;
mod live;
mod live_table;
mod local;
mod log_chunks;
mod log_file;
mod mirror;
mod observer;
mod origin;
mod preview;
mod process;
mod record;
mod replay;
mod shape;
mod stored;
mod sweep;
mod table_io;
mod update;

pub use artefacts::{
    ArtefactOf, ArtefactRecord, UnnamedArtefact, artefact_path, named_by, named_in_lake, open_artefact,
    remove_artefacts, unnamed_artefacts,
};
pub use attempt::Reuse;
pub use catalog::Components;
pub use check::{
    Check, CheckObserver, CheckVerdict, Finding, FindingKind, LeakingInput, NodeCheck, Shown, Tiles,
};
pub use compare::{
    Altered, ArtefactComparison, ArtefactVerdict, EqualBy, Gone, Instead, RunIn, TableComparison, Verdict,
    compare_artefacts, compare_replayed, compare_tables,
};
pub use diff::{Change, RunDifference, diff_runs};
pub use failure::{DriverError, NodeFailure};
pub use live::{
    AttemptCounts, Deployed, Deployments, Follower, Live, LiveLoad, LiveOptions, LivePlan, MIRRORS_MAX,
    Moved, RunRequest, RunView, Seen, Soon, source_table_missing,
};
pub use live_table::{
    Compacted, LiveTables, Making, Sweep, Swept, compact, expire, manifest_of, read_version, sweep,
    table_write, valid_manifest,
};
pub use local::{Canceller, Ended, LocalOptions, LocalRun};
pub use log_file::{LogEntry, LogFile, LogRange, LogSize, log_files, node_folder};
pub use observer::{Event, NodeEnd, Observer};
pub use origin::{
    AttemptOutcome, AttemptRecord, ComponentRecord, FileRecord, LimitsRecord, Lineage, ResourcesRecord,
};
pub use preview::{Preview, Prospect, preview};
pub use record::{
    ErrorRecord, NodeRecord, NodeState, ParameterRecord, RunId, RunRecord, RunState, TableRecord, find_run,
    list_runs, remove_run,
};
pub use replay::Replay;
pub use stored::{StoredRecord, StoredTable, copy_stored, is_copied};
pub use sweep::{
    AxisRecord, MeasureRecord, PointDifference, PointRow, PointState, RESULT_COLUMNS, SharedNode,
    SourceRecord, SweepCounts, SweepEnded, SweepObserver, SweepOptions, SweepRecord, SweepReplay,
    SweepReplayed, SweepRun, TaskRecord, best, find_sweep, list_sweeps, load_rows, number_json, remove_sweep,
    results_batch,
};
pub use tidemill_engine::OnFailure;
