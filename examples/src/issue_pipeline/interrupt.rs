//! What a person's Ctrl-C and a service manager's stop do: the work is dropped, and with it every agent.

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// Runs `work` to its end, or until the process is asked to end; then `work` is dropped and `None` returned.
///
/// # Errors
/// If the system does not let signals be listened for.
pub(crate) async fn until_asked_to_end<T>(
    work: impl Future<Output = T>,
) -> std::io::Result<Option<T>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        biased;
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
        _ = hangup.recv() => Ok(None),
        done = work => Ok(Some(done)),
    }
}
