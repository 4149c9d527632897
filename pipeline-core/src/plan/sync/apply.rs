//! Making what is missing, so that a crash anywhere is repaired by running it again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use serde::Serialize;

use super::Action;
use super::FilePlan;
use super::ItemPlan;
use super::PlanError;
use super::PlanSync;
use super::SyncPlan;
use super::error::StopReason;
use super::error::Stopped;
use super::look::digest;
use crate::issue::IssueDraft;
use crate::issue::IssueKey;
use crate::issue::IssueRef;
use crate::journal::JournalError;
use crate::journal::Record;
use crate::plan::document::Edit;
use crate::plan::document::NewLink;
use crate::plan::document::PlanDocument;
use crate::plan::files::Replaced;
use crate::plan::fingerprint::Fingerprint;
use crate::plan::marks::Origin;
use crate::tracker::IssueQuery;
use crate::tracker::TrackerError;

/// Times an issue is sent whose reply was lost and that is certainly not there.
const MOST_SENDINGS: u32 = 3;
/// Times a tracker that asks to come back later is asked again, for one request.
const MOST_WAITS: u32 = 10;
/// How long to wait where it does not say.
const WAIT: Duration = Duration::from_secs(60);
/// Longest of these waits; for a longer one the run ends, says so, and goes on where it was when it is started again.
const LONGEST_WAIT: Duration = Duration::from_secs(900);
/// Times a file that is changed meanwhile is read again.
const MOST_READINGS: u32 = 5;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SyncReport {
    /// Issues that were made.
    pub created: Vec<Done>,
    /// Issues of an earlier run that were linked.
    pub adopted: Vec<Done>,
    /// Boxes that were ticked.
    pub ticked: Vec<Done>,
    /// Issues whose item was no longer there when its link was to be written.
    pub unplaced: Vec<Done>,
    /// Labels and milestones that were made.
    pub names: Vec<String>,
    /// Files that were written.
    pub written: Vec<String>,
}

/// One item and its issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The file.
    pub file: String,
    /// The item's line when the plan was made.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// Its issue.
    pub key: IssueKey,
    /// Where its link leads.
    pub url: String,
}

/// Sees how an apply goes on. Called from its own task: return quickly, never block.
pub trait PlanWatch: Debug + Send + Sync {
    /// One more of `of` things is done.
    fn step(&self, done: usize, of: usize, what: &str);
    /// The tracker asked to wait.
    fn waits(&self, how_long: Duration);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl PlanWatch for Unwatched {
    fn step(&self, _: usize, _: usize, _: &str) {}
    fn waits(&self, _: Duration) {}
}

/// A change of one item that is still to be written into its file.
struct Pending {
    done: Done,
    fingerprint: Fingerprint,
    phase: Option<String>,
    tick: bool,
}

impl PlanSync {
    /// Does what a plan says: makes names and issues, then writes the links.
    ///
    /// # Errors
    /// [`PlanError::Problems`] and [`PlanError::Changed`] before anything is written; [`PlanError::Stopped`] after, with what was
    /// done until then. Links of issues that were made are written in either case, as far as the file lets.
    ///
    /// # Cancel safety
    /// A dropped future may have made issues whose links are not written: the next [`look`](Self::look) finds them.
    pub async fn apply(
        &self,
        plan: &SyncPlan,
        watch: &dyn PlanWatch,
    ) -> Result<SyncReport, PlanError> {
        plan.check()?;
        for file in &plan.files {
            if digest(&self.files.read(&file.file)?) != file.digest {
                return Err(PlanError::Changed {
                    file: file.file.clone(),
                });
            }
        }
        let mut report = SyncReport::default();
        let mut pending: BTreeMap<String, Vec<Pending>> = BTreeMap::new();
        let made = self.make(plan, watch, &mut report, &mut pending).await;
        let mut written = Ok(());
        for file in &plan.files {
            let open = pending.remove(&file.file).unwrap_or_default();
            written = written.and(self.write(file, &open, &mut report));
        }
        match made.and(written) {
            Ok(()) => Ok(report),
            Err(source) => Err(PlanError::Stopped {
                stopped: Box::new(Stopped {
                    report,
                    wanted: plan.items().filter(|(_, i)| i.action.changes()).count(),
                }),
                source: Box::new(source),
            }),
        }
    }

    async fn make(
        &self,
        plan: &SyncPlan,
        watch: &dyn PlanWatch,
        report: &mut SyncReport,
        pending: &mut BTreeMap<String, Vec<Pending>>,
    ) -> Result<(), StopReason> {
        let all = plan.names.len() + plan.items().filter(|(_, i)| i.action.changes()).count();
        let mut step = 0;
        for name in &plan.names {
            let mut waits = 0;
            let mut sendings = 0;
            loop {
                match self.tracker.provide(name).await {
                    Ok(()) => break,
                    Err(e) if self.may_wait(&e, &mut waits, watch).await => {}
                    // It makes nothing twice, so it may simply be asked again.
                    Err(TrackerError::OutcomeUnknown { .. }) if sendings < MOST_SENDINGS => {
                        sendings += 1;
                    }
                    Err(source) => {
                        let name = name.as_str().to_owned();
                        return Err(StopReason::Name { name, source });
                    }
                }
            }
            report.names.push(name.as_str().to_owned());
            step += 1;
            watch.step(step, all, name.as_str());
        }
        for (file, item) in plan.items() {
            let done = |key: IssueKey, url: String| Done {
                file: file.file.clone(),
                line: item.line,
                text: item.text.clone(),
                key,
                url,
            };
            let (done, tick) = match &item.action {
                Action::Create { draft } => {
                    let made = self.create(file, item, draft, watch).await?;
                    let url = self.address(&made.key, made.url.as_deref());
                    let done = done(made.key, url);
                    report.created.push(done.clone());
                    (done, false)
                }
                Action::Adopt { key, url } => {
                    // The run that announced it did not come to say so: nobody has to wait for it any more.
                    self.record(&Record::PlanIssueDone {
                        item: item.fingerprint.as_str().to_owned(),
                        issue: key.clone(),
                    })?;
                    let done = done(key.clone(), url.clone());
                    report.adopted.push(done.clone());
                    (done, false)
                }
                Action::Tick { key } => (done(key.clone(), String::new()), true),
                Action::Keep { .. } | Action::Skip { .. } => continue,
            };
            step += 1;
            watch.step(step, all, &item.text);
            pending.entry(file.file.clone()).or_default().push(Pending {
                done,
                fingerprint: item.fingerprint.clone(),
                phase: item.phase.clone(),
                tick,
            });
        }
        Ok(())
    }

    /// Waits if the tracker asked to, unless it has asked too often.
    async fn may_wait(&self, error: &TrackerError, waits: &mut u32, watch: &dyn PlanWatch) -> bool {
        let TrackerError::RateLimited { retry_after, .. } = error else {
            return false;
        };
        if *waits >= MOST_WAITS {
            return false;
        }
        let how_long = retry_after.unwrap_or(WAIT);
        if how_long > LONGEST_WAIT {
            return false;
        }
        *waits += 1;
        watch.waits(how_long);
        self.clock.sleep(how_long).await;
        true
    }

    /// Makes one issue, once.
    async fn create(
        &self,
        file: &FilePlan,
        item: &ItemPlan,
        draft: &IssueDraft,
        watch: &dyn PlanWatch,
    ) -> Result<IssueRef, StopReason> {
        let fingerprint = item.fingerprint.as_str().to_owned();
        self.record(&announced(file, item, draft))?;
        let failed = |source| StopReason::Create {
            file: file.file.clone(),
            line: item.line,
            source,
        };
        let mut waits = 0;
        let mut sendings = 0;
        let made = loop {
            match self.tracker.create_issue(draft).await {
                Ok(made) => break made,
                // It is there, only worded otherwise: a second one would be no better.
                Err(TrackerError::Altered { issue, .. }) => {
                    break IssueRef {
                        key: issue,
                        url: None,
                    };
                }
                Err(e) if self.may_wait(&e, &mut waits, watch).await => {}
                Err(e @ TrackerError::OutcomeUnknown { .. }) => {
                    sendings += 1;
                    let found = self.find(&item.fingerprint).await;
                    let found = found.map_err(|source| StopReason::Unknown {
                        file: file.file.clone(),
                        line: item.line,
                        source,
                    })?;
                    match found {
                        Some(made) => break made,
                        None if sendings < MOST_SENDINGS => {}
                        None => return Err(failed(e)),
                    }
                }
                Err(e) => {
                    self.record(&Record::PlanIssueDropped { item: fingerprint })?;
                    return Err(failed(e));
                }
            }
        };
        self.record(&Record::PlanIssueDone {
            item: fingerprint,
            issue: made.key.clone(),
        })?;
        Ok(made)
    }

    /// Looks for the issue of a lost reply.
    async fn find(&self, wanted: &Fingerprint) -> Result<Option<IssueRef>, TrackerError> {
        // Only after D is an absent issue certainly absent.
        self.clock.sleep(self.tracker.settle()).await;
        let me = self.tracker.me().await?.value;
        let all = self
            .tracker
            .list_issues(&IssueQuery::default())
            .await?
            .value;
        let ours = all.into_iter().find(|issue| {
            self.is_ours(issue, &me)
                && Origin::in_text(&issue.body).is_some_and(|o| o.fingerprint == *wanted)
        });
        Ok(ours.map(|issue| IssueRef {
            key: issue.key,
            url: issue.url,
        }))
    }

    pub(super) fn record(&self, record: &Record) -> Result<(), JournalError> {
        self.journal.append(self.clock.now(), record).map(drop)
    }

    /// Writes the links of one file; where a person changed it meanwhile, into what the person made of it.
    fn write(
        &self,
        plan: &FilePlan,
        pending: &[Pending],
        report: &mut SyncReport,
    ) -> Result<(), StopReason> {
        if pending.is_empty() {
            return Ok(());
        }
        for _ in 0..MOST_READINGS {
            let before = self.files.read(&plan.file)?;
            let document = PlanDocument::parse_with(before.clone(), &self.options.syntax);
            let (edits, unplaced) = placed(&plan.file, &document, pending);
            let edited = document.edit(&edits).map_err(|source| StopReason::Edit {
                file: plan.file.clone(),
                source,
            })?;
            if edits.is_empty() {
                report.unplaced.extend(unplaced);
                return Ok(());
            }
            match self.files.replace(&plan.file, &before, edited.as_str())? {
                Replaced::ChangedMeanwhile => {}
                Replaced::Yes => {
                    self.record(&Record::PlanWritten {
                        file: plan.file.clone(),
                        digest: digest(edited.as_str()),
                    })?;
                    let ticks = pending
                        .iter()
                        .filter(|p| p.tick && !unplaced.contains(&p.done));
                    report.ticked.extend(ticks.map(|p| p.done.clone()));
                    report.unplaced.extend(unplaced);
                    report.written.push(plan.file.clone());
                    return Ok(());
                }
            }
        }
        Err(StopReason::Busy {
            file: plan.file.clone(),
        })
    }
}

/// Returns the word that an issue is about to be made.
pub(super) fn announced(file: &FilePlan, item: &ItemPlan, draft: &IssueDraft) -> Record {
    Record::PlanIssueIntent {
        item: item.fingerprint.as_str().to_owned(),
        file: file.file.clone(),
        title: draft.title.clone(),
    }
}

/// Finds the items again, wherever they stand now.
fn placed(file: &str, document: &PlanDocument, pending: &[Pending]) -> (Vec<Edit>, Vec<Done>) {
    let items = document.items();
    let mut used = vec![false; items.len()];
    let mut edits = Vec::new();
    let mut unplaced = Vec::new();
    for pending in pending {
        let phase = |at: usize| {
            items
                .get(at)
                .and_then(|i| document.phase_of(i))
                .map(|p| p.heading.as_str())
        };
        let fits = |at: usize, strict: bool| {
            let Some(item) = items.get(at) else {
                return false;
            };
            if used.get(at) != Some(&false) {
                return false;
            }
            if pending.tick {
                return item
                    .link
                    .as_ref()
                    .is_some_and(|l| l.key == pending.done.key);
            }
            let same_text = item.link.is_none() && item.text == pending.done.text;
            let same = Fingerprint::of(file, phase(at), &item.text, item.occurrence)
                == pending.fingerprint;
            same_text
                && phase(at) == pending.phase.as_deref()
                && (!strict || same || item.line == pending.done.line)
        };
        let found = (0..items.len())
            .find(|at| fits(*at, true))
            .or_else(|| (0..items.len()).find(|at| fits(*at, false)));
        let Some(at) = found else {
            unplaced.push(pending.done.clone());
            continue;
        };
        if let Some(used) = used.get_mut(at) {
            *used = true;
        }
        edits.push(if pending.tick {
            Edit::Tick { item: at }
        } else {
            Edit::Link {
                item: at,
                link: NewLink {
                    key: pending.done.key.clone(),
                    url: pending.done.url.clone(),
                },
            }
        });
    }
    (edits, unplaced)
}
