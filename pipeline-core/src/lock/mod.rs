//! Work-start locks in the comment thread: memos, fold, and the store over any tracker.
//!
//! The comment lock only prevents wasted runs. That nothing is integrated twice comes from the fence.

mod comment;
mod fold;
mod record;
mod store;
mod verdict;

pub use self::comment::CommentLocks;
pub use self::fold::EndedClaim;
pub use self::fold::FREE_REASONS;
pub use self::fold::FUTURE;
pub use self::fold::Fate;
pub use self::fold::GRACE;
pub use self::fold::LiveClaim;
pub use self::fold::LockState;
pub use self::fold::Orphan;
pub use self::fold::PARK;
pub use self::fold::TamperedIssue;
pub use self::fold::Terms;
pub use self::fold::fold;
pub use self::fold::fold_under;
pub use self::record::Claim;
pub use self::record::Ender;
pub use self::record::Integrator;
pub use self::record::LockKind;
pub use self::record::LockMemo;
pub(crate) use self::record::carried;
pub use self::store::BEAT_LEASE;
pub use self::store::EndKind;
pub use self::store::FIRST_LEASE;
pub use self::store::LockError;
pub use self::store::LockOutcome;
pub use self::store::LockRecord;
pub use self::store::LockRequest;
pub use self::store::LockStore;
pub use self::store::LockView;
pub use self::store::MARGIN;
pub use self::store::WorkLock;
pub use self::verdict::Standing;
pub use self::verdict::is_outdated;
