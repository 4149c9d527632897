//! Who a child is beyond the life of the process that started it.

use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use rustix::process::kill_process_group;
use serde::Deserialize;
use serde::Serialize;

use super::error::ProcessError;
use super::sweep::Sweeper;
use super::table;

const POLL: Duration = Duration::from_millis(5);

/// Names one process for good: its number and when it started, since numbers are given out again.
///
/// Written into the journal right after the start, so that after a crash a child still ours can be told and ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    pid: u32,
    start_time: String,
}

/// Says how ending a process by its identity went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndOutcome {
    /// It was no longer there, or its number belongs to another process now, which was left alone.
    Gone,
    /// It was there and has ended, with its group and their descendants.
    Ended,
    /// It, or one of its group, did not leave in time, not even when killed.
    Remains,
}

impl ProcessIdentity {
    /// Returns the identity of the running process that has this number, if there is one.
    ///
    /// For agents that start their programs by other means; the caller must know that the number is still its child's,
    /// as it is while the child is not reaped.
    ///
    /// # Errors
    /// Fails if the table of processes cannot be read.
    pub fn of_running(pid: u32) -> Result<Option<Self>, ProcessError> {
        let Some(known) = pid_of(pid) else {
            return Ok(None);
        };
        let start = table::start_of(known).map_err(|source| ProcessError::Table { source })?;
        Ok(start.map(|start_time| Self { pid, start_time }))
    }

    pub(super) fn of(pid: Pid) -> std::io::Result<Self> {
        // A child that has already exited is a zombie without start; it can never be mistaken for a living process then.
        let start_time = table::start_of(pid)?.unwrap_or_default();
        Ok(Self {
            pid: pid.as_raw_nonzero().get().unsigned_abs(),
            start_time,
        })
    }

    /// Returns the process's number.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns when the process started, in words that only this machine understands.
    #[must_use]
    pub fn start_time(&self) -> &str {
        &self.start_time
    }

    /// Returns whether exactly this process is still running.
    ///
    /// # Errors
    /// Fails if the table of processes cannot be read.
    pub fn is_alive(&self) -> Result<bool, ProcessError> {
        self.living().map(|pid| pid.is_some())
    }

    fn living(&self) -> Result<Option<Pid>, ProcessError> {
        let Some(pid) = pid_of(self.pid) else {
            return Ok(None);
        };
        let start = table::start_of(pid).map_err(|source| ProcessError::Table { source })?;
        Ok(start
            .filter(|start| !start.is_empty() && *start == self.start_time)
            .map(|_| pid))
    }

    /// Ends exactly this process, its group and their descendants: tells them to, and kills who is left after `grace`.
    ///
    /// Processes that had been orphaned before are [`sweep`](super::sweep())'s. A process that is no longer there, or whose number is
    /// somebody else's now, is [`EndOutcome::Gone`] and nothing is signalled.
    ///
    /// # Errors
    /// Fails if the table of processes cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the process told to end but perhaps alive; the call can be repeated.
    pub async fn end(&self, grace: Duration) -> Result<EndOutcome, ProcessError> {
        let Some(pid) = self.living()? else {
            return Ok(EndOutcome::Gone);
        };
        // Remembered before anybody is signalled: once the leader has left, its group's number proves nothing.
        let mut family = Sweeper::for_group(pid);
        // Its children were started as leaders of their group; one that is not is signalled alone.
        if kill_process_group(pid, Signal::TERM).is_err() {
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + grace;
        while !family.survivors().is_empty() && Instant::now() < until {
            tokio::time::sleep(POLL).await;
        }
        family.sweep().await;
        match family.failure() {
            Some(source) => Err(ProcessError::Table { source }),
            None if family.remaining() > 0 => Ok(EndOutcome::Remains),
            None => Ok(EndOutcome::Ended),
        }
    }
}

/// 0 and 1 would be a whole group and the system: a damaged journal must not reach either.
fn pid_of(number: u32) -> Option<Pid> {
    i32::try_from(number)
        .ok()
        .filter(|pid| *pid > 1)
        .and_then(Pid::from_raw)
}
