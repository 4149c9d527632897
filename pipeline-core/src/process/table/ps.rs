//! macOS and the other systems without `/proc`: the `ps` program.

use std::io;
use std::process::Command;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::getuid;
use rustix::process::kill_process;

use super::Entry;
use crate::process::sweep::RunMark;

const PS: &str = "/bin/ps";

/// Returns the living processes of the own user; without a mark, none is marked.
pub(in crate::process) fn snapshot(mark: Option<&RunMark>) -> io::Result<Vec<Entry>> {
    let listing = ps(&[
        "-axEww",
        "-o",
        "pid=,ppid=,pgid=,uid=,state=,lstart=,command=",
    ])?;
    Ok(parse_listing(&listing, getuid().as_raw(), mark))
}

/// Returns when a living process started, as `ps` writes it.
pub(in crate::process) fn start_of(pid: Pid) -> io::Result<Option<String>> {
    let listing = ps(&[
        "-o",
        "pid=,ppid=,pgid=,uid=,state=,lstart=,command=",
        "-p",
        &pid.as_raw_nonzero().to_string(),
    ])?;
    Ok(parse_listing(&listing, getuid().as_raw(), None)
        .into_iter()
        .next()
        .map(|entry| entry.start))
}

/// Kills this process, if it still is the one that was seen.
pub(in crate::process) fn kill(entry: &Entry) {
    let Some(pid) = Pid::from_raw(entry.pid) else {
        return;
    };
    if start_of(pid).is_ok_and(|start| start.as_deref() == Some(entry.start.as_str())) {
        // A process that ended in between is what was wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "part of the one place that starts children; `ps` needs neither group nor deadline"
)]
fn ps(args: &[&str]) -> io::Result<Vec<u8>> {
    // The format of dates follows the locale otherwise, and the time zone is part of a start's identity.
    let output = Command::new(PS)
        .args(args)
        .env_clear()
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .output()?;
    Ok(output.stdout)
}

/// Reads `pid ppid pgid uid state lstart command-and-environment` lines; lines that are none are left out.
fn parse_listing(listing: &[u8], own: u32, mark: Option<&RunMark>) -> Vec<Entry> {
    listing
        .split(|byte| *byte == b'\n')
        .filter_map(|line| parse_line(&String::from_utf8_lossy(line), own, mark))
        .collect()
}

fn parse_line(line: &str, own: u32, mark: Option<&RunMark>) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace();
    let pid = fields.next()?.parse().ok()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let uid: u32 = fields.next()?.parse().ok()?;
    let state = fields.next()?;
    if uid != own || state.starts_with('Z') {
        return None;
    }
    // `Thu Nov 20 09:43:00 2025`
    let start: Vec<&str> = fields.by_ref().take(5).collect();
    // Arguments and environment are not told apart here: an argument that spells out the mark counts too.
    let marked = mark.is_some_and(|mark| fields.any(|word| word == mark.as_str()));
    (start.len() == 5).then(|| Entry {
        pid,
        parent,
        group,
        start: start.join(" "),
        marked,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agent::RunId;

    fn mark(run: &str) -> RunMark {
        RunMark::of(&RunId::new(run).unwrap())
    }

    const LISTING: &str = "\
    1     0     1     0 Ss   Thu Nov 20 08:00:00 2025 /sbin/launchd
  812     1   812   501 S    Thu Nov 20 09:43:00 2025 /bin/sleep 100 PATH=/usr/bin PIPELINE_RUN=r1 HOME=/x
  813   812   812   501 R+   Thu Nov 20 09:43:01 2025 sh -c x y PIPELINE_RUN=r12
  814   812   812   501 Z    Thu Nov 20 09:43:01 2025 (sleep)
 garbage
";

    #[test]
    fn own_living_processes_are_listed_with_their_mark() {
        let entries = parse_listing(LISTING.as_bytes(), 501, Some(&mark("r1")));
        let start = |second| format!("Thu Nov 20 09:43:0{second} 2025");
        assert_eq!(
            entries,
            [
                Entry {
                    pid: 812,
                    parent: 1,
                    group: 812,
                    start: start(0),
                    marked: true
                },
                Entry {
                    pid: 813,
                    parent: 812,
                    group: 812,
                    start: start(1),
                    marked: false
                },
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            parse_listing(&bytes, 501, Some(&mark("r1")));
        }
    }
}
