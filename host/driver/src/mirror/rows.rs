//! Rows of a table on their way into the mirror: read on a thread, a batch at a time, as PostgreSQL's binary COPY.

use bytes::BytesMut;
use pgpq::ArrowToPostgresBinaryEncoder;
use tidemill_lake::{Lake, Manifest, ReadOptions};
use tidemill_plan::{Code, Problem};
use tidemill_store::MirrorTx;
use tokio::sync::mpsc;

use super::Failed;
use super::changes::{Changed, read_of};
use super::columns::{fitted, schema_of};
use super::sql::Target;

/// Batches that wait for the database, and rows in each: what bounds the memory, however large the table.
const BATCHES_MAX: usize = 4;
pub(super) const BATCH_ROWS_MAX: usize = 8_192;

type Sent = Result<Vec<u8>, Failed>;

/// Copies the rows of a table that may differ; how many those were.
pub(super) async fn copy(
    tx: &mut MirrorTx,
    lake: &Lake,
    manifest: &Manifest,
    changed: Changed,
    target: &Target,
    into: &str,
) -> Result<u64, Failed> {
    let statement = format!("COPY {into} ({}) FROM STDIN (FORMAT BINARY)", target.column_list());
    let (sender, mut receiver) = mpsc::channel(BATCHES_MAX);
    let (lake, manifest, target) = (lake.clone(), manifest.clone(), target.clone());
    let reading = tokio::task::spawn_blocking(move || {
        if let Err(failed) = send(&lake, &manifest, changed, &target, &sender) {
            // Whoever received may be gone.
            drop(sender.blocking_send(Err(failed)));
        }
    });
    let copied = tx.copy_in(&statement, &mut receiver).await;
    // Where the database gave up, so does the reader.
    drop(receiver);
    // A reader that broke off has sent a part of the rows, which must not count for all.
    reading.await.map_err(|e| Failed::unencoded(&e.to_string()))?;
    copied
}

fn send(
    lake: &Lake,
    manifest: &Manifest,
    changed: Changed,
    target: &Target,
    sender: &mpsc::Sender<Sent>,
) -> Result<(), Failed> {
    let schema = schema_of(&target.columns);
    let mut encoder = ArrowToPostgresBinaryEncoder::try_new(&schema).map_err(|e| not_encoded(&e))?;
    let mut buffer = BytesMut::new();
    encoder.write_header(&mut buffer).map_err(|e| not_encoded(&e))?;
    for options in reads(changed) {
        for batch in lake.reader(manifest, options).map_err(|e| Failed::of_lake(&e))? {
            let batch = batch.map_err(|e| Failed::of_lake(&e))?;
            let batch = fitted(&batch, &target.columns, &schema).map_err(Failed)?;
            encoder.write_batch(&batch, &mut buffer).map_err(|e| not_encoded(&e))?;
            if sender.blocking_send(Ok(buffer.split().to_vec())).is_err() {
                return Ok(());
            }
        }
    }
    encoder.write_footer(&mut buffer).map_err(|e| not_encoded(&e))?;
    drop(sender.blocking_send(Ok(buffer.to_vec())));
    Ok(())
}

fn reads(changed: Changed) -> Vec<ReadOptions> {
    match changed {
        Changed::All => {
            vec![ReadOptions { batch_rows_max: Some(BATCH_ROWS_MAX), ..ReadOptions::default() }]
        }
        Changed::Times(ranges) => ranges.iter().map(read_of).collect(),
    }
}

fn not_encoded(error: &pgpq::error::ErrorKind) -> Failed {
    let what = format!("rows cannot be written as PostgreSQL takes them: {error}");
    Failed(Problem::new(Code("mirror-column"), what, "give the column a type that PostgreSQL has"))
}
