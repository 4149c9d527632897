//! A stateful fake of Backlog: one project of one space.
//!
//! It does what the service was seen or is documented to do, the surprising things above all: a comment does not touch its
//! issue's time of change, unknown parameters are refused, dates have the grain of a day, characters of four bytes are
//! refused, a change and the words sent with it are one record, records tell names and activities ids.
//!
//! What people do goes past the API, by the methods of [`FakeBacklog`].

mod answer;
mod issues;
mod people;
mod show;
mod state;
mod thread;

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use pipeline_core::clock::Clock;
use pipeline_core::clock::Timestamp;
use pipeline_core::secret::Secret;

pub use self::people::NotThere;
use self::state::State;
use super::FakeAnswer;
use super::FakeRequest;
use super::FakeService;
use super::TooMany;

/// The account the pipeline's key belongs to.
pub const BOT: u64 = 4001;
/// A person who administers the project.
pub const ALICE: u64 = 4002;
/// Another person.
pub const BOB: u64 = 4003;
/// The project's key.
pub const PROJECT: &str = "WEB";
/// The pipeline's key, unless it was changed.
pub const KEY: &str = "backlog-fake-key-0123456789";

/// What the fake does beside the ordinary.
#[derive(Debug, Clone, Copy)]
pub struct Oddities {
    /// How long what was written may stay out of lists and the feed, by chance in a different order.
    pub lag: Duration,
    /// Pages hold one of their rows twice.
    pub duplicate_rows: bool,
    /// The ids of `minId` and `maxId` belong to the page.
    pub inclusive: bool,
    /// Most requests of each kind in a minute, told in headers; none without.
    pub rate_limit: Option<u64>,
    /// The role of the pipeline's account; from 3 on it may not change issues.
    pub role: u64,
}

impl Default for Oddities {
    fn default() -> Self {
        Self {
            lag: Duration::ZERO,
            duplicate_rows: false,
            inclusive: true,
            rate_limit: None,
            role: 2,
        }
    }
}

/// A project of Backlog that exists in memory.
pub struct FakeBacklog {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl fmt::Debug for FakeBacklog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeBacklog").finish_non_exhaustive()
    }
}

impl FakeBacklog {
    /// Makes a project with the four built-in statuses and `Spec/log review`, a bot, Alice and Bob.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::new(State::new()),
        }
    }

    /// Switches what it does beside the ordinary.
    pub fn set_oddities(&self, oddities: Oddities) {
        self.lock().oddities = oddities;
    }

    /// Returns what it does beside the ordinary.
    #[must_use]
    pub fn oddities(&self) -> Oddities {
        self.lock().oddities
    }

    /// Says how the project shows texts: `markdown` or `backlog`.
    pub fn set_text_formatting(&self, rule: &str) {
        self.lock().text_formatting = rule.to_owned();
    }

    /// Accepts this key in place of the one before.
    pub fn set_key(&self, key: &Secret) {
        self.lock().key = key.clone();
    }

    /// Accepts this pair of OAuth tokens, the first for so long.
    pub fn set_oauth(&self, access: &Secret, refresh: &Secret, lives: Duration) {
        let ends = self.clock.now().plus(lives);
        self.lock().oauth = Some(state::OAuth {
            access: access.clone(),
            refresh: refresh.clone(),
            ends,
            lives,
            requests: None,
            renewed: 0,
        });
    }

    /// Lets each OAuth token end without a word after so many requests, this one too.
    pub fn end_oauth_after(&self, requests: u64) {
        if let Some(oauth) = &mut self.lock().oauth {
            oauth.requests = Some((requests, requests));
        }
    }

    /// Returns how often OAuth tokens were renewed.
    #[must_use]
    pub fn renewals(&self) -> u64 {
        self.lock().oauth.as_ref().map_or(0, |o| o.renewed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeService for FakeBacklog {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn answer(&self, request: &FakeRequest) -> FakeAnswer {
        answer::answer(&mut self.lock(), request, self.clock.now())
    }

    fn too_many(&self, form: TooMany) -> FakeAnswer {
        let refusal = answer::refusal(429, 13, "Too Many Requests");
        let reset = self.clock.now().plus(Duration::from_secs(20)).as_secs();
        match form {
            TooMany::Untold => refusal,
            TooMany::ResetOnly => refusal.with_header("X-RateLimit-Reset", reset),
            TooMany::WithHeaders => refusal
                .with_header("X-RateLimit-Limit", 600)
                .with_header("X-RateLimit-Remaining", 0)
                .with_header("X-RateLimit-Reset", reset),
        }
    }
}

#[cfg(test)]
mod tests;
