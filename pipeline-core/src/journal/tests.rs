use std::path::Path;

use super::*;

fn record(n: u64) -> Record {
    Record::PostDone {
        nonce: format!("n{n}"),
        comment: CommentId(n),
    }
}

fn intent(n: u64) -> Record {
    Record::PostIntent {
        issue: IssueKey::new("A-1").expect("key"),
        nonce: format!("n{n}"),
        kind: "claim".into(),
        body: "x".repeat(200),
        owner: None,
    }
}

fn written(n: u64) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("journal");
    let journal = FileJournal::open(&path).expect("opens");
    for i in 1..=n {
        assert_eq!(
            journal
                .append(Timestamp::EPOCH, &record(i))
                .expect("appends"),
            i
        );
    }
    (dir, path)
}

fn reopened(path: &Path) -> Vec<Record> {
    let entries = FileJournal::open(path).expect("opens").entries();
    let entries = entries.expect("reads");
    entries.into_iter().map(|e| e.record).collect()
}

#[test]
fn cut_at_every_byte_it_keeps_every_whole_record_and_goes_on() {
    let (_dir, path) = written(3);
    let whole = std::fs::read(&path).expect("reads");
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).expect("writes");
        let complete = whole[..cut].iter().filter(|b| **b == b'\n').count() as u64;
        let journal = FileJournal::open(&path).expect("opens");
        let kept: Vec<Record> = (1..=complete).map(record).collect();
        assert_eq!(reopened(&path), kept, "cut at {cut}");
        assert_eq!(
            journal
                .append(Timestamp::EPOCH, &record(9))
                .expect("appends"),
            complete + 1
        );
        let gone_on: Vec<Record> = kept.into_iter().chain([record(9)]).collect();
        assert_eq!(reopened(&path), gone_on, "cut at {cut}");
    }
}

#[test]
fn with_any_bit_of_any_byte_flipped_it_is_refused_with_its_record() {
    let (_dir, path) = written(3);
    let whole = std::fs::read(&path).expect("reads");
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            std::fs::write(&path, &bytes).expect("writes");
            let error = FileJournal::open(&path).expect_err("damaged");
            assert!(
                matches!(error, JournalError::Damaged { record: 1..=3, .. }),
                "{at}.{bit}: {error}"
            );
            assert_eq!(std::fs::read(&path).expect("reads"), bytes, "left as it is");
        }
    }
}

#[test]
fn a_record_that_is_left_out_or_stands_twice_is_refused() {
    let (_dir, path) = written(3);
    let whole = std::fs::read_to_string(&path).expect("reads");
    let lines: Vec<&str> = whole.lines().collect();
    for order in [&[0, 2][..], &[0, 1, 1, 2], &[1, 0, 2], &[1, 2]] {
        let text: String = order.iter().map(|i| format!("{}\n", lines[*i])).collect();
        std::fs::write(&path, text).expect("writes");
        let error = FileJournal::open(&path).expect_err("damaged");
        assert!(error.to_string().contains("missing"), "{order:?}: {error}");
    }
}

#[test]
fn two_handles_see_each_others_records() {
    let (_dir, path) = written(1);
    let (a, b) = (
        FileJournal::open(&path).expect("opens"),
        FileJournal::open(&path).expect("opens"),
    );
    assert_eq!(a.append(Timestamp::EPOCH, &record(2)).expect("appends"), 2);
    assert_eq!(b.append(Timestamp::EPOCH, &record(3)).expect("appends"), 3);
    assert_eq!(a.entries().expect("reads").len(), 3);
}

#[test]
fn rotation_bounds_the_size_keeps_what_is_open_and_is_seen_by_other_handles() {
    const LIMIT: u64 = 8_000;
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("journal");
    let open = || {
        FileJournal::open(&path)
            .expect("opens")
            .with_rotation_at(LIMIT)
    };
    let (a, b) = (open(), open());
    a.append(Timestamp::EPOCH, &intent(0)).expect("appends");
    let mut last = 1;
    for n in 1..=300 {
        let journal = if n % 3 == 0 { &b } else { &a };
        for record in [intent(n), record(n)] {
            let seq = journal.append(Timestamp::EPOCH, &record).expect("appends");
            assert!(seq > last, "the sequence only rises");
            last = seq;
        }
        let size = std::fs::metadata(&path).expect("there").len();
        assert!(size < LIMIT + 2_000, "{size} bytes after {n}");
    }
    let old = FileJournal::old(&path);
    assert!(std::fs::metadata(&old).expect("kept").len() < LIMIT + 2_000);
    for handle in [&a, &b, &open()] {
        let entries = handle.entries().expect("reads");
        assert!(matches!(entries[0].record, Record::Rotated { .. }));
        let left: Vec<&Entry> = still_open(&entries);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].record, intent(0));
    }
}

#[test]
fn what_was_begun_and_not_done_is_open_and_said_aloud() {
    let run = RunId::new("run-1").expect("run");
    let other = RunId::new("run-2").expect("run");
    let won = |run: &RunId| Record::ClaimWon {
        issue: IssueKey::new("A-1").expect("key"),
        claim: CommentId(7),
        nonce: "n".into(),
        round: EventId(3),
        run: run.clone(),
        owner: None,
    };
    let closed = Record::RunClosed {
        run: other.clone(),
        outcome: "done".into(),
    };
    let records = [intent(1), won(&run), won(&other), record(1), closed];
    let entries: Vec<Entry> = (1..)
        .zip(records)
        .map(|(seq, record)| Entry {
            seq,
            at: Timestamp::EPOCH,
            record,
        })
        .collect();
    let said: Vec<String> = still_open(&entries).into_iter().map(aloud).collect();
    assert_eq!(
        said,
        ["2 (1970-01-01T00:00:00.000Z): run run-1 holds A-1 by claim 7"]
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("temp dir");
    let missing = dir.path().join("gone").join("journal");
    let error = FileJournal::open(&missing).expect_err("no folder");
    assert!(error.to_string().contains("check the disk"), "{error}");
}
