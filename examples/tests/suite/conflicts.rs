//! `conflicts`: JSON lines without anything else, a repository's rules, the current issues, and a look at rules.

use pipeline_core::conflict::RuleFile;
use pipeline_core::conflict::RuleSet;
use serde_json::Value;
use serde_json::json;

use super::world::World;

const LINES: &str = r#"{"issue":"A-1","files":["app/Http/Controllers/MenusController.php"],"priority":2}
{"issue":"A-2","files":["app/Models/Menu.php"],"priority":1}
{"issue":"A-3","files":["resources/views/orders/list.blade.php"]}
{"issue":"A-4","files":[]}
"#;

fn batches(report: &Value) -> Value {
    report["batches"].clone()
}

#[tokio::test]
async fn json_lines_need_neither_configuration_nor_repository() {
    let world = World::bare();
    let report = world
        .fed(&["conflicts", "--json"], LINES)
        .await
        .ended(0)
        .json();
    assert_eq!(
        batches(&report),
        json!([["A-2", "A-3"], ["A-1"], ["A-4"]]),
        "{report}"
    );
    let keys: Vec<&String> = report.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        ["batches", "groups", "pairs", "truncated", "waiting"],
        "{report}"
    );
    assert_eq!(
        report["waiting"],
        json!([{"issue":"A-1","for":"A-2"}, {"issue":"A-4","for":"A-2"}])
    );
    let classes: Vec<(&Value, &Value)> = report["pairs"]
        .as_array()
        .expect("pairs")
        .iter()
        .map(|pair| (&pair["b"], &pair["reasons"][0]["class"]))
        .collect();
    assert_eq!(
        classes,
        [
            (&json!("A-2"), &json!("api")),
            (&json!("A-4"), &json!("unknown")),
            (&json!("A-4"), &json!("unknown")),
            (&json!("A-4"), &json!("unknown")),
        ]
    );
    world
        .fed(&["conflicts"], LINES)
        .await
        .ended(0)
        .says("Batches:")
        .says("1. A-2, A-3");
    let empty = world.fed(&["conflicts", "--json"], "\n").await.ended(0);
    assert_eq!(batches(&empty.json()), json!([]));
    world
        .fed(&["conflicts"], "{\"issue\":\"A-1\"}\nA-2: x\n")
        .await
        .ended(2)
        .says("line 2 is no issue");
}

#[tokio::test]
async fn the_files_of_a_repository_choose_the_rules_and_its_history_the_coupling() {
    let world = World::new().await;
    world.write("artisan", "#!/usr/bin/env php\n");
    world.write(
        "composer.json",
        "{\"require\":{\"laravel/framework\":\"^12\"}}\n",
    );
    world.write("app/Models/Menu.php", "<?php\n");
    world.commit("A shop in Laravel").await;
    let repo = world.repo().display().to_string();
    let report = world
        .fed(&["conflicts", "--json", "--repo", &repo], LINES)
        .await
        .ended(0)
        .json();
    let reason = &report["pairs"][0]["reasons"][0];
    assert_eq!(
        (&report["pairs"][0]["a"], &report["pairs"][0]["b"]),
        (&json!("A-1"), &json!("A-2"))
    );
    assert_eq!(
        (&reason["class"], &reason["key"]),
        (&json!("api"), &json!("api:menu")),
        "controller and model of one API: {reason}"
    );

    for n in 0..70 {
        if n % 10 == 0 {
            world.write("docs/price.md", &format!("{n}\n"));
            world.write("lib/tax.txt", &format!("{n}\n"));
        } else {
            world.write(&format!("other/{n}.txt"), "x\n");
        }
        world.commit(&format!("Change {n}")).await;
    }
    let two = "{\"issue\":\"A\",\"files\":[\"docs/price.md\"]}\n{\"issue\":\"B\",\"files\":[\"lib/tax.txt\"]}\n";
    let apart = world
        .fed(&["conflicts", "--json", "--repo", &repo], two)
        .await
        .json();
    assert_eq!(batches(&apart), json!([["A", "B"]]));
    for _ in 0..2 {
        // The second time it is read from what was remembered.
        let coupled = world
            .fed(&["conflicts", "--json", "--repo", &repo, "--coupling"], two)
            .await
            .json();
        assert_eq!(batches(&coupled), json!([["A"], ["B"]]), "{coupled}");
        let rule = coupled["pairs"][0]["reasons"][0]["rule"].to_string();
        assert!(rule.contains("changed together"), "{rule}");
    }
}

#[tokio::test]
async fn the_current_issues_are_judged_by_the_configuration() {
    let world = World::ready("printf 'x\\n' > greeting.txt").await;
    for title in ["One", "Two"] {
        world
            .run(&["issue", "new", title, "--body", "please"])
            .await
            .ended(0);
    }
    world.run(&["triage"]).await.ended(0);
    world.run(&["check"]).await.ended(0);
    let report = world
        .run(&["conflicts", "--current", "--json"])
        .await
        .ended(0)
        .json();
    assert_eq!(batches(&report), json!([["1"], ["2"]]), "{report}");
    assert_eq!(
        report["pairs"][0]["reasons"][0]["paths"],
        json!(["greeting.txt"])
    );
    world
        .run(&["conflicts", "--current", "--rules", "x.toml"])
        .await
        .ended(2)
        .says("judged by [conflicts]");
}

#[tokio::test]
async fn rules_that_do_nothing_are_named() {
    let world = World::new().await;
    let rules = "[[rule]]\nname = 'api'\nclass = 'api'\npatterns = ['src/**', 'src/api/**']\n";
    let file = world.top.join("conflicts.toml");
    std::fs::write(&file, rules).expect("written");
    let file = file.display().to_string();
    let repo = world.repo().display().to_string();
    world
        .run(&["conflicts", "check-rules", &file])
        .await
        .ended(1)
        .says("api: shadowed: the pattern `src/api/**` is never reached");
    let findings = world
        .run(&["conflicts", "check-rules", &file, "--repo", &repo, "--json"])
        .await
        .ended(1)
        .json();
    let kinds: Vec<&str> = findings["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|finding| finding["kind"].as_str())
        .collect();
    assert!(kinds.contains(&"dead"), "{findings}");
    std::fs::write(world.top.join("conflicts.toml"), "[[rule]]\nname = 1\n").expect("written");
    world
        .run(&["conflicts", "check-rules", &file])
        .await
        .ended(2)
        .says("cannot be read");
}

#[test]
fn the_rules_of_the_manual_are_rules() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conflicts.md");
    let manual = std::fs::read_to_string(manual).expect("the manual");
    let rules = manual
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let file = RuleFile::parse(rules, "the manual").expect("rules");
    RuleSet::new(&file, &[]).expect("rules that can be used");
}
