//! Work that blocks, away from the threads that answer.

use tidemill_plan::{Code, Problem};

use crate::ApiProblem;

/// # Errors
/// When the work panicked: a defect of ours.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiProblem> {
    // Spans of the request go on in the work.
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await.map_err(|e| {
        let what = format!("the service met a defect of its own: {e}");
        Problem::new(Code("internal"), what, "please report it with what the service logged").into()
    })
}
