//! A machine that is put back to the same moment again and again.

use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use super::super::world::World;
use super::facts::Facts;

/// How many files each of the two issues changes.
const FILES: usize = 120;
/// How many rounds of ordinary ticks may be needed to finish.
const ROUNDS: usize = 6;

/// What the agent looks into, by issue.
const CHECK: &str = r#"case $task in *"Mend the menus"*) d=menus;; *) d=orders;; esac
    echo '{"v":1,"outcome":"completed","answer":{"comment":"Looked.","confidence":0.9,"local_check":{"candidate_files":["'$d'/1.txt"],"implementation_scope":"One folder.","estimate":"small","blockers":[],"can_start_from_local":true,"db_change":false,"production_data":false,"pending_decisions":[]}}}'
    exit 0"#;

/// What the agent does: every file of a folder changes, one goes, one comes, one moves.
const WORK: &str = r#"case $task in *"Mend the menus"*) d=menus;; *) d=orders;; esac
    for f in $d/*.txt; do echo "mended" >> $f; done
    rm $d/2.txt; echo new > $d/new.txt; mv $d/3.txt $d/moved.txt; mkdir $d/sub; echo deep > $d/sub/x.txt"#;

/// A machine, and a copy of it as it was at the moment to begin from.
pub(super) struct Scene {
    world: World,
    keys: [String; 2],
    _kept: tempfile::TempDir,
    copy: PathBuf,
}

impl Scene {
    /// Two issues are started; nothing has been dispatched.
    pub(super) async fn started() -> Self {
        let (world, keys) = prepared().await;
        Self::of(world, keys).await
    }

    /// The patches of both issues are submitted.
    pub(super) async fn submitted() -> Self {
        let (world, keys) = prepared().await;
        world.run(&["dispatch"]).await.ended(0).says("submitted");
        Self::of(world, keys).await
    }

    /// The candidate of both patches has its OK.
    pub(super) async fn approved() -> Self {
        let (world, keys) = prepared().await;
        let candidate = world.candidate().await;
        let ok = format!("OK {candidate}");
        world
            .run(&["issue", "comment", &keys[0], &ok])
            .await
            .ended(0);
        Self::of(world, keys).await
    }

    async fn of(world: World, keys: [String; 2]) -> Self {
        let kept = tempfile::tempdir().expect("temporary directory");
        let copy = kept.path().join("copy");
        copy_tree(&world, &world.top, &copy).await;
        Self {
            world,
            keys,
            _kept: kept,
            copy,
        }
    }

    /// Makes everything as it was, at the same paths.
    pub(super) async fn put_back(&self) {
        for entry in std::fs::read_dir(&self.world.top).expect("there") {
            let path = entry.expect("readable").path();
            std::fs::remove_dir_all(path).expect("removed");
        }
        for entry in std::fs::read_dir(&self.copy).expect("there") {
            let entry = entry.expect("readable");
            let to = self.world.top.join(entry.file_name());
            copy_tree(&self.world, &entry.path(), &to).await;
        }
    }

    /// Lets one command end by itself, then everything else; returns what is there then, and how long the command took.
    pub(super) async fn undisturbed(&self, command: &[&str]) -> (Facts, Duration) {
        self.put_back().await;
        let began = Instant::now();
        self.world.run(command).await.ended(0);
        let lasted = began.elapsed();
        self.finish().await;
        let facts = self.facts().await;
        facts.look_finished();
        (facts, lasted)
    }

    /// Starts a command and kills it after a while; returns after which step, or `None` if it was over before.
    ///
    /// Only this one process is killed: whatever it has started goes on, as after a crash.
    pub(super) async fn killed(&self, command: &str, after: Duration) -> Option<String> {
        let written = self.journal().len();
        #[expect(
            clippy::disallowed_methods,
            reason = "a process that is killed by its own id, its children spared"
        )]
        let mut child = std::process::Command::new(super::super::world::BINARY)
            .arg(command)
            .current_dir(self.world.repo())
            .env_clear()
            .envs(self.world.variables())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary starts");
        // The one wait for time itself: the moment is what is tried.
        tokio::time::sleep(after).await;
        child.kill().expect("a child of ours");
        let ended = child.wait().expect("a child of ours");
        let by_signal = std::os::unix::process::ExitStatusExt::signal(&ended).is_some();
        by_signal.then(|| self.place(written))
    }

    /// Says how far the killed process had come: its last step in the journal since, and what there is on disk.
    fn place(&self, written: usize) -> String {
        let journal = self.journal();
        let last = journal.get(written..).and_then(<[_]>::last);
        let mut place = last.cloned().unwrap_or_else(|| "no step yet".to_owned());
        let git = self.world.repo().join(".git");
        let state = self.world.state().join("git");
        let there = |folder: &std::path::Path| {
            std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
        };
        for (what, found) in [
            ("objects under way", there(&state.join("quarantine"))),
            ("a workspace", there(&state.join("workspaces"))),
            (
                "a candidate",
                git.join("refs/agents/candidate/main").exists(),
            ),
            ("a verification", there(&state.join("verify"))),
            ("the index held", git.join("index.lock").exists()),
        ] {
            if found {
                place.push_str(&format!(" + {what}"));
            }
        }
        place
    }

    /// Makes ordinary ticks, with a person who gives the OK, until both issues have landed, and one more.
    pub(super) async fn finish(&self) {
        for _ in 0..ROUNDS {
            self.world.run(&["dispatch"]).await;
            self.world.run(&["integrate"]).await;
            if self.approve().await {
                self.world.run(&["integrate"]).await;
            }
            let log = self
                .world
                .git(&["log", "--format=%(trailers:key=Agent-Round)", "main"])
                .await;
            if self
                .keys
                .iter()
                .all(|key| log.contains(&format!("Agent-Round: {key} ")))
            {
                break;
            }
        }
        self.world.run(&["dispatch"]).await.ended(0);
        self.world.run(&["integrate"]).await.ended(0);
    }

    /// Gives the OK on the candidate that waits; false if none does.
    pub(super) async fn approve(&self) -> bool {
        let Some(candidate) = self.world.waiting().await else {
            return false;
        };
        let ok = format!("OK {candidate}");
        // After a kill a candidate may hold any of them, and an OK counts only in an issue of its own.
        for key in &self.keys {
            self.world
                .run(&["issue", "comment", key, &ok])
                .await
                .ended(0);
        }
        true
    }

    /// Returns how often a text stands in the thread of each issue.
    pub(super) async fn say(&self, text: &str) -> Vec<usize> {
        let mut counts = Vec::new();
        for key in &self.keys {
            counts.push(self.world.thread(key).await.matches(text).count());
        }
        counts
    }

    /// Returns what there is now.
    pub(super) async fn facts(&self) -> Facts {
        Facts::of(&self.world, &self.keys).await
    }

    /// Returns everything a person needs to see why something differs.
    pub(super) async fn story(&self) -> String {
        let mut story = self.journal().join("\n");
        for key in &self.keys {
            story.push_str(&format!(
                "\n--- issue {key}\n{}",
                self.world.thread(key).await
            ));
        }
        for command in ["dispatch", "integrate"] {
            story.push_str(&format!(
                "\n--- {command}\n{}",
                self.world.run(&[command]).await.said()
            ));
        }
        story
    }

    /// Returns the steps in the journal, by name.
    fn journal(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.world.state().join("journal.jsonl"));
        let text = text.unwrap_or_default();
        text.lines().filter_map(step).collect()
    }

    #[expect(
        clippy::print_stderr,
        reason = "which steps were hit is part of what the test shows"
    )]
    pub(super) fn report(&self, line: &str) {
        eprintln!("{line}");
    }
}

/// Names the step of a journal line; `None` for a line cut short.
fn step(line: &str) -> Option<String> {
    let (_checksum, json) = line.split_once(' ')?;
    let entry: serde_json::Value = serde_json::from_str(json).ok()?;
    let record = find_object(&entry, "what")?;
    let what = record["what"].as_str()?;
    let body = record["body"].as_str().unwrap_or_default();
    let kind = body
        .lines()
        .find_map(|line| line.trim_start_matches("- ").strip_prefix("kind: "))
        .or_else(|| record["kind"].as_str());
    Some(match kind {
        Some(kind) => format!("{what} {kind}"),
        None => what.to_owned(),
    })
}

fn find_object<'v>(value: &'v serde_json::Value, key: &str) -> Option<&'v serde_json::Value> {
    if value.get(key).is_some() {
        return Some(value);
    }
    value
        .as_object()?
        .values()
        .find_map(|inner| find_object(inner, key))
}

async fn prepared() -> (World, [String; 2]) {
    let world = World::new().await;
    for folder in ["menus", "orders", "rest"] {
        for n in 1..=FILES {
            world.write(&format!("{folder}/{n}.txt"), &format!("{folder} {n}\n"));
        }
    }
    world.commit("Menus and orders").await;
    world.agent("", CHECK, WORK);
    world.init(&[]).await.ended(0);
    // A removed workspace goes at once, so that what stays is seen.
    world.configure("#grace = \"10m\"", "grace = \"0s\"");
    let first = world.started("Mend the menus").await;
    let second = world.started("Mend the orders").await;
    (world, [first, second])
}

async fn copy_tree(world: &World, from: &std::path::Path, to: &std::path::Path) {
    let (from, to) = (from.display().to_string(), to.display().to_string());
    // With times: git would otherwise doubt every file.
    let copied = world
        .spec("cp", &world.top, &["-pPR", &from, &to])
        .run()
        .await;
    assert!(copied.expect("cp starts").succeeded(), "{from} is copied");
}
