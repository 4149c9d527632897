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
use pipeline_trackers::backlog::OAuthAccess;
use pipeline_trackers::backlog::TextMode;
use pipeline_trackers::finding::Probe;
use pipeline_trackers::gitlab::GitLabLabelIds;
use pipeline_trackers::gitlab::GitLabOptions;
use pipeline_trackers::gitlab::GitLabStatuses;
use pipeline_trackers::gitlab::GitLabTracker;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalTracker;
use url::Url;

use super::ComposeError;
use crate::config::AddressSource;
use crate::config::SecretSource;
use crate::config::model::BacklogText;
use crate::config::model::TrackerKind;
use crate::config::model::TrackerSection;
use crate::surroundings::OAuthFile;
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
    /// Tokens that are renewed: whoever redacts has to be told of each.
    pub(crate) renewed: Option<Arc<OAuthFile>>,
    /// What stands behind it, for people.
    pub(crate) shown: String,
    /// The server it is on, where it is on one.
    pub(crate) server: Option<OpenServer>,
}

/// A server's API, for a caller that speaks it without the adapter.
#[derive(Debug)]
pub(crate) struct OpenServer {
    pub(crate) adapter: Adapter,
    pub(crate) connection: ConnectionOptions,
}

/// The adapter that knows where the API is.
#[derive(Debug)]
pub(crate) enum Adapter {
    Gitlab(GitLabTracker),
    Backlog(BacklogTracker),
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
                renewed: None,
                shown: format!("local, {}", dir.display()),
                server: None,
            })
        }
        TrackerKind::Gitlab => {
            let token = token(workplace, around).await?;
            gitlab(Server::of(workplace, around)?, token)
        }
        TrackerKind::Backlog => {
            let proof = Proof::of(workplace, around).await?;
            backlog(Server::of(workplace, around)?, proof)
        }
    }
}

/// Returns what only the instance knows of the project that `[tracker]` names, to be written down: the part of the path that is
/// its own, and the ids of the status labels.
///
/// # Errors
/// [`ComposeError`].
pub(crate) async fn gitlab_facts(
    workplace: &Workplace,
    around: &Surroundings,
) -> Result<(String, GitLabLabelIds), ComposeError> {
    let token = token(workplace, around).await?;
    let tracker = gitlab_tracker(Server::of(workplace, around)?, &token)?;
    let root = tracker.root().await.map_err(ComposeError::Tracker)?;
    let ids = tracker.label_ids().await.map_err(ComposeError::Tracker)?;
    Ok((root, ids))
}

fn gitlab(server: Server<'_>, token: Secret) -> Result<OpenTracker, ComposeError> {
    let connection = server.connection.clone();
    let tracker = gitlab_tracker(server, &token)?;
    Ok(OpenTracker {
        shown: tracker.identity(),
        probe: Some(Arc::new(tracker.clone())),
        server: Some(OpenServer {
            adapter: Adapter::Gitlab(tracker.clone()),
            connection,
        }),
        tracker: Arc::new(tracker),
        secrets: vec![token],
        renewed: None,
    })
}

fn gitlab_tracker(server: Server<'_>, token: &Secret) -> Result<GitLabTracker, ComposeError> {
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
        .label_ids(GitLabLabelIds {
            open: section.gitlab.label_ids.open,
            spec_review: section.gitlab.label_ids.spec_review,
            in_progress: section.gitlab.label_ids.in_progress,
        })
        .connection(server.connection);
    if let Some(root) = &section.gitlab.root {
        options = options.root(root);
    }
    GitLabTracker::new(options, token.clone()).map_err(ComposeError::Tracker)
}

fn backlog(server: Server<'_>, proof: Proof) -> Result<OpenTracker, ComposeError> {
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
    let options = BacklogOptions::new(address, proof.credential)
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
        .connection(server.connection.clone());
    let tracker = BacklogTracker::new(options).map_err(ComposeError::Tracker)?;
    Ok(OpenTracker {
        shown: tracker.identity(),
        probe: Some(Arc::new(tracker.clone())),
        server: Some(OpenServer {
            adapter: Adapter::Backlog(tracker.clone()),
            connection: server.connection,
        }),
        tracker: Arc::new(tracker),
        secrets: proof.secrets,
        renewed: proof.renewed,
    })
}

/// Returns the secret that `[tracker] token` names.
async fn token(workplace: &Workplace, around: &Surroundings) -> Result<Secret, ComposeError> {
    let source = workplace.config().tracker.token.as_ref();
    let source =
        source.ok_or_else(|| ComposeError::unusable("[tracker] token is not set".to_owned()))?;
    secret(source, "[tracker] token", workplace, around).await
}

async fn secret(
    source: &SecretSource,
    key: &str,
    workplace: &Workplace,
    around: &Surroundings,
) -> Result<Secret, ComposeError> {
    let directory = workplace.loaded.path.parent().unwrap_or(Path::new("/"));
    let read = read_secret(source, around, directory).await;
    read.map_err(|source| ComposeError::Unusable {
        what: format!("the tracker's credential cannot be had: put it where {key} says"),
        source: Some(source.into()),
    })
}

/// How the pipeline's account proves itself to Backlog.
struct Proof {
    credential: BacklogCredential,
    secrets: Vec<Secret>,
    renewed: Option<Arc<OAuthFile>>,
}

impl Proof {
    async fn of(workplace: &Workplace, around: &Surroundings) -> Result<Self, ComposeError> {
        let section = &workplace.config().tracker.backlog.oauth;
        if !section.is_used() {
            let key = token(workplace, around).await?;
            return Ok(Self {
                credential: BacklogCredential::ApiKey(key.clone()),
                secrets: vec![key],
                renewed: None,
            });
        }
        let (Some(id), Some(of_client), Some(tokens)) =
            (&section.client_id, &section.client_secret, &section.tokens)
        else {
            let what = "[tracker.backlog.oauth] needs client_id, client_secret and tokens";
            return Err(ComposeError::unusable(what.to_owned()));
        };
        let key = |name: &str| format!("[tracker.backlog.oauth] {name}");
        let id = secret(id, &key("client_id"), workplace, around).await?;
        let of_client = secret(of_client, &key("client_secret"), workplace, around).await?;
        let file = Arc::new(OAuthFile::new(workplace.loaded.resolve(tokens)));
        let now = file.read().map_err(|source| ComposeError::Unusable {
            what: "the tracker's credential cannot be had: see [tracker.backlog.oauth] tokens"
                .to_owned(),
            source: Some(source.into()),
        })?;
        Ok(Self {
            credential: BacklogCredential::OAuth(OAuthAccess {
                client_id: id.expose().to_owned(),
                client_secret: of_client.clone(),
                store: Arc::clone(&file) as _,
            }),
            secrets: vec![of_client, now.access, now.refresh],
            renewed: Some(file),
        })
    }
}

/// What every tracker on a server needs of the configuration.
struct Server<'a> {
    section: &'a TrackerSection,
    project: Url,
    settle: Duration,
    connection: ConnectionOptions,
}

impl<'a> Server<'a> {
    fn of(workplace: &'a Workplace, around: &Surroundings) -> Result<Self, ComposeError> {
        let section = &workplace.config().tracker;
        let missing = || ComposeError::unusable("[tracker] project is not set".to_owned());
        let project = section.project.as_ref().ok_or_else(missing)?;
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
