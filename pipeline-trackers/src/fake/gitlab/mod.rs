//! A GitLab instance with one project, as far as the adapter needs it.
//!
//! It behaves as the REST API v4 does where that surprises: quick actions in notes are carried out and taken out of the
//! text, a note may leave the time of its issue alone, labels are made where they are missing, pages may be short, and the
//! two limits refuse in two forms.

mod page;
mod person;
mod routes;
mod state;
mod text;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use pipeline_core::clock::Clock;
use pipeline_core::clock::Timestamp;
use serde_json::json;

use self::state::State;
use super::FakeAnswer;
use super::FakeRequest;
use super::FakeService;
use super::TooMany;

/// A fake of GitLab.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use pipeline_core::clock::SystemClock;
/// use pipeline_core::secret::Secret;
/// use pipeline_core::status::Status;
/// use pipeline_core::tracker::{IssueQuery, Tracker as _};
/// use pipeline_trackers::fake::{FakeGitLab, FakeServer};
/// use pipeline_trackers::gitlab::{GitLabOptions, GitLabTracker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = FakeServer::start(FakeGitLab::new(Arc::new(SystemClock)))?;
/// let project = server.service().project_url(&server.url());
/// let tracker = GitLabTracker::new(GitLabOptions::new(project), Secret::new(FakeGitLab::TOKEN))?;
///
/// let iid = server.service().file("alice", "Login fails", "Since Monday.");
/// let open = tracker.list_issues(&IssueQuery::in_status(Status::Open)).await?.value;
/// assert_eq!(open[0].key.as_str(), iid.to_string());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FakeGitLab {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// What of a [`FakeGitLab`] is other than usual.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GitLabSwitches {
    /// Most rows of a page.
    pub page: usize,
    /// How long what is new stays invisible to lists.
    pub lag: Duration,
    /// Each page begins with the last row of the one before.
    pub duplicated_rows: bool,
    /// The token has run out.
    pub token_expired: bool,
    /// The account may read only.
    pub read_only: bool,
    /// Issues are paged by keyset where that is asked for, as from 18.3 on.
    pub keyset: bool,
    /// Most requests per minute; with headers, as where the administrator limits users.
    pub requests_per_minute: Option<u64>,
    /// Most notes per minute, without headers.
    pub notes_per_minute: Option<u64>,
}

impl Default for GitLabSwitches {
    fn default() -> Self {
        Self {
            page: 100,
            lag: Duration::ZERO,
            duplicated_rows: false,
            token_expired: false,
            read_only: false,
            keyset: true,
            requests_per_minute: None,
            notes_per_minute: None,
        }
    }
}

impl FakeGitLab {
    /// The token of the pipeline's account.
    pub const TOKEN: &'static str = "glpat-fake-token-of-the-bot";
    /// The login of the pipeline's account.
    pub const BOT: &'static str = "pipeline-bot";
    /// The names of the status labels there are.
    pub const STATUSES: [&'static str; 3] = [
        "status::spec review",
        "status::in progress",
        "status::resolved",
    ];
    /// A label that is no status.
    pub const LABEL: &'static str = "bug";

    /// Makes an instance with an empty project, whose status labels are there.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::new(State::new(&["team", "sub", "shop"], &[])),
        }
    }

    /// Lets the instance lie under a path of its host.
    #[must_use]
    pub fn under(self, root: &[&str]) -> Self {
        self.lock().root = root.iter().map(|s| (*s).to_owned()).collect();
        self
    }

    /// Returns the address of the project, as people open it.
    ///
    /// # Panics
    /// Never: the project's path is one.
    #[must_use]
    pub fn project_url(&self, server: &url::Url) -> url::Url {
        let state = self.lock();
        let path = [state.root.clone(), state.path.clone()].concat().join("/");
        server.join(&path).expect("a path")
    }

    /// Changes what is other than usual.
    pub fn switch(&self, change: impl FnOnce(&mut GitLabSwitches)) {
        change(&mut self.lock().switches);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a millisecond pass in what is stamped, as it does between any two requests of people.
    fn stamp(&self, state: &mut State) -> Timestamp {
        let now = self.clock.now();
        state.latest = state.latest.max(now);
        state.latest
    }
}

impl FakeService for FakeGitLab {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn answer(&self, request: &FakeRequest) -> FakeAnswer {
        let mut state = self.lock();
        let now = self.stamp(&mut state);
        routes::answer(&mut state, request, now)
    }

    fn too_many(&self, form: TooMany) -> FakeAnswer {
        let reset = self.clock.now().as_secs() + 30;
        match form {
            TooMany::Untold => routes::too_many_of_one(),
            TooMany::ResetOnly => FakeAnswer::text(429, "Retry later")
                .with_header("RateLimit-Limit", 600)
                .with_header("RateLimit-Remaining", 0)
                .with_header("RateLimit-Reset", reset),
            TooMany::WithHeaders => FakeAnswer::text(429, "Retry later")
                .with_header("Retry-After", 30)
                .with_header("RateLimit-Limit", 600)
                .with_header("RateLimit-Observed", 601)
                .with_header("RateLimit-Remaining", 0)
                .with_header("RateLimit-Reset", reset)
                // As recorded, with a wrong weekday.
                .with_header("RateLimit-ResetTime", "Fri, 14 Feb 2019 09:13:57 GMT"),
        }
    }
}

/// Returns GitLab's usual refusal.
fn message(status: u16, text: &str) -> FakeAnswer {
    FakeAnswer::json(status, &json!({ "message": text }))
}
