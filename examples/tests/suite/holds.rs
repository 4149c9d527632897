//! What is held stays held until a person names it, and the local OK alone names nothing.

use super::world::World;

async fn held(world: &World) -> Vec<String> {
    let reviews = world.run(&["--json", "review"]).await.ended(0).json();
    let holds = reviews[0]["holds"].as_array().expect("holds").iter();
    holds
        .filter_map(|h| h.as_str().map(str::to_owned))
        .collect()
}

/// Gives an OK in the tracker and lets the integrator look at it.
async fn ok(world: &World, key: &str, words: &str) -> super::world::Done {
    world.run(&["issue", "comment", key, words]).await.ended(0);
    world.run(&["integrate"]).await
}

#[tokio::test]
async fn a_ci_file_a_lockfile_and_a_migration_are_held_until_named() {
    let work = "mkdir -p .github/workflows db/migrations; echo 'on: push' > .github/workflows/ci.yml; \
                echo '{}' > package-lock.json; echo 'ALTER TABLE a ADD b TEXT;' > db/migrations/002_b.sql";
    let world = World::ready(work).await;
    let key = world.started("Add what is held").await;
    let candidate = world.candidate().await;
    let tip = world.tip().await;
    let holds = held(&world).await.join("\n");
    for class in ["--allow ci", "--allow lockfile", "--allow migration"] {
        assert!(holds.contains(class), "{holds}");
    }
    ok(&world, &key, &format!("OK {candidate}"))
        .await
        .says("still held");
    ok(&world, &key, &format!("OK {candidate} allow ci,lockfile"))
        .await
        .says("--allow migration");
    assert_eq!(world.tip().await, tip);
    ok(
        &world,
        &key,
        &format!("OK {candidate} allow ci,lockfile,migration"),
    )
    .await
    .ended(0)
    .says("landed");
    assert_ne!(world.tip().await, tip);
}

const KINDS: [(&str, &str); 7] = [
    ("deploys to production", "kubectl apply -f app.yaml"),
    ("changes a database", "psql -c \\\"DROP TABLE users\\\""),
    (
        "changes existing data",
        "psql -c \\\"UPDATE users SET admin = true\\\"",
    ),
    (
        "lets git destroy work or history",
        "git push --force origin main",
    ),
    (
        "overwrites production folders in bulk",
        "cp -r dist/. /var/www/html/",
    ),
    (
        "synchronises with deletion",
        "rsync -a --delete build/ web:/site/",
    ),
    (
        "works in bulk on asset or storage folders",
        "rm -rf public/uploads",
    ),
];

fn each_kind_is_named(holds: &[String]) {
    for (kind, line) in KINDS {
        let named = holds
            .iter()
            .any(|h| h.contains(kind) && h.contains("--protected "));
        assert!(named, "`{line}` is not held because it {kind}: {holds:#?}");
    }
}

#[tokio::test]
async fn each_protected_kind_in_a_patch_is_held_although_the_ok_is_given() {
    let lines: String = KINDS
        .iter()
        .map(|(_, line)| format!("echo \"{line}\" >> operate.sh; "))
        .collect();
    let world = World::ready(&lines).await;
    let key = world.started("Operate").await;
    let candidate = world.candidate().await;
    let tip = world.tip().await;
    let holds = held(&world).await;
    let ids: Vec<&str> = holds
        .iter()
        .filter_map(|h| h.rsplit_once("--protected ")?.1.split('`').next())
        .collect();
    assert!(ids.len() >= KINDS.len(), "{holds:#?}");
    each_kind_is_named(&holds);
    // The local OK implies none of them, nor does the word for a class.
    ok(&world, &key, &format!("OK {candidate}"))
        .await
        .says("still held");
    ok(&world, &key, &format!("OK {candidate} allow migration"))
        .await
        .says("still held");
    // All but one is not all.
    let (last, others) = ids.split_last().expect("some");
    ok(
        &world,
        &key,
        &format!("OK {candidate} protected {}", others.join(" ")),
    )
    .await
    .says(last);
    assert_eq!(world.tip().await, tip);
    ok(
        &world,
        &key,
        &format!("OK {candidate} protected {}", ids.join(" ")),
    )
    .await
    .ended(0)
    .says("landed");
}

#[tokio::test]
async fn each_protected_kind_in_a_command_that_ran_is_held() {
    let commands: Vec<String> = KINDS
        .iter()
        .map(|(_, line)| format!("{{\"command\":\"{line}\",\"exit_code\":0}}"))
        .collect();
    let commands = commands.join(",");
    let outcome = format!("{{\"v\":1,\"outcome\":\"completed\",\"commands\":[{commands}]}}");
    let work = format!("echo hi > greeting.txt; cat <<'END'\n{outcome}\nEND\n");
    let world = World::ready(&work).await;
    let key = world.started("Operate").await;
    world.run(&["dispatch"]).await.ended(0);
    world.run(&["integrate"]).await;
    let holds = held(&world).await;
    let ids = holds.iter().filter(|h| h.contains("--protected ")).count();
    assert!(ids >= KINDS.len(), "{holds:#?}");
    each_kind_is_named(&holds);
    let candidate = world.waiting().await.expect("a candidate");
    ok(&world, &key, &format!("OK {candidate}"))
        .await
        .says("still held");
    assert_eq!(world.read("greeting.txt"), "hello\n");
}
