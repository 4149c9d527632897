//! Everything that a person or a later tick could see after a run.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::super::world::World;

/// What there is, by what it is called. Names made by chance are left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts(BTreeMap<String, String>);

impl Facts {
    pub(super) async fn of(world: &World, keys: &[String]) -> Self {
        let mut facts = BTreeMap::new();
        let mut fact = |name: &str, value: String| facts.insert(name.to_owned(), value);
        fact("tree", world.git(&["rev-parse", "main^{tree}"]).await);
        fact(
            "checkout",
            world.git(&["status", "--porcelain", "--ignored"]).await,
        );
        fact(
            "untouched index",
            world.git(&["diff", "--cached", "--stat", "main"]).await,
        );
        let landed = world.git(&["log", "--format=%s|%an|%cn", "main"]).await;
        fact("commits", sorted(landed.lines()));
        let trailers = "--format=%(trailers:key=Agent-Round)";
        let rounds = world.git(&["log", trailers, "main"]).await;
        fact(
            "rounds landed",
            sorted(rounds.lines().filter(|l| !l.is_empty())),
        );
        let refs = world.git(&["for-each-ref", "--format=%(refname)"]).await;
        // What a killed agent had written is kept: more than without the kill, and never instead.
        let refs = refs
            .lines()
            .filter(|name| !name.starts_with("refs/agents/salvage/"));
        fact("refs", sorted(refs));
        let patches = world
            .git(&[
                "for-each-ref",
                "--format=%(objectname)",
                "refs/agents/patch",
            ])
            .await;
        fact("patches", sorted(patches.lines()));
        let worktrees = world.git(&["worktree", "list", "--porcelain"]).await;
        let worktrees = worktrees
            .lines()
            .filter(|line| line.starts_with("worktree "));
        fact("worktrees", worktrees.count().to_string());
        fact(
            "files in .git",
            names_below(&world.repo().join(".git"), &["objects", "logs"]),
        );
        fact(
            "files of the pipeline",
            // What lies in the trash has been given up, and goes when its grace time is over.
            names_below(&world.state(), &["runs", "agents", "git/trash"]),
        );
        fact("processes", living(world).await);
        let fsck = world.spec(
            "git",
            &world.repo(),
            &["fsck", "--no-dangling", "--no-progress"],
        );
        let fsck = fsck.run().await.expect("git starts");
        fact(
            "fsck",
            format!("{:?} {}", fsck.code(), fsck.stderr().text()),
        );
        for key in keys {
            let shown = world
                .run(&["--json", "issue", "show", key])
                .await
                .ended(0)
                .json();
            fact(
                &format!("status of {key}"),
                shown["issue"]["status"].to_string(),
            );
            fact(&format!("thread of {key}"), thread(&shown));
        }
        Self(facts)
    }

    /// Asserts that an undisturbed run came to what it should: else every comparison would be with nothing.
    pub(super) fn look_finished(&self) {
        let get = |name: &str| self.0.get(name).map_or("", String::as_str);
        assert_eq!(get("rounds landed").lines().count(), 2, "{self:#?}");
        assert_eq!(get("patches").lines().count(), 2, "{self:#?}");
        assert_eq!(get("checkout"), "", "{self:#?}");
        assert_eq!(get("processes"), "", "{self:#?}");
    }

    /// Says what differs.
    pub(super) fn difference(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let differing = names.into_iter().filter_map(|name| {
            let (expected, found) = (self.0.get(name), other.0.get(name));
            (expected != found).then(|| {
                let (expected, found) = (lines(expected), lines(found));
                let missing = expected.iter().filter(|line| !found.contains(*line));
                let more = found.iter().filter(|line| !expected.contains(*line));
                let missing: String = missing.map(|line| format!("\n  missing: {line}")).collect();
                let more: String = more.map(|line| format!("\n  more:    {line}")).collect();
                format!("{name}{missing}{more}")
            })
        });
        differing.collect()
    }
}

/// Numbers each line, so that one that is there twice differs from one that is there once.
fn lines(text: Option<&String>) -> BTreeSet<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let text = text.map_or("nothing is known", String::as_str);
    let numbered = text.lines().map(|line| {
        let times = seen.entry(line).or_default();
        *times += 1;
        if *times == 1 {
            line.to_owned()
        } else {
            format!("{line} ({times})")
        }
    });
    numbered.collect()
}

fn sorted<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut lines: Vec<&str> = lines.collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Lists the kinds of a thread's memos in order, without the claims that a dead process held and their releases.
fn thread(shown: &Value) -> String {
    let comments = shown["comments"].as_array().expect("a list");
    let field = |body: &str, name: &str| {
        let start = format!("{name}: ");
        body.lines().find_map(|line| {
            line.trim_start_matches("- ")
                .strip_prefix(&start)
                .map(str::to_owned)
        })
    };
    let id = |comment: &Value| comment["id"].as_u64().map(|id| id.to_string());
    let kind = |comment: &Value| {
        let body = comment["body"].as_str().unwrap_or_default();
        let first = body.lines().next().unwrap_or_default();
        match field(body, "kind") {
            _ if !first.starts_with("Note: ") => "a person's word".to_owned(),
            Some(kind) if first.contains("work-status") => kind,
            _ => first.to_owned(),
        }
    };
    let dead: BTreeSet<String> = comments
        .iter()
        .filter(|c| kind(c) == "release")
        .filter_map(|c| {
            let body = c["body"].as_str()?;
            (field(body, "reason").as_deref() == Some("infra")).then(|| field(body, "ref"))?
        })
        .collect();
    let of_dead = |c: &&Value| {
        let body = c["body"].as_str().unwrap_or_default();
        let released =
            kind(c) == "release" && field(body, "ref").is_some_and(|r| dead.contains(&r));
        !(released || id(c).is_some_and(|id| dead.contains(&id)))
    };
    let kinds: Vec<String> = comments
        .iter()
        .filter(of_dead)
        .map(kind)
        // The person of the test gives an OK again where the first was for a candidate that is no more.
        .filter(|kind| kind != "a person's word")
        .collect();
    kinds.join("\n")
}

/// Lists the names below a folder, each number and digest replaced, so that what chance named compares equal.
fn names_below(root: &Path, without: &[&str]) -> String {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("readable").path();
            let relative = path
                .strip_prefix(root)
                .expect("below it")
                .to_string_lossy()
                .into_owned();
            if without.contains(&relative.as_str())
                || is_object(&relative)
                || relative.contains("salvage")
            {
                continue;
            }
            *names.entry(without_chance(&relative)).or_default() += 1;
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            }
        }
    }
    let lines: Vec<String> = names
        .into_iter()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    lines.join("\n")
}

/// Objects of git lie in folders of two digits below an `objects` folder.
fn is_object(relative: &str) -> bool {
    relative.contains("objects/")
}

/// Replaces whatever holds eight hexadecimal digits or more, and the number by which git tells worktrees of one name
/// apart: who comes first has none.
fn without_chance(name: &str) -> String {
    let mut is_worktree = false;
    let parts = name.split('/').map(|part| {
        if std::mem::replace(&mut is_worktree, part == "worktrees") {
            return part.trim_end_matches(|c: char| c.is_ascii_digit());
        }
        let digits = part.chars().filter(char::is_ascii_hexdigit).count();
        if digits >= 8 && part.chars().any(|c| c.is_ascii_digit()) {
            "#"
        } else {
            part
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Names the processes that still work somewhere in the world.
async fn living(world: &World) -> String {
    let listed = world
        .spec("ps", &world.top, &["-axww", "-o", "args="])
        .run()
        .await;
    let listed = listed.expect("ps starts").stdout().text().into_owned();
    let here = world.top.display().to_string();
    sorted(listed.lines().filter(|line| line.contains(&here)))
}
