//! Statuses and the moves the pipeline itself may make between them.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::gate::StartPermit;

/// Where the tracker says an issue is. The tracker adapter maps its own names to these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Status {
    /// Filed, not yet triaged.
    Open,
    /// Triaged; the local check and people look at it.
    SpecReview,
    /// A person started it.
    InProgress,
    /// Anything else, by the tracker's name.
    Other(String),
}

impl Status {
    /// Returns the default name people see.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Open => "Open",
            Self::SpecReview => "Spec/log review",
            Self::InProgress => "In progress",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<String> for Status {
    fn from(name: String) -> Self {
        [Self::Open, Self::SpecReview, Self::InProgress]
            .into_iter()
            .find(|s| s.name() == name)
            .unwrap_or(Self::Other(name))
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        status.name().to_owned()
    }
}

/// A move the pipeline may make; only this crate can mint one, so an adapter cannot be asked for any other.
///
/// There are three: after triage, the automatic start (with its [`StartPermit`]), and after landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    from: Status,
    to: Status,
}

impl Transition {
    /// Returns the move triage makes: Open → Spec/log review.
    #[must_use]
    pub fn triaged() -> Self {
        Self {
            from: Status::Open,
            to: Status::SpecReview,
        }
    }

    /// Returns the automatic start move, which needs the permit.
    #[must_use]
    pub fn start(_permit: &StartPermit) -> Self {
        Self {
            from: Status::SpecReview,
            to: Status::InProgress,
        }
    }

    /// Returns the move to the configured status after everything of a round has landed.
    ///
    /// `None` where `to` is a status that starts work: landing never begins anything.
    #[must_use]
    pub(crate) fn after_landing(to: Status) -> Option<Self> {
        match to {
            Status::Open | Status::SpecReview | Status::InProgress => None,
            Status::Other(_) => Some(Self {
                from: Status::InProgress,
                to,
            }),
        }
    }

    /// Returns the status the issue must be in.
    #[must_use]
    pub const fn from(&self) -> &Status {
        &self.from
    }

    /// Returns the status the issue will be in.
    #[must_use]
    pub const fn to(&self) -> &Status {
        &self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for s in [
            Status::Open,
            Status::SpecReview,
            Status::InProgress,
            Status::Other("Done".into()),
        ] {
            assert_eq!(Status::from(s.name().to_owned()), s);
        }
    }

    #[test]
    fn landing_never_starts_work() {
        assert_eq!(Transition::after_landing(Status::InProgress), None);
        assert!(Transition::after_landing(Status::Other("Resolved".into())).is_some());
    }
}
