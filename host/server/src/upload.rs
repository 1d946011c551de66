//! Bodies that become files: streamed to a temporary one, digested on the way, put in place by one rename. What is not
//! kept leaves nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;
use tidemill_plan::{Code, Digest, Problem};
use tokio::io::AsyncWriteExt as _;

use crate::lock::data_unusable;
use crate::{ApiProblem, extract, token};

/// Where parts of uploads lie, beside what they become.
const INCOMING: &str = ".incoming";
/// Parts are written in pieces of this size.
const BUFFER_BYTES: usize = 1 << 20;

/// What an upload must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) bytes_max: u64,
    /// The digest that was announced.
    pub(crate) digest: Option<Digest>,
    /// From one part to the next.
    pub(crate) stall: Duration,
}

/// An upload that is complete, and goes away unless it is kept.
#[derive(Debug)]
pub(crate) struct Received {
    file: Temporary,
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

/// A path that nobody else has, and that is cleared when dropped.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// Makes no file yet.
    pub(crate) fn within(dir: &Path) -> Result<Self, Problem> {
        let incoming = dir.join(INCOMING);
        std::fs::create_dir_all(&incoming).map_err(|e| data_unusable(&incoming, &e))?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|e| data_unusable(&incoming, &std::io::Error::other(e)))?;
        Ok(Self(incoming.join(token::hex(&random))))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Moved to its place, it is not there any more.
        let removed =
            if self.0.is_dir() { std::fs::remove_dir_all(&self.0) } else { std::fs::remove_file(&self.0) };
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.0.display(), error = %e, "a temporary file stays");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Removes what a service that died left of its uploads. Others that share the folder may still write younger ones.
pub(crate) fn clear(dir: &Path, older_than: Duration) {
    for entry in dir.join(INCOMING).read_dir().into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|it| it.modified()).map(|it| it.elapsed().unwrap_or_default());
        if age.is_ok_and(|it| it > older_than) {
            drop(Temporary(entry.path()));
        }
    }
}

/// Takes a body in.
pub(crate) async fn receive(body: Body, dir: &Path, terms: Terms) -> Result<Received, ApiProblem> {
    let file = Temporary::within(dir)?;
    let unusable = |e: std::io::Error| ApiProblem::from(data_unusable(dir, &e));
    let opened = tokio::fs::File::create_new(file.path()).await.map_err(unusable)?;
    let mut writer = tokio::io::BufWriter::with_capacity(BUFFER_BYTES, opened);
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    let mut parts = body.into_data_stream();
    loop {
        let part = match tokio::time::timeout(terms.stall, parts.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(part))) => part,
            Ok(Some(Err(_))) => return Err(extract::cut_off()),
            Err(_) => return Err(stalled(terms.stall)),
        };
        bytes += part.len() as u64;
        if bytes > terms.bytes_max {
            extract::drain(parts).await;
            return Err(extract::too_large(terms.bytes_max));
        }
        hasher.update(&part);
        writer.write_all(&part).await.map_err(unusable)?;
    }
    writer.flush().await.map_err(unusable)?;
    // What is answered as kept survives a power loss.
    writer.into_inner().sync_all().await.map_err(unusable)?;
    let digest = Digest(*hasher.finalize().as_bytes());
    if let Some(announced) = terms.digest.filter(|it| *it != digest) {
        let what = format!("the body has the digest {digest}, not {announced}");
        let mend = "send it again; where it stays so, the file changed while it was sent";
        return Err(ApiProblem::new(Code("wrong-digest"), what, mend));
    }
    Ok(Received { file, digest, bytes })
}

fn stalled(limit: Duration) -> ApiProblem {
    let what = format!("nothing of the body came for {} ms", limit.as_millis());
    ApiProblem::new(Code("upload-stalled"), what, "send it again; nothing of it was kept")
}

impl Received {
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Puts it in place, read-only. One that is there already is the same.
    pub(crate) fn keep(self, path: &Path) -> Result<(), Problem> {
        let unusable = |e: std::io::Error| data_unusable(path, &e);
        let mut permissions = std::fs::metadata(self.path()).map_err(unusable)?.permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(self.path(), permissions).map_err(unusable)?;
        std::fs::rename(self.path(), path).map_err(unusable)?;
        sync_folder_of(path).map_err(unusable)
    }
}

/// A rename survives a power loss when its folder is on disk.
pub(crate) fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().expect("a file has a folder");
    std::fs::File::open(folder)?.sync_all()
}
