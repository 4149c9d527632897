//! The folder: who may write now, what the log says, and the files beside it.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use pipeline_core::clock::Clock;
use pipeline_core::clock::Timestamp;
use pipeline_core::random;
use pipeline_core::tracker::Reply;

use super::actor::Actor;
use super::error::LocalError;
use super::files::Files;
use super::log;
use super::log::AppendFailure;
use super::log::ReadFailure;
use super::record::Event;
use super::record::FORMAT;
use super::record::Record;
use super::record::Sum;
use super::record::encode;
use super::replica::Replica;
use super::statuses::LocalStatuses;

const LOG: &str = "log.jsonl";
const NEW_LOG: &str = "log.jsonl.new";
const LOCK: &str = "lock";
const FILES: &str = "files";
/// Journal and lock of the plan sync, which may stand beside the log.
const PLAN_SYNC: &str = "plan-sync.";

const RESTORE: &str = "undo the change or restore the folder from a backup (nothing was written)";

/// How long a writer waits for the others: each holds the lock for one append.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    replica: Mutex<Replica>,
}

impl Folder {
    /// Makes the folder and its log; where there is one, only takes over the statuses.
    pub(super) fn init(
        dir: &Path,
        statuses: &LocalStatuses,
        clock: &dyn Clock,
    ) -> Result<(), LocalError> {
        refuse_foreign(dir)?;
        make_private_dir(dir).map_err(LocalError::io("make the folder", dir))?;
        let lock = lock(&dir.join(LOCK))?;
        let log = dir.join(LOG);
        if log.try_exists().map_err(LocalError::io("look for", &log))? {
            drop(lock);
            let folder = Self::open(dir)?;
            let same = folder.read(|replica| Ok(replica.statuses() == statuses))?;
            return if same {
                Ok(())
            } else {
                folder.set_statuses(&Actor::pipeline(), statuses, clock)
            };
        }
        let files = dir.join(FILES);
        make_private_dir(&files).map_err(LocalError::io("make the folder", &files))?;
        let first = Record {
            seq: 1,
            at: clock.now(),
            by: Actor::pipeline(),
            event: Event::Init {
                format: FORMAT,
                tracker: random::nonce(),
                statuses: statuses.clone(),
            },
        };
        let (line, _) = encode(&first, Sum::START);
        // Under another name until it is whole: a log without its first line is nothing anybody could mend.
        let new = dir.join(NEW_LOG);
        write_whole(&new, &line).map_err(LocalError::io("write", &new))?;
        fs::rename(&new, &log).map_err(LocalError::io("write", &log))?;
        sync_dir(dir).map_err(LocalError::io("sync", dir))
    }

    pub(super) fn open(dir: &Path) -> Result<Self, LocalError> {
        let folder = Self {
            dir: dir.to_owned(),
            replica: Mutex::new(Replica::new()),
        };
        folder.read(|_| Ok(()))?;
        Ok(folder)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn files(&self) -> Files {
        Files::new(self.dir.join(FILES))
    }

    /// Reads on what others appended, then looks.
    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&Replica) -> Result<T, LocalError>,
    ) -> Result<T, LocalError> {
        let log = self.log();
        let mut file = self.open_log(OpenOptions::new().read(true))?;
        let mut replica = self.replica();
        if let Err(failure) = log::read_on(&mut file, &mut replica) {
            // A writer takes the lock before the replica, so this must not wait for the lock while it has that.
            drop(replica);
            // That writer may just have been mending the tail; under the lock nobody does. Where the lock cannot
            // be had, the first finding stands.
            let Ok(_lock) = lock(&self.dir.join(LOCK)) else {
                return Err(unreadable(&log, failure));
            };
            replica = self.replica();
            log::read_on(&mut file, &mut replica).map_err(|e| unreadable(&log, e))?;
        }
        begun(&replica, &log)?;
        look(&replica)
    }

    /// Appends the record that `plan` makes of what the log says now, and returns what else it made.
    pub(super) fn write<T>(
        &self,
        by: &Actor,
        clock: &dyn Clock,
        plan: impl FnOnce(&Replica, Timestamp) -> Result<(Event, T), LocalError>,
    ) -> Result<Reply<T>, LocalError> {
        let log = self.log();
        let _lock = lock(&self.dir.join(LOCK))?;
        let mut file = self.open_log(OpenOptions::new().read(true).write(true))?;
        let mut replica = self.replica();
        log::read_on_and_mend(&mut file, &mut replica).map_err(|e| unreadable(&log, e))?;
        begun(&replica, &log)?;
        // Under the lock, so that stamps rise with ids as long as the clock is sane.
        let at = clock.now();
        let (event, value) = plan(&replica, at)?;
        let record = Record {
            seq: replica.lines() + 1,
            at,
            by: by.clone(),
            event,
        };
        replica
            .check(&record)
            .map_err(|reason| LocalError::Refused(format!("write a record because {reason}")))?;
        let issue = match record.event.issue() {
            Some(key) => key.to_string(),
            None => "its settings".to_owned(),
        };
        match log::append(&mut file, &mut replica, record) {
            Ok(()) => Ok(Reply::new(value, at)),
            Err(AppendFailure::NotLanded(error)) => Err(LocalError::io("write", &log)(error)),
            Err(AppendFailure::Unknown(source)) => Err(LocalError::Unknown { issue, source }),
        }
    }

    pub(super) fn set_statuses(
        &self,
        by: &Actor,
        statuses: &LocalStatuses,
        clock: &dyn Clock,
    ) -> Result<(), LocalError> {
        let done = self.write(by, clock, |replica, _| {
            let mut used = replica.entries().map(|e| &e.issue);
            if let Some(issue) = used.find(|i| statuses.name_of(&i.status).is_none()) {
                return Err(LocalError::Refused(format!(
                    "drop the status `{}` while issue {} is in it",
                    issue.status, issue.key
                )));
            }
            let statuses = statuses.clone();
            Ok((Event::Statuses { statuses }, ()))
        });
        done.map(drop)
    }

    fn log(&self) -> PathBuf {
        self.dir.join(LOG)
    }

    fn open_log(&self, how: &OpenOptions) -> Result<File, LocalError> {
        let log = self.log();
        how.open(&log).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => LocalError::NoTracker(self.dir.clone()),
            _ => LocalError::io("open", &log)(error),
        })
    }

    fn replica(&self) -> MutexGuard<'_, Replica> {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreadable(log: &Path, failure: ReadFailure) -> LocalError {
    match failure {
        ReadFailure::Io(error) => LocalError::io("read", log)(error),
        ReadFailure::Damaged { line, reason } => LocalError::Damaged {
            path: log.to_owned(),
            line: Some(line),
            reason: format!("{reason}; {RESTORE}"),
        },
    }
}

fn begun(replica: &Replica, log: &Path) -> Result<(), LocalError> {
    if replica.identity().is_some() {
        return Ok(());
    }
    Err(LocalError::Damaged {
        path: log.to_owned(),
        line: Some(1),
        reason: format!("it is missing or incomplete; {RESTORE}"),
    })
}

/// Takes the writers' lock, which ends with the returned file or with the process.
fn lock(path: &Path) -> Result<File, LocalError> {
    let mut how = OpenOptions::new();
    how.create(true).truncate(false).write(true);
    private(&mut how);
    let file = how.open(path).map_err(LocalError::io("open", path))?;
    let mut pause = Duration::from_millis(1);
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if waited >= PATIENCE => {
                return Err(LocalError::Locked(path.to_owned()));
            }
            // Not the waiting lock call: a stopped process that holds it would stop this one for ever.
            Err(TryLockError::WouldBlock) => {
                thread::sleep(pause);
                waited += pause;
                pause = (pause * 2).min(Duration::from_millis(16));
            }
            Err(TryLockError::Error(error)) => return Err(LocalError::io("lock", path)(error)),
        }
    }
}

/// Lets only a folder pass that is missing, empty or a tracker, before anything is changed in it.
fn refuse_foreign(dir: &Path) -> Result<(), LocalError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(LocalError::io("list", dir)(error)),
    };
    for entry in entries {
        let name = entry.map_err(LocalError::io("list", dir))?.file_name();
        let own = [LOG, NEW_LOG, LOCK, FILES].iter().any(|own| name == *own);
        if !own && !name.to_string_lossy().starts_with(PLAN_SYNC) {
            return Err(LocalError::Refused(format!(
                "begin in {}, which is not empty: name a folder of its own",
                dir.display()
            )));
        }
    }
    Ok(())
}

fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    // One that was there already may be open to others.
    #[cfg(unix)]
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

fn private(how: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(how, 0o600);
    #[cfg(not(unix))]
    let _ = how;
}

/// Writes a file anew and returns when it survives a power cut.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut how = OpenOptions::new();
    how.create(true).truncate(true).write(true);
    private(&mut how);
    let mut file = how.open(path)?;
    io::Write::write_all(&mut file, content)?;
    file.sync_all()
}

/// Returns when the names in a folder survive a power cut.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file, and its names are journaled by the file system.
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}
