//! What a fake was asked.

use std::sync::Mutex;
use std::sync::PoisonError;

use super::form::FakeRequest;

/// Everything a fake was asked, in order.
#[derive(Debug, Default)]
pub struct RequestLog {
    requests: Mutex<Vec<FakeRequest>>,
}

impl RequestLog {
    pub(super) fn push(&self, request: FakeRequest) {
        self.lock().push(request);
    }

    /// Returns how many requests there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many requests match.
    #[must_use]
    pub fn count(&self, matches: impl Fn(&FakeRequest) -> bool) -> usize {
        self.lock().iter().filter(|r| matches(r)).count()
    }

    /// Returns all requests.
    #[must_use]
    pub fn all(&self) -> Vec<FakeRequest> {
        self.lock().clone()
    }

    /// Forgets all requests.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<FakeRequest>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
