//! What was read of the tracker, kept: so that a quiet poll costs next to nothing, and no memo once read is forgotten.

mod mirrored;
mod store;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use self::store::Attempt;
use self::store::Folder;
use self::store::Unreadable;
use crate::clock::Timestamp;
use crate::issue::IssueKey;
use crate::status::Status;
use crate::thread::Protocol;
use crate::tracker::ChangeMark;
use crate::tracker::IssueQuery;
use crate::tracker::Reply;
use crate::tracker::Tracker;
use crate::tracker::TrackerError;

pub use self::mirrored::Mirrored;

/// How often every known issue is read, so that edits and deletions are seen everywhere.
const FULL_PASS: Duration = Duration::from_secs(24 * 3600);
/// Most characters of why an issue cannot be read.
const MOST_REASON: usize = 300;

/// Everything that was read, at one server time.
#[derive(Debug, Clone)]
pub struct View {
    /// The issues; one that cannot be read is here as it was last read.
    pub issues: BTreeMap<IssueKey, Arc<Mirrored>>,
    /// The issues that could not be read at this reading, and why. They are tried again at every reading.
    pub unreadable: BTreeMap<IssueKey, String>,
    /// The server's time of the newest reading.
    pub date: Timestamp,
}

impl View {
    /// Returns the issues in a status, oldest first.
    ///
    /// One that cannot be read is left out, since nothing may be begun on what it said once; only if work on it had
    /// begun is it among those In progress, so that it is not overlooked.
    pub fn in_status<'a>(&'a self, status: &'a Status) -> impl Iterator<Item = &'a Arc<Mirrored>> {
        let begun = *status == Status::InProgress;
        let known = |m: &Mirrored| begun || !self.unreadable.contains_key(&m.issue.key);
        let mut found: Vec<_> = self
            .issues
            .values()
            .filter(|m| m.is_in(status) && known(m))
            .collect();
        found.sort_by(|a, b| (a.issue.created, &a.issue.key).cmp(&(b.issue.created, &b.issue.key)));
        found.into_iter()
    }
}

/// The mirror of a tracker, in memory or in a folder of the state directory.
///
/// Several processes may share a folder: whatever one of them read and kept, no other overwrites with less.
#[derive(Debug)]
pub struct Mirror {
    // None = nothing is written.
    folder: Option<Folder>,
    state: Mutex<State>,
    // One reading at a time: an older one that finishes last would put an old thread beside a new mark.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    issues: BTreeMap<IssueKey, Arc<Mirrored>>,
    unreadable: BTreeMap<IssueKey, Unreadable>,
    mark: Option<ChangeMark>,
    /// The server's time of the last full pass.
    full: Option<Timestamp>,
    /// Readings the folder does not have yet, each with what it had when the first of them began.
    unwritten: BTreeMap<IssueKey, Option<Arc<Mirrored>>>,
    /// What became of unreadable issues that the folder does not have yet.
    attempts: BTreeMap<IssueKey, Attempt>,
    /// The mark in the folder.
    written: Option<ChangeMark>,
}

impl Mirror {
    /// Makes a mirror that forgets with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::of(None, State::default())
    }

    /// Opens a mirror in a folder, which is created.
    ///
    /// Files that cannot be read are left out: what they held is read from the tracker again.
    ///
    /// # Errors
    /// [`TrackerError::Corrupt`] if the folder cannot be used.
    pub fn open(folder: &Path) -> Result<Self, TrackerError> {
        let kept = Folder::create(folder)?;
        Ok(Self::of(Some(kept), store::load(folder, || ())?))
    }

    /// Opens a mirror that begins with what a folder has, if it is there, and writes nothing: for dry runs.
    ///
    /// # Errors
    /// [`TrackerError::Corrupt`] if the folder cannot be read.
    pub fn open_reading_only(folder: &Path) -> Result<Self, TrackerError> {
        Ok(Self::of(None, store::load(folder, || ())?))
    }

    fn of(folder: Option<Folder>, state: State) -> Self {
        Self {
            folder,
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Reads what changed, and `also` in full, and returns everything known.
    ///
    /// The first reading, and one after a gap, reads every issue changed since `watermark`. An issue that alone cannot
    /// be read stays as it was last read, stands in [`View::unreadable`] and is tried again at every reading. Of those that
    /// are gone, one is looked for at every reading.
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
        let folder = self.folder.as_ref();
        self.refresh_into(folder, tracker, protocol, watermark, also)
            .await
    }

    /// Reads like [`refresh`](Self::refresh) and writes nothing; the next `refresh` writes what this one read.
    ///
    /// # Errors
    /// Like [`refresh`](Self::refresh).
    ///
    /// # Cancel safety
    /// Can be repeated.
    pub async fn refresh_unwritten(
        &self,
        tracker: &dyn Tracker,
        protocol: &Protocol,
        watermark: Timestamp,
        also: &BTreeSet<IssueKey>,
    ) -> Result<View, TrackerError> {
        self.refresh_into(None, tracker, protocol, watermark, also)
            .await
    }

    async fn refresh_into(
        &self,
        folder: Option<&Folder>,
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
        let mut news = changes.issues;
        let full = self
            .lock()
            .full
            .is_none_or(|at| date.since(at) >= FULL_PASS);
        if full {
            news.extend(self.lock().issues.keys().cloned());
        }
        if mark.is_none() || !changes.complete || full {
            let query = IssueQuery {
                statuses: Vec::new(),
                updated_since: Some(watermark),
            };
            let listed = tracker.list_issues(&query).await?.value;
            news.extend(listed.into_iter().map(|i| i.key));
        }
        let mut keys = news.clone();
        keys.extend(also.iter().cloned());
        keys.extend(self.lock().unreadable.keys().cloned());
        keys.extend(self.lock().one_gone(date));
        let mut newest = date;
        for key in keys {
            let at = self
                .read(tracker, protocol, &key, date, news.contains(&key))
                .await?;
            newest = newest.max(at);
            if let Some(folder) = folder {
                self.write(folder, &key)?;
            }
        }
        if let Some(folder) = folder {
            self.write_mark(folder, &changes.next)?;
            if full {
                folder.put_full(date)?;
            }
        }
        let mut state = self.lock();
        // A reading that writes nothing leaves the pass to the one that does.
        if full && (folder.is_some() || self.folder.is_none()) {
            state.full = Some(date);
        }
        state.mark = Some(changes.next);
        let reason = |(k, u): (&IssueKey, &Unreadable)| (k.clone(), u.reason.clone());
        Ok(View {
            issues: state.issues.clone(),
            unreadable: state.unreadable.iter().map(reason).collect(),
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
        news: bool,
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
                kept: known.as_ref().map(|k| k.kept.clone()).unwrap_or_default(),
            },
            Err(TrackerError::NotFound { .. }) => {
                if known.is_none() && news {
                    // Reported as changed and yet not there: a permission may be missing, and nothing reports its return.
                    let reason = "it was reported and is not there".to_owned();
                    self.lock().unreadable(key, reason, date, news);
                    return Ok(date);
                }
                let Some(known) = known.as_ref().filter(|known| !known.gone) else {
                    // One that was never read stays among the unreadable and is tried again.
                    if known.is_some() {
                        self.lock().readable(key, date);
                    }
                    return Ok(date);
                };
                Mirrored {
                    gone: true,
                    date,
                    ..(**known).clone()
                }
            }
            Err(e) if is_of_one_issue(&e) => {
                let reason = e.to_string().chars().take(MOST_REASON).collect();
                self.lock().unreadable(key, reason, date, news);
                return Ok(date);
            }
            Err(e) => return Err(e),
        };
        fresh.comments.sort_by_key(|c| c.id);
        fresh.history.sort_by_key(|e| e.id);
        fresh.keep_memos(protocol);
        let at = fresh.date;
        let mut state = self.lock();
        state.readable(key, at);
        state.issues.insert(key.clone(), Arc::new(fresh));
        if self.folder.is_some() {
            state.unwritten.entry(key.clone()).or_insert(known);
        }
        Ok(at)
    }

    fn write(&self, folder: &Folder, key: &IssueKey) -> Result<(), TrackerError> {
        let (fresh, base) = {
            let state = self.lock();
            let (Some(fresh), Some(base)) = (state.issues.get(key), state.unwritten.get(key))
            else {
                return Ok(());
            };
            (Arc::clone(fresh), base.clone())
        };
        let now = folder.put(&fresh, base.as_deref())?;
        let mut state = self.lock();
        state.issues.insert(key.clone(), Arc::new(now));
        state.unwritten.remove(key);
        Ok(())
    }

    /// Writes the mark after everything it stands for.
    fn write_mark(&self, folder: &Folder, next: &ChangeMark) -> Result<(), TrackerError> {
        let unwritten: Vec<_> = self.lock().unwritten.keys().cloned().collect();
        for key in unwritten {
            self.write(folder, &key)?;
        }
        let attempts = self.lock().attempts.clone();
        if !attempts.is_empty() {
            let all = folder.put_attempts(&attempts)?;
            let mut state = self.lock();
            state.unreadable = all;
            state.attempts.clear();
        }
        if self.lock().written.as_ref() != Some(next) {
            folder.put_mark(next)?;
            self.lock().written = Some(next.clone());
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns one of the issues that are gone, another one from reading to reading.
    ///
    /// "Not there" is also what a service says while a permission is missing, and nothing reports that it is back; one
    /// more request in each reading finds it out.
    fn one_gone(&self, date: Timestamp) -> Option<IssueKey> {
        let gone = self.issues.values().filter(|m| m.gone);
        let gone: Vec<&IssueKey> = gone.map(|m| &m.issue.key).collect();
        // Scrambled, because readings come at regular times.
        let chance = date
            .as_secs()
            .unsigned_abs()
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            >> 33;
        let most = u64::try_from(gone.len()).unwrap_or(u64::MAX).max(1);
        let at = usize::try_from(chance % most).unwrap_or(0);
        gone.get(at).map(|key| (*key).clone())
    }

    fn unreadable(&mut self, key: &IssueKey, reason: String, date: Timestamp, news: bool) {
        let same = self.unreadable.get(key).is_some_and(|u| u.reason == reason);
        // Without news there is nothing more to be missed, and a quiet poll writes nothing.
        if same && !news {
            return;
        }
        let entry = Unreadable { reason, date };
        self.attempts
            .insert(key.clone(), Attempt::Failed(entry.clone()));
        self.unreadable.insert(key.clone(), entry);
    }

    fn readable(&mut self, key: &IssueKey, date: Timestamp) {
        if let Some(known) = self.unreadable.remove(key) {
            self.attempts
                .insert(key.clone(), Attempt::Read(date, Some(known)));
        }
    }
}

/// Returns whether a failure to read one issue says nothing about the others.
const fn is_of_one_issue(e: &TrackerError) -> bool {
    matches!(
        e,
        TrackerError::PermissionDenied { .. }
            | TrackerError::Corrupt { .. }
            | TrackerError::InvalidResponse { .. }
            | TrackerError::TooLarge { .. }
            | TrackerError::Other { .. }
    )
}

#[cfg(test)]
mod tests;
