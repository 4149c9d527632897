//! Every recorded run, and streams that nobody recorded.

use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentReport;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::RunMode;
use pipeline_core::clock::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use super::settings;
use super::stream::Stream;
use crate::cli::replay;
use crate::cli::replay::Recording;

/// What the fixtures of other output formats and other flags are: none of them is ever asked for.
const OTHER_FORMATS: [&str; 2] = ["judge-json", "judge-json-verbose"];

fn run(recording: &Recording, task: &AgentTask) -> AgentReport {
    let now = || Timestamp::EPOCH;
    let tools = settings::tools(task);
    let mut events = Stream::new(tools, true, &now);
    let report = recording.replay(task, &mut events, |_| None);
    if report.outcome.reason() != "schema-violation" {
        return report;
    }
    // The program's own answer is only there once the stream was read.
    let mut events = Stream::new(tools, true, &now);
    let mut again = Stream::new(tools, true, &now);
    recording.replay(task, &mut events, |_| None);
    let answer = events.take_answer();
    recording.replay(task, &mut again, |_| answer)
}

fn mode(name: &str) -> RunMode {
    let looks = ["judge", "err", "resume", "kill-hang"];
    if looks.iter().any(|start| name.starts_with(start)) {
        RunMode::ReadOnly
    } else {
        RunMode::Implement
    }
}

fn fixture(name: &str) -> AgentReport {
    run(&Recording::of("claude", name), &replay::task(mode(name)))
}

#[test]
fn every_recorded_run_comes_to_what_it_was() {
    let mut told = String::new();
    for name in replay::names("claude") {
        if OTHER_FORMATS.contains(&name.as_str()) {
            continue;
        }
        let outcome = replay::word(&fixture(&name).outcome);
        told.push_str(&format!("{name}: {outcome}\n"));
    }
    insta::assert_snapshot!(told, @"
    env-default: completed
    env-deny: completed
    env-scrub: completed
    err-bad-flag: crashed Some(1)
    err-bad-input: crashed Some(1)
    err-bad-request: provider-failed
    err-bad-schema: crashed Some(1)
    err-cut: provider-failed
    err-empty-prompt: crashed Some(1)
    err-garbage: provider-failed
    err-hang-body-idle: provider-failed
    err-hang-timeout: provider-failed
    err-http500: provider-failed
    err-http500-once: completed
    err-input-too-large: context-overflow
    err-no-key: authentication-failed
    err-overflow: context-overflow
    err-overflow-stream: context-overflow
    err-overloaded: rate-limit until
    err-quota: usage-limit
    err-rate-stream: rate-limit until
    err-refused: provider-failed
    err-resume-unknown: provider-failed
    err-session-in-use: crashed Some(1)
    err-stream-json-needs-verbose: crashed Some(1)
    err-subscription-limit: usage-limit until 2030-01-01T00:00:00.000Z
    err-throttled: rate-limit until
    err-throttled-long: completed
    err-throttled-once: completed
    err-unauthorized: authentication-failed
    err-usage-limit: usage-limit
    impl-background-task: completed
    impl-chatty: completed
    impl-command-fails: completed
    impl-edit-then-fail: provider-failed
    impl-escape: completed
    impl-escape-no-sandbox: completed
    impl-max-budget: over-budget
    impl-max-turns: over-budget
    impl-near-full: completed
    impl-net: completed
    impl-ok: completed
    impl-write-outside: completed
    judge-bare: completed
    judge-image-by-read: completed
    judge-images: completed
    judge-look: completed
    judge-mismatch: schema-violation
    judge-ok: completed
    judge-reads: completed
    judge-refuse: refused-by-model
    judge-subscription-warning: completed
    judge-text: schema-violation
    judge-truncate: provider-failed
    kill-hang-SIGINT: crashed Some(0)
    kill-hang-SIGKILL: crashed None
    kill-hang-SIGTERM: crashed Some(143)
    kill-shell-SIGINT: crashed Some(0)
    kill-shell-SIGKILL: crashed None
    kill-shell-SIGTERM: crashed Some(143)
    resume-1: schema-violation
    resume-2: completed
    sandbox-missing: sandbox-unavailable
    sandbox-missing-fail-open: completed
    sandbox-no-userns: sandbox-unavailable
    ");
}

#[test]
fn an_answer_is_the_structured_one() {
    let report = fixture("judge-ok");
    assert_eq!(
        report.answer,
        json!({ "ok": true, "verdict": "duplicate", "confidence": 0.9 })
    );
    assert_eq!(report.usage.input_tokens, 1200);
    assert_eq!(report.usage.output_tokens, 34);
    assert_eq!(report.usage.cost_micros, Some(1680));
    assert!(report.session.is_some());
}

#[test]
fn a_success_without_the_answer_is_none() {
    let report = fixture("judge-text");
    assert!(matches!(
        report.outcome,
        AgentOutcome::SchemaViolation { .. }
    ));
    assert_eq!(report.answer, Value::Null);
    assert_eq!(report.message, "Plain words, no JSON here.");
}

#[test]
fn commands_and_edits_are_reported() {
    let report = fixture("impl-ok");
    assert_eq!(report.commands.len(), 1);
    assert_eq!(report.commands[0].command, "ls -a && pwd");
    assert_eq!(report.commands[0].exit_code, Some(0));
    assert_eq!(report.notes["edited"], "/srv/tree/hello.txt");
    assert_eq!(report.message, "Done: wrote hello.txt.");
    assert_eq!(fixture("impl-command-fails").commands[0].exit_code, Some(3));
}

#[test]
fn tools_that_were_not_given_end_the_run() {
    // Recorded with a shell; a task that may only look has none.
    let recording = Recording::of("claude", "impl-ok");
    let report = run(&recording, &replay::task(RunMode::ReadOnly));
    insta::assert_snapshot!(report.outcome, @"its sandbox cannot be set up: it offers the tool Bash, which it was not given");
    let init =
        r#"{"type":"system","subtype":"init","tools":["Read"],"mcp_servers":[{"name":"x"}]}"#;
    let report = run(&Recording::new(init), &replay::task(RunMode::ReadOnly));
    insta::assert_snapshot!(report.outcome, @"its sandbox cannot be set up: it started a server that only the repository names");
}

#[test]
fn a_prohibited_command_ends_a_run_that_may_only_look() {
    let call = |name: &str, input: Value| {
        let block = json!({ "type": "tool_use", "id": "t1", "name": name, "input": input });
        let line = json!({ "type": "assistant", "message": { "id": "m", "content": [block] } });
        Recording::new(line.to_string())
    };
    let task = replay::task(RunMode::ReadOnly);
    let report = run(
        &call("Bash", json!({ "command": "cd app && npm test" })),
        &task,
    );
    assert_eq!(report.outcome.reason(), "prohibited-command");
    let report = run(&call("Write", json!({ "file_path": "/srv/tree/a" })), &task);
    assert_eq!(report.outcome.reason(), "prohibited-command");
    let report = run(&call("Bash", json!({ "command": "git log" })), &task);
    assert_eq!(report.outcome.reason(), "crashed");
}

#[test]
fn a_run_over_its_budget_ends_while_it_goes_on() {
    let mut task = replay::task(RunMode::Implement);
    task.limits.tokens = Some(2000);
    let recording = Recording::of("claude", "impl-ok");
    assert_eq!(run(&recording, &task).outcome, AgentOutcome::OverBudget);
    // Also where only the last word tells.
    task.limits.tokens = None;
    task.limits.cost_micros = Some(5000);
    assert_eq!(run(&recording, &task).outcome, AgentOutcome::OverBudget);
}

#[test]
fn a_long_wait_is_left_to_the_pipeline() {
    let line =
        r#"{"type":"system","subtype":"api_retry","retry_delay_ms":3600000,"error_status":429}"#;
    let report = run(&Recording::new(line), &replay::task(RunMode::ReadOnly));
    let until = Some(Timestamp::from_millis(3_600_000));
    assert_eq!(report.outcome, AgentOutcome::RateLimited { until });
}

#[test]
fn a_session_that_is_gone_is_known() {
    let now = || Timestamp::EPOCH;
    let mut events = Stream::new(&[], true, &now);
    let recording = Recording::of("claude", "err-resume-unknown");
    recording.replay(&replay::task(RunMode::ReadOnly), &mut events, |_| None);
    assert!(events.lost_session());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_that_is_cut_anywhere_is_no_success(cut in 0usize..4000) {
        let mut recording = Recording::of("claude", "judge-ok");
        let last = recording.stdout.iter().rposition(|b| *b == b'{').unwrap();
        recording.stdout.truncate(cut.min(last));
        let report = run(&recording, &replay::task(RunMode::ReadOnly));
        prop_assert!(matches!(report.outcome, AgentOutcome::Crashed { .. }), "{:?}", report.outcome);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_and_are_no_success(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let report = run(&Recording::new(bytes), &replay::task(RunMode::ReadOnly));
        prop_assert_ne!(report.outcome, AgentOutcome::Completed);
    }

    #[test]
    fn what_stands_between_the_lines_changes_nothing(
        garbage in prop::collection::vec("[^\n\\{\\[]{0,80}", 1..6),
    ) {
        let clean = Recording::of("claude", "impl-ok");
        let mut mixed = Vec::new();
        for (n, line) in clean.stdout.split(|byte| *byte == b'\n').enumerate() {
            mixed.extend_from_slice(garbage[n % garbage.len()].as_bytes());
            mixed.push(b'\n');
            mixed.extend_from_slice(line);
            mixed.push(b'\n');
        }
        let task = replay::task(RunMode::Implement);
        let (report, expected) = (run(&Recording::new(mixed), &task), run(&clean, &task));
        prop_assert_eq!(report.outcome, expected.outcome);
        prop_assert_eq!(report.commands, expected.commands);
    }

    #[test]
    fn events_of_any_shape_are_read_without_a_panic(
        kind in "system|assistant|user|result|rate_limit_event|[a-z]{3}",
        key in "subtype|message|content|usage|result|errors|total_cost_usd|rate_limit_info",
        value in "\\{\\}|\\[\\]|null|-1|1e300|\"x\"|\\[\\{\"content\":\\[1\\]\\}\\]|\\{\"content\":[0-9]\\}",
    ) {
        let line = format!("{{\"type\":\"{kind}\",\"{key}\":{value}}}");
        let report = run(&Recording::new(line), &replay::task(RunMode::ReadOnly));
        prop_assert_ne!(report.outcome, AgentOutcome::Completed);
    }
}
