//! What every command starts from: the tracker, the files, the journal.

use std::fs::File;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use pipeline_core::clock::SystemClock;
use pipeline_core::file_lock::FileLock;
use pipeline_core::journal::FileJournal;
use pipeline_core::journal::Journal;
use pipeline_core::journal::JournalError;
use pipeline_core::journal::MemoryJournal;
use pipeline_core::plan::DiskFiles;
use pipeline_core::plan::PhaseNames;
use pipeline_core::plan::PlanFiles;
use pipeline_core::plan::PlanSync;
use pipeline_core::plan::PlanSyntax;
use pipeline_core::plan::SyncOptions;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalStatuses;
use pipeline_trackers::local::LocalTracker;

use super::arguments::Place;
use super::arguments::Subject;
use crate::compose::tracker;
use crate::compose::tracker::OpenServer;
use crate::config::model::PlanSection;
use crate::config::model::TrackerKind;
use crate::issue_pipeline::Context;
use crate::issue_pipeline::Exit;
use crate::issue_pipeline::Failure;
use crate::surroundings::FoundRepository;
use crate::surroundings::Surroundings;
use crate::terminal::Output;
use crate::workplace::Workplace;

/// The journal's name beside the tracker.
const JOURNAL: &str = "plan-sync.jsonl";
/// The lock of a run that writes.
const LOCK: &str = "plan-sync.lock";

/// What every command starts from.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) around: Surroundings,
    pub(super) out: Output,
    place: Place,
    /// The configuration, where one was named or found.
    pub(super) workplace: Option<Workplace>,
}

/// Everything a plan is compared with.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) tracker: Arc<dyn Tracker>,
    redactor: Redactor,
    pub(super) secrets: Vec<Secret>,
    /// The server the tracker is on, where it is on one.
    pub(super) server: Option<OpenServer>,
    /// Paths of plans are relative to this folder.
    pub(super) root: PathBuf,
    pub(super) files: Vec<String>,
    pub(super) section: PlanSection,
    /// Where journal and lock are.
    state: PathBuf,
    options: SyncOptions,
}

impl Setting {
    pub(super) fn new(around: Surroundings, out: Output, place: Place) -> Result<Self, Failure> {
        let embedded = place.tracker.is_some() || place.dir.is_some();
        let context = Context::new(around, out, place.config.clone(), place.env_file.as_deref())?;
        let workplace = if embedded {
            None
        } else {
            Some(context.workplace()?)
        };
        let Context { around, out, .. } = context;
        Ok(Self {
            around,
            out,
            place,
            workplace,
        })
    }

    /// Opens the tracker; `writes` = a missing embedded one is made.
    pub(super) async fn open(&self, subject: &Subject, writes: bool) -> Result<Opened, Failure> {
        let section = self
            .workplace
            .as_ref()
            .map(|w| w.config().plan.clone())
            .unwrap_or_default();
        let repository = match &self.workplace {
            Some(workplace) => workplace.repository.clone(),
            None => None,
        };
        let first = subject.files.first().map(|f| self.around.directory.join(f));
        let beside = first.as_deref().and_then(Path::parent);
        let repository = repository.or_else(|| match beside {
            Some(folder) => FoundRepository::around(folder),
            None => self.around.repository(),
        });
        let (tracker, redactor, secrets, server, state, local): (Arc<dyn Tracker>, _, _, _, _, _) =
            match &self.workplace {
                None => {
                    let dir = self
                        .place
                        .dir
                        .as_deref()
                        .ok_or_else(|| Failure::usage("--tracker local needs --dir"))?;
                    let dir = self.around.directory.join(dir);
                    let tracker = embedded(&dir, writes)?;
                    (
                        tracker,
                        Redactor::default(),
                        Vec::new(),
                        None,
                        dir.clone(),
                        Some(dir),
                    )
                }
                Some(workplace) => {
                    workplace
                        .state
                        .prepare()
                        .map_err(crate::compose::ComposeError::from)?;
                    let opened = tracker::open(workplace, &self.around).await?;
                    let local = matches!(workplace.config().tracker.kind, TrackerKind::Local);
                    let local = local.then(|| workplace.tracker_dir());
                    let redactor = Redactor::new(&opened.secrets);
                    if let Some(tokens) = &opened.renewed {
                        tokens.tell(&redactor);
                    }
                    (
                        opened.tracker,
                        redactor,
                        opened.secrets,
                        opened.server,
                        workplace.state.path().to_owned(),
                        local,
                    )
                }
            };
        let root = match (&repository, &local, &self.workplace) {
            (Some(found), _, _) => found.root.clone(),
            (None, Some(dir), None) => real(dir.parent().unwrap_or(dir)),
            (None, _, Some(workplace)) => {
                real(workplace.loaded.path.parent().unwrap_or(Path::new("/")))
            }
            (None, None, None) => self.around.directory.clone(),
        };
        let named = |path: &Path| relative(&root, &real(&self.around.directory.join(path)));
        let files: Vec<String> = if subject.files.is_empty() {
            let base = if repository.is_some() || self.workplace.is_some() {
                &root
            } else {
                &self.around.directory
            };
            section.files.iter().map(|f| named(&base.join(f))).collect()
        } else {
            subject.files.iter().map(|f| named(f)).collect()
        };
        let mut options = options(&section)?;
        options.accounts = self
            .workplace
            .as_ref()
            .map(|w| w.config().tracker.accounts.clone())
            .unwrap_or_default();
        options.commit = repository
            .as_ref()
            .and_then(FoundRepository::head)
            .map(|c| c.chars().take(12).collect());
        if let (Some(dir), Some(file)) = (&local, files.first()) {
            // The log is the one file of the tracker that shows an issue; the key behind it says which.
            let folder = root.join(file);
            let folder = folder.parent().unwrap_or(&root);
            options.without_page = format!(
                "{}#",
                relative(&real(folder), &real(&dir.join("log.jsonl")))
            );
        }
        Ok(Opened {
            tracker,
            redactor,
            secrets,
            server,
            root,
            files,
            section,
            state,
            options,
        })
    }
}

impl Opened {
    /// Joins the parts for reading: nothing is made, not even a journal.
    pub(super) fn reading(
        &self,
        change: impl FnOnce(&mut SyncOptions),
    ) -> Result<PlanSync, Failure> {
        let path = self.state.join(JOURNAL);
        let journal: Arc<dyn Journal> = if path.exists() {
            Arc::new(FileJournal::open(&path).map_err(failed)?)
        } else {
            Arc::new(MemoryJournal::default())
        };
        let files = Arc::new(DiskFiles::new(&self.root));
        Ok(self.joined(journal, files, change))
    }

    /// Joins the parts for writing, as the only one who does.
    pub(super) fn writing(
        &self,
        files: Option<Arc<dyn PlanFiles>>,
        change: impl FnOnce(&mut SyncOptions),
    ) -> Result<(PlanSync, FileLock), Failure> {
        let path = self.state.join(LOCK);
        let file = File::options().create(true).append(true).open(&path)?;
        let Some(lock) = FileLock::try_take(file)? else {
            return Err(Failure::refused(
                "another run of plan-to-issues is under way with this tracker: wait for it to end",
            ));
        };
        let journal = Arc::new(FileJournal::open(&self.state.join(JOURNAL)).map_err(failed)?);
        let files = files.unwrap_or_else(|| Arc::new(DiskFiles::new(&self.root)));
        Ok((self.joined(journal, files, change), lock))
    }

    fn joined(
        &self,
        journal: Arc<dyn Journal>,
        files: Arc<dyn PlanFiles>,
        change: impl FnOnce(&mut SyncOptions),
    ) -> PlanSync {
        let mut options = self.options.clone();
        change(&mut options);
        let tracker = Arc::clone(&self.tracker);
        let sync = PlanSync::new(tracker, files, journal, Arc::new(SystemClock), options);
        sync.with_redactor(Arc::new(self.redactor.clone()))
    }
}

fn failed(error: JournalError) -> Failure {
    Failure::new(Exit::Failed, error)
}

fn embedded(dir: &Path, writes: bool) -> Result<Arc<dyn Tracker>, Failure> {
    let there = dir.join("log.jsonl").exists();
    if !there && !writes {
        // A dry run makes nothing: compared with a tracker that is not there yet, everything is missing.
        return Ok(Arc::new(pipeline_core::memory::MemoryTracker::new()));
    }
    if !there {
        LocalTracker::init(dir, &LocalStatuses::default())?;
    }
    Ok(Arc::new(LocalTracker::open(dir, Actor::pipeline())?))
}

fn options(section: &PlanSection) -> Result<SyncOptions, Failure> {
    let usage = |error| Failure::new(Exit::Usage, error);
    let mut syntax = PlanSyntax::default();
    if let Some(level) = section.level {
        syntax = syntax.with_level(level).map_err(usage)?;
    }
    if let Some(pattern) = &section.pattern {
        syntax = syntax.with_pattern(pattern).map_err(usage)?;
    }
    if !section.definition_of_done.is_empty() {
        syntax = syntax.with_done_words(&section.definition_of_done);
    }
    let phases = section.phases.iter().map(|(name, phase)| {
        let names = PhaseNames {
            labels: phase.labels.clone(),
            milestone: phase.milestone.clone(),
        };
        (name.clone(), names)
    });
    Ok(SyncOptions {
        syntax,
        label: section.label.clone(),
        milestone: section.milestone.clone(),
        labels: section.labels.clone(),
        phases: phases.collect(),
        kind: section.kind.clone(),
        priority: section.priority,
        done: section.done.clone(),
        include_ticked: section.include_ticked,
        references: section.references.clone(),
        web: section.web.clone(),
        ..SyncOptions::default()
    })
}

/// Resolves links as far as the path exists.
fn real(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    }
}

/// Returns a path as seen from a folder, with `/` between its parts.
fn relative(from: &Path, to: &Path) -> String {
    let parts = |path: &Path| -> Vec<String> {
        let parts = path
            .components()
            .filter(|c| !matches!(c, Component::CurDir));
        parts
            .map(|c| c.as_os_str().to_string_lossy().into_owned())
            .collect()
    };
    let (from, to) = (parts(from), parts(to));
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.iter().skip(same).map(|_| "..".to_owned());
    up.chain(to.into_iter().skip(same))
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_a_folder() {
        for (from, to, expected) in [
            ("/a/b", "/a/b/c.md", "c.md"),
            ("/a/b", "/a/c/d", "../c/d"),
            ("/a/b/c", "/x", "../../../x"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), expected);
        }
    }
}
