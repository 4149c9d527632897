//! Every recorded run, and streams that nobody recorded.

use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentReport;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::RunMode;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;

use super::answer;
use super::app_server::AppServer;
use super::app_server::Turn;
use super::exec::Exec;
use super::strict;
use crate::cli::replay;
use crate::cli::replay::Recording;

fn exec(recording: &Recording, task: &AgentTask) -> AgentReport {
    let mut events = Exec::new("/srv/tree".to_owned(), true);
    recording.replay(task, &mut events, |seen| {
        answer(task.schema.as_ref(), seen.message())
    })
}

fn mode(name: &str) -> RunMode {
    let looks = ["judge", "err", "resume", "kill-hang", "impl-read-only"];
    if looks.iter().any(|start| name.starts_with(start)) {
        RunMode::ReadOnly
    } else {
        RunMode::Implement
    }
}

fn fixture(name: &str) -> AgentReport {
    exec(&Recording::of("codex", name), &replay::task(mode(name)))
}

/// Reads one side of a conversation; returns the report and what was said to the program.
fn talk(recording: &Recording, task: &AgentTask) -> (AgentReport, Vec<Value>) {
    let (say, mut hear) = mpsc::channel(64);
    let about = Turn {
        directory: "/srv/tree".to_owned(),
        model: Some("gpt-5.5"),
        prompt: &task.prompt,
        images: &[],
        schema: task.schema.as_ref().map(strict::strict),
        session: task.session.as_deref(),
        kept: true,
        network: false,
    };
    let mut talk = AppServer::new(about, say);
    let mut said: Vec<Value> = lines(&talk.opening());
    let report = recording.replay(task, &mut talk, |seen| {
        answer(task.schema.as_ref(), seen.message())
    });
    while let Ok(bytes) = hear.try_recv() {
        said.extend(lines(&bytes));
    }
    (report, said)
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Returns the program's side of a recorded conversation.
///
/// They were recorded with `sandbox` and not with a permission profile: what the program says of it is put in.
fn side(name: &str) -> Recording {
    let mut recording = Recording::of("codex", name);
    let mut side = Vec::new();
    for mut line in lines(&recording.stdout) {
        if line["from"] != "agent" {
            continue;
        }
        if let Some(profile) = line.pointer_mut("/message/result/activePermissionProfile") {
            *profile = json!({ "id": "pipeline" });
        }
        side.extend_from_slice(line["message"].to_string().as_bytes());
        side.push(b'\n');
    }
    recording.stdout = side;
    recording
}

#[test]
fn every_recorded_run_comes_to_what_it_was() {
    let mut told = String::new();
    for name in replay::names("codex") {
        let report = if name.starts_with("appserver") {
            talk(&side(&name), &replay::task(RunMode::ReadOnly)).0
        } else {
            fixture(&name)
        };
        told.push_str(&format!("{name}: {}\n", replay::word(&report.outcome)));
    }
    insta::assert_snapshot!(told, @"
    appserver-interrupt: crashed Some(0)
    appserver-near-limit: completed
    appserver-ok: completed
    appserver-throttled: rate-limit
    env-by-name: completed
    env-core: completed
    env-default: completed
    env-default-excludes: completed
    err-bad-config: crashed Some(1)
    err-bad-flag: crashed Some(2)
    err-bad-request: provider-failed
    err-bad-schema: crashed Some(1)
    err-cut: provider-failed
    err-empty-prompt: crashed Some(1)
    err-garbage: provider-failed
    err-hang-body-idle: provider-failed
    err-hang-timeout: crashed None
    err-http500: provider-failed
    err-http500-once: completed
    err-input-too-large: context-overflow
    err-no-dir: crashed Some(1)
    err-no-key: authentication-failed
    err-not-git: crashed Some(1)
    err-not-utf8: crashed Some(1)
    err-overflow: context-overflow
    err-overflow-stream: context-overflow
    err-overloaded: rate-limit
    err-quota: usage-limit
    err-rate-stream: rate-limit
    err-refused: crashed None
    err-refused-bounded: provider-failed
    err-resume-unknown: crashed Some(1)
    err-throttled: rate-limit
    err-throttled-long: completed
    err-throttled-once: completed
    err-unauthorized: authentication-failed
    err-usage-limit: usage-limit until 2030-01-01T00:00:00.000Z
    impl-command-fails: completed
    impl-edit-then-fail: provider-failed
    impl-escape: completed
    impl-escape-default-roots: completed
    impl-net: completed
    impl-ok: completed
    impl-patch-outside: completed
    impl-read-only: schema-violation
    judge-builtin-provider: completed
    judge-chatty: completed
    judge-images: completed
    judge-look: completed
    judge-mismatch: schema-violation
    judge-near-full: completed
    judge-near-limit: completed
    judge-ok: completed
    judge-profile: prohibited-command
    judge-refuse: schema-violation
    judge-text: schema-violation
    judge-truncate: provider-failed
    kill-hang-SIGINT: crashed Some(1)
    kill-hang-SIGKILL: crashed None
    kill-hang-SIGTERM: crashed None
    kill-shell-SIGINT: crashed Some(1)
    kill-shell-SIGKILL: crashed None
    kill-shell-SIGTERM: crashed None
    resume-1: schema-violation
    resume-2: completed
    sandbox-unavailable-read-only: sandbox-unavailable
    sandbox-unavailable-workspace-write: sandbox-unavailable
    ");
}

#[test]
fn a_conversation_is_one_thread_and_one_turn() {
    let (report, said) = talk(&side("appserver-ok"), &replay::task(RunMode::ReadOnly));
    assert_eq!(
        report.answer,
        json!({ "ok": true, "verdict": "duplicate", "confidence": 0.9 })
    );
    assert_eq!(
        (report.usage.input_tokens, report.usage.output_tokens),
        (2400, 68)
    );
    assert_eq!(report.commands.len(), 1);
    assert!(report.session.is_some());
    let methods: Vec<&str> = said.iter().filter_map(|m| m["method"].as_str()).collect();
    assert_eq!(
        methods,
        ["initialize", "initialized", "thread/start", "turn/start"]
    );
    assert_eq!(said[2]["params"]["approvalPolicy"], "never");
    assert_eq!(
        said[3]["params"]["outputSchema"]["additionalProperties"],
        false
    );
}

#[test]
fn permissions_that_were_not_taken_end_the_run() {
    // As it was recorded: another sandbox than the one that is asked for.
    let mut recording = side("appserver-ok");
    let text = String::from_utf8(recording.stdout).unwrap();
    recording.stdout = text.replace("\"pipeline\"", "\"other\"").into_bytes();
    let (report, said) = talk(&recording, &replay::task(RunMode::ReadOnly));
    insta::assert_snapshot!(report.outcome, @"its sandbox cannot be set up: it did not take the permissions it was given");
    assert_eq!(
        said.len(),
        3,
        "it was given its task all the same: {said:?}"
    );
    let open = String::from_utf8(side("appserver-ok").stdout).unwrap();
    let open = open.replace("\"networkAccess\":false", "\"networkAccess\":true");
    let (report, _) = talk(&Recording::new(open), &replay::task(RunMode::ReadOnly));
    assert_eq!(report.outcome.reason(), "sandbox-unavailable");
}

#[test]
fn a_server_of_the_repository_ends_the_run() {
    let line = r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"evil","status":"starting"}}"#;
    let (report, _) = talk(&Recording::new(line), &replay::task(RunMode::Implement));
    insta::assert_snapshot!(report.outcome, @"its sandbox cannot be set up: it started a server that only the repository names");
}

#[test]
fn a_question_is_told_and_a_request_for_more_is_turned_down() {
    let lines = [
        json!({ "method": "item/commandExecution/requestApproval", "id": 7, "params": {} }),
        json!({ "method": "item/tool/requestUserInput", "id": 8, "params": { "questions": [{ "question": "Which one?" }] } }),
    ];
    let stream = lines.map(|line| line.to_string()).join("\n");
    let (report, said) = talk(&Recording::new(stream), &replay::task(RunMode::Implement));
    assert_eq!(
        report.outcome,
        AgentOutcome::NeedsInput {
            question: "Which one?".to_owned()
        }
    );
    let answers: Vec<_> = said.iter().filter(|m| m.get("error").is_some()).collect();
    assert_eq!(answers.len(), 2);
}

#[test]
fn a_session_that_is_gone_is_begun_anew() {
    let mut task = replay::task(RunMode::ReadOnly);
    task.session = Some("gone".to_owned());
    let line =
        r#"{"error":{"code":-32600,"message":"no rollout found for thread id gone"},"id":1}"#;
    let (_, said) = talk(&Recording::new(line), &task);
    let methods: Vec<&str> = said.iter().filter_map(|m| m["method"].as_str()).collect();
    assert_eq!(
        methods,
        ["initialize", "initialized", "thread/resume", "thread/start"]
    );
    let mut events = Exec::new(String::new(), true);
    let recording = Recording::of("codex", "err-resume-unknown");
    recording.replay(&task, &mut events, |_| None);
    assert!(
        events.lost_session(&recording.stderr),
        "{}",
        recording.stderr
    );
}

#[test]
fn a_resumed_session_counts_only_what_is_new() {
    let used = |input: u64| json!({ "method": "thread/tokenUsage/updated", "params": { "tokenUsage": { "total": { "inputTokens": input, "outputTokens": 10 } } } });
    let stream = [
        used(1000),
        json!({ "method": "turn/started", "params": { "turn": { "id": "t" } } }),
        used(1300),
    ];
    let stream = stream.map(|line| line.to_string()).join("\n");
    let mut task = replay::task(RunMode::ReadOnly);
    task.limits.tokens = Some(300);
    let (report, _) = talk(&Recording::new(stream.clone()), &task);
    assert_eq!(
        (report.usage.input_tokens, report.usage.output_tokens),
        (300, 0)
    );
    assert_ne!(report.outcome, AgentOutcome::OverBudget);
    task.limits.tokens = Some(299);
    let (report, _) = talk(&Recording::new(stream), &task);
    assert_eq!(report.outcome, AgentOutcome::OverBudget);
}

#[test]
fn a_prohibited_command_ends_a_run_that_may_only_look() {
    let raw = |name: &str, arguments: Value| {
        let item = json!({ "type": "function_call", "call_id": "c", "name": name, "arguments": arguments.to_string() });
        json!({ "method": "rawResponseItem/completed", "params": { "item": item } }).to_string()
    };
    let patch = json!({ "method": "rawResponseItem/completed", "params": { "item": {
        "type": "custom_tool_call", "call_id": "c", "name": "apply_patch",
        "input": "*** Begin Patch\n*** Update File: src/lib.rs\n*** End Patch\n" } } });
    let started = json!({ "method": "item/started", "params": { "item": {
        "type": "commandExecution", "id": "c", "command": "/bin/bash -c 'cargo build'" } } });
    for line in [
        raw("exec_command", json!({ "cmd": "npm test" })),
        raw("shell", json!({ "command": ["psql", "-c", "select 1"] })),
        raw("write_stdin", json!({ "chars": "curl http://x.example\n" })),
        patch.to_string(),
        started.to_string(),
    ] {
        let recording = Recording::new(line.clone());
        let (report, _) = talk(&recording, &replay::task(RunMode::ReadOnly));
        assert_eq!(report.outcome.reason(), "prohibited-command", "{line}");
        let (report, _) = talk(&recording, &replay::task(RunMode::Implement));
        assert_ne!(report.outcome.reason(), "prohibited-command", "{line}");
    }
}

#[test]
fn a_command_that_the_sandbox_stopped_at_once_is_reported() {
    let items = [
        json!({ "type": "function_call", "call_id": "c", "name": "exec_command", "arguments": "{\"cmd\":\"ls .git\"}" }),
        json!({ "type": "function_call_output", "call_id": "c", "output": "Wall time: 0\nProcess exited with code 2\nOutput:\nno\n" }),
    ];
    let stream = items.map(|item| {
        json!({ "method": "rawResponseItem/completed", "params": { "item": item } }).to_string()
    });
    let (report, _) = talk(
        &Recording::new(stream.join("\n")),
        &replay::task(RunMode::ReadOnly),
    );
    assert_eq!(report.commands[0].exit_code, Some(2));
}

#[test]
fn an_oversized_line_is_passed_over_and_its_loss_is_seen() {
    let mut recording = Recording::of("codex", "judge-chatty");
    let text = String::from_utf8(recording.stdout.clone()).unwrap();
    let long = "x".repeat(10 << 20);
    // In the output of a command it costs nothing but the line.
    recording.stdout = text.replacen("README.md\\n", &long, 1).into_bytes();
    let report = exec(&recording, &replay::task(RunMode::ReadOnly));
    assert_eq!(report.outcome, AgentOutcome::Completed);
    assert_eq!(report.notes["lines-too-long"], "1");
    // As the last word it is missed.
    let last = text.replace("\"usage\":{", &format!("\"usage\":{{\"pad\":\"{long}\","));
    let report = exec(&Recording::new(last), &replay::task(RunMode::ReadOnly));
    assert!(
        matches!(report.outcome, AgentOutcome::Crashed { .. }),
        "{:?}",
        report.outcome
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_that_is_cut_anywhere_is_no_success(cut in 0usize..2000, served in any::<bool>()) {
        let mut recording = if served { side("appserver-ok") } else { Recording::of("codex", "judge-chatty") };
        // The last line must not be whole.
        let end = recording.stdout.trim_ascii_end().len() - 1;
        recording.stdout.truncate(cut.min(end));
        let task = replay::task(RunMode::ReadOnly);
        let report = if served { talk(&recording, &task).0 } else { exec(&recording, &task) };
        prop_assert!(matches!(report.outcome, AgentOutcome::Crashed { .. }), "{:?}", report.outcome);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_and_are_no_success(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let (recording, task) = (Recording::new(bytes), replay::task(RunMode::ReadOnly));
        prop_assert_ne!(talk(&recording, &task).0.outcome, AgentOutcome::Completed);
        prop_assert_ne!(exec(&recording, &task).outcome, AgentOutcome::Completed);
    }

    #[test]
    fn two_streams_in_one_are_read_without_a_panic(order in prop::collection::vec(any::<bool>(), 1..60)) {
        let (one, other) = (side("appserver-ok"), side("appserver-throttled"));
        let mut streams = [one, other].map(|r| lines(&r.stdout).into_iter());
        let mut mixed = String::new();
        for second in order {
            if let Some(line) = streams[usize::from(second)].next() {
                mixed.push_str(&format!("{line}\n"));
            }
        }
        let report = talk(&Recording::new(mixed), &replay::task(RunMode::ReadOnly)).0;
        if report.outcome != AgentOutcome::Completed {
            prop_assert_eq!(report.answer, Value::Null);
        }
    }

    #[test]
    fn messages_of_any_shape_are_read_without_a_panic(
        method in "item/started|item/completed|turn/completed|error|thread/tokenUsage/updated|rawResponseItem/completed",
        params in "\\{\\}|\\[\\]|null|1|\\{\"item\":[0-9]\\}|\\{\"item\":\\{\"type\":\"fileChange\",\"changes\":[0-9]\\}\\}|\\{\"turn\":\\{\\}\\}",
    ) {
        let line = format!("{{\"method\":\"{method}\",\"params\":{params}}}");
        let report = talk(&Recording::new(line), &replay::task(RunMode::ReadOnly)).0;
        prop_assert_ne!(report.outcome, AgentOutcome::Completed);
    }
}
