use std::collections::BTreeSet;

use insta::assert_snapshot;
use pipeline_core::event::Stage;
use serde_json::Value;

use super::*;

fn problems(text: &str) -> String {
    let found = parse(text).expect_err("it is wrong");
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn the_template_says_the_defaults() {
    assert_eq!(parse(template::TEMPLATE), Ok(Config::default()));
}

#[test]
fn every_key_of_the_model_stands_in_the_template() {
    let text = template::all_in_force();
    let written: toml::Table = text.parse().expect("the template in force is TOML");
    let mut stands = BTreeSet::new();
    leaves(&toml::Value::Table(written), "", &mut stands);
    let missing: Vec<String> = schema::key_paths()
        .into_iter()
        .map(|path| path.replace("agents.*", "agents.my-agent"))
        .map(|path| path.replace("stages.*", "stages.triage"))
        // The three places of a secret are shown once, for all secrets together.
        .filter(|path| !path.starts_with("agents.my-agent.secrets"))
        .filter(|path| !path.contains(".key.") && !path.starts_with("tracker.token."))
        .filter(|path| !path.starts_with("tracker.backlog.oauth.client_"))
        // One phase is shown as an example.
        .filter(|path| !path.starts_with("plan.phases.*"))
        .filter(|path| !stands.contains(path))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// Returns the template in force without the keys that only codex and claude take: its example is a command.
fn of_a_command() -> String {
    let mut in_agent = false;
    let lines: Vec<String> = template::all_in_force()
        .lines()
        .filter(|line| {
            if line.starts_with('[') {
                in_agent = *line == "[agents.my-agent]";
            }
            let others = ["key = ", "base_url = ", "login = "];
            !(in_agent && others.iter().any(|key| line.starts_with(key)))
        })
        .map(str::to_owned)
        .collect();
    lines.join("\n")
}

#[test]
fn every_value_in_the_template_is_the_default_where_there_is_one() {
    let in_force = parse(&of_a_command()).expect("the template in force is usable");
    let shown = serde_json::to_value(&in_force).expect("serialises");
    let mut default = Config::default();
    default
        .agents
        .insert("my-agent".to_owned(), model::AgentSection::default());
    let default = serde_json::to_value(&default).expect("serialises");
    let mut differing = Vec::new();
    differ(&default, &shown, "", &mut differing);
    assert_eq!(differing, Vec::<String>::new());
}

#[test]
fn the_template_shows_when_each_stage_runs_by_default() {
    let shown = parse(&of_a_command()).expect("usable").schedule;
    for stage in [
        Stage::Triage,
        Stage::Check,
        Stage::Dispatch,
        Stage::Integrate,
    ] {
        assert_eq!(shown.of(stage), Config::default().schedule.of(stage));
    }
}

fn differ(default: &Value, shown: &Value, path: &str, differing: &mut Vec<String>) {
    match (default, shown) {
        (Value::Object(a), Value::Object(_)) if !a.is_empty() => {
            for (key, value) in a {
                let none = Value::Null;
                differ(
                    value,
                    shown.get(key).unwrap_or(&none),
                    &format!("{path}.{key}"),
                    differing,
                );
            }
        }
        (Value::Null, _) => {}
        (Value::Array(a), _) if a.is_empty() => {}
        (Value::Object(a), _) if a.is_empty() => {}
        (a, b) if a == b => {}
        (a, b) => differing.push(format!("{path}: default {a}, shown {b}")),
    }
}

fn leaves(value: &toml::Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, inner) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                found.insert(path.clone());
                leaves(inner, &path, found);
            }
        }
        toml::Value::Array(items) => {
            for item in items {
                leaves(item, path, found);
            }
        }
        _ => {}
    }
}

#[test]
fn what_is_set_comes_back() {
    let config = parse(
        r#"
[gates]
approvers = ["@rei"]
local_ok = "tracker"
[agents.one]
command = ["one"]
wrapper = ["nsjail", "--"]
secrets = { KEY = { file = "/run/key" } }
limits = { deadline = "90s", cost_usd = 2.5 }
[workspace.hooks]
after_create = { run = ["npm", "ci"], deadline = "10m" }
[schedule.triage]
active = "22:00-06:00"
days = ["mon"]
"#,
    )
    .expect("usable");
    assert_eq!(config.gates.starters(), config.gates.approvers);
    assert_eq!(config.agents["one"].limits.deadline, Period::secs(90));
    assert_eq!(config.agents["one"].limits.output_mib, 16);
    let hook = config.workspace.hooks.after_create.expect("set");
    assert_eq!(hook.deadline, Period::mins(10));
    let triage = config.schedule.of(Stage::Triage);
    assert_eq!(triage.active.to_string(), "22:00-06:00");
    assert_eq!(triage.every, Period::mins(15).get());
}

#[test]
fn unknown_keys_are_told_all_at_once_with_what_was_meant() {
    assert_snapshot!(problems(
        r#"approvers = ["@rei"]
[gate]
x = 1
[tracker]
kin = "local"
statuses = { open = "Open", spec-review = "Review" }
[agents.one]
command = ["one"]
limits = { dead_line = "1h" }
[verify]
commands = [{ name = "tests", runs = ["sh"] }]
[workers]
approvers = []
zebra = 1
"#
    ), @"
    line 1: unknown key `approvers` before the first section: it belongs in [gates]
    line 2: unknown section [gate]: did you mean [gates]?
    line 5: unknown key `kin` in [tracker]: did you mean `kind`?
    line 6: unknown key `spec-review` in [tracker.statuses]: did you mean `spec_review`?
    line 9: unknown key `dead_line` in [agents.one.limits]: did you mean `deadline`?
    line 11: unknown key `runs` in [verify.commands]: did you mean `run`?
    line 13: unknown key `approvers` in [workers]: it belongs in [gates]
    line 14: unknown key `zebra` in [workers]: known there are agents, integrator, look_every, slots
    ");
}

#[test]
fn a_wrong_value_is_told_with_its_line() {
    assert_snapshot!(problems("[limits]\nattempts = \"three\"\n"), @r#"line 2: invalid type: string "three", expected u32"#);
    assert_snapshot!(problems("[tracker]\nkind = \"locl\"\n"), @"line 2: unknown variant `locl`, expected one of `local`, `gitlab`, `backlog`");
    assert_snapshot!(problems("[schedule.triage]\nevery = \"soon\"\n"), @"line 2: `soon` is not a length of time: write it like 15m, 1h 30m or 90s");
    assert_snapshot!(problems("[schedule.triage]\nactive = \"9-5\"\n"), @"line 2: `9-5` are no active hours: write them like 07:00-21:00, or always");
    assert_snapshot!(problems("[sandbox]\nwrapper = \"firejail\"\n"), @r#"line 2: a wrapper is "auto", "none" or a command: ["program", "argument"]"#);
    assert_snapshot!(problems("[gates\n"), @"line 1: unclosed table, expected `]`");
}

#[test]
fn a_literal_secret_is_refused_and_not_repeated() {
    let text = problems("[agents.one]\ncommand = [\"one\"]\nsecrets = { KEY = \"sk-canary\" }\n");
    assert!(!text.contains("canary"), "{text}");
    assert_snapshot!(text, @r#"line 3: a secret is never written into this file: say where it is, as { env = "NAME" }, { file = "/path" } or { command = ["program", "argument"] }, and replace the one that stood here, because it may have been read or copied"#);
    let text = problems("[agents.one]\ncommand = [\"one\"]\nenv = [\"sk-canary-1\"]\n");
    assert!(!text.contains("canary"), "{text}");
    assert_snapshot!(text, @"line 1: agent one: something of 11 characters in env or secrets is not the name of a variable; a value never stands here");
}

#[test]
fn contradictions_are_told_together() {
    assert_snapshot!(problems(
        r#"[tracker]
accounts = ["pipeline"]
[gates]
approvers = ["pipeline"]
local_ok = "owner"
[agents.one]
[agents.two]
command = ["two"]
[roles]
triage = "three"
[workers]
slots = []
look_every = "0s"
agents = { x = "y" }
[tracker.statuses]
open = "In progress"
[landing]
sign = "ssh"
push_env = ["a=b"]
after_landing = "In progress"
message = "{key}"
[targets]
default = "HEAD"
[schedule]
time_zone = "Mars"
triage = { every = "0s" }
[limits]
attempts = 0
"#
    ), @r#"
    line 4: `pipeline` is one of the pipeline's own accounts ([tracker] accounts), so its word opens no gate: name a person
    line 5: `owner` needs owner_folder: a folder that another user of this machine owns
    line 6: agent one has no command: command = ["program", "argument"]
    line 9: there are several agents, so say which one does this: roles.check = one of one, two
    line 9: there are several agents, so say which one does this: roles.implement = one of one, two
    line 10: there is no agent `three` (there are: one, two)
    line 12: name at least one slot, each once, with letters, digits, `-` and `_`
    line 13: `look_every` is at least one second, like 1m
    line 14: there is no slot `x`: name it in `slots`
    line 14: there is no agent `y` (there are: one, two)
    line 15: no two of them may be the same status name
    line 18: signing needs signing_key: the key's id, or the path of an ssh public key
    line 19: names of variables stand here, never values
    line 20: landing never moves an issue into a status that starts work: name another one
    line 21: the message template knows {issue}, {title} and {url} only
    line 23: `HEAD`: not a branch name: a target is the short name of an existing branch
    line 25: there is no time zone `Mars`: write it like Europe/Berlin or Asia/Tokyo
    line 26: `every` is at least one second, like 15m
    line 28: 0 would let nothing through: write at least 1
    "#);
}

#[test]
fn an_error_names_its_file_and_every_problem() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("pipeline.toml");
    std::fs::write(&path, "[gates]\napprover = []\nlocal = 1\n").expect("written");
    let text = load(&path).expect_err("wrong").to_string();
    let text = text.replace(&dir.path().display().to_string(), "DIR");
    assert_snapshot!(text, @"
    the configuration DIR/pipeline.toml is not usable
      line 2: unknown key `approver` in [gates]: did you mean `approvers`?
      line 3: unknown key `local` in [gates]: did you mean `local_ok`?
    ");
}
