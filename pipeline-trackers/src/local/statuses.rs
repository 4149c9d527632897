//! The names a local tracker gives its statuses.

use pipeline_core::status::Status;
use serde::Deserialize;
use serde::Serialize;

const MAX_CHARS: usize = 100;

/// The statuses of a local tracker, by the names people see.
///
/// Names differ from each other even when case is ignored, and none borrows the default name of another role.
///
/// # Examples
/// ```
/// use pipeline_core::status::Status;
/// use pipeline_trackers::local::LocalStatuses;
///
/// let names = LocalStatuses::new("未対応", "調査", "処理中", ["完了"])?;
/// assert_eq!(names.named("処理中"), Some(Status::InProgress));
/// assert_eq!(names.name_of(&Status::SpecReview), Some("調査"));
/// # Ok::<(), pipeline_trackers::local::InvalidStatuses>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Names", into = "Names")]
pub struct LocalStatuses(Names);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Names {
    open: String,
    spec_review: String,
    in_progress: String,
    others: Vec<String>,
}

/// The names cannot be told apart, or one is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStatuses {
    /// Two statuses have the same name.
    #[error("two statuses are called `{0}`: give one another name")]
    Twice(String),
    /// A name is empty, too long, or holds characters no name needs.
    #[error(
        "`{0}` is no status name: expected 1 to 100 characters on one line, without spaces at the ends"
    )]
    Unusable(String),
}

impl Default for LocalStatuses {
    /// Returns `Open`, `Spec/log review`, `In progress`, `Resolved` and `Closed`.
    fn default() -> Self {
        let name = |status: Status| status.name().to_owned();
        Self(Names {
            open: name(Status::Open),
            spec_review: name(Status::SpecReview),
            in_progress: name(Status::InProgress),
            others: vec!["Resolved".to_owned(), "Closed".to_owned()],
        })
    }
}

impl LocalStatuses {
    /// Names the three statuses of the pipeline and any others, in the order people see them.
    ///
    /// # Errors
    /// [`InvalidStatuses`].
    pub fn new<S: Into<String>>(
        open: impl Into<String>,
        spec_review: impl Into<String>,
        in_progress: impl Into<String>,
        others: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidStatuses> {
        Self::try_from(Names {
            open: open.into(),
            spec_review: spec_review.into(),
            in_progress: in_progress.into(),
            others: others.into_iter().map(Into::into).collect(),
        })
    }

    /// Returns every status with its name, in the order people see them.
    #[must_use]
    pub fn all(&self) -> Vec<(Status, &str)> {
        let Names {
            open,
            spec_review,
            in_progress,
            others,
        } = &self.0;
        let mut all = vec![
            (Status::Open, open.as_str()),
            (Status::SpecReview, spec_review),
            (Status::InProgress, in_progress),
        ];
        all.extend(
            others
                .iter()
                .map(|n| (Status::Other(n.clone()), n.as_str())),
        );
        all
    }

    /// Returns the name of a status, or `None` if this tracker does not have it.
    #[must_use]
    pub fn name_of(&self, status: &Status) -> Option<&str> {
        let mut all = self.all().into_iter();
        all.find(|(s, _)| s == status).map(|(_, name)| name)
    }

    /// Returns the status a person means by `name`: its name here in any case, or the default name of its role.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Status> {
        let all = self.all();
        let by = |matches: &dyn Fn(&Status, &str) -> bool| {
            let mut found = all.iter().filter(|(s, n)| matches(s, n));
            found.next().map(|(s, _)| s.clone())
        };
        by(&|_, own| own == name)
            .or_else(|| by(&|_, own| same(own, name)))
            .or_else(|| by(&|status, _| same(status.name(), name)))
    }

    /// Returns the names in one line, for a message.
    pub(super) fn listed(&self) -> String {
        let names: Vec<_> = self.all().into_iter().map(|(_, name)| name).collect();
        names.join(", ")
    }
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl TryFrom<Names> for LocalStatuses {
    type Error = InvalidStatuses;

    fn try_from(names: Names) -> Result<Self, InvalidStatuses> {
        let statuses = Self(names);
        let all = statuses.all();
        for (i, (status, name)) in all.iter().enumerate() {
            let usable = !name.is_empty()
                && name.trim() == *name
                && name.chars().count() <= MAX_CHARS
                && !name.chars().any(char::is_control);
            if !usable {
                return Err(InvalidStatuses::Unusable(name.escape_debug().to_string()));
            }
            // In the log a role goes by its default name, which nothing else may have then.
            let taken = [Status::Open, Status::SpecReview, Status::InProgress]
                .into_iter()
                .any(|role| role != *status && same(role.name(), name));
            if taken || all.iter().skip(i + 1).any(|(_, other)| same(other, name)) {
                return Err(InvalidStatuses::Twice((*name).to_owned()));
            }
        }
        Ok(statuses)
    }
}

impl From<LocalStatuses> for Names {
    fn from(statuses: LocalStatuses) -> Self {
        statuses.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_may_say_the_name_in_any_case_or_the_roles_own() {
        let names = LocalStatuses::new("未対応", "Prüfung", "処理中", ["Done"]).unwrap();
        for (said, meant) in [
            ("未対応", Some(Status::Open)),
            ("prüfung", Some(Status::SpecReview)),
            ("in progress", Some(Status::InProgress)),
            ("DONE", Some(Status::Other("Done".into()))),
            ("Closed", None),
        ] {
            assert_eq!(names.named(said), meant, "{said}");
        }
    }

    #[test]
    fn names_that_could_be_mistaken_are_refused() {
        let twice = |n: &str| Err(InvalidStatuses::Twice(n.to_owned()));
        assert_eq!(LocalStatuses::new("A", "a", "B", [""; 0]), twice("A"));
        assert_eq!(
            LocalStatuses::new("A", "B", "C", ["In Progress"]),
            twice("In Progress")
        );
        assert_eq!(
            LocalStatuses::new("In progress", "B", "C", [""; 0]),
            twice("In progress")
        );
        for bad in ["", " x", "a\nb", "a\u{9b}b"] {
            let made = LocalStatuses::new("A", "B", "C", [bad]);
            assert!(matches!(made, Err(InvalidStatuses::Unusable(_))), "{bad:?}");
        }
    }
}
