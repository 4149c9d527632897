//! Recorded and made-up streams, read as those of a running program are.

use std::fs;
use std::path::PathBuf;

use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentReport;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::RunId;
use pipeline_core::agent::RunLimits;
use pipeline_core::agent::RunMode;
use pipeline_core::agent::TaskKind;
use pipeline_core::issue::IssueKey;
use pipeline_core::process::Ending;
use pipeline_core::process::StdoutLine;
use pipeline_core::protected::ProhibitedRules;
use pipeline_core::secret::Redactor;
use serde_json::Value;
use serde_json::json;

use super::Decoder;
use super::Driven;
use super::LONGEST_LINE;
use super::Next;
use super::Reader;
use crate::cli::Seen;
use crate::cli::report;
use crate::schema::Schema;
use crate::words::last_words;

/// A stream and how its program ended.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    /// How it ended: a signal that was sent from outside is as if it had been ours.
    pub(crate) ending: Ending,
}

impl Recording {
    /// Reads a fixture.
    pub(crate) fn of(program: &str, name: &str) -> Self {
        let file = |ext: &str| folder(program).join(format!("{name}.{ext}"));
        let exit = fs::read(file("exit")).map_or(json!({ "exit": 0 }), |bytes| {
            serde_json::from_slice(&bytes).unwrap()
        });
        Self {
            stdout: fs::read(file("jsonl")).unwrap(),
            stderr: fs::read_to_string(file("stderr")).unwrap_or_default(),
            code: exit["exit"]
                .as_i64()
                .map(|code| i32::try_from(code).unwrap()),
            ending: match exit["ended"].as_str() {
                Some("self") | None => Ending::Exited,
                Some(_) => Ending::Cancelled,
            },
        }
    }

    pub(crate) fn new(stdout: impl Into<Vec<u8>>) -> Self {
        Self {
            stdout: stdout.into(),
            stderr: String::new(),
            code: Some(0),
            ending: Ending::Exited,
        }
    }

    /// Reads the stream and returns the report of its run.
    pub(crate) fn replay(
        &self,
        task: &AgentTask,
        decoder: &mut dyn Decoder,
        answer: impl FnOnce(&Seen<'_>) -> Option<Value>,
    ) -> AgentReport {
        let rules = ProhibitedRules::builtin();
        let mut seen = Seen::new(task, &rules);
        let mut reader = Reader::new(decoder, &mut seen);
        let mut ending = self.ending;
        for line in self.stdout.split(|byte| *byte == b'\n') {
            let line = match line.get(..LONGEST_LINE) {
                Some(head) => StdoutLine::Oversized(head),
                None => StdoutLine::Whole(line),
            };
            if reader.take(line) == Next::End {
                ending = Ending::Stopped;
                break;
            }
        }
        let outcome = reader.outcome(ending, self.code, &last_words(&self.stderr));
        let schema = task
            .schema
            .as_ref()
            .map(|schema| Schema::new(schema).unwrap());
        let driven = Driven {
            outcome,
            millis: 0,
            escaped: 0,
            stderr: self.stderr.clone(),
        };
        let answer = answer(&seen);
        let none = Redactor::new([]);
        report(driven, &mut seen, schema.as_ref(), answer, &none)
    }
}

pub(crate) fn folder(program: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(program)
}

/// Returns the names of a program's fixtures.
pub(crate) fn names(program: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder(program))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "jsonl"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Makes the task that the fixtures are answers to.
pub(crate) fn task(mode: RunMode) -> AgentTask {
    let kind = match mode {
        RunMode::ReadOnly => TaskKind::LocalCheck,
        RunMode::Implement => TaskKind::Implement,
    };
    let schema = (mode == RunMode::ReadOnly).then(|| {
        json!({
            "type": "object",
            "properties": {
                "ok": { "type": "boolean" },
                "verdict": { "type": "string", "enum": ["duplicate", "new", "unclear"] },
                "confidence": { "type": "number" },
            },
            "required": ["ok", "verdict", "confidence"],
            "additionalProperties": false,
        })
    });
    AgentTask {
        run: RunId::random(),
        issue: IssueKey::new("A-1").unwrap(),
        kind,
        mode,
        prompt: "Judge this issue.".to_owned(),
        schema,
        input: json!({}),
        workdir: Some("/srv/tree".into()),
        images: Vec::new(),
        model: None,
        session: None,
        state_dir: None,
        loopback: None,
        limits: RunLimits::default(),
    }
}

/// Returns an outcome in one word, with what follows from it.
pub(crate) fn word(outcome: &AgentOutcome) -> String {
    match outcome {
        AgentOutcome::RateLimited { until: Some(_) } => "rate-limit until".to_owned(),
        AgentOutcome::UsageLimit { until: Some(at) } => format!("usage-limit until {at}"),
        AgentOutcome::Crashed { code, .. } => format!("crashed {code:?}"),
        other => other.reason().to_owned(),
    }
}
