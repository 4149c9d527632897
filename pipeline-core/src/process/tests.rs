//! Real children of every bad kind.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::*;
use crate::agent::RunId;

/// Far beyond what anything here takes, also on a busy machine; a test that waits this long has failed.
const CEILING: Duration = Duration::from_secs(30);
const NEVER: Duration = Duration::from_secs(3600);

fn sh(script: &str) -> ProcessSpec {
    ProcessSpec::new("/bin/sh", "/")
        .args(["-c", script])
        .deadline(CEILING)
}

fn alive(pid: i32) -> bool {
    table::start_of(Pid::from_raw(pid).unwrap())
        .unwrap()
        .is_some()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + CEILING;
    while !holds() {
        assert!(Instant::now() < end, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn gone(pid: i32) {
    until(&format!("process {pid} is gone"), || !alive(pid)).await;
}

/// Reads a number that a child writes to a file when it is where the test wants it.
async fn number_in(file: &Path) -> i32 {
    let read = || {
        std::fs::read_to_string(file)
            .ok()
            .filter(|text| text.ends_with('\n'))?
            .trim()
            .parse()
            .ok()
    };
    until(&format!("a number stands in {}", file.display()), || {
        read().is_some()
    })
    .await;
    read().unwrap()
}

/// Says past the test harness's capture that something was not tried.
pub(super) fn skip(why: &str) {
    writeln!(
        std::io::stderr(),
        "SKIPPED {}: {why}",
        std::thread::current().name().unwrap_or("a test")
    )
    .unwrap();
}

fn has_setsid() -> bool {
    let found = ["/usr/bin/setsid", "/bin/setsid"]
        .iter()
        .any(|path| Path::new(path).exists());
    if !found {
        skip("no `setsid` program on this machine");
    }
    found
}

#[tokio::test]
async fn code_and_both_outputs_are_reported() {
    let report = sh("echo out; echo err >&2; exit 7").run().await.unwrap();
    assert_eq!(
        (report.ending(), report.exit(), report.code()),
        (Ending::Exited, Exit::Code(7), Some(7))
    );
    assert_eq!(
        (report.stdout().bytes(), report.stderr().bytes()),
        (&b"out\n"[..], &b"err\n"[..])
    );
    assert!(!report.succeeded());
}

#[tokio::test]
async fn a_signal_of_its_own_is_an_exit() {
    let report = sh("kill -9 $$").run().await.unwrap();
    assert_eq!(
        (report.ending(), report.exit(), report.code()),
        (Ending::Exited, Exit::Signal(9), None)
    );
}

#[tokio::test]
async fn output_need_not_be_text() {
    let report = sh(r"printf '\377\000\376'").run().await.unwrap();
    assert_eq!(report.stdout().bytes(), b"\xff\0\xfe");
    assert_eq!(report.stdout().text(), "\u{fffd}\0\u{fffd}");
}

#[tokio::test]
async fn the_environment_is_what_was_named_and_nothing_else() {
    // `cargo test` sets dozens of variables, so that there is something to leak.
    assert!(option_env!("CARGO_PKG_NAME").is_some());
    let spec = ProcessSpec::new("/usr/bin/env", "/")
        .env("A", "1")
        .env("A", "2")
        .run_id(&RunId::new("r-1").unwrap());
    let report = spec.run().await.unwrap();
    let mut lines: Vec<_> = report.stdout().text().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["A=2", "PIPELINE_RUN=r-1"]);
}

#[tokio::test]
async fn the_run_id_cannot_be_overridden() {
    let spec = ProcessSpec::new("/usr/bin/env", "/")
        .env(RUN_VARIABLE, "other")
        .run_id(&RunId::new("r-1").unwrap());
    assert_eq!(
        spec.run().await.unwrap().stdout().bytes(),
        b"PIPELINE_RUN=r-1\n"
    );
}

#[tokio::test]
async fn a_program_is_found_in_the_named_path_only() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/echo", folder.path().join("found-by-path")).unwrap();
    let report = ProcessSpec::new("found-by-path", "/")
        .env("PATH", folder.path())
        .arg("x")
        .run()
        .await
        .unwrap();
    assert_eq!(report.stdout().bytes(), b"x\n");
    let missing = ProcessSpec::new("sh", "/")
        .env("PATH", folder.path())
        .run()
        .await
        .unwrap_err();
    assert!(matches!(missing, ProcessError::NotFound { .. }));
    // An empty or relative entry would mean the working directory, which may be a stranger's.
    let relative = ProcessSpec::new("found-by-path", folder.path())
        .env("PATH", ":.:")
        .run()
        .await
        .unwrap_err();
    assert!(matches!(relative, ProcessError::NotFound { .. }));
}

#[tokio::test]
async fn input_and_output_larger_than_a_pipe_pass_at_once() {
    let input: Vec<u8> = (0..3_000_000_u32)
        .map(|number| number.to_le_bytes()[0])
        .collect();
    let report = ProcessSpec::new("cat", "/")
        .stdin(input.clone())
        .deadline(CEILING)
        .run()
        .await
        .unwrap();
    assert!(report.succeeded());
    assert!(report.into_stdout() == input);
}

#[tokio::test]
async fn a_child_that_reads_nothing_is_no_failure() {
    let report = sh("exec <&-; echo done")
        .stdin(vec![b'x'; 1 << 20])
        .run()
        .await
        .unwrap();
    assert!(report.succeeded());
    assert_eq!(report.stdout().bytes(), b"done\n");
}

#[tokio::test]
async fn a_child_that_writes_nothing_is_reported_so() {
    let report = sh(":").run().await.unwrap();
    assert_eq!(
        (
            report.succeeded(),
            report.stdout().total(),
            report.stderr().total()
        ),
        (true, 0, 0)
    );
}

#[tokio::test]
async fn a_flood_is_ended_and_its_beginning_kept() {
    let report = sh("exec yes")
        .stdout(Capture::all(100_001))
        .run()
        .await
        .unwrap();
    assert_eq!(report.ending(), Ending::Flooded(Stream::Stdout));
    assert_eq!(report.stdout().bytes().len(), 100_001);
    assert!(report.stdout().is_truncated());
}

#[tokio::test]
async fn a_flood_is_a_flood_also_if_it_was_over_first() {
    let report = sh("printf 12345")
        .stdout(Capture::all(4))
        .run()
        .await
        .unwrap();
    assert_eq!(
        (report.ending(), report.stdout().bytes()),
        (Ending::Flooded(Stream::Stdout), &b"1234"[..])
    );
    let report = sh("printf 1234")
        .stdout(Capture::all(4))
        .run()
        .await
        .unwrap();
    assert_eq!(
        (report.ending(), report.stdout().bytes()),
        (Ending::Exited, &b"1234"[..])
    );
}

#[tokio::test]
async fn of_errors_the_last_words_are_kept() {
    let report = sh("exec yes >&2")
        .stderr(Capture::tail(10, 1 << 20))
        .run()
        .await
        .unwrap();
    assert_eq!(report.ending(), Ending::Flooded(Stream::Stderr));
    let report = sh("printf 'first words, last words' >&2")
        .stderr(Capture::tail(10, 1 << 20))
        .run()
        .await
        .unwrap();
    assert_eq!(
        (report.ending(), report.stderr().bytes()),
        (Ending::Exited, &b"last words"[..])
    );
}

#[tokio::test]
async fn the_deadline_ends_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    // The deadline is long enough for the child to say who it is, and is not what the test waits for.
    let script = "sleep 3600 & echo $! >pid; wait";
    let spec = ProcessSpec::new("/bin/sh", folder.path())
        .args(["-c", script])
        .deadline(Duration::from_secs(5));
    let report = spec.run().await.unwrap();
    assert_eq!(
        (report.ending(), report.exit()),
        (Ending::Deadline, Exit::Signal(15))
    );
    gone(number_in(&file).await).await;
}

#[tokio::test]
async fn a_child_that_ignores_the_request_is_killed() {
    let (tell, told) = oneshot::channel();
    let running = sh("trap '' TERM; echo up; while :; do sleep 1; done")
        .grace(Duration::from_millis(100))
        .start()
        .unwrap();
    let report = finish_telling(running, tell, told).await;
    assert_eq!(
        (report.ending(), report.exit()),
        (Ending::Cancelled, Exit::Signal(9))
    );
}

#[tokio::test]
async fn a_child_that_obeys_may_clean_up_and_have_last_words() {
    let (tell, told) = oneshot::channel();
    let running = sh("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done")
        .grace(CEILING)
        .start()
        .unwrap();
    let report = finish_telling(running, tell, told).await;
    assert_eq!(
        (report.ending(), report.exit(), report.code()),
        (Ending::Cancelled, Exit::Code(3), None)
    );
    assert_eq!(report.stdout().bytes(), b"up\nbye\n");
}

/// Cancels when the child's first line arrives.
async fn finish_telling(
    running: RunningProcess,
    tell: oneshot::Sender<()>,
    told: oneshot::Receiver<()>,
) -> ProcessReport {
    let mut tell = Some(tell);
    let mut on_line = |_: StdoutLine<'_>| {
        if let Some(tell) = tell.take() {
            tell.send(()).unwrap();
        }
        Flow::Continue
    };
    let cancel = async {
        told.await.unwrap();
    };
    running
        .finish_lines(cancel, 100, &mut on_line)
        .await
        .unwrap()
}

#[tokio::test]
async fn silence_is_a_stall_also_with_closed_outputs() {
    for script in ["exec sleep 3600", "exec >&- 2>&-; exec sleep 3600"] {
        let report = sh(script)
            .stall(Duration::from_millis(300))
            .run()
            .await
            .unwrap();
        assert_eq!(
            (report.ending(), report.exit()),
            (Ending::Stalled, Exit::Signal(15)),
            "{script}"
        );
    }
}

#[tokio::test]
async fn words_on_either_output_are_no_stall() {
    // Longer than the stall time in all, with pauses far below it.
    let script = "for i in 1 2 3 4 5; do echo x; sleep 0.3; echo y >&2; sleep 0.3; done";
    let report = sh(script)
        .stall(Duration::from_millis(2500))
        .run()
        .await
        .unwrap();
    assert_eq!(report.ending(), Ending::Exited);
}

#[tokio::test]
async fn a_child_that_left_its_group_is_found_and_ended() {
    if !has_setsid() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Twice forked, a session of its own, deaf to hang-ups, its parents gone.
    let script = "setsid sh -c 'nohup sh -c \"echo \\$\\$ >pid; exec sleep 3600\" >/dev/null 2>&1 &' ; while [ ! -s pid ]; do sleep 0.01; done";
    let spec = ProcessSpec::new("/bin/sh", folder.path())
        .args(["-c", script])
        .deadline(CEILING);
    let report = spec.clone().run_id(&RunId::random()).run().await.unwrap();
    assert_eq!(
        (
            report.ending(),
            report.code(),
            report.escaped(),
            report.left_behind()
        ),
        (Ending::Exited, Some(0), 1, 0)
    );
    assert!(!alive(number_in(&folder.path().join("pid")).await));

    // The lie this would catch: without a run id nobody looks, and the child lives on.
    std::fs::remove_file(folder.path().join("pid")).unwrap();
    let report = spec.run().await.unwrap();
    let pid = number_in(&folder.path().join("pid")).await;
    assert_eq!((report.escaped(), alive(pid)), (0, true));
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
}

#[tokio::test]
async fn a_descendant_without_any_mark_is_found_while_its_parents_live() {
    if !has_setsid() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "setsid env -i /bin/sh -c 'echo $$ >pid; exec sleep 3600' & while [ ! -s pid ]; do sleep 0.01; done; echo up; wait";
    let running = ProcessSpec::new("/bin/sh", folder.path())
        .args(["-c", script])
        .run_id(&RunId::random())
        .start()
        .unwrap();
    let (tell, told) = oneshot::channel();
    let report = finish_telling(running, tell, told).await;
    assert_eq!(
        (report.ending(), report.escaped(), report.left_behind()),
        (Ending::Cancelled, 1, 0)
    );
    assert!(!alive(number_in(&folder.path().join("pid")).await));
}

#[tokio::test]
async fn a_stranger_that_holds_the_output_does_not_hold_the_run() {
    if !has_setsid() {
        return;
    }
    let started = Instant::now();
    // Without a run id it is not looked for; it keeps both outputs open long beyond the child.
    let report = sh("setsid sleep 40 & echo said").run().await.unwrap();
    assert_eq!(
        (report.ending(), report.stdout().bytes()),
        (Ending::Exited, &b"said\n"[..])
    );
    assert!(started.elapsed() < CEILING);
}

#[tokio::test]
async fn those_that_go_on_forking_are_ended_too() {
    if !has_setsid() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = RunId::random();
    // A chain of processes, each of which is gone as soon as the next one lives; it ends by itself in the end.
    let script = "setsid sh -c 'chain() { echo >>links; [ $1 -gt 5000 ] || { sleep 0.005; chain $(($1 + 1)) & }; }; chain 0' >/dev/null 2>&1; while [ \"$(wc -l <links)\" -lt 3 ]; do sleep 0.01; done";
    let spec = ProcessSpec::new("/bin/sh", folder.path())
        .args(["-c", script])
        .deadline(CEILING)
        .run_id(&run);
    let report = spec.run().await.unwrap();
    assert!(report.escaped() > 0);
    assert_eq!(report.left_behind(), 0);
    assert_eq!(sweep(&run).await.unwrap().ended(), 0);
}

#[tokio::test]
async fn dropping_the_future_ends_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "sleep 3600 & echo $! >member; setsid sh -c 'echo $$ >escaped; exec sleep 3600' & wait";
    let spec = ProcessSpec::new("/bin/sh", folder.path())
        .args(["-c", script])
        .run_id(&RunId::random())
        .deadline(NEVER);
    let running = spec.start().unwrap();
    let identity = running.identity().unwrap();
    let mut future = Box::pin(running.finish(std::future::pending()));
    let mut pids = Vec::new();
    let ready = async {
        for file in if has_setsid() {
            &["member", "escaped"][..]
        } else {
            &["member"]
        } {
            pids.push(number_in(&folder.path().join(file)).await);
        }
    };
    tokio::select! {
        report = &mut future => panic!("ended by itself: {report:?}"),
        () = ready => {}
    }
    assert!(identity.is_alive().unwrap() && pids.iter().all(|pid| alive(*pid)));
    drop(future);
    // What left the group is gone when the drop returns; of the group, killed as one, the kernel may still be clearing up.
    assert!(pids.get(1).is_none_or(|pid| !alive(*pid)));
    until("the leader is gone", || !identity.is_alive().unwrap()).await;
    for pid in pids {
        gone(pid).await;
    }
}

#[tokio::test]
async fn a_child_that_is_ended_gently_may_clean_up_and_is_killed_if_it_does_not_end() {
    let folder = tempfile::tempdir().unwrap();
    for (name, on_term) in [("cleans", "echo cleaned >cleaned; exit 0"), ("stays", "")] {
        let script = format!(
            // What the shell says of its ended child would end it, since nobody reads any more.
            "exec 2>/dev/null; trap '{on_term}' TERM; echo $$ >{name}.new; mv {name}.new {name}; while :; do sleep 0.05; done"
        );
        let spec = ProcessSpec::new("/bin/sh", folder.path())
            .args(["-c", &script])
            .grace(Duration::from_millis(if on_term.is_empty() {
                100
            } else {
                60_000
            }))
            .ended_gently();
        let running = spec.start().unwrap();
        let pid = number_in(&folder.path().join(name)).await;
        drop(running);
        gone(pid).await;
    }
    assert!(folder.path().join("cleaned").exists());
}

#[tokio::test]
async fn dropping_an_unfinished_start_ends_the_tree() {
    let running = sh("sleep 3600").start().unwrap();
    let identity = running.identity().unwrap();
    assert!(identity.is_alive().unwrap());
    drop(running);
    until("the leader is gone", || !identity.is_alive().unwrap()).await;
}

#[tokio::test]
async fn a_child_sees_no_input_before_it_is_seen_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let running = ProcessSpec::new("/bin/sh", folder.path())
        .args(["-c", "read line && echo $line >got"])
        .stdin("task\n")
        .start()
        .unwrap();
    let identity = running.identity().unwrap();
    assert!(identity.is_alive().unwrap() && !folder.path().join("got").exists());
    assert!(
        running
            .finish(std::future::pending())
            .await
            .unwrap()
            .succeeded()
    );
    assert_eq!(std::fs::read(folder.path().join("got")).unwrap(), b"task\n");
    assert!(!identity.is_alive().unwrap());
}

/// Leaves a child alone as a crash of the pipeline would.
fn crash(running: RunningProcess) -> ProcessIdentity {
    let identity = running.identity().unwrap();
    std::mem::forget(running);
    identity
}

#[tokio::test]
async fn after_a_crash_a_child_is_ended_by_its_journaled_identity() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >pid; while :; do sleep 1; done' & while :; do sleep 1; done";
    let identity = crash(
        ProcessSpec::new("/bin/sh", folder.path())
            .args(["-c", script])
            .start()
            .unwrap(),
    );
    let member = number_in(&folder.path().join("pid")).await;
    // Others of the same user, among them one without any environment, are nobody's business.
    let bystanders = [
        sh("exec sleep 3600"),
        sh("exec sleep 3600").env("A", "1").run_id(&RunId::random()),
    ];
    let bystanders = bystanders.map(|spec| spec.start().unwrap());
    let read_back: ProcessIdentity =
        serde_json::from_str(&serde_json::to_string(&identity).unwrap()).unwrap();
    assert_eq!(read_back, identity);
    assert_eq!(
        read_back.end(Duration::from_millis(50)).await.unwrap(),
        EndOutcome::Ended
    );
    assert!(!alive(member) && !identity.is_alive().unwrap());
    assert!(
        bystanders
            .iter()
            .all(|other| other.identity().unwrap().is_alive().unwrap())
    );
    assert_eq!(
        read_back.end(Duration::ZERO).await.unwrap(),
        EndOutcome::Gone
    );
}

#[tokio::test]
async fn a_number_that_is_somebody_elses_now_is_left_alone() {
    let running = sh("sleep 3600").start().unwrap();
    let mut journaled = serde_json::to_value(running.identity().unwrap()).unwrap();
    journaled["start_time"] = "another boot:1".into();
    let other: ProcessIdentity = serde_json::from_value(journaled).unwrap();
    assert_eq!(other.end(Duration::ZERO).await.unwrap(), EndOutcome::Gone);
    assert!(running.identity().unwrap().is_alive().unwrap());
}

#[tokio::test]
async fn a_damaged_journal_reaches_neither_everybody_nor_the_system() {
    for pid in [0, 1, u32::MAX] {
        let start_time = if pid == 1 {
            table::start_of(Pid::INIT).unwrap().unwrap_or_default()
        } else {
            String::new()
        };
        let identity: ProcessIdentity =
            serde_json::from_value(serde_json::json!({ "pid": pid, "start_time": start_time }))
                .unwrap();
        assert_eq!(
            identity.end(Duration::ZERO).await.unwrap(),
            EndOutcome::Gone
        );
    }
}

#[tokio::test]
async fn after_a_crash_a_sweep_ends_what_carries_the_run_id() {
    let run = RunId::random();
    let identity = crash(sh("sleep 3600").run_id(&run).start().unwrap());
    let stranger = sh("sleep 3600")
        .run_id(&RunId::new(format!("{run}0")).unwrap())
        .start()
        .unwrap();
    let swept = sweep(&run).await.unwrap();
    assert!(swept.ended() >= 1 && swept.remaining() == 0, "{swept:?}");
    assert!(!identity.is_alive().unwrap());
    assert!(stranger.identity().unwrap().is_alive().unwrap());
}

#[tokio::test]
async fn lines_arrive_while_the_child_runs_and_can_end_it() {
    let mut lines = Vec::new();
    let mut on_line = |line: StdoutLine<'_>| {
        lines.push(match line {
            StdoutLine::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            StdoutLine::Oversized(bytes) => format!("{}…", String::from_utf8_lossy(bytes)),
        });
        if lines.last().is_some_and(|line| line == "bad") {
            Flow::Stop
        } else {
            Flow::Continue
        }
    };
    // The lines after the bad one come in the same breath, and must not be handed on.
    let running = sh(r"printf 'good\n0123456789abcdef\nbad\nafter\n'; exec sleep 3600")
        .start()
        .unwrap();
    let report = running
        .finish_lines(std::future::pending(), 10, &mut on_line)
        .await
        .unwrap();
    assert_eq!(report.ending(), Ending::Stopped);
    assert_eq!(lines, ["good", "0123456789…", "bad"]);
}

#[tokio::test]
async fn a_last_line_without_end_is_a_line() {
    let mut lines = Vec::new();
    let mut on_line = |line: StdoutLine<'_>| {
        lines.push(line == StdoutLine::Whole(b"last"));
        Flow::Stop
    };
    let report = sh("printf last")
        .start()
        .unwrap()
        .finish_lines(std::future::pending(), 10, &mut on_line)
        .await
        .unwrap();
    assert_eq!((report.ending(), lines), (Ending::Stopped, vec![true]));
}

#[tokio::test]
async fn a_child_can_be_talked_with() {
    let (say, input) = mpsc::channel(4);
    let mut say = Some(say);
    let mut heard = Vec::new();
    let mut on_line = |line: StdoutLine<'_>| {
        let StdoutLine::Whole(bytes) = line else {
            return Flow::Stop;
        };
        heard.push(bytes.to_vec());
        match heard.len() {
            1 => say.as_ref().unwrap().try_send(b"two\n".to_vec()).unwrap(),
            _ => say = None,
        }
        Flow::Continue
    };
    let running = ProcessSpec::new("cat", "/")
        .stdin("one\n")
        .keep_stdin_open()
        .deadline(CEILING)
        .start()
        .unwrap()
        .feed(input);
    let report = running
        .finish_lines(std::future::pending(), 10, &mut on_line)
        .await
        .unwrap();
    assert!(report.succeeded());
    assert_eq!(heard, [b"one".to_vec(), b"two".to_vec()]);
}

#[tokio::test]
async fn children_side_by_side_do_not_take_each_others_end() {
    let mut runs = tokio::task::JoinSet::new();
    for code in 0..40 {
        runs.spawn(async move {
            (
                code,
                sh(&format!("exit {code}")).run().await.unwrap().code(),
            )
        });
    }
    while let Some(run) = runs.join_next().await {
        let (code, found) = run.unwrap();
        assert_eq!(found, Some(code));
    }
}

#[test]
fn errors_are_sentences() {
    let error = |spec: ProcessSpec| spec.start().unwrap_err().to_string();
    insta::assert_snapshot!(error(ProcessSpec::new("no-such-program", "/").env("PATH", "/usr/bin:/bin")), @"program `no-such-program` was not found in /usr/bin:/bin; install it or give its full path");
    insta::assert_snapshot!(error(ProcessSpec::new("./run", "/nowhere")), @"program `./run` was not found in /nowhere/./run; install it or give its full path");
    insta::assert_snapshot!(error(ProcessSpec::new("sh", "/nowhere")), @"working directory `/nowhere` of `sh` is not a directory");
    insta::assert_snapshot!(error(sh(":").env("A=B", "secret")), @r#"environment variable "A=B" is not usable: a name is not empty and has no `=`, and neither name nor value has a NUL"#);
    insta::assert_snapshot!(error(sh(":").env("A", "sec\0ret")), @r#"environment variable "A" is not usable: a name is not empty and has no `=`, and neither name nor value has a NUL"#);
    insta::assert_snapshot!(error(ProcessSpec::new("/etc/passwd", "/")), @"program `/etc/passwd` was not found in /etc/passwd; install it or give its full path");
    insta::assert_snapshot!(error(ProcessSpec::new("", "/")), @"program `` was not found in an empty name; install it or give its full path");
}

#[test]
fn debug_shows_neither_input_nor_environment_values() {
    let spec = sh(":").env("TOKEN", "canary-value").stdin("canary-prompt");
    let text = format!("{spec:?}");
    assert!(
        text.contains("TOKEN") && text.contains("13 bytes") && !text.contains("canary"),
        "{text}"
    );
    let running = spec.start().unwrap();
    assert!(!format!("{running:?}").contains("canary"));
}
