//! Gates in a folder: on a terminal of this machine, or by another user of it.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use async_trait::async_trait;

use super::Gate;
use super::GateDecision;
use super::GateError;
use super::GateEvidence;
use super::GatePlace;
use super::GateRequest;
use super::trust;
use super::trust::Caller;
use crate::patch::Escaped;
use crate::random;

/// Largest approval file, in bytes.
const LARGEST: u64 = 64 << 10;
/// Most files looked at in an owner's folder.
const MOST_FILES: usize = 2_000;
/// Most attempts that are told.
const MOST_IGNORED: usize = 20;

/// The gates `terminal` and `owner`: files in a folder, each a [`GateEvidence`] as JSON.
///
/// - **terminal**: the folder `approvals` of the state directory, one file per subject, written by
///   [`give`](Self::give) after a person has typed the id. As strong as the confinement of what runs under the same
///   user.
/// - **owner**: a folder of another user, outside the state directory, which this process can neither write nor
///   replace; looked at anew for every decision. Its files may have any name that ends in `.json`.
///
/// # Examples
/// ```
/// use pipeline_core::gate::{FolderGate, Gate as _, GatePlace};
///
/// let gate = FolderGate::terminal("/var/lib/pipeline/state/approvals");
/// assert_eq!(gate.place(), GatePlace::Terminal);
/// ```
#[derive(Debug, Clone)]
pub struct FolderGate {
    folder: PathBuf,
    /// The state directory, for a folder that must lie outside of it.
    owner_of: Option<PathBuf>,
    /// What people type to run the pipeline.
    command: String,
}

/// Why an OK could not be written down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GiveError {
    /// The subject is no id.
    #[error("an OK names a candidate or commit by its full id of 40 or 64 hexadecimal digits")]
    Subject,
    /// The folder must not be used.
    #[error("the OK was not written, because {folder} cannot serve as the gate: {reason}", folder = folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The file could not be written.
    #[error("the OK could not be written to {path}: check the disk and the rights of its folder", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FolderGate {
    /// Makes the gate `terminal` over a folder of the state directory; it is created with the first OK.
    #[must_use]
    pub fn terminal(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            owner_of: None,
            command: "issue-pipeline".to_owned(),
        }
    }

    /// Makes the gate `owner` over a folder of another user, outside the state directory.
    #[must_use]
    pub fn owner(folder: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            owner_of: Some(state.into()),
            command: "issue-pipeline".to_owned(),
        }
    }

    /// Sets what people type to run the pipeline; `issue-pipeline` otherwise.
    #[must_use]
    pub fn with_command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// Writes an OK down, whole and synced; an earlier one on the same subject is replaced.
    ///
    /// In an owner's folder this is called as its owner, and the file may be read by everybody, since the pipeline's
    /// user has to.
    ///
    /// # Errors
    /// [`GiveError`]; no OK counts then that did not count before.
    ///
    /// # Panics
    /// Never: evidence is plain data with string keys.
    pub fn give(&self, evidence: &GateEvidence) -> Result<(), GiveError> {
        let name = file_name(&evidence.subject).ok_or(GiveError::Subject)?;
        let path = self.folder.join(&name);
        let written = |source| GiveError::Write {
            path: path.clone(),
            source,
        };
        let mode = if self.owner_of.is_some() {
            0o644
        } else {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.folder)
                .map_err(written)?;
            0o600
        };
        trust::own(&self.folder, Caller::current()).map_err(|reason| GiveError::Folder {
            folder: self.folder.clone(),
            reason,
        })?;
        let evidence = GateEvidence {
            place: self.place(),
            ..evidence.clone()
        };
        let mut json =
            serde_json::to_vec_pretty(&evidence).expect("evidence is plain data with string keys");
        json.push(b'\n');
        let temp = self.folder.join(format!(".{name}.{}", random::nonce()));
        let put = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&temp)?;
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&temp, &path)?;
            // The name must survive a power cut as well as the content.
            File::open(&self.folder)?.sync_all()
        };
        put().map_err(|e| {
            // What is left of a failed write has no name that counts; that it goes is only tidiness.
            drop(fs::remove_file(&temp));
            written(e)
        })
    }

    fn decide(&self, request: &GateRequest, caller: Caller) -> Result<GateDecision, GateError> {
        let mut ignored = Vec::new();
        let given = match &self.owner_of {
            None => self.on_terminal(request, caller, &mut ignored)?,
            Some(state) => {
                trust::foreign(&self.folder, state, caller).map_err(|r| self.distrust(r))?;
                self.by_owner(request, &mut ignored)?
            }
        };
        Ok(match given {
            Some(evidence) => GateDecision::Given(GateEvidence {
                place: self.place(),
                ..evidence
            }),
            None => {
                if ignored.len() > MOST_IGNORED {
                    let more = ignored.len() - MOST_IGNORED;
                    ignored.truncate(MOST_IGNORED);
                    ignored.push(format!("and {more} more"));
                }
                GateDecision::Pending {
                    how: self.how(request),
                    ignored,
                }
            }
        })
    }

    fn on_terminal(
        &self,
        request: &GateRequest,
        caller: Caller,
        ignored: &mut Vec<String>,
    ) -> Result<Option<GateEvidence>, GateError> {
        match fs::symlink_metadata(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.unreadable(e)),
            Ok(_) => trust::own(&self.folder, caller).map_err(|r| self.distrust(r))?,
        }
        let Some(name) = file_name(request.subject()) else {
            return Ok(None);
        };
        let path = self.folder.join(name);
        match evidence(&path, caller.uid) {
            Ok(Some(found)) if found.subject == request.subject() => return Ok(Some(found)),
            Ok(None) => {}
            Ok(Some(_)) => ignored.push(told(&path, "it names something else than its file")),
            Err(why) => ignored.push(told(&path, &why)),
        }
        Ok(None)
    }

    fn by_owner(
        &self,
        request: &GateRequest,
        ignored: &mut Vec<String>,
    ) -> Result<Option<GateEvidence>, GateError> {
        let owner = fs::symlink_metadata(&self.folder)
            .map_err(|e| self.unreadable(e))?
            .uid();
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(|e| self.unreadable(e))? {
            let path = entry.map_err(|e| self.unreadable(e))?.path();
            let hidden = path
                .file_name()
                .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
            if !hidden && path.extension().is_some_and(|x| x == "json") {
                paths.push(path);
            }
        }
        paths.sort();
        if paths.len() > MOST_FILES {
            let folder = self.folder.display();
            ignored.push(format!(
                "{folder} holds more than {MOST_FILES} approvals, of which the last in the order of names are not read: remove old ones"
            ));
            paths.truncate(MOST_FILES);
        }
        let mut newest: Option<GateEvidence> = None;
        for path in paths {
            match evidence(&path, owner) {
                Ok(Some(found)) if found.subject == request.subject() => {
                    if newest.as_ref().is_none_or(|n| n.at <= found.at) {
                        newest = Some(found);
                    }
                }
                // An OK on something else is an old one, or one to come.
                Ok(_) => {}
                Err(why) => ignored.push(told(&path, &why)),
            }
        }
        Ok(newest)
    }

    fn how(&self, request: &GateRequest) -> String {
        let pipeline = &self.command;
        let command = match request {
            GateRequest::LocalOk { candidate, .. } => {
                format!("{pipeline} approve {}", candidate.short())
            }
            GateRequest::Ship { commit, .. } => {
                format!("{pipeline} ship {} --permit", commit.as_str())
            }
        };
        match self.owner_of {
            None => format!("run `{command}` on a terminal of this machine"),
            Some(_) => format!(
                "run `{command}` as the user who owns {}",
                self.folder.display()
            ),
        }
    }

    fn distrust(&self, reason: String) -> GateError {
        GateError::NotTrustworthy {
            place: self.folder.display().to_string(),
            reason,
        }
    }

    fn unreadable(&self, e: io::Error) -> GateError {
        GateError::Unreadable {
            place: self.folder.display().to_string(),
            source: Some(e.into()),
        }
    }
}

#[async_trait]
impl Gate for FolderGate {
    fn place(&self) -> GatePlace {
        match self.owner_of {
            None => GatePlace::Terminal,
            Some(_) => GatePlace::Owner,
        }
    }

    async fn decision(&self, request: &GateRequest) -> Result<GateDecision, GateError> {
        self.decide(request, Caller::current())
    }
}

/// Returns the file of a subject, which is an id and so never a path.
fn file_name(subject: &str) -> Option<String> {
    let id = matches!(subject.len(), 40 | 64)
        && subject
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    id.then(|| format!("{subject}.json"))
}

fn evidence(path: &Path, owner: u32) -> Result<Option<GateEvidence>, String> {
    let Some(bytes) = trust::read(path, owner, LARGEST)? else {
        return Ok(None);
    };
    // The parser's words may quote the file; its place is enough to find the mistake.
    serde_json::from_slice(&bytes).map(Some).map_err(|e| {
        format!(
            "it is not an approval as `approve` writes it (line {}, column {})",
            e.line(),
            e.column()
        )
    })
}

fn told(path: &Path, why: &str) -> String {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    format!("{} was ignored: {why}", Escaped::new(name).at_most(100))
}

#[cfg(test)]
mod tests;
