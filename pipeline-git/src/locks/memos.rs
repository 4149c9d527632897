//! The memos on a board, written and read as in a thread, and which of them still matter.

use std::collections::BTreeSet;
use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::Account;
use pipeline_core::issue::Comment;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueKey;
use pipeline_core::lock::Fate;
use pipeline_core::lock::LockMemo;
use pipeline_core::lock::LockState;
use pipeline_core::lock::TamperedIssue;
use pipeline_core::memo::Memo;
use pipeline_core::memo::Parsed;
use pipeline_core::thread::Protocol;
use pipeline_core::tracker::Tracker;
use serde::Deserialize;
use serde::Serialize;

use super::LockMemoDraft;

/// How long an ended claim is remembered: attempts are counted by it, and a late submission is found.
const REMEMBERED: Duration = Duration::from_secs(60 * 24 * 3600);

/// One memo on a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) id: CommentId,
    /// The tracker's time when it was written.
    pub(super) at: Timestamp,
    pub(super) issue: IssueKey,
    pub(super) body: String,
}

pub(super) fn render(
    issue: &IssueKey,
    draft: &LockMemoDraft,
    tracker: &dyn Tracker,
    protocol: &Protocol,
) -> String {
    let memo = LockMemo::memo(issue, &draft.nonce, &draft.kind, draft.text.clone());
    let (dialect, markers) = (tracker.dialect(), &protocol.markers);
    memo.neutralise(dialect, markers)
        .render(markers, dialect, issue, &protocol.keys)
}

/// Reads the memos, and what cannot be trusted about them.
pub(super) fn read(entries: &[Entry], protocol: &Protocol) -> (Vec<LockMemo>, Vec<TamperedIssue>) {
    let (mut memos, mut tampered) = (Vec::new(), Vec::new());
    for entry in entries {
        let unsigned_ok = protocol.keys.accepts_unsigned(entry.id);
        let parsed = Memo::parse(
            &entry.body,
            &protocol.markers,
            &entry.issue,
            &protocol.keys,
            unsigned_ok,
        );
        let read = match parsed {
            Parsed::Memo(memo) => {
                let nobody = Account::new("board", None, "board");
                let comment = Comment::new(entry.id, nobody, entry.body.clone(), entry.at);
                LockMemo::read(&entry.issue, &comment, &memo)
            }
            Parsed::Broken { reason } => Err(reason),
            Parsed::NotAMemo => Err("it is no memo".to_owned()),
        };
        match read {
            Ok(Some(memo)) => memos.push(memo),
            Ok(None) => {}
            Err(reason) => tampered.push(TamperedIssue {
                issue: entry.issue.clone(),
                comment: entry.id,
                reason,
                // On a board there is nothing but claims and what becomes of them.
                blocks_all: true,
            }),
        }
    }
    (memos, tampered)
}

/// Returns the entries that a fold may still need: of claims that hold, and of those that ended not long ago.
pub(super) fn still_needed(entries: &[Entry], state: &LockState, now: Timestamp) -> Vec<Entry> {
    let over = |id: CommentId, at: Timestamp| match state.ended(id) {
        None => false,
        // Its patch waits to be claimed anew, however long.
        Some(e) if matches!(e.fate, Fate::Expired { patch: Some(_), .. }) => false,
        Some(_) => now.since(at) > REMEMBERED,
    };
    let gone: BTreeSet<CommentId> = entries
        .iter()
        .filter(|e| over(e.id, e.at))
        .map(|e| e.id)
        .collect();
    if gone.is_empty() {
        return entries.to_vec();
    }
    entries
        .iter()
        .filter(|e| !gone.contains(&e.id) && !names_one_of(e, &gone))
        .cloned()
        .collect()
}

fn names_one_of(entry: &Entry, gone: &BTreeSet<CommentId>) -> bool {
    entry
        .body
        .lines()
        .filter_map(|line| line.trim_start_matches("- ").strip_prefix("ref: "))
        .filter_map(|id| id.trim().parse().ok())
        .any(|id| gone.contains(&CommentId(id)))
}
