//! What work on a repository costs, beside the same work done by hand with plain git, in the same process.
//!
//! `cargo bench -p pipeline-benches --bench git` prints a table at 2,000 and 20,000 files: a workspace that is ready, a
//! patch that is taken, a patch that is integrated, each with its rival and the ratio of the two. Both take turns, so
//! whatever else the machine does falls on both; the figures are medians. Then criterion measures ours at 2,000 files.
#![allow(
    missing_docs,
    reason = "criterion's macros make items without documentation"
)]
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(
    clippy::disallowed_methods,
    reason = "the rival is plain git, as a script would call it"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use pipeline_core::agent::{RunId, RunMode, WorkspaceKind};
use pipeline_core::clock::Timestamp;
use pipeline_core::gate::Person;
use pipeline_core::integrate::{
    ApplyOutcome, ClaimRef, Integration, OpenOutcome, PatchIntegrator as _, Submission,
    VerificationRecord,
};
use pipeline_core::issue::{CommentId, EventId, IssueKey};
use pipeline_core::workspace::{
    Patch, RemovalReason, Target, Workspace, WorkspaceProvider as _, WorkspaceRequest,
};
use pipeline_git::{
    GitIntegrator, GitOptions, GitWorkspaces, IntegratorOptions, Repository, WorkspaceOptions,
};
use tokio::runtime::Runtime;

/// How often each of the two does the same.
const ROUNDS: usize = 15;
/// How many patches wait together: what several agents side by side have handed over when the integrator comes.
const QUEUE: usize = 8;
/// What one of them is called in the table.
const QUEUED: &str = "patch integrated, of 8 that wait";
/// How many patches are integrated, and one more.
const PATCHES: usize = ROUNDS * QUEUE + 1;
/// How many files lie in a folder, and how many such folders in the one above: as deep as it needs to be, not as wide.
const IN_A_FOLDER: usize = 100;
const IN_AN_AREA: usize = 10;

/// A repository with a checkout, and what belongs to ours.
struct Bench {
    dir: tempfile::TempDir,
    runtime: Runtime,
    repository: Repository,
    files: usize,
}

fn git(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("git")
        .args(["-c", "user.name=Mika", "-c", "user.email=mika@shop.example"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .expect("git starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    output.stdout
}

/// Has everything written out that waits to be.
fn sync() {
    let done = Command::new("sync").status().expect("it starts");
    assert!(done.success(), "sync: {done}");
}

fn path_of(file: usize) -> String {
    let part = file / IN_A_FOLDER;
    format!("src/area{}/part{part}/file{file}.txt", part / IN_AN_AREA)
}

fn text_of(file: usize) -> String {
    (0..40)
        .map(|line| format!("line {line} of file {file}\n"))
        .collect()
}

impl Bench {
    fn of(files: usize) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let repo = dir.path().join("repo");
        for file in 0..files {
            let path = repo.join(path_of(file));
            if file % IN_A_FOLDER == 0 {
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            }
            std::fs::write(path, text_of(file)).expect("written");
        }
        git(&repo, &["init", "--quiet", "--initial-branch=main"]);
        git(&repo, &["add", "--all"]);
        git(&repo, &["commit", "--quiet", "--message", "begin"]);
        git(&repo, &["repack", "-adq"]);
        let runtime = Runtime::new().expect("a runtime");
        let opening = Repository::open(GitOptions::default(), &repo, dir.path().join("state"));
        let repository = runtime.block_on(opening).expect("opens");
        Self {
            dir,
            runtime,
            repository,
            files,
        }
    }

    fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    /// Changes 20 files on the branch, as somebody else's work does.
    fn move_base(&self, nth: usize) {
        for step in 0..20 {
            let file = (nth * 131 + step * 977) % self.files;
            let text = format!("{}moved {nth}\n", text_of(file));
            std::fs::write(self.repo().join(path_of(file)), text).expect("written");
        }
        git(
            &self.repo(),
            &["commit", "--quiet", "--all", "--message", "moved"],
        );
    }

    fn workspaces(&self) -> GitWorkspaces {
        let options = WorkspaceOptions::default().pool(2).grace(Duration::ZERO);
        GitWorkspaces::new(&self.repository, options)
    }

    async fn request(workspaces: &GitWorkspaces) -> WorkspaceRequest {
        let target = Target::new("main").expect("a branch");
        WorkspaceRequest {
            run: RunId::random(),
            issue: IssueKey::new("SHOP-1").expect("a key"),
            base: workspaces.base(&target).await.expect("there"),
            mode: RunMode::ReadOnly,
            kind: WorkspaceKind::DetachedWorktree,
            exclude: Vec::new(),
        }
    }

    /// Takes a workspace out of the pool, which was filled before; `moved` = for another base than that.
    fn ready(&self, workspaces: &GitWorkspaces, moved: Option<usize>) -> (Duration, Workspace) {
        self.runtime.block_on(async {
            let request = Self::request(workspaces).await;
            workspaces.fill_pool(&request.base).await.expect("filled");
            if let Some(nth) = moved {
                self.move_base(nth);
            }
            let request = Self::request(workspaces).await;
            let began = Instant::now();
            let workspace = workspaces.create(&request).await.expect("created");
            (began.elapsed(), workspace)
        })
    }

    fn by_hand(&self) -> Duration {
        let path = self.dir.path().join("by-hand");
        let at = path.to_str().expect("UTF-8");
        let began = Instant::now();
        git(
            &self.repo(),
            &["worktree", "add", "--quiet", "--detach", at],
        );
        let took = began.elapsed();
        git(&self.repo(), &["worktree", "remove", "--force", at]);
        took
    }

    fn workspace_rows(&self, rows: &mut Vec<Row>) {
        let workspaces = self.workspaces();
        for (name, aim) in [
            ("workspace ready, base unmoved", 10.0),
            ("workspace ready, base moved", 4.0),
        ] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                theirs.push(self.by_hand());
                let moved = name.ends_with(" moved").then_some(round);
                let (took, workspace) = self.ready(&workspaces, moved);
                ours.push(took);
                let removing = workspaces.remove(workspace, &RemovalReason::ReadOnly);
                self.runtime.block_on(removing).expect("removed");
            }
            rows.push(Row::of(
                name,
                "worktree add --detach",
                aim,
                self.files,
                ours,
                theirs,
            ));
        }
    }

    fn capture_row(&self) -> Row {
        let workspaces = self.workspaces();
        let (_, workspace) = self.ready(&workspaces, None);
        for file in 0..5 {
            let path = workspace.path.join(path_of(file * 7));
            std::fs::write(path, format!("{}changed\n", text_of(file * 7))).expect("written");
        }
        std::fs::write(workspace.path.join("new.txt"), "new\n").expect("written");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let began = Instant::now();
            git(&workspace.path, &["add", "--all"]);
            let by_hand = git(
                &workspace.path,
                &["diff", "--cached", "--binary", "--full-index", "-M"],
            );
            theirs.push(began.elapsed());
            git(&workspace.path, &["reset", "--quiet"]);
            let began = Instant::now();
            let captured = self.runtime.block_on(workspaces.capture(&workspace, &[]));
            ours.push(began.elapsed());
            assert_eq!(
                captured.expect("captured").patch.bytes(),
                by_hand,
                "the same patch"
            );
        }
        Row::of(
            "patch captured",
            "add --all + diff --cached",
            1.0,
            self.files,
            ours,
            theirs,
        )
    }

    /// Makes patches that each change two files and add one.
    fn patches(&self) -> Vec<Vec<u8>> {
        let repo = self.repo();
        (0..PATCHES)
            .map(|nth| {
                let step = self.files / PATCHES;
                let changed = [nth * step, nth * step + step / 2].map(path_of);
                for path in &changed {
                    let text = std::fs::read_to_string(repo.join(path)).expect("text");
                    let text = text.replace("line 20 ", &format!("another line {nth} "));
                    std::fs::write(repo.join(path), text).expect("written");
                }
                std::fs::write(repo.join(format!("src/new{nth}.txt")), text_of(nth))
                    .expect("written");
                git(&repo, &["add", "--all"]);
                let patch = git(&repo, &["diff", "--cached", "--binary", "--full-index"]);
                git(&repo, &["reset", "--quiet", "--hard"]);
                patch
            })
            .collect()
    }

    fn submission(nth: usize, patch: &[u8]) -> Submission {
        let number = u64::try_from(nth).expect("small");
        Submission {
            claim: ClaimRef {
                issue: IssueKey::new(format!("SHOP-{nth}")).expect("a key"),
                comment: CommentId(number),
                nonce: format!("{nth:032x}"),
                round: EventId(number),
            },
            base: pipeline_core::workspace::CommitId::new("0".repeat(40)).expect("a commit"),
            patch: Patch::new(patch.to_vec()),
            title: "Change".to_owned(),
            author: Person::new("codex", "codex@agents.invalid"),
            authored: Timestamp::from_millis(1_800_000_000_000),
            message: "Change two files\n".to_owned(),
            holds: Vec::new(),
        }
    }

    fn session(&self) -> Box<dyn Integration> {
        let integrator =
            GitIntegrator::new(&self.repository, IntegratorOptions::new("main", "here"));
        let target = Target::new("main").expect("a branch");
        let opened = self.runtime.block_on(integrator.open(&target));
        let OpenOutcome::Opened(session) = opened.expect("asked") else {
            unreachable!("nobody else has it");
        };
        session
    }

    /// Makes a sealed candidate of a queue, on which nothing is to be run, and returns what each patch took of it.
    fn integrate(&self, session: &mut dyn Integration, queue: &[Submission]) -> (Duration, String) {
        let began = Instant::now();
        let tree = self.runtime.block_on(async {
            for submission in queue {
                let applied = session.apply(submission, &[]).await.expect("asked");
                assert_eq!(applied, ApplyOutcome::Applied);
            }
            let tip = session.candidate().and_then(|candidate| candidate.tip());
            let tree = tip.expect("a chain").tree.clone();
            let at = Timestamp::from_millis(1_800_000_100_000);
            let record = VerificationRecord {
                tree: tree.clone(),
                commands: "none".to_owned(),
                verified: false,
                at,
            };
            session.set_verified(record).await.expect("kept");
            session.seal(at).await.expect("sealed");
            tree
        });
        let took = began.elapsed() / u32::try_from(queue.len()).expect("small");
        self.runtime.block_on(session.discard()).expect("dropped");
        (took, tree.to_string())
    }

    /// Integrates patches, so many of which wait together and on which nothing is to be run.
    ///
    /// The session is open and has integrated one patch before: its gits have started, and of the trees it knows what one
    /// patch needs, at either size.
    fn integrate_row(&self, name: &'static str, patches: &[Vec<u8>], together: usize) -> Row {
        let clone = self.dir.path().join("rival");
        if !clone.exists() {
            git(self.dir.path(), &["clone", "--quiet", "repo", "rival"]);
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let Some((warm, patches)) = patches.split_last() else {
            unreachable!("there are some")
        };
        let numbered: Vec<(usize, &Vec<u8>)> = patches.iter().enumerate().collect();
        for queue in numbered.chunks(together).take(ROUNDS) {
            git(&clone, &["reset", "--quiet", "--hard", "origin/main"]);
            let mut by_hand = Duration::ZERO;
            for (_, patch) in queue {
                let file = self.dir.path().join("the.patch");
                std::fs::write(&file, patch).expect("written");
                let at = file.to_str().expect("UTF-8");
                let began = Instant::now();
                git(&clone, &["apply", "--check", at]);
                git(&clone, &["apply", "--index", at]);
                git(
                    &clone,
                    &["commit", "--quiet", "--message", "Change two files"],
                );
                by_hand += began.elapsed();
            }
            theirs.push(by_hand / u32::try_from(queue.len()).expect("small"));
            let queue: Vec<Submission> = queue
                .iter()
                .map(|(nth, patch)| Self::submission(*nth, patch))
                .collect();
            // What plain git left unsynced would be written out by our first sync, and counted as ours.
            sync();
            let mut session = self.session();
            self.integrate(&mut *session, &[Self::submission(PATCHES, warm)]);
            let (took, tree) = self.integrate(&mut *session, &queue);
            ours.push(took);
            let by_hand = git(&clone, &["rev-parse", "HEAD^{tree}"]);
            let by_hand = String::from_utf8(by_hand).expect("text");
            assert_eq!(tree, by_hand.trim(), "the same tree");
        }
        let rival = "apply --check + apply --index + commit";
        Row::of(name, rival, 10.0, self.files, ours, theirs)
    }
}

/// One line of the table.
struct Row {
    name: &'static str,
    rival: &'static str,
    aim: f64,
    files: usize,
    ours: Duration,
    theirs: Duration,
}

impl Row {
    fn of(
        name: &'static str,
        rival: &'static str,
        aim: f64,
        files: usize,
        ours: Vec<Duration>,
        theirs: Vec<Duration>,
    ) -> Self {
        Self {
            name,
            rival,
            aim,
            files,
            ours: median(ours),
            theirs: median(theirs),
        }
    }

    fn ratio(&self) -> f64 {
        self.theirs.as_secs_f64() / self.ours.as_secs_f64()
    }
}

fn median(mut runs: Vec<Duration>) -> Duration {
    runs.sort();
    runs[runs.len() / 2]
}

fn rivals() {
    let mut rows = Vec::new();
    for files in [2_000, 20_000] {
        let bench = Bench::of(files);
        let patches = bench.patches();
        rows.push(bench.integrate_row(QUEUED, &patches, QUEUE));
        rows.push(bench.integrate_row("patch integrated, alone", &patches, 1));
        rows.push(bench.capture_row());
        bench.workspace_rows(&mut rows);
    }
    println!("| what | files | ours | by hand | so many times faster | aim |");
    println!("|---|---|---|---|---|---|");
    for row in &rows {
        println!(
            "| {} | {} | {:.1?} | {:.1?} ({}) | {:.1} | {} |",
            row.name,
            row.files,
            row.ours,
            row.theirs,
            row.rival,
            row.ratio(),
            row.aim
        );
    }
    let integrated: Vec<&Row> = rows.iter().filter(|row| row.name == QUEUED).collect();
    if let [small, large] = integrated[..] {
        let ratio = large.ours.as_secs_f64() / small.ours.as_secs_f64();
        println!(
            "integrating at 20,000 files takes {ratio:.2} of what it takes at 2,000 (aim: 0.80 to 1.20)"
        );
    }
}

fn ours(criterion: &mut Criterion) {
    rivals();
    let bench = Bench::of(2_000);
    let mut group = criterion.benchmark_group("git, 2,000 files");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    let workspaces = bench.workspaces();
    group.bench_function("workspace ready, base unmoved", |criterion| {
        criterion.iter_custom(|times| {
            let mut sum = Duration::ZERO;
            for _ in 0..times {
                let (took, workspace) = bench.ready(&workspaces, None);
                sum += took;
                let removing = workspaces.remove(workspace, &RemovalReason::ReadOnly);
                bench.runtime.block_on(removing).expect("removed");
            }
            sum
        });
    });
    let patches = bench.patches();
    let mut number = 0;
    group.bench_function("patch integrated", |criterion| {
        criterion.iter_custom(|times| {
            let mut session = bench.session();
            let mut sum = Duration::ZERO;
            for _ in 0..times {
                let queue: Vec<Submission> = patches
                    .iter()
                    .take(QUEUE)
                    .map(|patch| {
                        // Commits that were not kept before.
                        number += 1;
                        Bench::submission(number, patch)
                    })
                    .collect();
                sum += bench.integrate(&mut *session, &queue).0;
            }
            sum
        });
    });
    group.finish();
}

criterion_group!(benches, ours);
criterion_main!(benches);
