//! From an issue to a commit.

use serde_json::json;

use crate::machine::Cli;
use crate::machine::KEY;
use crate::machine::Machine;
use crate::machine::check;
use crate::machine::checked;
use crate::machine::triage;

/// A picture of one pixel.
const PNG: [u8; 70] = [
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x00, 0x00, 0x1f, 0x15, 0xc4,
    0x89, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0x64, 0xf8, 0xcf, 0x50,
    0x0f, 0x00, 0x03, 0x86, 0x01, 0x80, 0x5a, 0x34, 0x7d, 0x6b, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45,
    0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

async fn from_issue_to_commit(cli: Cli) {
    let work = json!([
        { "shell": "echo 'hello, Aiko' > greeting.txt && printf x > $TMPDIR/scratch && git status --short" },
        { "write": { "path": "hello.txt", "content": "hello from the model\n" } },
        { "answer": "Both files are done." },
    ]);
    let steps = [
        ("triage", triage()),
        ("check", check(&["greeting.txt"])),
        ("work", work),
    ];
    let Some(machine) = Machine::new(cli, &steps).await else {
        return;
    };
    let world = &machine.world;
    world.run(&["doctor"]).await.says("in its own sandbox");
    let key = world.filed("Greet by name").await;
    let image = world.top.join("shot.png");
    std::fs::write(&image, PNG).expect("written");
    let shown = image.display().to_string();
    world.run(&["issue", "attach", &key, &shown]).await.ended(0);

    world.run(&["triage"]).await.ended(0);
    let asked = machine.asked("triage");
    let picture = ["iVBORw0KGgo", "input_image"];
    assert!(
        picture.iter().any(|p| asked[0].contains(p)),
        "no picture: {}",
        asked[0]
    );
    assert!(
        world
            .thread(&key)
            .await
            .contains("Understood by the model.")
    );

    world.run(&["check"]).await.ended(0);
    let thread = world.thread(&key).await;
    assert!(thread.contains("Looked at by the model."), "{thread}");

    world
        .run(&["issue", "move", &key, "In progress"])
        .await
        .ended(0);
    world.run(&["dispatch"]).await.ended(0).says("submitted");
    assert!(world.thread(&key).await.contains("Both files are done."));
    world.run(&["integrate"]).await.ended(0);
    machine.land(&key).await;
    assert_eq!(world.read("greeting.txt"), "hello, Aiko\n");
    assert_eq!(world.read("hello.txt"), "hello from the model\n");
    // Nothing that a sandbox leaves is part of it.
    let files = world
        .git(&["show", "--format=", "--name-only", "HEAD"])
        .await;
    assert_eq!(files, "greeting.txt\nhello.txt\n");
    // The model was told no key, and no memo holds one.
    let told = [
        machine.asked("triage"),
        machine.asked("check"),
        machine.asked("work"),
    ]
    .concat();
    assert!(!told.concat().contains(KEY));
    assert!(!world.thread(&key).await.contains(KEY));
    assert_eq!(machine.processes().await, [""; 0]);
}

#[tokio::test]
async fn codex_from_issue_to_commit() {
    from_issue_to_commit(Cli::Codex).await;
}

#[tokio::test]
async fn claude_from_issue_to_commit() {
    from_issue_to_commit(Cli::Claude).await;
}

async fn side_by_side(cli: Cli) {
    let work = |file: &str| {
        json!([
            { "write": { "path": file, "content": "made side by side\n" } },
            { "answer": "Done." },
        ])
    };
    let answers = json!([
        { "answer": checked(&["one/a.txt"]) },
        { "answer": checked(&["two/b.txt"]) },
    ]);
    let steps = [
        ("triage", triage()),
        ("check", answers),
        ("work-1", work("one/a.txt")),
        ("work-2", work("two/b.txt")),
    ];
    let files = |world: &mut crate::world::World| {
        world.write("one/old.txt", "1\n");
        world.write("two/old.txt", "2\n");
    };
    let Some(machine) = Machine::with(cli, &steps, files).await else {
        return;
    };
    machine.edit(|document| {
        let slots = toml_edit::Array::from_iter(["s-1", "s-2"]);
        document["workers"]["slots"] = toml_edit::value(slots);
        let mut agents = toml_edit::InlineTable::new();
        agents.insert("s-1", "work-1".into());
        agents.insert("s-2", "work-2".into());
        document["workers"]["agents"] = toml_edit::value(agents);
    });
    let world = &machine.world;
    let first = world.started("Work on one").await;
    let second = world.started("Work on two").await;
    let dispatched = world.run(&["dispatch"]).await.ended(0).said();
    assert_eq!(dispatched.matches("submitted").count(), 2, "{dispatched}");
    for key in [&first, &second] {
        let thread = world.thread(key).await;
        assert!(thread.contains("result: patch submitted"), "{thread}");
    }
    world.run(&["integrate"]).await.ended(0);
    machine.land(&first).await;
    assert_eq!(world.read("one/a.txt"), "made side by side\n");
    assert_eq!(world.read("two/b.txt"), "made side by side\n");
}

#[tokio::test]
async fn codex_side_by_side() {
    side_by_side(Cli::Codex).await;
}

#[tokio::test]
async fn claude_side_by_side() {
    side_by_side(Cli::Claude).await;
}

async fn rework_goes_on_with_the_session(cli: Cli) {
    let work = json!([
        { "shell": "printf '' > greeting.txt" },
        { "answer": "The first attempt, to be remembered." },
        { "shell": "echo 'hello again' > greeting.txt" },
        { "answer": "The second attempt." },
    ]);
    let steps = [
        ("triage", triage()),
        ("check", check(&["greeting.txt"])),
        ("work", work),
    ];
    let Some(machine) = Machine::new(cli, &steps).await else {
        return;
    };
    let world = &machine.world;
    let key = world.started("Greet by name").await;
    world.run(&["dispatch"]).await.ended(0).says("submitted");
    // Its check fails, so that it goes back.
    world.run(&["integrate"]).await;
    let thread = world.thread(&key).await;
    assert!(
        thread.contains("kind: rework") || thread.contains("rework"),
        "{thread}"
    );
    world.run(&["dispatch"]).await.ended(0).says("submitted");
    let asked = machine.asked("work");
    let last = asked.last().expect("asked");
    assert!(
        last.contains("The first attempt, to be remembered."),
        "the session was not gone on with: {last}"
    );
    world.run(&["integrate"]).await.ended(0);
    machine.land(&key).await;
    assert_eq!(world.read("greeting.txt"), "hello again\n");
}

#[tokio::test]
async fn codex_rework_goes_on_with_the_session() {
    rework_goes_on_with_the_session(Cli::Codex).await;
}

#[tokio::test]
async fn claude_rework_goes_on_with_the_session() {
    rework_goes_on_with_the_session(Cli::Claude).await;
}
