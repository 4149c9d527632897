//! This machine's runs: one folder each, with what was asked, what came out, and a lock that a dead process does not hold.

use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RunRequest;
use super::RunResult;
use super::RunnerError;
use super::RunningRun;
use crate::agent::RunId;
use crate::clock::Timestamp;
use crate::file_lock::FileLock;
use crate::settings::AgentRole;
use crate::workspace::Workspace;

/// How often, and at which pace, a lock is tried that may only be looked at.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// How long a run that wrote nothing is kept, for whoever looks for what it said.
const IDLE_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many of them are kept at most, but for the youngest.
const MOST_IDLE: usize = 2_000;
/// Nothing younger goes, however many there are: somebody may still be closing it.
const YOUNGEST_TO_GO: Duration = Duration::from_secs(24 * 3600);

/// The runs of this machine on one repository, over all processes.
#[derive(Debug, Clone)]
pub struct RunTable {
    folder: PathBuf,
}

/// What beginning a run came to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Begin {
    /// It is ours; the run lasts as long as this is held.
    Begun(RunGuard),
    /// It has already ended with this result.
    Finished(Box<RunResult>),
    /// Another process is at it.
    Running,
}

/// The right to make one run.
#[derive(Debug)]
pub struct RunGuard {
    // Held for its lock only: the system lets go of it when the process dies.
    _lock: FileLock,
}

impl RunTable {
    /// Opens the table in a folder, which is created.
    ///
    /// # Errors
    /// [`RunnerError::Other`] if the folder cannot be used.
    pub fn open(folder: &Path) -> Result<Self, RunnerError> {
        fs::create_dir_all(folder).map_err(|e| failed("create the run table", folder, e))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Returns the folder of a run.
    #[must_use]
    pub fn folder(&self, run: &RunId) -> PathBuf {
        self.folder.join(run.as_str())
    }

    /// Begins a run, unless it has ended already or another process is at it.
    ///
    /// # Errors
    /// [`RunnerError::Other`] if the table cannot be written.
    pub fn begin(&self, request: &RunRequest) -> Result<Begin, RunnerError> {
        let folder = self.folder(&request.run);
        fs::create_dir_all(&folder)
            .map_err(|e| failed("create the folder of the run", &folder, e))?;
        // Somebody who only looks holds the lock for a moment; somebody who runs holds it for long.
        let mut tries = 0;
        let lock = loop {
            let file = File::create(folder.join("lock"))
                .map_err(|e| failed("create the lock of the run", &folder, e))?;
            match FileLock::try_take(file) {
                Ok(Some(lock)) => break lock,
                Ok(None) if tries < LOCK_TRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                Ok(None) => return Ok(Begin::Running),
                Err(e) => return Err(failed("lock the run", &folder, e)),
            }
        };
        if let Some(result) = self.result(&request.run)? {
            return Ok(Begin::Finished(Box::new(result)));
        }
        write(&folder, "request.json", request)?;
        Ok(Begin::Begun(RunGuard { _lock: lock }))
    }

    /// Removes everything known of a run that is over; whether that is safe is for the caller to know.
    ///
    /// # Errors
    /// [`RunnerError::Other`] if it runs, or its folder cannot be removed.
    pub fn forget(&self, run: &RunId) -> Result<(), RunnerError> {
        let folder = self.folder(run);
        if self.is_running(run) {
            let busy = io::Error::from(io::ErrorKind::ResourceBusy);
            return Err(failed("remove the folder of the run", &folder, busy));
        }
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove the folder of the run", &folder, e))
            }
            _ => Ok(()),
        }
    }

    /// Removes what is known of runs that ended long ago and wrote nothing: reading ones above all. Returns how many.
    ///
    /// Runs with a patch, kept work or a workspace stay for whoever knows whether that is needed.
    ///
    /// # Errors
    /// [`RunnerError::Other`] if the folder cannot be read; a run that cannot be read or removed stays.
    pub fn prune(&self, now: Timestamp) -> Result<usize, RunnerError> {
        self.prune_to(now, MOST_IDLE)
    }

    fn prune_to(&self, now: Timestamp, most: usize) -> Result<usize, RunnerError> {
        let mut idle: Vec<(Timestamp, RunId)> = Vec::new();
        for run in self.runs()? {
            let Ok(Some(result)) = self.result(&run) else {
                continue;
            };
            let wrote = result.patch.is_some_and(|p| !p.is_empty()) || result.kept.is_some();
            if !wrote && matches!(self.workspace(&run), Ok(None)) {
                idle.push((result.ended, run));
            }
        }
        idle.sort();
        let beyond = idle.len().saturating_sub(most);
        let goes = |(place, (ended, run)): (usize, (Timestamp, RunId))| {
            let age = now.since(ended);
            let old = age > IDLE_KEPT || (place < beyond && age > YOUNGEST_TO_GO);
            (old && self.forget(&run).is_ok()).then_some(())
        };
        Ok(idle.into_iter().enumerate().filter_map(goes).count())
    }

    /// Returns what was asked, if the run is known.
    ///
    /// # Errors
    /// [`RunnerError::Other`] if its file is damaged.
    pub fn request(&self, run: &RunId) -> Result<Option<RunRequest>, RunnerError> {
        read(&self.folder(run), "request.json")
    }

    /// Returns what came out, if the run has ended.
    ///
    /// # Errors
    /// [`RunnerError::Other`] if its file is damaged.
    pub fn result(&self, run: &RunId) -> Result<Option<RunResult>, RunnerError> {
        read(&self.folder(run), "result.json")
    }

    /// Writes down what came out, synced.
    ///
    /// # Errors
    /// [`RunnerError::Other`].
    pub fn finish(&self, result: &RunResult) -> Result<(), RunnerError> {
        write(&self.folder(&result.run), "result.json", result)
    }

    /// Writes down the workspace of a run, synced.
    ///
    /// # Errors
    /// [`RunnerError::Other`].
    pub fn set_workspace(&self, workspace: &Workspace) -> Result<(), RunnerError> {
        write(&self.folder(&workspace.run), "workspace.json", workspace)
    }

    /// Returns the workspace of a run that is not released yet.
    ///
    /// # Errors
    /// [`RunnerError::Other`] if its file is damaged.
    pub fn workspace(&self, run: &RunId) -> Result<Option<Workspace>, RunnerError> {
        read(&self.folder(run), "workspace.json")
    }

    /// Forgets the workspace of a run.
    ///
    /// # Errors
    /// [`RunnerError::Other`].
    pub fn forget_workspace(&self, run: &RunId) -> Result<(), RunnerError> {
        let path = self.folder(run).join("workspace.json");
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(failed("forget the workspace of the run", &path, e))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Asks whoever makes the run to end it.
    ///
    /// # Errors
    /// [`RunnerError::Other`].
    pub fn ask_to_cancel(&self, run: &RunId) -> Result<(), RunnerError> {
        let folder = self.folder(run);
        if !folder.is_dir() {
            return Ok(());
        }
        File::create(folder.join("cancel"))
            .map(drop)
            .map_err(|e| failed("ask the run to end", &folder, e))
    }

    /// Returns whether somebody asked to end the run.
    #[must_use]
    pub fn is_cancelled(&self, run: &RunId) -> bool {
        self.folder(run).join("cancel").exists()
    }

    /// Appends a line to the run's log; failing to do so never fails a run.
    pub fn log(&self, run: &RunId, at: Timestamp, line: &str) {
        let line = line.replace(['\n', '\r'], " ");
        let path = self.folder(run).join("log");
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        if let Ok(mut file) = file
            && let Err(error) = writeln!(file, "{at} {line}")
        {
            tracing::debug!(%run, %error, "the run's log cannot be written");
        }
    }

    /// Returns the run's log.
    #[must_use]
    pub fn read_log(&self, run: &RunId) -> Option<String> {
        let bytes = fs::read(self.folder(run).join("log")).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the session of the last run of a request's agent, issue and round that has ended.
    ///
    /// # Errors
    /// [`RunnerError::Other`] if the table is damaged.
    pub fn last_session(&self, request: &RunRequest) -> Result<Option<String>, RunnerError> {
        let mut last: Option<(Timestamp, String)> = None;
        for run in self.runs()? {
            let Some(known) = self.request(&run)? else {
                continue;
            };
            let same = known.round.is_some()
                && known.round == request.round
                && known.issue == request.issue
                && known.agent == request.agent;
            if !same {
                continue;
            }
            let Some(result) = self.result(&run)? else {
                continue;
            };
            if let Some(session) = result.report.session
                && last.as_ref().is_none_or(|(at, _)| *at < result.ended)
            {
                last = Some((result.ended, session));
            }
        }
        Ok(last.map(|(_, session)| session))
    }

    /// Returns every run that has begun, ended or not.
    ///
    /// # Errors
    /// [`RunnerError::Other`] if the folder cannot be read.
    pub fn runs(&self) -> Result<Vec<RunId>, RunnerError> {
        let entries = fs::read_dir(&self.folder)
            .map_err(|e| failed("read the run table", &self.folder, e))?;
        let mut runs: Vec<RunId> = entries
            .filter_map(Result::ok)
            .filter_map(|e| RunId::new(e.file_name().to_str()?).ok())
            .collect();
        runs.sort();
        Ok(runs)
    }

    /// Returns whether a living process is at the run.
    #[must_use]
    pub fn is_running(&self, run: &RunId) -> bool {
        let Ok(file) = File::open(self.folder(run).join("lock")) else {
            return false;
        };
        match file.try_lock_shared() {
            Ok(()) => {
                // At once, also if a child that is just being started has a copy of it.
                drop(file.unlock());
                false
            }
            Err(error) => matches!(error, TryLockError::WouldBlock),
        }
    }

    /// Returns the runs that living processes are at.
    ///
    /// # Errors
    /// [`RunnerError::Other`] if the folder cannot be read.
    pub fn running(&self, repo: &str) -> Result<Vec<RunningRun>, RunnerError> {
        let mut running = Vec::new();
        for run in self.runs()? {
            // Most runs ended long ago: their result is there, and no lock has to be looked at.
            if self.folder(&run).join("result.json").exists() || !self.is_running(&run) {
                continue;
            }
            let Some(request) = self.request(&run)?.filter(|r| r.repo == repo) else {
                continue;
            };
            running.push(RunningRun {
                run,
                issue: request.issue,
                slot: request.slot,
                agent: request.agent,
                // A repair is asked for in the name of what it repairs, which reads with or without a repository.
                role: AgentRole::of(request.kind).unwrap_or(match request.base {
                    Some(_) => AgentRole::Check,
                    None => AgentRole::Triage,
                }),
                began: request.asked,
            });
        }
        Ok(running)
    }
}

fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, RunnerError> {
    let path = folder.join(name);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| failed("understand a file of the run table", &path, e)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("read a file of the run table", &path, e)),
    }
}

fn write<T: Serialize>(folder: &Path, name: &str, value: &T) -> Result<(), RunnerError> {
    let put = || -> io::Result<()> {
        let temp = folder.join(format!(".{name}"));
        let mut file = File::create(&temp)?;
        serde_json::to_writer(&mut file, value)?;
        file.sync_all()?;
        fs::rename(&temp, folder.join(name))?;
        File::open(folder)?.sync_all()
    };
    put().map_err(|e| failed("write a file of the run table", &folder.join(name), e))
}

fn failed(operation: &str, path: &Path, e: impl Into<crate::BoxError>) -> RunnerError {
    RunnerError::Other {
        operation: format!("{operation} ({})", path.display()),
        source: Some(e.into()),
    }
}

#[cfg(test)]
mod tests;
