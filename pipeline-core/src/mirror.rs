//! What was read of the tracker, kept: so that a quiet poll costs next to nothing, and no memo once read is forgotten.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::Issue;
use crate::issue::IssueKey;
use crate::lock::LockMemo;
use crate::lock::TamperedIssue;
use crate::status::Status;
use crate::thread::Protocol;
use crate::thread::Thread;
use crate::thread::Voice;
use crate::tracker::ChangeMark;
use crate::tracker::IssueQuery;
use crate::tracker::Reply;
use crate::tracker::StatusEvent;
use crate::tracker::Tracker;
use crate::tracker::TrackerError;

/// One issue as it was last read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mirrored {
    /// The issue.
    pub issue: Issue,
    /// Its thread, oldest first.
    pub comments: Vec<Comment>,
    /// Its status history, oldest first.
    pub history: Vec<StatusEvent>,
    /// The server's time of the reading.
    pub date: Timestamp,
    /// It can no longer be read; its memos still count.
    pub gone: bool,
    /// Our memos as they were first read, whatever has become of them since.
    kept: BTreeMap<CommentId, Comment>,
}

impl Mirrored {
    /// Makes a reading from its parts, as if each had been read at the beginning of time.
    #[must_use]
    pub fn of(issue: Issue, comments: Vec<Comment>, history: Vec<StatusEvent>) -> Self {
        let (date, kept) = (Timestamp::EPOCH, BTreeMap::new());
        Self {
            issue,
            comments,
            history,
            date,
            gone: false,
            kept,
        }
    }

    /// Returns whether the issue is there and in this status.
    #[must_use]
    pub fn is_in(&self, status: &Status) -> bool {
        !self.gone && self.issue.status == *status
    }

    /// Returns the round the issue is in now: the latest move into In progress, if nothing came after it.
    #[must_use]
    pub fn current_round(&self) -> Option<EventId> {
        let last = self.history.iter().max_by_key(|e| e.id)?;
        (self.is_in(&Status::InProgress) && last.to == Status::InProgress).then_some(last.id)
    }

    /// Returns the thread, understood.
    #[must_use]
    pub fn thread(&self, protocol: &Protocol) -> Thread {
        Thread::derive(&self.issue.key, &self.comments, protocol)
    }

    /// Returns the lock memos of the issue and what cannot be trusted about it.
    ///
    /// A memo that was edited or deleted since it was first read counts as first read.
    #[must_use]
    pub fn locks(&self, protocol: &Protocol) -> (Vec<LockMemo>, Vec<TamperedIssue>) {
        let key = &self.issue.key;
        let mut memos = Vec::new();
        let mut tampered = Vec::new();
        let mut distrust = |comment: CommentId, reason: String| {
            tampered.push(TamperedIssue {
                issue: key.clone(),
                comment,
                reason,
            });
        };
        for c in self
            .comments
            .iter()
            .filter(|c| !self.kept.contains_key(&c.id))
        {
            match protocol.voice(key, c) {
                Voice::Ours(memo) => match LockMemo::read(key, c, &memo) {
                    Ok(lock) => memos.extend(lock),
                    Err(reason) => distrust(c.id, reason),
                },
                Voice::Tampered(reason) => distrust(c.id, reason),
                Voice::Person | Voice::Nobody => {}
            }
        }
        for (id, first) in &self.kept {
            if let Voice::Ours(memo) = protocol.voice(key, first)
                && let Ok(Some(lock)) = LockMemo::read(key, first, &memo)
            {
                memos.push(lock);
            }
            match self.comments.iter().find(|c| c.id == *id) {
                Some(now) if now.body != first.body || now.author != first.author => {
                    distrust(*id, "it was edited after it had been posted".into());
                }
                Some(_) | None => {}
            }
        }
        memos.sort_by_key(|m| m.id);
        (memos, tampered)
    }

    fn keep_memos(&mut self, protocol: &Protocol) {
        for c in &self.comments {
            if matches!(protocol.voice(&self.issue.key, c), Voice::Ours(_)) {
                self.kept.entry(c.id).or_insert_with(|| c.clone());
            }
        }
    }
}

/// Everything that was read, at one server time.
#[derive(Debug, Clone)]
pub struct View {
    /// The issues.
    pub issues: BTreeMap<IssueKey, Arc<Mirrored>>,
    /// The server's time of the newest reading.
    pub date: Timestamp,
}

impl View {
    /// Returns the issues in a status, oldest first.
    pub fn in_status<'a>(&'a self, status: &'a Status) -> impl Iterator<Item = &'a Arc<Mirrored>> {
        let mut found: Vec<_> = self.issues.values().filter(|m| m.is_in(status)).collect();
        found.sort_by(|a, b| (a.issue.created, &a.issue.key).cmp(&(b.issue.created, &b.issue.key)));
        found.into_iter()
    }
}

/// The mirror of a tracker, in memory or in a folder of the state directory.
#[derive(Debug)]
pub struct Mirror {
    folder: Option<PathBuf>,
    state: Mutex<State>,
    // One reading at a time: an older one that finishes last would put an old thread beside a new mark.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    issues: BTreeMap<IssueKey, Arc<Mirrored>>,
    mark: Option<ChangeMark>,
}

impl Mirror {
    /// Makes a mirror that forgets with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            folder: None,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Opens a mirror in a folder, which is created.
    ///
    /// Files that cannot be read are left out: what they held is read from the tracker again.
    ///
    /// # Errors
    /// [`TrackerError::Corrupt`] if the folder cannot be used.
    pub fn open(folder: &Path) -> Result<Self, TrackerError> {
        fs::create_dir_all(folder).map_err(|e| unusable(folder, &e))?;
        let mut state = State::default();
        let mut damaged = false;
        for entry in fs::read_dir(folder).map_err(|e| unusable(folder, &e))? {
            let path = entry.map_err(|e| unusable(folder, &e))?.path();
            if path.extension().is_none_or(|x| x != "json") {
                continue;
            }
            match fs::read(&path)
                .ok()
                .and_then(|b| serde_json::from_slice::<Mirrored>(&b).ok())
            {
                Some(m) => drop(state.issues.insert(m.issue.key.clone(), Arc::new(m))),
                None => damaged = true,
            }
        }
        if !damaged {
            let mark = fs::read_to_string(folder.join("mark")).ok();
            state.mark = mark.filter(|m| !m.is_empty()).map(ChangeMark);
        }
        Ok(Self {
            folder: Some(folder.to_owned()),
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Reads what changed, and `also` in full, and returns everything known.
    ///
    /// The first reading, and one after a gap, reads every issue changed since `watermark`.
    ///
    /// # Errors
    /// Any [`TrackerError`]; nothing is forgotten and the next reading begins at the same place.
    ///
    /// # Cancel safety
    /// Can be repeated.
    pub async fn refresh(
        &self,
        tracker: &dyn Tracker,
        protocol: &Protocol,
        watermark: Timestamp,
        also: &BTreeSet<IssueKey>,
    ) -> Result<View, TrackerError> {
        let _turn = self.turn.lock().await;
        let mark = self.lock().mark.clone();
        let Reply {
            value: changes,
            date,
        } = tracker.changes(mark.as_ref()).await?;
        let mut keys = changes.issues;
        keys.extend(also.iter().cloned());
        let mut newest = date;
        if mark.is_none() || !changes.complete {
            let query = IssueQuery {
                statuses: Vec::new(),
                updated_since: Some(watermark),
            };
            keys.extend(
                tracker
                    .list_issues(&query)
                    .await?
                    .value
                    .into_iter()
                    .map(|i| i.key),
            );
        }
        for key in keys {
            newest = newest.max(self.read(tracker, protocol, &key, date).await?);
        }
        let mut state = self.lock();
        if let Some(folder) = &self.folder
            && state.mark.as_ref() != Some(&changes.next)
        {
            write(folder, "mark", changes.next.0.as_bytes())?;
        }
        state.mark = Some(changes.next);
        Ok(View {
            issues: state.issues.clone(),
            date: newest,
        })
    }

    /// Reads one issue: the thread first, then status and history, so that what is concluded from the latter is never
    /// older than the former.
    async fn read(
        &self,
        tracker: &dyn Tracker,
        protocol: &Protocol,
        key: &IssueKey,
        date: Timestamp,
    ) -> Result<Timestamp, TrackerError> {
        let read = async {
            let comments = tracker.comments(key).await?;
            let issue = tracker.issue(key).await?;
            let history = tracker.history(key).await?;
            Ok((comments, issue, history))
        };
        let known = self.lock().issues.get(key).cloned();
        let mut fresh = match read.await {
            Ok((comments, issue, history)) => Mirrored {
                issue: issue.value,
                comments: comments.value,
                history: history.value,
                date: comments.date,
                gone: false,
                kept: known.map(|k| k.kept.clone()).unwrap_or_default(),
            },
            Err(TrackerError::NotFound { .. }) => match known {
                Some(known) => Mirrored {
                    gone: true,
                    date,
                    ..(*known).clone()
                },
                None => return Ok(date),
            },
            Err(e) => return Err(e),
        };
        fresh.comments.sort_by_key(|c| c.id);
        fresh.history.sort_by_key(|e| e.id);
        fresh.keep_memos(protocol);
        let at = fresh.date;
        if let Some(folder) = &self.folder {
            let json = serde_json::to_vec(&fresh).map_err(|e| TrackerError::Corrupt {
                what: key.to_string(),
                reason: e.to_string(),
            })?;
            write(folder, &format!("{key}.json"), &json)?;
        }
        self.lock().issues.insert(key.clone(), Arc::new(fresh));
        Ok(at)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), TrackerError> {
    let temp = folder.join(format!(".{name}.{}", std::process::id()));
    let put = || {
        let mut file = fs::File::create(&temp)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&temp, folder.join(name))
    };
    put().map_err(|e| unusable(folder, &e))
}

fn unusable(folder: &Path, e: &std::io::Error) -> TrackerError {
    TrackerError::Corrupt {
        what: format!("the mirror {}", folder.display()),
        reason: format!("{e}; check the disk and the rights of the state directory"),
    }
}
