//! What a confined child really can and cannot do.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::agent::RunId;
use crate::process::Ending;
use crate::process::ProcessError;
use crate::process::ProcessSpec;
use crate::process::tests::skip;

const CEILING: Duration = Duration::from_secs(30);

/// A made-up machine: a home with a key and a toolchain, a state directory with a ledger and two workspaces.
struct Machine {
    _folder: tempfile::TempDir,
    home: PathBuf,
    state: PathBuf,
    workspace: PathBuf,
}

impl Machine {
    fn new() -> Self {
        // Not below `/tmp`, which is another one inside anyway: what is hidden must be hidden by name.
        let built = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir_in(built.parent().unwrap()).unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let machine = Self {
            home: root.join("home"),
            state: root.join("home/state"),
            workspace: root.join("home/state/workspaces/7"),
            _folder: folder,
        };
        for path in [
            &machine.workspace,
            &machine.state.join("workspaces/8"),
            &machine.home.join("toolchain"),
        ] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(machine.home.join("key"), "canary").unwrap();
        fs::write(machine.home.join("toolchain/lib"), "toolchain").unwrap();
        fs::write(machine.state.join("ledger"), "canary").unwrap();
        fs::write(machine.state.join("workspaces/8/file"), "canary").unwrap();
        fs::write(machine.workspace.join("file"), "own").unwrap();
        machine
    }

    fn bubblewrap(&self) -> Wrapper {
        Wrapper::bubblewrap().hide(&self.home).hide(&self.state)
    }

    /// Returns how many living processes have the workspace as their directory.
    fn inhabitants(&self) -> usize {
        let there = |folder: &fs::DirEntry| {
            fs::read_link(folder.path().join("cwd")).is_ok_and(|cwd| cwd == self.workspace)
        };
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(there)
            .count()
    }

    fn sh(&self, script: &str, wrapper: Wrapper, access: Access) -> ProcessSpec {
        ProcessSpec::new("/bin/sh", &self.workspace)
            .args(["-c", script, "sh"])
            .args([&self.home, &self.state])
            .deadline(CEILING)
            .confined(wrapper, Reach::new(&self.workspace, access))
    }
}

/// Returns whether this machine can confine anybody at all, asked without our own arguments: were those wrong, the tests
/// must fail and not be left out.
async fn bubblewrap_works() -> bool {
    let bare =
        ProcessSpec::new("bwrap", "/").args(["--unshare-all", "--ro-bind", "/", "/", "true"]);
    let why = match bare.run().await {
        Ok(report) if report.succeeded() => return true,
        Ok(report) => report.stderr().text().into_owned(),
        Err(error) => error.to_string(),
    };
    skip(&format!(
        "bubblewrap does not work on this machine: {}",
        why.trim()
    ));
    false
}

fn said(report: &ProcessReport) -> String {
    assert_eq!(
        report.ending(),
        Ending::Exited,
        "{}",
        report.stderr().text()
    );
    report.stdout().text().into_owned()
}

const LOOK: &str = r#"
for file in "$1/key" "$2/ledger" "$2/workspaces/8/file" "$1/toolchain/lib" file; do cat "$file" 2>/dev/null || echo -; echo; done"#;

#[tokio::test]
async fn home_and_state_are_unreadable_but_for_the_own_workspace() {
    if !bubblewrap_works().await {
        return;
    }
    let machine = Machine::new();
    // Without a wrapper the same script reads everything, so that a typing error in it would show.
    let report = machine
        .sh(LOOK, Wrapper::none(), Access::ReadOnly)
        .run()
        .await
        .unwrap();
    assert_eq!(said(&report), "canary\ncanary\ncanary\ntoolchain\nown\n");
    let report = machine
        .sh(LOOK, machine.bubblewrap(), Access::ReadOnly)
        .run()
        .await
        .unwrap();
    assert_eq!(said(&report), "-\n\n-\n\n-\n\n-\n\nown\n");
}

#[tokio::test]
async fn a_named_path_is_readable_and_what_is_hidden_in_it_stays_hidden() {
    if !bubblewrap_works().await {
        return;
    }
    let machine = Machine::new();
    let named = machine.bubblewrap().read(machine.home.join("toolchain"));
    assert_eq!(
        said(
            &machine
                .sh(LOOK, named, Access::ReadOnly)
                .run()
                .await
                .unwrap()
        ),
        "-\n\n-\n\n-\n\ntoolchain\nown\n"
    );
    // The whole home is named, the state directory inside it is not.
    let wide = Wrapper::bubblewrap()
        .hide(&machine.state)
        .read(&machine.home);
    assert_eq!(
        said(
            &machine
                .sh(LOOK, wide, Access::ReadOnly)
                .run()
                .await
                .unwrap()
        ),
        "canary\n-\n\n-\n\ntoolchain\nown\n"
    );
}

#[tokio::test]
async fn a_read_only_workspace_cannot_be_changed_and_another_can() {
    if !bubblewrap_works().await {
        return;
    }
    let machine = Machine::new();
    let script = r#"echo edited >file; mkdir -p made; echo kept >/tmp/x; for file in "$1/key" /usr/x /x /etc/x; do (echo lost >"$file") 2>/dev/null && echo "wrote $file"; done; cat /tmp/x"#;
    let report = machine
        .sh(script, machine.bubblewrap(), Access::ReadOnly)
        .run()
        .await
        .unwrap();
    assert_eq!(said(&report), "kept\n");
    assert_eq!(fs::read(machine.workspace.join("file")).unwrap(), b"own");
    assert!(!machine.workspace.join("made").exists());
    assert!(
        machine
            .sh(script, machine.bubblewrap(), Access::ReadWrite)
            .run()
            .await
            .unwrap()
            .succeeded()
    );
    assert_eq!(
        fs::read(machine.workspace.join("file")).unwrap(),
        b"edited\n"
    );
    assert!(machine.workspace.join("made").is_dir());
    assert_eq!(fs::read(machine.home.join("key")).unwrap(), b"canary");
    assert!(!Path::new("/usr/x").exists());
}

#[tokio::test]
async fn the_network_is_out_of_reach_unless_named() {
    if !bubblewrap_works().await || !Path::new("/bin/bash").exists() {
        return skip("needs bubblewrap and bash");
    }
    let machine = Machine::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{} && echo connected",
        listener.local_addr().unwrap().port()
    );
    for (wrapper, connects) in [
        (Wrapper::none(), true),
        (machine.bubblewrap(), false),
        (machine.bubblewrap().network(Network::On), true),
    ] {
        let spec = ProcessSpec::new("/bin/bash", &machine.workspace)
            .args(["-c", &script])
            .deadline(CEILING);
        let report = spec
            .confined(
                wrapper.clone(),
                Reach::new(&machine.workspace, Access::ReadOnly),
            )
            .run()
            .await
            .unwrap();
        assert_eq!(said(&report) == "connected\n", connects, "{wrapper:?}");
    }
}

#[tokio::test]
async fn other_processes_are_out_of_sight_and_nothing_outlives_the_child() {
    if !bubblewrap_works().await {
        return;
    }
    let machine = Machine::new();
    let script = "ls -d /proc/[0-9]* | wc -l; setsid env -i sh -c 'sleep 1; echo survived >survivor; sleep 3600' >/dev/null 2>&1 &";
    let report = machine
        .sh(script, machine.bubblewrap(), Access::ReadWrite)
        .run_id(&RunId::random())
        .run()
        .await
        .unwrap();
    // The shell, `ls`, `wc` and bubblewrap's own first process.
    assert!(
        said(&report).trim().parse::<u32>().unwrap() <= 6,
        "{}",
        report.stdout().text()
    );
    assert_eq!((report.escaped(), report.left_behind()), (0, 0));
    assert_eq!(machine.inhabitants(), 0);
}

#[tokio::test]
async fn a_confined_child_outlives_the_thread_that_started_it() {
    if !bubblewrap_works().await {
        return;
    }
    let machine = Machine::new();
    let spec = machine
        .sh(
            "read line; echo $line",
            machine.bubblewrap(),
            Access::ReadOnly,
        )
        .stdin("still here\n");
    // By the time the input is written the thread is gone, and with it, were it the parent, the child.
    let running = std::thread::spawn(move || spec.start().unwrap())
        .join()
        .unwrap();
    let report = running.finish(std::future::pending()).await.unwrap();
    assert_eq!(said(&report), "still here\n");
}

#[tokio::test]
async fn limits_hold_inside_as_outside() {
    if !bubblewrap_works().await {
        return;
    }
    let machine = Machine::new();
    let spec = machine.sh(
        "trap '' TERM; setsid env -i sleep 3600 & sleep 3600",
        machine.bubblewrap(),
        Access::ReadOnly,
    );
    let report = spec.stall(Duration::from_millis(500)).run().await.unwrap();
    assert_eq!(report.ending(), Ending::Stalled);
    assert_eq!(machine.inhabitants(), 0);
    let spec = machine.sh("exit 9", machine.bubblewrap(), Access::ReadOnly);
    assert_eq!(spec.run().await.unwrap().code(), Some(9));
}

#[tokio::test]
async fn a_program_out_of_sight_is_a_sentence_and_not_a_riddle() {
    if !bubblewrap_works().await {
        return;
    }
    let machine = Machine::new();
    let program = machine.home.join("agent");
    fs::copy("/bin/echo", &program).unwrap();
    let confined = |program: &Path, wrapper| {
        ProcessSpec::new(program, &machine.workspace)
            .confined(wrapper, Reach::new(&machine.workspace, Access::ReadOnly))
    };
    let error = confined(&program, machine.bubblewrap())
        .start()
        .unwrap_err();
    assert!(
        matches!(error, ProcessError::Wrapper { source: WrapperError::Invisible { path }, .. } if path == program)
    );
    // A link in plain sight to a file that is not.
    let link = machine.workspace.join("link");
    std::os::unix::fs::symlink(&program, &link).unwrap();
    assert!(confined(&link, machine.bubblewrap()).start().is_err());
    let report = confined(&program, machine.bubblewrap().read(&program))
        .run()
        .await
        .unwrap();
    assert!(report.succeeded(), "{}", report.stderr().text());
}

#[tokio::test]
async fn a_working_wrapper_passes_its_trial() {
    if !bubblewrap_works().await {
        return;
    }
    let machine = Machine::new();
    machine.bubblewrap().probe(&machine.state).await.unwrap();
    // Nothing of the trial stays.
    assert_eq!(fs::read_dir(&machine.state).unwrap().count(), 2);
    Wrapper::none().probe(Path::new("/nowhere")).await.unwrap();
}

#[tokio::test]
async fn a_wrapper_that_wraps_nothing_fails_its_trial() {
    let machine = Machine::new();
    let idle = Wrapper::custom(["/usr/bin/env"]).unwrap();
    let by = "env".to_owned();
    assert_eq!(idle.confinement(), Confinement::Confined { by });
    let error = idle.probe(&machine.state).await.unwrap_err();
    insta::assert_snapshot!(error, @"the wrapper `env` does not work here: a child can read files beside its workspace");
    let broken =
        Wrapper::custom(["/bin/sh", "-c", "echo 'no namespaces here' >&2; exit 1"]).unwrap();
    let error = broken.probe(&machine.state).await.unwrap_err();
    insta::assert_snapshot!(error, @"the wrapper `sh` does not work here: no namespaces here");
    let missing = Wrapper::bubblewrap()
        .program("/nowhere/bwrap")
        .probe(&machine.state)
        .await
        .unwrap_err();
    insta::assert_snapshot!(missing, @"the wrapper `bubblewrap` does not work here: program `/nowhere/bwrap` was not found in /nowhere/bwrap; install it or give its full path");
}

fn view(wrapper: &Wrapper, reach: &Reach) -> View {
    View::new(wrapper, reach).unwrap()
}

#[test]
fn the_bubblewrap_command_is_this() {
    let machine = Machine::new();
    let wrapper = machine.bubblewrap().read(machine.home.join("toolchain"));
    let reach = Reach::new(&machine.workspace, Access::ReadWrite);
    let args = bubblewrap::arguments(&view(&wrapper, &reach), &machine.workspace);
    let text = args
        .iter()
        .map(|arg| arg.to_str().unwrap())
        .collect::<Vec<_>>()
        .join(" ");
    let text = text
        .replace(machine.home.to_str().unwrap(), "HOME")
        .replace(" --", "\n--");
    let text: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("--ro-bind-try"))
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    --unshare-all
    --die-with-parent
    --new-session
    --cap-drop ALL
    --proc /proc
    --dev /dev
    --tmpfs /tmp
    --tmpfs /var/tmp
    --tmpfs HOME
    --tmpfs HOME/state
    --ro-bind HOME/toolchain HOME/toolchain
    --bind HOME/state/workspaces/7 HOME/state/workspaces/7
    --remount-ro HOME
    --remount-ro HOME/state
    --remount-ro /
    --chdir HOME/state/workspaces/7
    --as-pid-1
    -- /bin/sh -c "$@"; exit $? sh
    "#);
}

#[test]
fn the_sandbox_exec_profile_is_this() {
    let machine = Machine::new();
    let tricky = machine.home.join("quo\"te\\ (allow default)");
    fs::create_dir(&tricky).unwrap();
    let wrapper = Wrapper::sandbox_exec()
        .hide(&machine.home)
        .hide(&machine.state)
        .read(&tricky);
    let args = sandbox_exec::arguments(&view(
        &wrapper,
        &Reach::new(&machine.workspace, Access::ReadWrite),
    ))
    .unwrap();
    let [flag, profile] = args.as_slice() else {
        panic!("{args:?}")
    };
    assert_eq!(flag, "-p");
    let profile = profile
        .to_str()
        .unwrap()
        .replace(machine.home.to_str().unwrap(), "HOME");
    let own: Vec<&str> = profile
        .lines()
        .filter(|line| line.contains("HOME") || line.contains("network"))
        .collect();
    insta::assert_snapshot!(own.join("\n"), @r#"
    (deny file-read* file-write* process-exec (subpath "HOME"))
    (allow file-read* process-exec (subpath "HOME/quo\"te\\ (allow default)"))
    (deny file-write* (subpath "HOME/quo\"te\\ (allow default)"))
    (deny file-read* file-write* process-exec (subpath "HOME/state"))
    (allow file-read* file-write* process-exec (subpath "HOME/state/workspaces/7"))
    "#);
    assert!(profile.starts_with("(version 1)\n(deny default)\n"));
}

#[test]
fn a_team_s_own_command_is_filled_in_word_by_word() {
    let machine = Machine::new();
    let words = [
        "jail",
        "--mode={access}",
        "--net",
        "{network}",
        "--see={read}",
        "--root={workspace}",
        "{command}",
        "--last",
    ];
    let wrapper = Wrapper::custom(words)
        .unwrap()
        .read(machine.home.join("toolchain"))
        .read("/usr");
    let reach = Reach::new(&machine.workspace, Access::ReadWrite);
    let wrapped = wrapper
        .wrap(
            &reach,
            Path::new("/bin/agent"),
            &["{read}".into()],
            &machine.workspace,
        )
        .unwrap()
        .unwrap();
    let text = wrapped
        .args
        .iter()
        .map(|arg| arg.to_str().unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(
        (wrapped.program.to_str(), wrapped.namespaced),
        (Some("jail"), false)
    );
    // What the child is given is never filled in.
    insta::assert_snapshot!(text.replace(machine.home.to_str().unwrap(), "HOME"), @r"
    --mode=rw
    --net
    off
    --see=/usr
    --see=HOME/toolchain
    --root=HOME/state/workspaces/7
    /bin/agent
    {read}
    --last
    ");
}

#[test]
fn a_command_with_unknown_words_is_refused() {
    let error = |words: &[&str]| {
        Wrapper::custom(words.iter().copied())
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(error(&[]), @"the wrapper's command is empty; give the program and its arguments, or use `none`");
    insta::assert_snapshot!(error(&["jail", "{workspce}"]), @"the wrapper's command has the unknown placeholder `{workspce}`; known are {workspace}, {directory}, {access}, {network}, {read} and {command}");
    insta::assert_snapshot!(error(&["jail", "x{command}"]), @"the wrapper's command has the unknown placeholder `{command}`; known are {workspace}, {directory}, {access}, {network}, {read} and {command}");
    insta::assert_snapshot!(error(&["jail", "{read"]), @"the wrapper's command has the unknown placeholder `{read`; known are {workspace}, {directory}, {access}, {network}, {read} and {command}");
}

#[test]
fn paths_that_cannot_be_kept_apart_are_refused() {
    let machine = Machine::new();
    let reach = || Reach::new(&machine.workspace, Access::ReadWrite);
    let error = |wrapper: &Wrapper, reach: &Reach| View::new(wrapper, reach).unwrap_err();
    assert!(
        matches!(error(&machine.bubblewrap().read(&machine.state), &reach()), WrapperError::Hidden { path } if path == machine.state)
    );
    assert!(matches!(
        error(&machine.bubblewrap(), &reach().write(&machine.home)),
        WrapperError::Hidden { .. }
    ));
    assert!(matches!(
        error(&machine.bubblewrap().hide(&machine.workspace), &reach()),
        WrapperError::Hidden { .. }
    ));
    assert!(matches!(
        error(&machine.bubblewrap().read("/no/such"), &reach()),
        WrapperError::Path { .. }
    ));
    assert!(matches!(
        error(&machine.bubblewrap().read("relative"), &reach()),
        WrapperError::Unwritable { .. }
    ));
    assert!(matches!(
        error(
            &machine.bubblewrap(),
            &Reach::new("/a\n(allow default)", Access::ReadOnly)
        ),
        WrapperError::Unwritable { .. }
    ));
    // A link to a hidden folder is that folder.
    let link = machine.workspace.join("link");
    std::os::unix::fs::symlink(&machine.state, &link).unwrap();
    assert!(matches!(
        error(&machine.bubblewrap().read(&link), &reach()),
        WrapperError::Hidden { .. }
    ));
    // Named twice: a read-only workspace stays read-only, a writable one writable.
    let twice = view(
        &machine.bubblewrap(),
        &Reach::new(&machine.workspace, Access::ReadOnly).write(&machine.workspace),
    );
    assert_eq!(twice.having(Right::Write).count(), 0);
    let twice = view(&machine.bubblewrap().read(&machine.workspace), &reach());
    assert_eq!(twice.having(Right::Write).count(), 1);
}
