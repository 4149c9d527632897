//! Where the project is, and what it has: found out once and shared.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::status::Status;
use pipeline_core::tracker::Reply;
use pipeline_core::tracker::TrackerError;
use tokio::sync::OnceCell;

use super::GitLabTracker;
use super::NAME;
use super::PAGE;
use super::config::CLOSED;
use super::config::GitLabLabelIds;
use super::config::GitLabOptions;
use super::wire;
use crate::finding::Finding;
use crate::finding::Probe;
use crate::http::Request;

/// How long the names of labels are believed.
const FRESH: Duration = Duration::from_secs(300);
/// From this role on an account may label issues and write notes.
const REPORTER: u64 = 20;
/// Planners may, too.
const PLANNER: u64 = 15;

/// What is known of the project.
#[derive(Debug)]
pub(super) struct Place {
    path: Vec<String>,
    found: OnceCell<Found>,
    labels: Mutex<Option<(Duration, Arc<Labels>)>>,
}

/// Where the project was found.
#[derive(Debug)]
pub(super) struct Found {
    root: Vec<String>,
    id: u64,
}

impl Place {
    pub(super) fn of(options: &GitLabOptions) -> Result<Self, TrackerError> {
        let path = options.path();
        if path.len() < 2 {
            return Err(TrackerError::Unsupported {
                tracker: NAME.to_owned(),
                operation: "find a project at this address: it is like https://gitlab.example/group/project"
                    .to_owned(),
            });
        }
        Ok(Self {
            path,
            found: OnceCell::new(),
            labels: Mutex::default(),
        })
    }

    fn labels(&self) -> std::sync::MutexGuard<'_, Option<(Duration, Arc<Labels>)>> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The labels a project has.
#[derive(Debug)]
pub(super) struct Labels {
    pub(super) date: Timestamp,
    pub(super) names: BTreeSet<String>,
    /// Each status that is a label: its name, and its id if the label exists.
    pub(super) statuses: Vec<(Status, String, Option<u64>)>,
    /// The statuses whose label is not the one that was written down, with what that one is called now.
    pub(super) renamed: Vec<(Status, Option<String>)>,
}

impl Labels {
    /// Returns the status that a label stands for.
    pub(super) fn status(&self, label: &wire::IssueLabel) -> Option<&Status> {
        let found = self.statuses.iter().find(|(_, name, id)| match label.id() {
            Some(there) => *id == Some(there),
            None => name == label.name(),
        });
        found.map(|(status, _, _)| status)
    }

    /// Returns the status that a label of this id stands for.
    pub(super) fn status_of_id(&self, id: u64) -> Option<&Status> {
        let found = self
            .statuses
            .iter()
            .find(|(_, _, known)| *known == Some(id));
        found.map(|(status, _, _)| status)
    }

    /// Returns the name of a status's label.
    pub(super) fn name_of(&self, status: &Status) -> Option<&str> {
        let found = self.statuses.iter().find(|(known, _, _)| known == status);
        found.map(|(_, name, _)| name.as_str())
    }

    /// Fails unless a status can be used: its label exists, or it needs none.
    pub(super) fn require(&self, status: &Status) -> Result<(), TrackerError> {
        if let Some((_, now)) = self.renamed.iter().find(|(known, _)| known == status) {
            return Err(TrackerError::StatusRenamed {
                tracker: NAME.to_owned(),
                name: self.name_of(status).unwrap_or(status.name()).to_owned(),
                now: now.clone(),
            });
        }
        if *status == Status::Open || status.name() == CLOSED {
            return Ok(());
        }
        let found = self.statuses.iter().find(|(known, _, _)| known == status);
        match found {
            Some((_, _, Some(_))) => Ok(()),
            Some((_, name, None)) => Err(self.unknown(name)),
            None => Err(self.unknown(status.name())),
        }
    }

    fn unknown(&self, name: &str) -> TrackerError {
        /// Most labels that an error names.
        const MOST: usize = 20;
        let mut known: Vec<&str> = self.names.iter().map(String::as_str).take(MOST).collect();
        if self.names.len() > MOST {
            known.push("…");
        }
        TrackerError::UnknownStatus {
            tracker: NAME.to_owned(),
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

impl GitLabTracker {
    /// Returns the address of the project in the instance's API, by its number.
    ///
    /// # Errors
    /// Any [`TrackerError`]; [`TrackerError::NotFound`] if there is no such project for this account.
    pub async fn api(&self) -> Result<url::Url, TrackerError> {
        let found = self.found().await?;
        let mut address = self.options.origin();
        if let Ok(mut path) = address.path_segments_mut() {
            let id = found.id.to_string();
            path.clear().extend(&found.root);
            path.extend(["api", "v4", "projects", &id]);
        }
        Ok(address)
    }

    /// Finds the project: under which part of its address the instance lies, and its number, which stays when it moves.
    pub(super) async fn found(&self) -> Result<&Found, TrackerError> {
        self.place.found.get_or_try_init(|| self.find()).await
    }

    async fn find(&self) -> Result<Found, TrackerError> {
        let path = &self.place.path;
        let roots = match self.options.named_root() {
            Some(root) => vec![root.len()],
            None => (0..=path.len().saturating_sub(2)).collect(),
        };
        let what = format!("project {}", path.join("/"));
        for length in roots {
            let (root, project) = path.split_at_checked(length).unwrap_or((&[], path));
            let request = project_request(root, &project.join("/")).of(what.clone());
            match self.client.read(&request).await {
                // A page in place of an answer: the instance is not there.
                Ok(answer) => {
                    if let Ok(found) = answer.json::<wire::Project>() {
                        let root = root.to_vec();
                        return Ok(Found { root, id: found.id });
                    }
                }
                Err(TrackerError::NotFound { .. } | TrackerError::InvalidResponse { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(TrackerError::NotFound {
            tracker: NAME.to_owned(),
            what,
        })
    }

    /// Puts a request's path under the project.
    pub(super) async fn of_project<I>(
        &self,
        request: Request,
        rest: I,
    ) -> Result<Request, TrackerError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let found = self.found().await?;
        let request = request
            .at(&found.root)
            .at(["api", "v4", "projects"])
            .at([found.id.to_string()]);
        Ok(request.at(rest))
    }

    /// Puts a request's path under the instance, beside its projects.
    pub(super) async fn of_instance<const N: usize>(
        &self,
        request: Request,
        rest: [&str; N],
    ) -> Result<Request, TrackerError> {
        let found = self.found().await?;
        Ok(request.at(&found.root).at(["api", "v4"]).at(rest))
    }

    /// Returns what the project has for labels; the status labels a person moves issues with have to be there.
    pub(super) async fn labels(&self) -> Result<Arc<Labels>, TrackerError> {
        let labels = self.all_labels().await?;
        for status in [Status::Open, Status::SpecReview, Status::InProgress] {
            labels.require(&status)?;
        }
        Ok(labels)
    }

    /// Returns the project's labels as they are.
    pub(super) async fn all_labels(&self) -> Result<Arc<Labels>, TrackerError> {
        let now = self.client.clock().elapsed();
        if let Some((at, labels)) = &*self.place.labels()
            && now.saturating_sub(*at) < FRESH
        {
            return Ok(Arc::clone(labels));
        }
        let request = Request::get("read the labels").query("per_page", PAGE);
        let request = self.of_project(request, ["labels"]).await?;
        let id = |label: &wire::Label| label.id.unwrap_or_default();
        let Reply { value, date } = self.all(request, id).await?;
        let wanted = self.options.status_labels().labels();
        let statuses = wanted.into_iter().map(|(status, name)| {
            let found = value.iter().find(|label| label.name == name);
            (status, name.to_owned(), found.and_then(|label| label.id))
        });
        let statuses: Vec<(Status, String, Option<u64>)> = statuses.collect();
        let renamed = statuses.iter().filter_map(|(status, _, id)| {
            let pinned = self.options.pinned().of(status)?;
            let now = value.iter().find(|label| label.id == Some(pinned));
            // Neither there by its id nor by its name, it is simply missing.
            let astray = *id != Some(pinned) && (id.is_some() || now.is_some());
            astray.then(|| (status.clone(), now.map(|label| label.name.clone())))
        });
        let labels = Arc::new(Labels {
            date,
            renamed: renamed.collect(),
            statuses,
            names: value.iter().map(|label| label.name.clone()).collect(),
        });
        *self.place.labels() = Some((now, Arc::clone(&labels)));
        Ok(labels)
    }

    /// Returns the part of the project's path that is the instance's own, to be written down: looking for it costs a request
    /// for each part that it is not.
    ///
    /// # Errors
    /// Any [`TrackerError`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn root(&self) -> Result<String, TrackerError> {
        Ok(self.found().await?.root.join("/"))
    }

    /// Returns the ids of the status labels, to be written down; a label that is not there has none.
    ///
    /// # Errors
    /// Any [`TrackerError`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn label_ids(&self) -> Result<GitLabLabelIds, TrackerError> {
        let labels = self.all_labels().await?;
        let id = |status: &Status| {
            let mut all = labels.statuses.iter();
            all.find(|(known, _, _)| known == status)
                .and_then(|(_, _, id)| *id)
        };
        Ok(GitLabLabelIds {
            open: id(&Status::Open),
            spec_review: id(&Status::SpecReview),
            in_progress: id(&Status::InProgress),
        })
    }

    /// Forgets the labels: after one was made, and before one is written, which GitLab would make if it is not there.
    pub(super) fn forget_labels(&self) {
        *self.place.labels() = None;
    }
}

fn project_request(root: &[String], id: &str) -> Request {
    Request::get("find the project")
        .at(root)
        .at(["api", "v4", "projects"])
        .at([id.to_owned()])
}

#[async_trait::async_trait]
impl Probe for GitLabTracker {
    async fn probe(&self) -> Result<Vec<Finding>, TrackerError> {
        let mut findings = Vec::new();
        let found = self.found().await?;
        let request = project_request(&found.root, &found.id.to_string());
        let (project, _) = self.client.read_json::<wire::Project>(&request).await?;
        if let Some(level) = project.access_level()
            && level < REPORTER
            && level != PLANNER
        {
            findings.push(Finding::new(
                "this account may read the project, but not label its issues",
                "give it the role Reporter or Planner in the project",
            ));
        }
        if let Some(now) = project.web_url.and_then(|url| url::Url::parse(&url).ok()) {
            let now = GitLabOptions::new(now);
            if !now
                .path()
                .join("/")
                .eq_ignore_ascii_case(&self.place.path.join("/"))
            {
                findings.push(Finding::new(
                    format!("the project has moved to {}", now.path().join("/")),
                    "correct [tracker] project",
                ));
            }
        }
        Ok(findings)
    }
}
