//! Which of a project's statuses stand for which of the pipeline's.

use pipeline_core::status::Status;
use pipeline_core::tracker::TrackerError;

use super::NAME;
use super::wire;

/// The names a project has for the three statuses the pipeline works with.
///
/// A name may also be a status's number after `#` (`#2`), for projects whose names are shown in everybody's own language.
///
/// # Examples
/// ```
/// use pipeline_trackers::backlog::BacklogStatuses;
/// let statuses = BacklogStatuses::new("未対応", "仕様・ログ確認", "#2");
/// assert_ne!(statuses, BacklogStatuses::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BacklogStatuses {
    open: String,
    spec_review: String,
    in_progress: String,
}

impl Default for BacklogStatuses {
    /// Returns `Open`, `Spec/log review` and `In Progress`, the service's own English spelling of the built-in ones.
    fn default() -> Self {
        Self::new("Open", "Spec/log review", "In Progress")
    }
}

impl BacklogStatuses {
    /// Names the three.
    #[must_use]
    pub fn new(
        open: impl Into<String>,
        spec_review: impl Into<String>,
        in_progress: impl Into<String>,
    ) -> Self {
        Self {
            open: open.into(),
            spec_review: spec_review.into(),
            in_progress: in_progress.into(),
        }
    }

    fn roles(&self) -> [(Status, &str); 3] {
        [
            (Status::Open, &self.open),
            (Status::SpecReview, &self.spec_review),
            (Status::InProgress, &self.in_progress),
        ]
    }
}

/// A project's statuses as they were last read, with their roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    known: Vec<(wire::Status, Status)>,
    wanted: BacklogStatuses,
}

impl Resolved {
    pub(super) fn new(wanted: &BacklogStatuses, found: &[wire::Status]) -> Self {
        let role = |status: &wire::Status| {
            // A name that a role was given beats a number that happens to be written like it.
            let roles = wanted.roles();
            let by_name = roles.iter().find(|(_, name)| *name == status.name);
            let taken = |name: &str| found.iter().any(|s| s.name == name);
            by_name
                .or_else(|| {
                    roles.iter().find(|(_, name)| {
                        !taken(name) && numbered(name).is_some_and(|id| id == status.id)
                    })
                })
                .map_or_else(|| other(&status.name), |(role, _)| role.clone())
        };
        let known = found.iter().map(|s| (s.clone(), role(s))).collect();
        Self {
            known,
            wanted: wanted.clone(),
        }
    }

    /// Returns the status an id stands for; `None` if there was no such status when they were read.
    pub(super) fn by_id(&self, id: u64) -> Option<&Status> {
        let found = self.known.iter().find(|(s, _)| s.id == id);
        found.map(|(_, status)| status)
    }

    /// Returns the status that is now called so, with its id.
    pub(super) fn by_name(&self, name: &str) -> Option<(u64, &Status)> {
        let found = self.known.iter().find(|(s, _)| s.name == name);
        found.map(|(s, status)| (s.id, status))
    }

    /// Returns what a name no list has stands for: never one of the roles.
    pub(super) fn stranger(name: &str) -> Status {
        other(name)
    }

    /// Returns the id of a status.
    ///
    /// # Errors
    /// [`TrackerError::UnknownStatus`].
    pub(super) fn id_of(&self, status: &Status) -> Result<u64, TrackerError> {
        let found = self.known.iter().find(|(_, s)| s == status);
        if let Some((found, _)) = found {
            return Ok(found.id);
        }
        let roles = self.wanted.roles();
        let role = roles.iter().find(|(role, _)| role == status);
        Err(TrackerError::UnknownStatus {
            tracker: NAME.to_owned(),
            name: role.map_or(status.name(), |(_, name)| name).to_owned(),
            known: self.listed(),
        })
    }

    /// Returns the status a person means by a configured name.
    ///
    /// # Errors
    /// [`TrackerError::UnknownStatus`].
    pub(super) fn named(&self, name: &str) -> Result<Status, TrackerError> {
        let by_number = || numbered(name).and_then(|id| self.by_id(id));
        let found = self.by_name(name).map(|(_, status)| status);
        found
            .or_else(by_number)
            .cloned()
            .ok_or_else(|| TrackerError::UnknownStatus {
                tracker: NAME.to_owned(),
                name: name.to_owned(),
                known: self.listed(),
            })
    }

    fn listed(&self) -> String {
        let names: Vec<_> = self.known.iter().map(|(s, _)| s.name.as_str()).collect();
        names.join(", ")
    }
}

fn numbered(name: &str) -> Option<u64> {
    name.strip_prefix('#')?.parse().ok()
}

/// Returns a status that plays no role, even where its name is the default name of one.
fn other(name: &str) -> Status {
    let roles = [Status::Open, Status::SpecReview, Status::InProgress];
    // Written down and read again, a bare default name would become that role.
    if roles.iter().any(|role| role.name() == name) {
        return Status::Other(format!("{name} (not the pipeline's)"));
    }
    Status::Other(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[(u64, &str)]) -> Vec<wire::Status> {
        let status = |(id, name): &(u64, &str)| wire::Status {
            id: *id,
            name: (*name).to_owned(),
        };
        names.iter().map(status).collect()
    }

    const JAPANESE: &[(u64, &str)] = &[(1, "未対応"), (2, "処理中"), (77, "確認"), (4, "完了")];

    #[test]
    fn names_and_numbers_find_their_status() {
        let wanted = BacklogStatuses::new("未対応", "確認", "#2");
        let resolved = Resolved::new(&wanted, &found(JAPANESE));
        assert_eq!(resolved.by_id(2), Some(&Status::InProgress));
        assert_eq!(resolved.by_name("確認"), Some((77, &Status::SpecReview)));
        assert_eq!(resolved.by_id(4), Some(&Status::Other("完了".into())));
        assert_eq!(resolved.id_of(&Status::Open).unwrap(), 1);
        assert_eq!(
            resolved.named("完了").unwrap(),
            Status::Other("完了".into())
        );
    }

    #[test]
    fn a_missing_status_is_named_with_those_there_are() {
        let resolved = Resolved::new(&BacklogStatuses::default(), &found(JAPANESE));
        let error = resolved.id_of(&Status::SpecReview).unwrap_err();
        insta::assert_snapshot!(error, @"backlog has no status `Spec/log review`: create it or change its name in [tracker.statuses] (there are: 未対応, 処理中, 確認, 完了)");
    }

    #[test]
    fn a_default_name_that_plays_no_role_never_becomes_one() {
        let wanted = BacklogStatuses::new("Filed", "Review", "Doing");
        let names = [
            (1, "Filed"),
            (2, "Review"),
            (3, "Doing"),
            (9, "In progress"),
        ];
        let resolved = Resolved::new(&wanted, &found(&names));
        let status = resolved.by_id(9).unwrap();
        assert_ne!(status, &Status::InProgress);
        let read: Status = serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap();
        assert_eq!(&read, status);
    }

    #[test]
    fn a_status_really_called_like_a_number_is_meant_by_its_name() {
        let wanted = BacklogStatuses::new("Open", "Review", "#1");
        let names = [(1, "Open"), (2, "Review"), (3, "#1")];
        let resolved = Resolved::new(&wanted, &found(&names));
        assert_eq!(resolved.by_id(3), Some(&Status::InProgress));
        assert_eq!(resolved.by_id(1), Some(&Status::Open));
    }
}
