//! The dry run.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use sha2::Digest as _;
use sha2::Sha256;

use super::Action;
use super::Drift;
use super::FilePlan;
use super::ItemPlan;
use super::PlanError;
use super::PlanSync;
use super::Skip;
use super::SyncPlan;
use super::body;
use super::body::Source;
use crate::issue::Account;
use crate::issue::Issue;
use crate::issue::IssueKey;
use crate::journal::Record;
use crate::plan::document::PlanDocument;
use crate::plan::document::PlanItem;
use crate::plan::fingerprint::Fingerprint;
use crate::plan::fingerprint::normal;
use crate::plan::marks::Origin;
use crate::tracker::IssueName;
use crate::tracker::IssueQuery;
use crate::tracker::TrackerError;

/// What the tracker holds of ours.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) issues: BTreeMap<IssueKey, Issue>,
    /// Our issues by the item they were made from, oldest first.
    pub(super) by_item: BTreeMap<Fingerprint, Vec<IssueKey>>,
    /// Our issues by the file they were made from.
    pub(super) by_file: BTreeMap<String, Vec<IssueKey>>,
}

/// A document with the phases that were asked for.
pub(super) struct Read {
    pub(super) file: String,
    pub(super) document: PlanDocument,
}

impl PlanSync {
    /// Compares plans with the tracker. Reads only.
    ///
    /// `phases` limits everything to phases by number or title; empty = all.
    ///
    /// # Errors
    /// [`PlanError`]; what a person can put right is in [`SyncPlan::problems`] instead.
    pub async fn look(&self, files: &[String], phases: &[String]) -> Result<SyncPlan, PlanError> {
        let documents = self.documents(files)?;
        let wanted = wanted(&documents, phases)?;
        let known = self.known().await?;
        let mut linked: BTreeMap<IssueKey, Vec<String>> = BTreeMap::new();
        for read in &documents {
            for item in read.document.items() {
                if let Some(link) = &item.link
                    && self.is_here(link.url.as_deref(), &link.key, &known)
                {
                    let place = format!("{}:{}", read.file, item.line);
                    linked.entry(link.key.clone()).or_default().push(place);
                }
            }
        }
        let mut view = View {
            sync: self,
            known: &known,
            linked: &linked,
            taken: BTreeSet::new(),
            drift: Vec::new(),
        };
        let mut plans = Vec::new();
        for (read, wanted) in documents.iter().zip(&wanted) {
            let items = read.document.items().iter();
            let items = items
                .map(|item| view.item(read, item, wanted.as_ref()))
                .collect();
            plans.push(FilePlan {
                file: read.file.clone(),
                digest: digest(read.document.as_str()),
                items,
            });
        }
        let mut drift = std::mem::take(&mut view.drift);
        if phases.is_empty() {
            drift.extend(self.orphans(&documents, &known, &linked, &plans));
        }
        for (key, places) in &linked {
            if places.len() > 1 {
                drift.push(Drift::LinkedTwice {
                    key: key.clone(),
                    places: places.clone(),
                });
            }
        }
        let (names, problems) = self.check(&documents, &plans).await?;
        let creations = plans.iter().flat_map(|p| &p.items);
        let creations = creations
            .filter(|i| matches!(i.action, Action::Create { .. }))
            .count();
        Ok(SyncPlan {
            id: id(&plans, &names),
            writes: names.len() + creations,
            files: plans,
            names,
            drift,
            problems,
        })
    }

    pub(super) fn documents(&self, files: &[String]) -> Result<Vec<Read>, PlanError> {
        let mut seen = BTreeSet::new();
        let files = files.iter().filter(|file| seen.insert((*file).clone()));
        files
            .map(|file| {
                let text = self.files.read(file)?;
                Ok(Read {
                    file: file.clone(),
                    document: PlanDocument::parse_with(text, &self.options.syntax),
                })
            })
            .collect()
    }

    /// Reads all issues, in all states, and what an earlier run announced.
    pub(super) async fn known(&self) -> Result<Known, PlanError> {
        let journal = self.journal.entries().map_err(PlanError::Journal)?;
        let mut open: BTreeSet<String> = BTreeSet::new();
        let mut done: BTreeMap<String, IssueKey> = BTreeMap::new();
        for entry in journal {
            match entry.record {
                Record::PlanIssueIntent { item, .. } => {
                    open.insert(item);
                }
                Record::PlanIssueDropped { item } => {
                    open.remove(&item);
                }
                Record::PlanIssueDone { item, issue } => {
                    open.remove(&item);
                    done.insert(item, issue);
                }
                _ => {}
            }
        }
        if !open.is_empty() {
            // A run died between announcing an issue and hearing of it: only after D is an absent one certainly absent.
            self.clock.sleep(self.tracker.settle()).await;
        }
        let me = self.tracker.me().await.map_err(PlanError::Read)?.value;
        let listed = self.tracker.list_issues(&IssueQuery::default()).await;
        let mut known = Known::default();
        for issue in listed.map_err(PlanError::Read)?.value {
            self.note(&mut known, issue, &me);
        }
        // What the journal saw made may be too young for the list.
        for (item, key) in done {
            let Some(item) = Fingerprint::parse(&item) else {
                continue;
            };
            if known.issues.contains_key(&key) || known.by_item.contains_key(&item) {
                continue;
            }
            match self.tracker.issue(&key).await {
                Ok(reply) => self.note(&mut known, reply.value, &me),
                Err(TrackerError::NotFound { .. }) => {}
                Err(error) => return Err(PlanError::Read(error)),
            }
        }
        Ok(known)
    }

    fn note(&self, known: &mut Known, issue: Issue, me: &Account) {
        if self.is_ours(&issue, me)
            && let Some(origin) = Origin::in_text(&issue.body)
        {
            let key = issue.key.clone();
            known
                .by_item
                .entry(origin.fingerprint)
                .or_default()
                .push(key.clone());
            known.by_file.entry(origin.file).or_default().push(key);
        }
        known.issues.insert(issue.key.clone(), issue);
    }

    /// Anybody can write our lines; only our account's count.
    pub(super) fn is_ours(&self, issue: &Issue, me: &Account) -> bool {
        let author = issue.author.as_ref();
        author.is_some_and(|a| a.id == me.id || self.options.accounts.iter().any(|r| r.names(a)))
    }

    /// Returns our issues that no item links to or is about to.
    fn orphans(
        &self,
        documents: &[Read],
        known: &Known,
        linked: &BTreeMap<IssueKey, Vec<String>>,
        plans: &[FilePlan],
    ) -> Vec<Drift> {
        let adopted: BTreeSet<&IssueKey> = plans
            .iter()
            .flat_map(|p| &p.items)
            .filter_map(|i| match &i.action {
                Action::Adopt { key, .. } => Some(key),
                _ => None,
            })
            .collect();
        let mut found = Vec::new();
        for read in documents {
            for key in known.by_file.get(&read.file).into_iter().flatten() {
                let done = known.issues.get(key).is_some_and(|i| self.is_done(i));
                // Whoever takes out what is done has tidied up.
                if done || linked.contains_key(key) || adopted.contains(key) {
                    continue;
                }
                found.push(Drift::Orphan {
                    file: read.file.clone(),
                    key: key.clone(),
                    title: known
                        .issues
                        .get(key)
                        .map(|i| i.title.clone())
                        .unwrap_or_default(),
                });
            }
        }
        found
    }

    fn is_done(&self, issue: &Issue) -> bool {
        let name = issue.status.name();
        self.options
            .done
            .iter()
            .any(|d| d.eq_ignore_ascii_case(name))
    }

    /// Returns the address to link an issue by.
    pub(super) fn address(&self, key: &IssueKey, url: Option<&str>) -> String {
        url.map_or_else(
            || format!("{}{key}", self.options.without_page),
            str::to_owned,
        )
    }

    /// Returns whether a link leads to this tracker and project.
    fn is_here(&self, url: Option<&str>, key: &IssueKey, known: &Known) -> bool {
        let Some(url) = url else {
            return true;
        };
        let Some(found) = url.strip_suffix(key.as_str()).or_else(|| {
            let url = url.split(['?', '#']).next().unwrap_or_default();
            url.trim_end_matches('/').strip_suffix(key.as_str())
        }) else {
            return false;
        };
        let page = known.issues.get(key).and_then(|i| i.url.clone());
        // An issue that is gone is known by where its neighbours are.
        let page = page.or_else(|| {
            let (other, url) = known
                .issues
                .values()
                .find_map(|i| Some((&i.key, i.url.as_ref()?)))?;
            Some(format!("{}{key}", url.strip_suffix(other.as_str())?))
        });
        match page.as_deref().and_then(|p| p.strip_suffix(key.as_str())) {
            Some(here) => same_place(here, found),
            None => found == self.options.without_page || !found.contains("://"),
        }
    }

    /// Looks for what would stop an apply on the way.
    async fn check(
        &self,
        documents: &[Read],
        plans: &[FilePlan],
    ) -> Result<(Vec<IssueName>, Vec<String>), PlanError> {
        let mut problems = Vec::new();
        for path in &self.options.references {
            if !self.files.exists(path) {
                problems.push(format!(
                    "[plan] references names {path}, and there is no such file"
                ));
            }
        }
        for (read, plan) in documents.iter().zip(plans) {
            if plan.items.iter().any(|i| i.action.changes())
                && let Err(error) = self.files.writable(&read.file)
            {
                problems.push(error.to_string());
            }
        }
        let drafts: Vec<_> = plans
            .iter()
            .flat_map(|p| p.items.iter().map(move |i| (p, i)))
            .filter_map(|(plan, item)| match &item.action {
                Action::Create { draft } => Some((plan, item, draft)),
                _ => None,
            })
            .collect();
        if drafts.is_empty() {
            return Ok((Vec::new(), problems));
        }
        if !self.tracker.capabilities().create_issues {
            problems.push(format!(
                "the tracker {} cannot create issues",
                self.tracker.name()
            ));
            return Ok((Vec::new(), problems));
        }
        for (plan, item, draft) in &drafts {
            if self.redactor.finds(&draft.title) || self.redactor.finds(&draft.body) {
                problems.push(format!(
                    "{}:{} contains a secret of this pipeline: take it out of the plan, and replace it",
                    plan.file, item.line
                ));
            }
        }
        let names = self
            .tracker
            .issue_names()
            .await
            .map_err(PlanError::Read)?
            .value;
        let mut missing = BTreeSet::new();
        for (_, _, draft) in &drafts {
            let labels = draft.labels.iter();
            let unknown = labels.filter(|l| names.labels.as_ref().is_some_and(|k| !k.contains(*l)));
            missing.extend(unknown.cloned().map(IssueName::Label));
            let milestone = draft.milestone.iter();
            let unknown =
                milestone.filter(|m| names.milestones.as_ref().is_some_and(|k| !k.contains(*m)));
            missing.extend(unknown.cloned().map(IssueName::Milestone));
        }
        if let (Some(kind), Some(kinds)) = (&self.options.kind, &names.kinds)
            && !kinds.contains(kind)
        {
            let there: Vec<&str> = kinds.iter().map(String::as_str).collect();
            problems.push(format!(
                "[plan] kind is `{kind}`, and the tracker has no such type (there are: {})",
                there.join(", ")
            ));
        }
        if let (Some(priority), Some(all)) = (&self.options.priority, &names.priorities)
            && !all.contains(priority)
        {
            let there: Vec<String> = all.iter().map(i64::to_string).collect();
            problems.push(format!(
                "[plan] priority is {priority}, and the tracker has no such priority (there are: {})",
                there.join(", ")
            ));
        }
        Ok((missing.into_iter().collect(), problems))
    }
}

/// Compares the addresses of two trackers' issues; GitLab shows the same issue under two of them.
fn same_place(one: &str, other: &str) -> bool {
    let plain = |place: &str| {
        let place = place.replace("/work_items/", "/issues/");
        place
            .split_once("://")
            .map_or(place.clone(), |(_, rest)| rest.to_owned())
            .to_lowercase()
    };
    plain(one) == plain(other)
}

/// Returns which phases of each document were asked for; `None` = all.
fn wanted(
    documents: &[Read],
    phases: &[String],
) -> Result<Vec<Option<BTreeSet<usize>>>, PlanError> {
    if phases.is_empty() {
        return Ok(documents.iter().map(|_| None).collect());
    }
    let mut all: Vec<Option<BTreeSet<usize>>> =
        documents.iter().map(|_| Some(BTreeSet::new())).collect();
    for asked in phases {
        let mut found = false;
        for (read, wanted) in documents.iter().zip(&mut all) {
            if let (Some(at), Some(wanted)) = (read.document.phase_named(asked), wanted) {
                wanted.insert(at);
                found = true;
            }
        }
        if !found {
            let known = documents.iter().flat_map(|r| r.document.phases());
            let known: Vec<String> = known.map(|p| format!("`{}`", p.heading)).collect();
            return Err(PlanError::NoSuchPhase {
                asked: asked.clone(),
                known: if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                },
            });
        }
    }
    Ok(all)
}

struct View<'a> {
    sync: &'a PlanSync,
    known: &'a Known,
    linked: &'a BTreeMap<IssueKey, Vec<String>>,
    taken: BTreeSet<Fingerprint>,
    drift: Vec<Drift>,
}

impl View<'_> {
    fn item(&mut self, read: &Read, item: &PlanItem, wanted: Option<&BTreeSet<usize>>) -> ItemPlan {
        let phase = read.document.phase_of(item);
        let heading = phase.map(|p| p.heading.clone());
        let asked = wanted.is_none_or(|w| item.phase.is_some_and(|p| w.contains(&p)));
        let first = Fingerprint::of(&read.file, heading.as_deref(), &item.text, item.occurrence);
        let plan = |fingerprint, action| ItemPlan {
            line: item.line,
            text: item.text.clone(),
            phase: heading.clone(),
            fingerprint,
            action,
        };
        if !asked {
            return plan(
                first,
                Action::Skip {
                    why: Skip::OtherPhase,
                },
            );
        }
        if let Some(link) = &item.link {
            if !self
                .sync
                .is_here(link.url.as_deref(), &link.key, self.known)
            {
                self.drift.push(Drift::Elsewhere {
                    file: read.file.clone(),
                    line: item.line,
                    url: link.url.clone().unwrap_or_default(),
                });
                return plan(
                    first,
                    Action::Skip {
                        why: Skip::LinkedElsewhere,
                    },
                );
            }
            return plan(first, self.linked_item(read, item, &link.key));
        }
        if item.checked && !self.sync.options.include_ticked {
            return plan(first, Action::Skip { why: Skip::Ticked });
        }
        let fingerprint = self.free(read, heading.as_deref(), item);
        self.taken.insert(fingerprint.clone());
        let made = self.known.by_item.get(&fingerprint);
        let free: Vec<IssueKey> = made
            .into_iter()
            .flatten()
            .filter(|key| !self.linked.contains_key(*key))
            .cloned()
            .collect();
        if let Some(key) = free.first() {
            if free.len() > 1 {
                self.drift.push(Drift::Duplicate {
                    file: read.file.clone(),
                    line: item.line,
                    keys: free.clone(),
                });
            }
            let url = self.known.issues.get(key).and_then(|i| i.url.as_deref());
            let url = self.sync.address(key, url);
            return plan(
                fingerprint,
                Action::Adopt {
                    key: key.clone(),
                    url,
                },
            );
        }
        let source = Source {
            file: &read.file,
            document: &read.document,
            item,
            fingerprint: &fingerprint,
            options: &self.sync.options,
        };
        let draft = source.draft(self.sync.tracker.dialect());
        plan(fingerprint, Action::Create { draft })
    }

    /// Returns the fingerprint with the first occurrence whose issue is not some other item's.
    fn free(&self, read: &Read, heading: Option<&str>, item: &PlanItem) -> Fingerprint {
        let mut occurrence = item.occurrence;
        loop {
            let fingerprint = Fingerprint::of(&read.file, heading, &item.text, occurrence);
            let made = self.known.by_item.get(&fingerprint);
            let all_linked =
                made.is_some_and(|keys| keys.iter().all(|k| self.linked.contains_key(k)));
            if !all_linked && !self.taken.contains(&fingerprint) {
                return fingerprint;
            }
            occurrence += 1;
        }
    }

    fn linked_item(&mut self, read: &Read, item: &PlanItem, key: &IssueKey) -> Action {
        let (file, line) = (read.file.clone(), item.line);
        let Some(issue) = self.known.issues.get(key) else {
            self.drift.push(Drift::Gone {
                file,
                line,
                key: key.clone(),
            });
            return Action::Keep { key: key.clone() };
        };
        let options = &self.sync.options;
        let expected = body::title(&item.text, self.sync.tracker.dialect());
        let made_by_us = Origin::in_text(&issue.body).is_some_and(|o| o.file == read.file);
        let drafted = issue.body.contains("Drafted by an agent:");
        if !drafted
            && normal(&issue.title) != normal(&expected)
            && normal(&issue.title) != normal(&item.text)
        {
            self.drift.push(Drift::Reworded {
                file: file.clone(),
                line,
                key: key.clone(),
                plan: item.text.clone(),
                tracker: issue.title.clone(),
            });
        }
        let phase = read.document.phase_of(item);
        let mut lacking: Vec<String> = options.phase_labels(phase);
        lacking.retain(|label| !issue.labels.contains(label));
        if let Some(milestone) = options.phase_milestone(phase)
            && issue.milestone.as_ref() != Some(&milestone)
            && !lacking.contains(&milestone)
        {
            lacking.push(milestone);
        }
        // An issue a person filed and linked was never promised a phase's names.
        if made_by_us && !lacking.is_empty() {
            self.drift.push(Drift::Moved {
                file: file.clone(),
                line,
                key: key.clone(),
                expected: lacking,
            });
        }
        let done = self.sync.is_done(issue);
        let key = key.clone();
        match (done, item.checked) {
            (true, false) if options.pull => return Action::Tick { key },
            (true, false) => self.drift.push(Drift::DoneInTracker {
                file,
                line,
                key: key.clone(),
            }),
            (false, true) => self.drift.push(Drift::DoneInPlan {
                file,
                line,
                key: key.clone(),
            }),
            _ => {}
        }
        Action::Keep { key }
    }
}

pub(super) fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn id(plans: &[FilePlan], names: &[IssueName]) -> String {
    let whole = serde_json::to_vec(&(plans, names)).unwrap_or_default();
    hex::encode(Sha256::digest(whole))
        .chars()
        .take(12)
        .collect()
}
