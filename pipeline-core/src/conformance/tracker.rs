//! The conformance suite of [`Tracker`].
//!
//! An adapter's tests implement [`TrackerHarness`], which sets up one tracker and plays the person, and call
//! [`tracker_conformance!`](crate::tracker_conformance). The cases touch only issues they filed themselves, and hold on a
//! tracker that others use meanwhile.
//!
//! A capability is a claim and not a switch: where it is declared its behaviour is asserted, where it is not the call
//! must answer `Unsupported`.

mod abilities;
mod moving;
mod reading;
mod watching;
mod writing;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::abilities::a_missing_attachment_is_not_found;
pub use self::abilities::a_name_and_an_identity_stay;
pub use self::abilities::attachments_round_trip;
pub use self::abilities::created_issues_read_back;
pub use self::abilities::hostile_file_names_do_no_harm;
pub use self::abilities::names_are_provided;
pub use self::abilities::no_secret_is_shown;
pub use self::abilities::undeclared_capabilities_are_unsupported;
pub use self::moving::a_move_from_elsewhere_changes_nothing;
pub use self::moving::a_move_is_made_and_recorded_once;
pub use self::moving::a_move_may_carry_its_memo;
pub use self::moving::a_persons_move_is_that_persons;
pub use self::moving::events_know_the_comment_before_them;
pub use self::moving::history_is_complete_and_oldest_first;
pub use self::reading::an_empty_query_lists_every_status;
pub use self::reading::an_issue_reads_back_as_filed;
pub use self::reading::an_unknown_status_is_named;
pub use self::reading::dates_never_run_backwards;
pub use self::reading::edited_and_deleted_comments_show;
pub use self::reading::issues_are_listed_once_oldest_first;
pub use self::reading::lists_hold_only_the_asked_statuses;
pub use self::reading::lists_since_a_time_miss_nothing;
pub use self::reading::threads_are_complete_and_oldest_first;
pub use self::reading::what_is_missing_is_not_found_and_named;
pub use self::watching::a_foreign_mark_is_never_complete;
pub use self::watching::a_mark_can_be_used_again;
pub use self::watching::no_change_is_lost_between_marks;
pub use self::watching::the_first_mark_comes_with_nothing;
pub use self::watching::whatever_happens_is_a_change;
pub use self::writing::a_body_over_the_limit_is_never_cut;
pub use self::writing::bodies_survive_byte_for_byte;
pub use self::writing::comment_ids_rise_across_issues;
pub use self::writing::concurrent_comments_are_all_kept;
pub use self::writing::our_comments_carry_our_account;
pub use self::writing::the_dialect_is_idempotent;
pub use self::writing::the_dialect_leaves_plain_text_alone;
pub use self::writing::the_longest_body_survives_whole;
use super::Violation;
use super::case::Succeeds as _;
use crate::BoxError;
use crate::issue::Account;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::IssueKey;
use crate::secret::Secret;
use crate::status::Status;
use crate::tracker::Tracker;

/// One tracker under test, and the person beside it.
///
/// What a person does goes past the adapter, by whatever way the service has for people: that is what makes the
/// cases about authors and actors mean something.
#[async_trait]
pub trait TrackerHarness: Send + Sync {
    /// Sets up a tracker in which nothing is done yet by anybody but other tests.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Returns the adapter, acting as the pipeline's account.
    fn tracker(&self) -> Arc<dyn Tracker>;

    /// Returns the account of the person, who is not the pipeline.
    async fn human(&self) -> Result<Account, BoxError>;

    /// Returns how many rows the service sends on one page at most; 1 where it does not page. A fake makes it small.
    fn page(&self) -> usize;

    /// Returns a label or category that may be put on a new issue, if the service has such a thing.
    fn label(&self) -> Option<String>;

    /// Waits until everything written so far is visible to every list, and until what is written next gets a later
    /// stamp. A fake moves its clock; a consistent tracker that orders by id does nothing.
    async fn settle(&self);

    /// Files an issue in the status new issues have.
    async fn new_issue_by_human(&self, title: &str, body: &str) -> Result<IssueKey, BoxError>;

    /// Posts a comment as the person.
    async fn comment_by_human(&self, key: &IssueKey, body: &str) -> Result<CommentId, BoxError>;

    /// Moves an issue as the person.
    async fn move_by_human(&self, key: &IssueKey, to: &Status) -> Result<(), BoxError>;

    /// Changes an issue's body as the person.
    async fn edit_body_by_human(&self, key: &IssueKey, body: &str) -> Result<(), BoxError>;

    /// Changes the text of anybody's comment, as a person with the right to it.
    async fn edit_comment_by_human(
        &self,
        key: &IssueKey,
        id: CommentId,
        body: &str,
    ) -> Result<(), BoxError>;

    /// Deletes anybody's comment, as a person with the right to it.
    async fn delete_comment_by_human(&self, key: &IssueKey, id: CommentId) -> Result<(), BoxError>;

    /// Returns a well-formed key of an issue that does not exist.
    fn missing_issue(&self) -> IssueKey;

    /// Returns adapters that hold `canary` as their credential, in as many kinds of trouble as can be arranged: refused,
    /// unreachable, answered with nonsense. Empty only for a tracker without credentials.
    async fn in_trouble(&self, canary: &Secret) -> Result<Vec<Arc<dyn Tracker>>, BoxError>;
}

/// Expands to one test per behaviour of a [`Tracker`], for a type that implements
/// [`TrackerHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
/// `docs/writing-a-tracker.md` has a whole example.
///
/// ```text
/// mod conformance {
///     pipeline_core::tracker_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! tracker_conformance {
    ($harness:ty) => {
        $crate::__tracker_cases!([$crate::__conformance_tests], $harness);
    };
}

/// Hands the list of cases to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __tracker_cases {
    ([$($with:tt)*], $harness:ty) => {
        $($with)*!(
            $harness,
            $crate::conformance::tracker::TrackerHarness,
            $crate::conformance::tracker,
            [
                a_body_over_the_limit_is_never_cut,
                a_foreign_mark_is_never_complete,
                a_mark_can_be_used_again,
                a_missing_attachment_is_not_found,
                a_move_from_elsewhere_changes_nothing,
                a_move_is_made_and_recorded_once,
                a_move_may_carry_its_memo,
                a_name_and_an_identity_stay,
                a_persons_move_is_that_persons,
                an_empty_query_lists_every_status,
                an_issue_reads_back_as_filed,
                an_unknown_status_is_named,
                attachments_round_trip,
                bodies_survive_byte_for_byte,
                comment_ids_rise_across_issues,
                concurrent_comments_are_all_kept,
                created_issues_read_back,
                dates_never_run_backwards,
                edited_and_deleted_comments_show,
                events_know_the_comment_before_them,
                history_is_complete_and_oldest_first,
                hostile_file_names_do_no_harm,
                issues_are_listed_once_oldest_first,
                lists_hold_only_the_asked_statuses,
                lists_since_a_time_miss_nothing,
                names_are_provided,
                no_change_is_lost_between_marks,
                no_secret_is_shown,
                our_comments_carry_our_account,
                the_dialect_is_idempotent,
                the_dialect_leaves_plain_text_alone,
                the_first_mark_comes_with_nothing,
                the_longest_body_survives_whole,
                threads_are_complete_and_oldest_first,
                undeclared_capabilities_are_unsupported,
                what_is_missing_is_not_found_and_named,
                whatever_happens_is_a_change,
            ]
        );
    };
}

/// The first line of everything the cases post.
const MARKER: &str = "Note: this is an automated AI assessment. Please point out any misreadings.";

/// Returns enough rows to need a third page.
fn many(harness: &dyn TrackerHarness) -> usize {
    harness.page().saturating_mul(2).saturating_add(1).max(3)
}

async fn filed(harness: &dyn TrackerHarness, title: &str) -> Result<IssueKey, Violation> {
    let filed = harness
        .new_issue_by_human(title, "As the title says.")
        .await;
    filed.succeeds("filing an issue as the person")
}

async fn said(
    harness: &dyn TrackerHarness,
    key: &IssueKey,
    body: &str,
) -> Result<CommentId, Violation> {
    let said = harness.comment_by_human(key, body).await;
    said.succeeds("commenting as the person")
}

/// Returns what people and we wrote in a thread; a record without text is nobody's word.
async fn written(tracker: &dyn Tracker, key: &IssueKey) -> Result<Vec<Comment>, Violation> {
    let thread = tracker.comments(key).await;
    let mut thread = thread.succeeds("reading the thread")?.value;
    thread.retain(|comment| !comment.body.is_empty());
    Ok(thread)
}

async fn moved(harness: &dyn TrackerHarness, key: &IssueKey, to: &Status) -> Result<(), Violation> {
    let moved = harness.move_by_human(key, to).await;
    moved.succeeds("moving an issue as the person")
}

#[cfg(test)]
mod tests;
