use pipeline_core::clock::Timestamp;
use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::EventId;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::status::Status;
use proptest::prelude::*;

use super::*;
use crate::local::actor::Actor;
use crate::local::edit::IssueEdit;
use crate::local::record::Event;
use crate::local::record::FORMAT;
use crate::local::record::Memo;
use crate::local::record::Sum;
use crate::local::statuses::LocalStatuses;

/// A file whose disk fails after so many bytes, and whose writer may be dead by then.
#[derive(Debug, Clone, Default)]
struct Disk {
    bytes: Vec<u8>,
    /// How many bytes may still be written.
    room: Option<usize>,
    dead: bool,
    sync_fails: bool,
    bytes_read: usize,
}

impl Disk {
    fn holding(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            ..Self::default()
        }
    }
}

impl LogFile for Disk {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_from(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        let tail = self.bytes[usize::try_from(offset).unwrap()..].to_vec();
        self.bytes_read += tail.len();
        Ok(tail)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = self.room.unwrap_or(usize::MAX).min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..room]);
        if room == bytes.len() {
            return Ok(());
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.sync_fails || self.dead {
            return Err(io::Error::other("the disk is gone"));
        }
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if self.dead {
            return Err(io::Error::other("nobody is left to do it"));
        }
        self.bytes.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

fn key() -> IssueKey {
    IssueKey::new("1").unwrap()
}

fn story() -> Vec<Event> {
    let issue = key();
    vec![
        Event::Init {
            format: FORMAT,
            tracker: "t".to_owned(),
            statuses: LocalStatuses::default(),
        },
        Event::New {
            issue: issue.clone(),
            draft: IssueDraft {
                title: "ログイン".to_owned(),
                ..IssueDraft::default()
            },
        },
        Event::Comment {
            issue: issue.clone(),
            id: CommentId(1),
            body: "one\n\"sum\":\"0000000000000000\"}\n,\"sum\":\"".to_owned(),
        },
        Event::Move {
            issue: issue.clone(),
            id: EventId(3),
            from: Status::Open,
            to: Status::SpecReview,
            memo: Some(Memo {
                id: CommentId(2),
                body: "memo".to_owned(),
            }),
        },
        Event::Attach {
            issue: issue.clone(),
            id: AttachmentId(4),
            name: "a".to_owned(),
            size: 1,
            sha256: "00".to_owned(),
        },
        Event::Edit {
            issue: issue.clone(),
            edit: IssueEdit::new().title("x"),
        },
        Event::DeleteComment {
            issue,
            id: CommentId(1),
        },
    ]
}

fn next(replica: &Replica, event: Event) -> Record {
    Record {
        seq: replica.lines() + 1,
        at: Timestamp::EPOCH,
        by: Actor::pipeline(),
        event,
    }
}

fn one_more(replica: &Replica) -> Record {
    let event = match replica.lines() {
        0 => story().remove(0),
        1 => story().remove(1),
        _ => Event::Comment {
            issue: key(),
            id: CommentId(replica.next_id()),
            body: "one more".to_owned(),
        },
    };
    next(replica, event)
}

fn written() -> (Vec<u8>, Replica) {
    let mut disk = Disk::default();
    let mut replica = Replica::new();
    for event in story() {
        let record = next(&replica, event);
        replica.check(&record).unwrap();
        append(&mut disk, &mut replica, record).unwrap();
    }
    (disk.bytes, replica)
}

fn lines_of(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

fn reread(disk: &mut Disk) -> Replica {
    let mut fresh = Replica::new();
    read_on(disk, &mut fresh).unwrap();
    fresh
}

#[test]
fn a_log_cut_at_any_byte_reads_up_to_the_cut_and_goes_on_from_there() {
    let (whole, _) = written();
    for cut in 0..=whole.len() {
        let mut disk = Disk::holding(&whole[..cut]);
        let complete = lines_of(&disk.bytes);
        assert_eq!(reread(&mut disk).lines(), complete, "cut at {cut}");
        assert_eq!(disk.bytes.len(), cut, "a reader wrote");

        // A record that only lacks its line feed is not lost either.
        let unended = whole.get(cut) == Some(&b'\n');
        let mut replica = Replica::new();
        read_on_and_mend(&mut disk, &mut replica).unwrap();
        assert_eq!(
            replica.lines(),
            complete + u64::from(unended),
            "cut at {cut}"
        );
        assert!(whole.starts_with(&disk.bytes));
        assert_eq!(lines_of(&disk.bytes), replica.lines());

        let record = one_more(&replica);
        replica.check(&record).unwrap();
        append(&mut disk, &mut replica, record).unwrap();
        assert_eq!(reread(&mut disk).lines(), replica.lines());
    }
}

#[test]
fn a_writer_that_dies_at_any_byte_leaves_its_record_whole_or_not_at_all() {
    let (before, ahead) = written();
    let length = encode(&one_more(&ahead), ahead.sum).0.len();
    for room in 0..length {
        let mut disk = Disk::holding(&before);
        let mut writer = reread(&mut disk);
        let mut bystander = reread(&mut disk);
        disk.room = Some(room);
        disk.dead = true;
        let record = one_more(&writer);
        let died = append(&mut disk, &mut writer, record);
        assert!(matches!(died, Err(AppendFailure::Unknown(_))));

        disk.room = None;
        disk.dead = false;
        let whole = u64::from(room == length - 1);
        read_on(&mut disk, &mut bystander).unwrap();
        assert_eq!(bystander.lines(), ahead.lines());
        read_on_and_mend(&mut disk, &mut bystander).unwrap();
        assert_eq!(
            bystander.lines(),
            ahead.lines() + whole,
            "died after {room} bytes"
        );
        let record = one_more(&bystander);
        append(&mut disk, &mut bystander, record).unwrap();
        assert_eq!(reread(&mut disk).lines(), bystander.lines());
    }
}

#[test]
fn a_full_disk_at_any_byte_takes_nothing_and_the_writer_can_go_on() {
    let (before, ahead) = written();
    let length = encode(&one_more(&ahead), ahead.sum).0.len();
    for room in 0..length {
        let mut disk = Disk::holding(&before);
        let mut writer = reread(&mut disk);
        disk.room = Some(room);
        let record = one_more(&writer);
        let failed = append(&mut disk, &mut writer, record);
        assert!(matches!(failed, Err(AppendFailure::NotLanded(_))));
        assert_eq!(disk.bytes, before);
        disk.room = None;
        let record = one_more(&writer);
        append(&mut disk, &mut writer, record).unwrap();
        assert_eq!(reread(&mut disk).lines(), ahead.lines() + 1);
    }
}

#[test]
fn a_failed_sync_is_an_unknown_outcome_and_the_record_is_read_like_any_other() {
    let (before, ahead) = written();
    let mut disk = Disk::holding(&before);
    let mut writer = reread(&mut disk);
    disk.sync_fails = true;
    let record = one_more(&writer);
    let failed = append(&mut disk, &mut writer, record);
    assert!(matches!(failed, Err(AppendFailure::Unknown(_))));
    read_on(&mut disk, &mut writer).unwrap();
    assert_eq!(writer.lines(), ahead.lines() + 1);
}

fn damage(bytes: &[u8]) -> Option<u64> {
    let mut replica = Replica::new();
    match read_on_and_mend(&mut Disk::holding(bytes), &mut replica) {
        Ok(()) => None,
        Err(ReadFailure::Damaged { line, .. }) => Some(line),
        Err(ReadFailure::Io(error)) => panic!("{error}"),
    }
}

#[test]
fn a_changed_byte_is_found_with_its_line() {
    let (whole, _) = written();
    for at in 0..whole.len() {
        for flip in [1, 0x20, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let line = lines_of(&whole[..at]) + 1;
            assert_eq!(damage(&bytes), Some(line), "byte {at} ^ {flip:#x}");
        }
    }
}

#[test]
fn lines_that_were_moved_repeated_or_taken_out_are_found() {
    let (whole, _) = written();
    let lines: Vec<_> = whole.split_inclusive(|b| *b == b'\n').collect();
    for i in 0..lines.len() - 1 {
        let mut out = lines.clone();
        out.remove(i);
        assert_eq!(damage(&out.concat()), Some(i as u64 + 1));
        let mut swapped = lines.clone();
        swapped.swap(i, i + 1);
        assert_eq!(damage(&swapped.concat()), Some(i as u64 + 1));
        let mut twice = lines.clone();
        twice.insert(i, lines[i]);
        assert_eq!(damage(&twice.concat()), Some(i as u64 + 2));
    }
}

#[test]
fn what_a_power_cut_leaves_behind_the_last_record_is_cut_off() {
    let (whole, ahead) = written();
    let (mut torn, _) = encode(&one_more(&ahead), ahead.sum);
    let middle = torn.len() / 2;
    torn[middle..middle + 10].fill(0);
    for tail in [&b"\0\0\0\0"[..], b"\0\0\0\n", &torn, &torn[..middle + 5]] {
        let mut disk = Disk::holding(&[&whole, tail].concat());
        assert_eq!(reread(&mut disk).lines(), ahead.lines());
        read_on_and_mend(&mut disk, &mut Replica::new()).unwrap();
        assert_eq!(disk.bytes, whole);
    }
    // Zeros before the last line are no unfinished write.
    let mut holed = whole.clone();
    holed[40..50].fill(0);
    assert_eq!(damage(&holed), Some(1));
}

#[test]
fn a_log_that_shrank_or_was_replaced_under_a_reader_is_refused() {
    let (whole, mut reader) = written();
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|b| *b == b'\n')
        .unwrap();
    for bytes in [&whole[..=last], &whole[..10], b"", &[b'x'; 5000][..]] {
        let failed = read_on(&mut Disk::holding(bytes), &mut reader);
        assert!(matches!(failed, Err(ReadFailure::Damaged { .. })));
    }
    read_on(&mut Disk::holding(&whole), &mut reader).unwrap();
}

#[test]
fn a_quiet_poll_reads_only_the_end_of_the_line_it_knows() {
    let (whole, mut replica) = written();
    let mut disk = Disk::holding(&whole);
    read_on(&mut disk, &mut replica).unwrap();
    assert_eq!(disk.bytes_read, ending(Sum::START).len());
    let mut other = reread(&mut Disk::holding(&whole));
    let record = one_more(&other);
    append(&mut disk, &mut other, record).unwrap();
    disk.bytes_read = 0;
    read_on(&mut disk, &mut replica).unwrap();
    assert_eq!(replica.lines(), other.lines());
    assert!(disk.bytes_read < 300);
}

/// A line with a right checksum that says something impossible: a bug or a forger, and not to be believed.
#[test]
fn a_record_that_does_not_follow_from_those_before_is_refused() {
    let (whole, ahead) = written();
    let issue = key();
    let unknown = IssueKey::new("2").unwrap();
    let odd = IssueKey::new("01").unwrap();
    let events = [
        story().remove(0),
        Event::New {
            issue: issue.clone(),
            draft: IssueDraft::default(),
        },
        Event::Comment {
            issue: issue.clone(),
            id: CommentId(4),
            body: String::new(),
        },
        Event::Comment {
            issue: unknown.clone(),
            id: CommentId(5),
            body: String::new(),
        },
        Event::Edit {
            issue: odd,
            edit: IssueEdit::new(),
        },
        Event::Move {
            issue: issue.clone(),
            id: EventId(5),
            from: Status::Open,
            to: Status::InProgress,
            memo: None,
        },
        Event::Move {
            issue: issue.clone(),
            id: EventId(5),
            from: Status::SpecReview,
            to: Status::Other("Nowhere".to_owned()),
            memo: None,
        },
        Event::DeleteComment {
            issue,
            id: CommentId(1),
        },
        Event::DeleteIssue { issue: unknown },
    ];
    for event in events {
        let said = format!("{event:?}");
        let (line, _) = encode(&next(&ahead, event), ahead.sum);
        let bytes = [&whole[..], &line].concat();
        assert_eq!(damage(&bytes), Some(ahead.lines() + 1), "{said}");
    }
    let mut skipped = one_more(&ahead);
    skipped.seq += 1;
    let (line, _) = encode(&skipped, ahead.sum);
    assert_eq!(
        damage(&[&whole[..], &line].concat()),
        Some(ahead.lines() + 1)
    );
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut replica = Replica::new();
        let _either = read_on_and_mend(&mut Disk::holding(&bytes), &mut replica);
        prop_assert_eq!(replica.lines(), 0);
    }
}
