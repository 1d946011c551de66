//! What asks a process to end: SIGTERM, and an interrupt from the terminal.

use tidemill_plan::{Code, Problem};
use tokio::signal::unix::{SignalKind, signal};

/// Ready at the first signal. Another one ends the process at once, which loses nothing that was answered.
///
/// # Errors
/// When the system lets nobody listen to signals.
pub fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Problem> {
    /// What a shell reports of a program that an interrupt ended.
    const INTERRUPTED: i32 = 130;
    let listen = |kind| {
        signal(kind).map_err(|e| {
            let what = format!("the service cannot listen to signals: {e}");
            Problem::new(Code("internal"), what, "this is a defect of the machine's set-up")
        })
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::warn!("stopped at once by a second signal");
            std::process::exit(INTERRUPTED);
        });
    })
}
