//! Finding and ending the processes of a run that left their group.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::getpid;

use super::error::ProcessError;
use super::spec::RUN_VARIABLE;
use super::table;
use super::table::Entry;
use crate::agent::RunId;

/// How long a sweep goes on while there is somebody left.
const CEILING: Duration = Duration::from_secs(3);
/// How long the killed may take to leave the table before it is read again.
const PAUSE: Duration = Duration::from_millis(2);

/// Says what a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Sweep {
    ended: usize,
    remaining: usize,
}

impl Sweep {
    /// Returns how many processes were ended.
    #[must_use]
    pub const fn ended(&self) -> usize {
        self.ended
    }

    /// Returns how many are still there.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.remaining
    }
}

/// Ends every process of a run: those that carry its id in their environment, and their descendants.
///
/// Repeats until none is left, since they may fork meanwhile, but at most 3 seconds. Only processes of the own user are
/// looked at; the calling process and its ancestors are left alone.
///
/// # Errors
/// Fails if the table of processes cannot be read.
///
/// # Cancel safety
/// Dropping the future leaves the sweep unfinished; it can be repeated.
pub async fn sweep(run: &RunId) -> Result<Sweep, ProcessError> {
    let mut sweeper = Sweeper::new(RunMark::of(run));
    sweeper.sweep().await;
    match sweeper.failure() {
        Some(source) => Err(ProcessError::Table { source }),
        None => Ok(Sweep {
            ended: sweeper.ended(),
            remaining: sweeper.remaining(),
        }),
    }
}

/// What stands in the environment of a run's processes: `NAME=value`, the value never empty.
///
/// A type of its own, because whatever matches it is killed: an empty text would match everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunMark(String);

impl RunMark {
    pub(super) fn of(run: &RunId) -> Self {
        Self(format!("{RUN_VARIABLE}={run}"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ends a run's escaped processes, round by round.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    mark: Option<RunMark>,
    /// The child's own group, which is killed as one and does not count as escaped.
    group: Option<i32>,
    /// Processes known to be the run's although they may carry no mark: pid and start.
    known: BTreeSet<(i32, String)>,
    seen: BTreeSet<(i32, String)>,
    remaining: usize,
    failure: Option<std::io::Error>,
}

impl Sweeper {
    pub(super) fn new(mark: RunMark) -> Self {
        Self {
            mark: Some(mark),
            ..Self::default()
        }
    }

    /// Returns a sweeper for a process and its group, whatever they carry.
    pub(super) fn for_group(leader: Pid) -> Self {
        let mut sweeper = Self::default();
        sweeper.remember_descendants(leader);
        sweeper.group = None;
        sweeper
    }

    /// Remembers who descends from the leader and its group: once a parent is dead, its children are nobody's.
    pub(super) fn remember_descendants(&mut self, leader: Pid) {
        let leader = leader.as_raw_nonzero().get();
        self.group = Some(leader);
        let Some(entries) = self.snapshot() else {
            return;
        };
        let found = family(&entries, |entry| {
            entry.pid == leader || entry.group == leader || entry.marked
        });
        self.known.extend(found.iter().map(key));
    }

    /// Repeats rounds until nobody is left or the time is over.
    pub(super) async fn sweep(&mut self) {
        let until = Instant::now() + CEILING;
        while self.round() && Instant::now() < until {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// As [`sweep`](Self::sweep), for a drop.
    pub(super) fn sweep_blocking(&mut self) {
        let until = Instant::now() + CEILING;
        while self.round() && Instant::now() < until {
            thread::sleep(PAUSE);
        }
    }

    /// Kills whoever is found; answers whether anybody was.
    fn round(&mut self) -> bool {
        let found = self.survivors();
        for entry in &found {
            table::kill(entry);
            self.seen.insert(key(entry));
        }
        self.remaining = found.len();
        !found.is_empty()
    }

    /// Returns whoever of the run is alive now, and remembers them.
    pub(super) fn survivors(&mut self) -> Vec<Entry> {
        let Some(entries) = self.snapshot() else {
            return Vec::new();
        };
        let found: Vec<Entry> = family(&entries, |entry| {
            entry.marked || self.known.contains(&key(entry))
        })
        .into_iter()
        .filter(|entry| Some(entry.group) != self.group)
        .collect();
        self.known.extend(found.iter().map(key));
        found
    }

    fn snapshot(&mut self) -> Option<Vec<Entry>> {
        match table::snapshot(self.mark.as_ref()) {
            Ok(entries) => Some(entries),
            Err(error) => {
                tracing::warn!(%error, "the table of processes cannot be read; escaped processes are not looked for");
                self.failure = Some(error);
                None
            }
        }
    }

    /// Takes what kept the table from being read.
    pub(super) const fn failure(&mut self) -> Option<std::io::Error> {
        self.failure.take()
    }

    pub(super) fn ended(&self) -> usize {
        self.seen.len().saturating_sub(self.remaining)
    }

    pub(super) const fn remaining(&self) -> usize {
        self.remaining
    }
}

fn key(entry: &Entry) -> (i32, String) {
    (entry.pid, entry.start.clone())
}

/// Returns the entries that `is_root` names, and all their descendants.
///
/// This process and its ancestors never count, whatever they carry: where the pipeline itself runs inside a marked
/// run, not everything below that is to be ended.
fn family(entries: &[Entry], is_root: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    family_beside(getpid().as_raw_nonzero().get(), entries, is_root)
}

fn family_beside(own: i32, entries: &[Entry], is_root: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let own_line = line_of(entries, own);
    let others = || {
        entries
            .iter()
            .filter(|entry| entry.pid > 1 && !own_line.contains(&entry.pid))
    };
    let mut members: BTreeSet<i32> = others()
        .filter(|entry| is_root(entry))
        .map(|entry| entry.pid)
        .collect();
    loop {
        let before = members.len();
        let children: Vec<i32> = others()
            .filter(|entry| members.contains(&entry.parent))
            .map(|entry| entry.pid)
            .collect();
        members.extend(children);
        if members.len() == before {
            return others()
                .filter(|entry| members.contains(&entry.pid))
                .cloned()
                .collect();
        }
    }
}

/// Returns a process and its ancestors.
fn line_of(entries: &[Entry], pid: i32) -> BTreeSet<i32> {
    let mut line = BTreeSet::new();
    let mut next = Some(pid);
    while let Some(pid) = next
        && line.insert(pid)
    {
        next = entries
            .iter()
            .find(|entry| entry.pid == pid)
            .map(|entry| entry.parent);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: i32, parent: i32, marked: bool) -> Entry {
        Entry {
            pid,
            parent,
            group: pid,
            start: pid.to_string(),
            marked,
        }
    }

    fn pids(own: i32, entries: &[Entry], is_root: impl Fn(&Entry) -> bool) -> Vec<i32> {
        family_beside(own, entries, is_root)
            .into_iter()
            .map(|entry| entry.pid)
            .collect()
    }

    #[test]
    fn a_family_is_the_roots_and_everybody_below_them() {
        // Children stand before their parents, and two name each other as parent, which a hostile table may.
        let entries = [
            entry(9, 8, false),
            entry(8, 7, false),
            entry(7, 1, true),
            entry(6, 5, false),
            entry(5, 6, false),
        ];
        assert_eq!(pids(99, &entries, |entry| entry.marked), [9, 8, 7]);
        assert!(pids(99, &entries, |_| false).is_empty());
    }

    #[test]
    fn the_own_process_its_ancestors_and_the_system_are_nobodys_family() {
        // All carry the mark, as where the whole pipeline runs inside a run or a container that sets the variable.
        let entries = [
            entry(1, 0, true),
            entry(10, 1, true),
            entry(20, 10, true),
            entry(30, 20, true),
            entry(40, 20, false),
        ];
        assert_eq!(pids(20, &entries, |entry| entry.marked), [30]);
    }

    #[test]
    fn a_line_goes_up_and_ends_even_in_a_circle() {
        let entries = [
            entry(3, 2, false),
            entry(2, 1, false),
            entry(6, 5, false),
            entry(5, 6, false),
        ];
        assert_eq!(line_of(&entries, 3), BTreeSet::from([1, 2, 3]));
        assert_eq!(line_of(&entries, 5), BTreeSet::from([5, 6]));
    }

    #[test]
    fn a_mark_is_never_empty() {
        assert_eq!(
            RunMark::of(&RunId::new("r-1").unwrap()).as_str(),
            "PIPELINE_RUN=r-1"
        );
        assert!(RunId::new("").is_err());
    }

    #[test]
    fn without_a_mark_nobody_is_marked() {
        // Only reads. Every process has an empty rest behind its last variable, which is nobody's mark.
        assert!(
            table::snapshot(None)
                .unwrap()
                .iter()
                .all(|entry| !entry.marked)
        );
        assert!(Sweeper::default().survivors().is_empty());
    }
}
