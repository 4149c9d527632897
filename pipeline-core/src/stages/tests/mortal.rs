//! Processes that die: what they were doing ends at once, and the system knows them no more.

use std::future::poll_fn;
use std::task::Poll;

use crate::process::ProcessIdentity;

/// Does something until it is done, or until `doomed` says so while it waits: then nothing of it runs on.
pub(super) async fn dying<T>(
    doing: impl Future<Output = T>,
    mut doomed: impl FnMut() -> bool,
) -> Option<T> {
    let mut doing = Box::pin(doing);
    poll_fn(|context| match doing.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if doomed() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Stands in the table of the system for a process of the test, and dies with it: the journal names it, and whoever
/// restarts asks whether it still lives.
pub(super) struct Witness(std::process::Child);

impl Witness {
    pub(super) fn born() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a child that the pipeline itself never starts"
        )]
        let mut command = std::process::Command::new("cat");
        let piped = std::process::Stdio::piped;
        let started = command.stdin(piped()).stdout(piped()).spawn();
        Self(started.expect("cat starts"))
    }

    pub(super) fn identity(&self) -> Option<ProcessIdentity> {
        ProcessIdentity::of_running(self.0.id()).expect("the table can be read")
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.kill().expect("its own child");
        self.0.wait().expect("its own child");
    }
}
