//! [Backlog](https://nulab.com/backlog/) by Nulab, hosted or on an own server, over its API v2.
//!
//! # What stands where
//! - A status is one of the project's, by name or number ([`BacklogStatuses`]); its id is looked up and looked up again.
//! - Labels are categories and milestones: both can choose a target branch or the scope.
//! - A comment, a move and any other change are records of one list, with ids that rise over the whole space. A memo that
//!   comes with a move is one record with it, sent by one request.
//! - The history is made from those records and confirmed by the activity feed, which tells ids where the records tell
//!   names. What the feed does not confirm is never evidence for a gate.
//! - What changed comes from the feed too, because a comment does not touch an issue's time of change. A quiet poll is
//!   one request.
//!
//! # Gaps
//! - There is no conditional write: a move is preceded by a reading, and somebody may move the issue between the two. The
//!   history then shows both moves, and the start gate looks at the last.
//! - An edit or a removal of a comment is not in the feed. Threads that matter are read whole before a claim and before
//!   a landing.
//! - The service has no header for its keys: they travel in the query. Nothing here shows an address with its query;
//!   a proxy in between may. OAuth avoids that.

mod address;
mod create;
mod dialect;
mod feed;
mod files;
mod history;
mod hook;
mod oauth;
mod options;
mod probe;
mod read;
mod seam;
mod service;
mod statuses;
mod wire;
mod write;

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use pipeline_core::status::Status;
use pipeline_core::tracker::TrackerError;

pub use self::address::BacklogAddress;
pub use self::address::InvalidAddress;
pub use self::dialect::TextMode;
use self::feed::Evidences;
pub use self::hook::webhook;
pub use self::oauth::OAuthAccess;
pub use self::oauth::OAuthTokens;
pub use self::oauth::TokenStore;
pub use self::options::BacklogCredential;
pub use self::options::BacklogOptions;
pub use self::options::NewIssues;
use self::service::Backlog;
pub use self::statuses::BacklogStatuses;
use self::statuses::Resolved;
use crate::http::Client;
use crate::http::Credential;

const NAME: &str = "backlog";

/// A project of Backlog as a tracker. Clones share what was read and the budget of requests.
///
/// # Examples
/// ```no_run
/// use pipeline_core::secret::Secret;
/// use pipeline_core::tracker::Tracker as _;
/// use pipeline_trackers::backlog::{BacklogCredential, BacklogOptions, BacklogStatuses, BacklogTracker};
///
/// # async fn show(key: Secret) -> Result<(), Box<dyn std::error::Error>> {
/// let address = "https://team.backlog.com/projects/WEB".parse()?;
/// let options = BacklogOptions::new(address, BacklogCredential::ApiKey(key))
///     .statuses(BacklogStatuses::new("Open", "Spec/log review", "In Progress"));
/// let tracker = BacklogTracker::new(options)?;
/// println!("writing as {}", tracker.me().await?.value.name);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BacklogTracker {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    options: BacklogOptions,
    state: Mutex<State>,
}

/// What was read and stays true for a while.
#[derive(Debug, Default)]
struct State {
    project: Option<Arc<wire::Project>>,
    statuses: Option<Arc<Resolved>>,
    evidences: Evidences,
}

impl fmt::Debug for BacklogTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BacklogTracker")
            .field("project", &self.shared.options.address.to_string())
            .finish_non_exhaustive()
    }
}

impl BacklogTracker {
    /// Makes a tracker; nothing is asked yet.
    ///
    /// # Errors
    /// [`TrackerError::Unsupported`] for an address the credential must not be sent to, [`TrackerError::Other`] for
    /// connection options that cannot be used.
    pub fn new(options: BacklogOptions) -> Result<Self, TrackerError> {
        let api = options.address.api();
        let client = |credential: Credential| {
            let clock = Arc::clone(&options.clock);
            Client::new(api.clone(), credential, Backlog, &options.connection, clock)
        };
        let credential = match &options.credential {
            BacklogCredential::ApiKey(key) => Credential::Query("apiKey", key.clone()),
            BacklogCredential::OAuth(access) => {
                let plain = client(Credential::Nothing)?;
                Credential::Bearer(Arc::new(oauth::Tokens::new(access.clone(), plain)))
            }
        };
        let client = client(credential)?;
        let state = Mutex::default();
        let shared = Shared {
            client,
            options,
            state,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Returns the project it works on.
    #[must_use]
    pub fn address(&self) -> &BacklogAddress {
        &self.shared.options.address
    }

    /// Returns the address of the space's API, and the project's number in it.
    ///
    /// # Errors
    /// Any [`TrackerError`]; [`TrackerError::NotFound`] if there is no such project for this account.
    pub async fn api(&self) -> Result<(url::Url, u64), TrackerError> {
        Ok((
            self.shared.options.address.api(),
            self.read_project().await?.id,
        ))
    }

    /// Returns the status a person means by one of the project's names, or by its number after `#`.
    ///
    /// # Errors
    /// [`TrackerError::UnknownStatus`], or any other [`TrackerError`].
    pub async fn status_named(&self, name: &str) -> Result<Status, TrackerError> {
        self.read_statuses().await?.named(name)
    }

    /// Returns how the project shows texts, to compare with what was configured.
    ///
    /// # Errors
    /// Any [`TrackerError`]; [`TrackerError::NotFound`] if there is no such project for this account.
    pub async fn text_mode(&self) -> Result<TextMode, TrackerError> {
        let project = self.read_project().await?;
        let classic = project.text_formatting_rule == TextMode::Classic.name();
        Ok(if classic {
            TextMode::Classic
        } else {
            TextMode::Markdown
        })
    }

    /// Returns whether the account's role lets it change issues; `None` if the service says nothing that is known.
    ///
    /// # Errors
    /// Any [`TrackerError`].
    pub async fn may_change_issues(&self) -> Result<Option<bool>, TrackerError> {
        let user = self.read_me().await?.value;
        // Both generations of plans: administrators and members may, reporters, guests of reporters and viewers may not.
        Ok(match user.role_type {
            Some(1 | 2) => Some(true),
            Some(3..=6) => Some(false),
            _ => None,
        })
    }

    fn project(&self) -> &str {
        self.shared.options.address.project()
    }

    fn settle_time(&self) -> Duration {
        self.shared.options.settle
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}
