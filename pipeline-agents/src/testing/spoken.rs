//! The protocols of `codex` and `claude`, as far as a task needs them.

use std::io;
use std::io::BufRead as _;
use std::io::Read as _;
use std::process::ExitCode;

use pipeline_core::conformance::agent::Behaviour;
use serde_json::Value;
use serde_json::json;

use super::BEHAVIOUR;
use super::Voice;
use super::act;
use super::say;

/// One of the protocols.
struct Spoken {
    line: fn(Kind<'_>) -> Value,
    /// The answer is the last message before the end; otherwise it stands in the end itself.
    answers_in_words: bool,
    writes: bool,
}

/// What a line is about.
#[derive(Clone, Copy)]
enum Kind<'k> {
    Message(&'k str),
    Over(&'k Value),
}

impl Voice for Spoken {
    fn garble(&self) -> io::Result<()> {
        let line = (self.line)(Kind::Over(&json!({}))).to_string();
        say(line.as_bytes().get(..line.len() / 2).unwrap_or_default())
    }

    fn mojibake(&self) -> io::Result<()> {
        let line = (self.line)(Kind::Over(&json!({ "x": "MOJIBAKE" }))).to_string();
        let (before, after) = line.split_once("MOJIBAKE").unwrap_or_default();
        say(&[before.as_bytes(), b"\xff\xfe", after.as_bytes(), b"\n"].concat())
    }

    fn tell(&self, line: &str) -> io::Result<()> {
        say(format!("{}\n", (self.line)(Kind::Message(line))).as_bytes())
    }

    fn answer(&self, value: &Value) -> io::Result<()> {
        if self.answers_in_words {
            self.tell(&value.to_string())?;
        }
        say(format!("{}\n", (self.line)(Kind::Over(value))).as_bytes())
    }

    fn may_write(&self) -> bool {
        self.writes
    }
}

fn behaviour() -> io::Result<Behaviour> {
    let named = std::env::vars_os().find(|(name, _)| name == BEHAVIOUR);
    let text = named.map(|(_, value)| value).unwrap_or_default();
    let text = text.to_string_lossy();
    Ok(serde_json::from_str(&text)?)
}

/// Speaks as `codex app-server`.
pub(super) fn as_app_server(args: &[String]) -> io::Result<ExitCode> {
    for line in io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        let reply = |result: Value| {
            let line = json!({ "id": message.get("id"), "result": result });
            say(format!("{line}\n").as_bytes())
        };
        match message.get("method").and_then(Value::as_str) {
            Some("initialize") => reply(json!({}))?,
            Some("thread/start" | "thread/resume") => reply(json!({
                "thread": { "id": "thread-1" },
                "activePermissionProfile": { "id": "pipeline" },
                "sandbox": { "networkAccess": false },
            }))?,
            Some("turn/start") => {
                reply(json!({ "turn": { "id": "turn-1" } }))?;
                break;
            }
            _ => {}
        }
    }
    let voice = Spoken {
        line: app_server_line,
        answers_in_words: true,
        writes: args.iter().any(|arg| arg.contains(r#""."="write""#)),
    };
    act(behaviour()?, &voice)
}

fn app_server_line(kind: Kind<'_>) -> Value {
    match kind {
        Kind::Message(text) => json!({ "method": "item/completed", "params": { "item": {
            "type": "agentMessage", "id": "m", "text": text } } }),
        Kind::Over(value) => json!({ "method": "turn/completed", "params": { "turn": {
            "status": "completed", "about": value } } }),
    }
}

/// Speaks as `codex exec --json`.
pub(super) fn as_exec(args: &[String]) -> io::Result<ExitCode> {
    io::stdin().read_to_string(&mut String::new())?;
    say(b"{\"type\":\"thread.started\",\"thread_id\":\"thread-1\"}\n")?;
    let voice = Spoken {
        line: exec_line,
        answers_in_words: true,
        writes: args.iter().any(|arg| arg.contains(r#""."="write""#)),
    };
    act(behaviour()?, &voice)
}

fn exec_line(kind: Kind<'_>) -> Value {
    match kind {
        Kind::Message(text) => {
            json!({ "type": "item.completed", "item": { "type": "agent_message", "id": "m", "text": text } })
        }
        Kind::Over(value) => json!({ "type": "turn.completed", "about": value, "usage": {} }),
    }
}

/// Speaks as `claude -p --output-format stream-json`.
pub(super) fn as_claude(args: &[String]) -> io::Result<ExitCode> {
    io::stdin().read_to_string(&mut String::new())?;
    let tools = args.iter().skip_while(|arg| *arg != "--tools").nth(1);
    let tools: Vec<&str> = tools.map_or(Vec::new(), |tools| tools.split(',').collect());
    let init = json!({ "type": "system", "subtype": "init", "session_id": "s-1", "tools": tools, "mcp_servers": [] });
    say(format!("{init}\n").as_bytes())?;
    let voice = Spoken {
        line: claude_line,
        answers_in_words: false,
        writes: tools.contains(&"Write"),
    };
    act(behaviour()?, &voice)
}

fn claude_line(kind: Kind<'_>) -> Value {
    match kind {
        Kind::Message(text) => {
            json!({ "type": "assistant", "message": { "id": "m", "content": [{ "type": "text", "text": text }] } })
        }
        Kind::Over(value) => json!({
            "type": "result", "subtype": "success", "is_error": false, "terminal_reason": "completed",
            "result": value.to_string(), "structured_output": value, "usage": {}, "total_cost_usd": 0.0,
        }),
    }
}
