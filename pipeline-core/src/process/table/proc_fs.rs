//! Linux: `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use rustix::process::getuid;
use rustix::process::kill_process;
use rustix::process::pidfd_open;
use rustix::process::pidfd_send_signal;

use super::Entry;
use crate::process::sweep::RunMark;

/// How often the table is listed at most for one snapshot.
const PASSES: usize = 16;
/// How often, and at which pace, a process is looked at again that is changing its program.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(1);

/// Returns the living processes of the own user; without a mark, none is marked.
///
/// Who forks faster than the whole table is read would always be gone when its turn comes. So those that are new since
/// the last listing are read at once, newest first, until a listing shows nobody new.
pub(in crate::process) fn snapshot(mark: Option<&RunMark>) -> io::Result<Vec<Entry>> {
    let own = getuid().as_raw();
    let mut entries = Vec::new();
    let mut known = BTreeSet::new();
    for _ in 0..PASSES {
        let news: Vec<i32> = listed()?
            .into_iter()
            .filter(|pid| known.insert(*pid))
            .collect();
        if news.is_empty() {
            break;
        }
        entries.extend(
            news.into_iter()
                .rev()
                .filter_map(|pid| entry_of(pid, own, mark)),
        );
    }
    Ok(entries)
}

/// Returns the numbers of all processes, in rising order.
fn listed() -> io::Result<BTreeSet<i32>> {
    let folders = fs::read_dir("/proc")?;
    Ok(folders
        .filter_map(|folder| folder.ok()?.file_name().to_str()?.parse().ok())
        .collect())
}

/// Reads one process; nothing where it is another user's or has just ended, which is no failure of the snapshot.
fn entry_of(pid: i32, own: u32, mark: Option<&RunMark>) -> Option<Entry> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    if fs::metadata(&folder).ok()?.uid() != own {
        return None;
    }
    let stat = stat_of(&folder)?;
    let marked = mark.is_some_and(|mark| {
        let mut tries = 0;
        loop {
            let Ok(environ) = fs::read(folder.join("environ")) else {
                return false;
            };
            // Between one program and the next a process has neither environment nor arguments for a moment.
            let between = environ.is_empty()
                && !is_kernels(&stat)
                && fs::read(folder.join("cmdline")).is_ok_and(|line| line.is_empty());
            if !between || tries == TRIES {
                return has_mark(&environ, mark);
            }
            tries += 1;
            std::thread::sleep(PAUSE);
        }
    });
    Some(Entry {
        pid,
        parent: stat.parent,
        group: stat.group,
        start: stat.start,
        marked,
    })
}

/// Returns when a living process started: the boot's id and the clock ticks since, which no two processes of one number share.
pub(in crate::process) fn start_of(pid: Pid) -> io::Result<Option<String>> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let stat = stat_of(Path::new(&format!("/proc/{}", pid.as_raw_nonzero())));
    Ok(stat.map(|stat| format!("{}:{}", boot.trim(), stat.start)))
}

/// Kills exactly this process, even if it has ended meanwhile and its number is in use again.
pub(in crate::process) fn kill(entry: &Entry) {
    let Some(pid) = Pid::from_raw(entry.pid) else {
        return;
    };
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => Some(handle),
        Err(Errno::NOSYS | Errno::PERM) => None,
        Err(_) => return,
    };
    // The handle stands for whoever has the number now: only with the same start is it the one that was seen.
    let same = stat_of(Path::new(&format!("/proc/{}", entry.pid)))
        .is_some_and(|stat| stat.start == entry.start);
    if same {
        // A process that ended in between is what was wanted.
        let _ = handle.map_or_else(
            || kill_process(pid, Signal::KILL),
            |handle| pidfd_send_signal(handle, Signal::KILL),
        );
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    group: i32,
    start: String,
}

/// Threads of the kernel, which never have an environment, and their two parents.
fn is_kernels(stat: &Stat) -> bool {
    matches!(stat.parent, 0 | 2)
}

fn stat_of(folder: &Path) -> Option<Stat> {
    parse_stat(&fs::read(folder.join("stat")).ok()?)
}

/// Reads `/proc/PID/stat`; nothing for a process that is already dead.
fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    // The name in parentheses is chosen by the process and may hold blanks, parentheses and invalid UTF-8; nothing after it can.
    let after_name = bytes.rsplit(|byte| *byte == b')').next()?;
    let mut fields = std::str::from_utf8(after_name)
        .ok()?
        .split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // The process's start is field 22 of the line, and the group was field 5.
    let start = fields.nth(16)?;
    start
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| Stat {
            parent,
            group,
            start: start.to_owned(),
        })
}

fn has_mark(environ: &[u8], mark: &RunMark) -> bool {
    environ
        .split(|byte| *byte == 0)
        .any(|variable| variable == mark.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agent::RunId;

    fn mark(run: &str) -> RunMark {
        RunMark::of(&RunId::new(run).unwrap())
    }

    const LINE: &[u8] =
        b"4242 (a) R 1 (b) S 17 23 23 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2 3";

    #[test]
    fn a_name_with_parentheses_forges_nothing() {
        assert_eq!(
            parse_stat(LINE),
            Some(Stat {
                parent: 17,
                group: 23,
                start: "987654".to_owned()
            })
        );
    }

    #[test]
    fn the_dead_are_not_listed() {
        let zombie: Vec<u8> = LINE
            .to_vec()
            .into_iter()
            .map(|byte| if byte == b'S' { b'Z' } else { byte })
            .collect();
        assert_eq!(parse_stat(&zombie), None);
    }

    #[test]
    fn a_mark_is_a_whole_variable() {
        let has_mark = |environ: &[u8]| has_mark(environ, &mark("r1"));
        assert!(has_mark(b"A=1\0PIPELINE_RUN=r1\0B=2\0"));
        assert!(has_mark(b"PIPELINE_RUN=r1"));
        assert!(!has_mark(b"A=1\0PIPELINE_RUN=r12\0"));
        assert!(!has_mark(b"X_PIPELINE_RUN=r1\0"));
        assert!(!has_mark(b""));
    }

    #[test]
    fn the_own_process_is_found_with_its_start() {
        let own = rustix::process::getpid();
        let entries = snapshot(Some(&mark("nobody-has-this"))).unwrap();
        let mine = entries
            .iter()
            .find(|entry| Some(entry.pid) == Some(own.as_raw_nonzero().get()))
            .unwrap();
        assert!(
            start_of(own)
                .unwrap()
                .unwrap()
                .ends_with(&format!(":{}", mine.start))
        );
        assert!(!mine.marked);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            parse_stat(&bytes);
        }
    }
}
