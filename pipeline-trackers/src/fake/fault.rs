//! What can go wrong between a client and a service.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::form::FakeRequest;

/// The forms in which a service refuses too many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TooMany {
    /// With everything the service has to say: wait, limit, rest, time of the reset.
    WithHeaders,
    /// With a time of the reset only.
    ResetOnly,
    /// In the form of the service's inner limits, which tell no wait.
    Untold,
}

/// One thing that goes wrong with one request.
///
/// `landed` says whether the service did what it was asked before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection breaks and no answer comes.
    Lost {
        /// Whether the service acted.
        landed: bool,
    },
    /// No answer comes and the connection stays, so that only the client's own deadline ends it.
    Stalled {
        /// Whether the service acted.
        landed: bool,
    },
    /// It answers 500 with JSON.
    ServerError {
        /// Whether the service acted.
        landed: bool,
    },
    /// Something in between answers 502 with HTML.
    BadGateway {
        /// Whether the service acted.
        landed: bool,
    },
    /// The right answer breaks off in its middle.
    Truncated,
    /// The right status with HTML in place of JSON.
    NotJson,
    /// It refuses, without acting.
    TooMany(TooMany),
    /// It does not accept the credential, without acting.
    Unauthenticated,
    /// It says there is no such thing, without acting, as some services do where a permission is missing.
    NotFound,
}

type Matches = Box<dyn Fn(&FakeRequest) -> bool + Send + Sync>;

struct Planned {
    matches: Matches,
    times: usize,
    fault: Fault,
}

/// What will go wrong, in the order in which it was planned.
#[derive(Default)]
pub struct Faults {
    planned: Mutex<Vec<Planned>>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_list()
            .entries(planned.iter().map(|p| (p.times, p.fault)))
            .finish()
    }
}

impl Faults {
    /// Lets the next so many requests go wrong, whatever they are.
    pub fn next(&self, times: usize, fault: Fault) {
        self.when(times, fault, |_| true);
    }

    /// Lets the next so many writes go wrong.
    pub fn next_write(&self, times: usize, fault: Fault) {
        self.when(times, fault, FakeRequest::is_write);
    }

    /// Lets the next so many requests go wrong that match.
    pub fn when(
        &self,
        times: usize,
        fault: Fault,
        matches: impl Fn(&FakeRequest) -> bool + Send + Sync + 'static,
    ) {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.push(Planned {
            matches: Box::new(matches),
            times,
            fault,
        });
    }

    /// Forgets everything that was planned and has not happened.
    pub fn clear(&self) {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.clear();
    }

    /// Returns how many faults are still to come.
    #[must_use]
    pub fn left(&self) -> usize {
        let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.iter().map(|p| p.times).sum()
    }

    pub(super) fn take(&self, request: &FakeRequest) -> Option<Fault> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let at = planned
            .iter()
            .position(|p| p.times > 0 && (p.matches)(request))?;
        let found = planned.get_mut(at)?;
        found.times -= 1;
        let fault = found.fault;
        planned.retain(|p| p.times > 0);
        Some(fault)
    }
}
