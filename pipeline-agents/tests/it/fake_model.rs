//! The bare model against the project's own loopback model, the one that the command-line agents are tested with.
//!
//! Needs node; without it the test says past the harness that it was skipped. The same endings are tested without node in
//! `api.rs`.

use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use pipeline_agents::ApiAgent;
use pipeline_agents::Wire;
use pipeline_core::agent::Agent as _;
use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentReport;
use pipeline_core::agent::Unwatched;
use pipeline_core::process::Flow;
use pipeline_core::process::ProcessSpec;
use pipeline_core::process::StdoutLine;
use pipeline_core::secret::Secret;
use serde_json::Value;
use serde_json::json;
use url::Url;

use crate::api::task;

const CEILING: Duration = Duration::from_secs(120);

fn node() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test takes node from where the machine has it"
    )]
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("node"))
        .find(|node| node.is_file())
}

/// Says past the harness's capture that a test was skipped.
fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let said = format!("SKIPPED {name}: {why}\n");
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}

struct Model {
    address: Url,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Model {
    async fn start(node: &Path, script: &Path) -> Self {
        let spec = ProcessSpec::new(node, script.parent().unwrap())
            .args([script.display().to_string()])
            .deadline(CEILING);
        let (tell, told) = tokio::sync::oneshot::channel();
        let serving = tokio::spawn(async move {
            let mut tell = Some(tell);
            let mut on_line = |line: StdoutLine<'_>| {
                if let (StdoutLine::Whole(bytes), Some(tell)) = (line, tell.take()) {
                    let _told = tell.send(bytes.to_vec());
                }
                Flow::Continue
            };
            let running = spec.start().unwrap();
            let _ended = running
                .finish_lines(std::future::pending(), 4096, &mut on_line)
                .await;
        });
        let line = tokio::time::timeout(CEILING, told).await.unwrap().unwrap();
        let line: Value = serde_json::from_slice(&line).unwrap();
        let address = Url::parse(line["listening"].as_str().unwrap()).unwrap();
        Self { address, serving }
    }

    async fn asked(&self, wire: Wire, scenario: &str) -> AgentReport {
        let address = self
            .address
            .join(&format!("/s/{scenario}/{wire:?}/v1"))
            .unwrap();
        let agent = ApiAgent::builder("api", wire, address, "fake", Secret::new("fake-key"))
            .build()
            .unwrap();
        let mut task = task();
        task.schema = Some(json!({
            "type": "object", "additionalProperties": false, "required": ["ok", "verdict", "confidence"],
            "properties": {"ok": {"type": "boolean"}, "verdict": {"type": "string"}, "confidence": {"type": "number"}},
        }));
        // A model that hangs is silent for good; every other answer comes at once.
        task.limits.stall = Some(Duration::from_secs(match scenario {
            "hang" | "hang_body" => 1,
            _ => 60,
        }));
        agent.run(&task, &Unwatched).await.unwrap()
    }
}

#[tokio::test]
async fn every_scenario_ends_as_it_is_named() {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/tests/fake-model/fake-model.mjs");
    let Some(node) = node() else {
        return skipped("there is no node on this machine");
    };
    if !script.is_file() {
        return skipped("it is not part of this checkout");
    }
    let model = Model::start(&node, &script.canonicalize().unwrap()).await;
    for wire in [Wire::Responses, Wire::Messages] {
        for (scenario, ends) in [
            ("answer", "completed"),
            ("near_limit", "completed"),
            ("text", "schema-violation"),
            ("mismatch", "schema-violation"),
            ("truncate", "schema-violation"),
            ("refuse", "refused-by-model"),
            ("throttled", "rate-limit"),
            ("limit_reached", "rate-limit"),
            ("rate_stream", "rate-limit"),
            ("overloaded", "rate-limit"),
            ("unauthorized", "authentication-failed"),
            ("overflow", "context-overflow"),
            ("overflow_stream", "context-overflow"),
            ("http500", "provider-failed"),
            ("cut", "provider-failed"),
            ("garbage", "provider-failed"),
            ("hang", "stalled"),
            ("hang_body", "stalled"),
            ("quota", "usage-limit"),
        ] {
            let report = model.asked(wire, scenario).await;
            assert_eq!(
                report.outcome.reason(),
                ends,
                "{wire:?} {scenario}: {}",
                report.outcome
            );
            if scenario == "answer" {
                assert_eq!(report.answer["verdict"], "duplicate");
                assert_eq!(report.usage.input_tokens, 1200, "{wire:?}");
                assert_eq!(report.usage.output_tokens, 34, "{wire:?}");
            }
            if scenario == "limit_reached" {
                let AgentOutcome::RateLimited { until: Some(_) } = report.outcome else {
                    panic!("{wire:?}: no time to come back");
                };
            }
        }
    }
}
