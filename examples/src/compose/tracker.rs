//! The tracker a configuration names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pipeline_core::secret::Secret;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::ConnectionOptions;
use pipeline_trackers::backlog::BacklogAddress;
use pipeline_trackers::backlog::BacklogCredential;
use pipeline_trackers::backlog::BacklogOptions;
use pipeline_trackers::backlog::BacklogStatuses;
use pipeline_trackers::backlog::BacklogTracker;
use pipeline_trackers::backlog::NewIssues;
use pipeline_trackers::backlog::TextMode;
use pipeline_trackers::finding::Probe;
use pipeline_trackers::gitlab::GitLabOptions;
use pipeline_trackers::gitlab::GitLabStatuses;
use pipeline_trackers::gitlab::GitLabTracker;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalTracker;
use url::Url;

use super::ComposeError;
use crate::config::AddressSource;
use crate::config::model::BacklogText;
use crate::config::model::TrackerKind;
use crate::config::model::TrackerSection;
use crate::surroundings::Surroundings;
use crate::surroundings::read_secret;
use crate::workplace::Workplace;

/// How long a landed comment may stay invisible on a server, unless `[tracker] settle` says otherwise.
const SETTLE: Duration = Duration::from_secs(30);

/// A tracker, with what must never be posted because of it.
#[derive(Debug)]
pub(crate) struct OpenTracker {
    pub(crate) tracker: Arc<dyn Tracker>,
    /// Looks for what the seam cannot tell without writing.
    pub(crate) probe: Option<Arc<dyn Probe>>,
    pub(crate) secrets: Vec<Secret>,
    /// What stands behind it, for people.
    pub(crate) shown: String,
}

/// Opens the tracker that `[tracker]` names, as the pipeline.
///
/// # Errors
/// [`ComposeError`]; on a server nothing is asked yet.
pub(crate) async fn open(
    workplace: &Workplace,
    around: &Surroundings,
) -> Result<OpenTracker, ComposeError> {
    match workplace.config().tracker.kind {
        TrackerKind::Local => {
            let dir = workplace.tracker_dir();
            let local =
                LocalTracker::open(&dir, Actor::pipeline()).map_err(ComposeError::Tracker)?;
            Ok(OpenTracker {
                tracker: Arc::new(local),
                probe: None,
                secrets: Vec::new(),
                shown: format!("local, {}", dir.display()),
            })
        }
        TrackerKind::Gitlab => gitlab(Server::of(workplace, around).await?),
        TrackerKind::Backlog => backlog(Server::of(workplace, around).await?),
    }
}

fn gitlab(server: Server<'_>) -> Result<OpenTracker, ComposeError> {
    let section = server.section;
    let names = &section.statuses;
    let statuses = GitLabStatuses::new(
        &names.open,
        &names.spec_review,
        &names.in_progress,
        names.others.iter().cloned(),
    );
    let mut options = GitLabOptions::new(server.project)
        .statuses(statuses)
        .settle(server.settle)
        .internal_notes(section.gitlab.internal_notes)
        .confidential(section.gitlab.confidential)
        .connection(server.connection);
    if let Some(root) = &section.gitlab.root {
        options = options.root(root);
    }
    let tracker =
        GitLabTracker::new(options, server.token.clone()).map_err(ComposeError::Tracker)?;
    Ok(OpenTracker {
        shown: tracker.identity(),
        probe: Some(Arc::new(tracker.clone())),
        tracker: Arc::new(tracker),
        secrets: vec![server.token],
    })
}

fn backlog(server: Server<'_>) -> Result<OpenTracker, ComposeError> {
    let section = &server.section.backlog;
    let names = &server.section.statuses;
    let address: BacklogAddress =
        server
            .project
            .as_str()
            .parse()
            .map_err(|source| ComposeError::Unusable {
                what: "[tracker] project".to_owned(),
                source: Some(Box::new(source)),
            })?;
    let priorities = section.priorities.iter();
    let new_issues = NewIssues {
        kind: section.issue_type.clone(),
        category: section.category.clone(),
        priorities: priorities
            .filter_map(|(number, name)| Some((number.parse().ok()?, name.clone())))
            .collect(),
        priority: section.priority.clone(),
    };
    let credential = BacklogCredential::ApiKey(server.token.clone());
    let options = BacklogOptions::new(address, credential)
        .statuses(BacklogStatuses::new(
            &names.open,
            &names.spec_review,
            &names.in_progress,
        ))
        .text(match section.text {
            BacklogText::Markdown => TextMode::Markdown,
            BacklogText::Backlog => TextMode::Classic,
        })
        .new_issues(new_issues)
        .settle(server.settle)
        .connection(server.connection);
    let tracker = BacklogTracker::new(options).map_err(ComposeError::Tracker)?;
    Ok(OpenTracker {
        shown: tracker.identity(),
        probe: Some(Arc::new(tracker.clone())),
        tracker: Arc::new(tracker),
        secrets: vec![server.token],
    })
}

/// What every tracker on a server needs of the configuration.
struct Server<'a> {
    section: &'a TrackerSection,
    project: Url,
    token: Secret,
    settle: Duration,
    connection: ConnectionOptions,
}

impl<'a> Server<'a> {
    async fn of(workplace: &'a Workplace, around: &Surroundings) -> Result<Self, ComposeError> {
        let section = &workplace.config().tracker;
        let missing = |key: &str| ComposeError::unusable(format!("[tracker] {key} is not set"));
        let project = section.project.as_ref().ok_or_else(|| missing("project"))?;
        let token = section.token.as_ref().ok_or_else(|| missing("token"))?;
        let directory = workplace.loaded.path.parent().unwrap_or(Path::new("/"));
        let token = read_secret(token, around, directory)
            .await
            .map_err(|source| ComposeError::Unusable {
                what: "the tracker's credential cannot be had: put it where [tracker] token says"
                    .to_owned(),
                source: Some(source.into()),
            })?;
        let mut connection = ConnectionOptions::default().timeout(section.timeout.get());
        if let Some(path) = &section.ca {
            let path = workplace.loaded.resolve(path);
            let pem = std::fs::read(&path).map_err(|source| ComposeError::File { path, source })?;
            connection = connection.root_certificates(pem);
        }
        if let Some(proxy) = &section.proxy {
            connection = connection.proxy(address("proxy", proxy, around)?);
        }
        Ok(Self {
            section,
            project: address("project", project, around)?,
            token,
            settle: section.settle.map_or(SETTLE, crate::config::Period::get),
            connection,
        })
    }
}

/// Returns an address; what is wrong with it is told without it.
fn address(key: &str, source: &AddressSource, around: &Surroundings) -> Result<Url, ComposeError> {
    let text = match source {
        AddressSource::Plain(text) => text.clone(),
        AddressSource::Env(name) => {
            let value = around.variable(name).and_then(|value| value.to_str());
            value.map(str::to_owned).ok_or_else(|| {
                ComposeError::unusable(format!(
                    "[tracker] {key}: variable {name} is not set: export it, or name a file with --env-file"
                ))
            })?
        }
    };
    let bad = || {
        ComposeError::unusable(format!(
            "[tracker] {key} is not an address like https://host/group/project, without user and query"
        ))
    };
    let url = Url::parse(text.trim()).map_err(|_| bad())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if plain && url.has_host() {
        Ok(url)
    } else {
        Err(bad())
    }
}
