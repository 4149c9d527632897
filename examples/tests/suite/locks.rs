//! Work-start locks on a git remote, with two machines of one team; and signed memos, through a change of the key.

use std::path::Path;
use std::path::PathBuf;

use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueKey;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalTracker;

use super::world::Done;
use super::world::World;

const WORK: &str = "echo 'hello again' > greeting.txt
    echo '{\"v\":1,\"outcome\":\"completed\",\"message\":\"Done.\"}'";

/// Stands for ssh: the shared remote lies on this machine, and whatever would run there runs here.
const SSH: &str = "for last; do :; done\nexec sh -c \"$last\"\n";

/// A machine of the team, by its clone of the repository.
struct Machine<'a> {
    world: &'a World,
    clone: PathBuf,
}

impl Machine<'_> {
    async fn run(&self, arguments: &[&str]) -> Done {
        self.world.run_in(&self.clone, arguments).await
    }

    async fn git(&self, arguments: &[&str]) -> String {
        let spec = self.world.spec("git", &self.clone, arguments);
        let done = super::world::done(&spec.run().await.expect("git starts"));
        done.ended(0).out
    }

    /// Makes the shared remote its `origin`, as one that is reached by ssh.
    async fn reaches(&self, shared: &Path) {
        let address = format!("ssh://shared{}", shared.display());
        self.git(&["remote", "add", "origin", &address]).await;
    }
}

/// Changes a configuration, of which every text must be there.
fn configure(state: &Path, changes: &[(&str, &str)]) {
    let path = state.join("pipeline.toml");
    let mut text = std::fs::read_to_string(&path).expect("there");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    std::fs::write(&path, text).expect("written");
}

fn states(world: &World) -> Vec<PathBuf> {
    let root = world.state();
    let root = root.parent().expect("a folder of all of them");
    let entries = std::fs::read_dir(root).expect("init has run");
    entries.map(|e| e.expect("readable").path()).collect()
}

#[tokio::test]
async fn of_two_machines_that_share_a_git_remote_one_makes_each_run_and_lands_it() {
    let world = World::new().await;
    world.agent("", "", WORK);
    std::fs::write(world.top.join("bin/ssh.sh"), SSH).expect("written");
    let shared = world.top.join("shared.git");
    let (path, second) = (shared.display().to_string(), world.top.join("second"));
    world.git(&["init", "--quiet", "--bare", &path]).await;
    world.git(&["push", "--quiet", &path, "main"]).await;
    let clone = second.display().to_string();
    world
        .git(&[
            "clone", "--quiet", "--origin", "here", "--branch", "main", &path, &clone,
        ])
        .await;
    let machines = [world.repo(), second].map(|clone| Machine {
        world: &world,
        clone,
    });
    let agent = format!("sh {}", world.top.join("bin/agent.sh").display());
    let usual = [
        "init",
        "--tracker",
        "local",
        "--agent",
        &agent,
        "--verify",
        "sh check.sh",
    ];
    let init = [&usual[..], &["--local-ok", "tracker"]].concat();
    let ssh = format!(
        "push_ssh_command = \"sh {}\"",
        world.top.join("bin/ssh.sh").display()
    );
    let mut first: Option<PathBuf> = None;
    for machine in &machines {
        machine.reaches(&shared).await;
        machine.run(&init).await.ended(0);
        let known = states(&world);
        let state = known
            .iter()
            .find(|s| first.as_ref() != Some(*s))
            .expect("made")
            .clone();
        let tracker = first
            .as_ref()
            .map(|first| format!("dir = \"{}\"", first.join("tracker").display()));
        configure(
            &state,
            &[
                ("#store = \"threads\"", "store = \"git\""),
                ("#push_ssh_command = \"ssh -i /home/rei/.ssh/deploy\"", &ssh),
                (
                    "#dir = \"/srv/pipeline/shop/tracker\"",
                    tracker
                        .as_deref()
                        .unwrap_or("#dir = \"/srv/pipeline/shop/tracker\""),
                ),
            ],
        );
        first.get_or_insert(state);
    }
    let [one, two] = &machines;
    let key = world.started("Say hello again").await;
    let (a, b) = tokio::join!(one.run(&["dispatch"]), two.run(&["dispatch"]));
    let said = format!("{}\n{}", a.said(), b.said());
    assert_eq!(said.matches("submitted by").count(), 1, "{said}");
    let refs = world.spec("git", &shared, &["for-each-ref", "refs/agents/locks"]);
    let refs = super::world::done(&refs.run().await.expect("git starts"));
    assert_eq!(refs.out.lines().count(), 1, "{}", refs.said());
    // Whoever made the run keeps its patch; to the other it is somebody's who has finished.
    let (winner, other) = if a.said().contains("submitted by") {
        (one, two)
    } else {
        (two, one)
    };
    other
        .run(&["dispatch"])
        .await
        .ended(0)
        .says("waits for integration");
    other.run(&["integrate"]).await.ended(0);
    winner.run(&["integrate"]).await.ended(0);
    let reviews = winner
        .run(&["--json", "review", "--stat"])
        .await
        .ended(0)
        .json();
    let candidate = &reviews[0]["id"].as_str().expect("a candidate waits")[..12];
    let ok = format!("OK {candidate}");
    winner.run(&["issue", "comment", &key, &ok]).await.ended(0);
    let (won, left) = tokio::join!(winner.run(&["integrate"]), other.run(&["integrate"]));
    won.ended(0).says("landed as");
    left.ended(0);
    let rounds = ["log", "--format=%(trailers:key=Agent-Round)", "main"];
    let landed = winner.git(&rounds).await;
    assert_eq!(landed.matches("Agent-Round").count(), 1, "{landed}");
    assert!(!other.git(&rounds).await.contains("Agent-Round"));
    for machine in [winner, other] {
        machine.run(&["dispatch"]).await.ended(0).says("has landed");
        machine.run(&["integrate"]).await.ended(0);
    }
    let thread = world.thread(&key).await;
    assert!(!thread.contains("kind: claim"), "{thread}");
}

/// Configures the key that signs, the first comment that must be signed, and the keys that are only read.
fn sign(world: &World, from: &str, to: &str) {
    configure(&world.state(), &[(from, to)]);
}

async fn lands(world: &World, key: &str) {
    world.run(&["integrate"]).await.ended(0);
    let candidate = world.waiting().await.expect("a candidate waits");
    let ok = format!("OK {candidate}");
    world.run(&["issue", "comment", key, &ok]).await.ended(0);
    world.run(&["integrate"]).await.ended(0).says("landed as");
}

/// Returns the number of the newest comment of an issue that holds a text, and the comment.
async fn newest(world: &World, key: &str, text: &str) -> (u64, String) {
    let shown = world.run(&["--json", "issue", "show", key]).await.ended(0);
    let shown = shown.json();
    let comments = shown["comments"].as_array().expect("a list").clone();
    let of = |c: &serde_json::Value| Some((c["id"].as_u64()?, c["body"].as_str()?.to_owned()));
    let mut found = comments
        .iter()
        .filter_map(of)
        .filter(|(_, body)| body.contains(text));
    found.next_back().expect("it is there")
}

#[tokio::test]
async fn memos_are_signed_through_a_rotation_and_an_edited_one_is_refused() {
    let mut world = World::ready(WORK).await;
    world.set("KEY_ONE", "the first key of this team");
    world.set("KEY_TWO", "the second key of this team");
    world
        .run(&["doctor"])
        .await
        .says("only a reader who saw them before notices");
    let key = world.started("Say hello again").await;
    // What was written without a key counts, since it is older than the first signed comment.
    let (checked, _) = newest(&world, &key, "AI local-check memo").await;
    let since = format!("since = {}", checked + 1);
    sign(
        &world,
        "#key = { env = \"ISSUE_PIPELINE_SIGNING_KEY\" }",
        "key = { env = \"KEY_ONE\" }",
    );
    sign(&world, "#since = 1", &since);
    world
        .run(&["doctor"])
        .await
        .says("by key `k1`; 0 older key(s) are read");
    world.run(&["dispatch"]).await.ended(0).says("submitted");
    let thread = world.thread(&key).await;
    assert!(thread.contains("sig: k1 "), "{thread}");
    assert!(!thread.contains("the first key of this team"), "{thread}");

    // The key changes while a patch waits: what the old one signed is read on, and what follows is signed by the new.
    sign(
        &world,
        "key = { env = \"KEY_ONE\" }",
        "key = { env = \"KEY_TWO\" }",
    );
    sign(&world, "#id = \"k1\"", "id = \"k2\"");
    sign(
        &world,
        "#old = [{ id = \"k0\", key = { file = \"/etc/issue-pipeline/k0\" } }]",
        "old = [{ id = \"k1\", key = { env = \"KEY_ONE\" } }]",
    );
    world
        .run(&["doctor"])
        .await
        .says("by key `k2`; 1 older key(s) are read");
    lands(&world, &key).await;
    let (_, landed) = newest(&world, &key, "kind: landed").await;
    assert!(landed.contains("sig: k2 "), "{landed}");

    // Whoever may edit comments and lacks the key is noticed, by a machine that never saw the words before, too.
    let key = world.started("Say it once more").await;
    let (check, body) = newest(&world, &key, "AI local-check memo").await;
    assert!(body.contains("sig: k2 "), "{body}");
    let folder = world.state().join("tracker");
    let person =
        LocalTracker::open(&folder, Actor::person("eve").expect("a login")).expect("opened");
    let issue = IssueKey::new(&key).expect("a key");
    let edited = body.replace("greeting.txt", "check.sh");
    assert_ne!(edited, body);
    person
        .edit_comment(&issue, CommentId(check), &edited)
        .await
        .expect("edited");
    std::fs::remove_dir_all(world.state().join("mirror")).expect("forgotten");
    let said = world.run(&["dispatch"]).await.said();
    assert!(
        said.contains("cannot be trusted") || said.contains("not as we wrote it"),
        "{said}"
    );
    let thread = world.thread(&key).await;
    assert!(!thread.contains("kind: claim"), "{thread}");
}
