//! The conversation with `codex app-server`: one thread, one turn.

use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::Usage;
use pipeline_core::clock::Timestamp;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;

use super::failure;
use super::hermetic::PROFILE;
use super::items;
use crate::cli::Decoder;
use crate::cli::End;
use crate::cli::Image;
use crate::cli::Seen;
use crate::cli::Step;
use crate::cli::crashed;
use crate::cli::number;
use crate::cli::text;
use crate::words::brief;

const INITIALIZE: u64 = 0;
const START: u64 = 1;
const TURN: u64 = 2;
const INTERRUPT: u64 = 3;
const START_ANEW: u64 = 4;

/// What one turn is about.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    pub(super) directory: String,
    pub(super) model: Option<&'t str>,
    pub(super) prompt: &'t str,
    pub(super) images: &'t [Image],
    pub(super) schema: Option<Value>,
    /// A session to go on with.
    pub(super) session: Option<&'t str>,
    /// The session is written down, so that a later task may go on with it.
    pub(super) kept: bool,
    /// Whether commands have a network: the one that the permissions describe.
    pub(super) network: bool,
}

/// How the turn ended.
#[derive(Debug)]
enum Ended {
    Completed,
    Failed(AgentOutcome),
    Interrupted,
}

/// Leads the conversation.
#[derive(Debug)]
pub(super) struct AppServer<'t> {
    about: Turn<'t>,
    /// Closed when there is no more to say; the program leaves then.
    input: Option<mpsc::Sender<Vec<u8>>>,
    thread: Option<String>,
    turn: Option<String>,
    ended: Option<Ended>,
    /// When the fullest window of the account is filled again, once it is used up.
    refilled: Option<Timestamp>,
}

impl<'t> AppServer<'t> {
    /// Begins a conversation that says what it has to say into `input`.
    pub(super) const fn new(about: Turn<'t>, input: mpsc::Sender<Vec<u8>>) -> Self {
        Self {
            about,
            input: Some(input),
            thread: None,
            turn: None,
            ended: None,
            refilled: None,
        }
    }

    /// Returns what is said before anything was answered.
    pub(super) fn opening(&self) -> Vec<u8> {
        let hello = json!({
            "method": "initialize",
            "id": INITIALIZE,
            "params": {
                "clientInfo": { "name": "issue_pipeline", "title": "Issue pipeline", "version": env!("CARGO_PKG_VERSION") },
                // Without it a command that the sandbox stops at once is told of nowhere.
                "capabilities": { "experimentalApi": true },
            },
        });
        let start = match self.about.session {
            Some(session) => self.resume(session),
            None => self.start(START),
        };
        [hello, json!({ "method": "initialized" }), start]
            .iter()
            .flat_map(line)
            .collect()
    }

    fn start(&self, id: u64) -> Value {
        json!({
            "method": "thread/start",
            "id": id,
            "params": {
                "cwd": self.about.directory,
                "approvalPolicy": "never",
                "ephemeral": !self.about.kept,
                "model": self.about.model,
                "experimentalRawEvents": true,
            },
        })
    }

    fn resume(&self, session: &str) -> Value {
        json!({
            "method": "thread/resume",
            "id": START,
            "params": {
                "threadId": session,
                "cwd": self.about.directory,
                "approvalPolicy": "never",
                "model": self.about.model,
                "excludeTurns": true,
            },
        })
    }

    /// Says something; `false` if nobody listens any more.
    fn say(&self, message: &Value) -> bool {
        let said = |input: &mpsc::Sender<Vec<u8>>| input.try_send(line(message)).is_ok();
        self.input.as_ref().is_some_and(said)
    }

    /// Ends the conversation by having no more to say.
    fn hang_up(&mut self) {
        self.input = None;
    }

    fn fail(&mut self, outcome: AgentOutcome) -> Step {
        self.ended = Some(Ended::Failed(outcome));
        self.hang_up();
        Step::Final
    }

    fn answered(&mut self, id: u64, message: &Value, seen: &mut Seen<'_>) -> Step {
        if let Some(error) = message.get("error") {
            let words = format!(
                "{} {}",
                text(error, "/message").unwrap_or_default(),
                error.get("data").map(Value::to_string).unwrap_or_default()
            );
            return match id {
                // The session is gone or another version wrote it: the task is whole without it.
                START if self.about.session.is_some() => {
                    seen.tell(format!("the session cannot be resumed: {}", brief(&words)));
                    self.say(&self.start(START_ANEW));
                    Step::Continue
                }
                INTERRUPT => Step::Continue,
                _ => self.fail(failure::by_words(words.trim())),
            };
        }
        match id {
            START | START_ANEW => self.begun(message, seen),
            TURN => {
                self.turn = text(message, "/result/turn/id").map(str::to_owned);
                Step::Continue
            }
            _ => Step::Continue,
        }
    }

    /// The thread is there: checks that it is held in as asked, and gives it its task.
    fn begun(&mut self, message: &Value, seen: &mut Seen<'_>) -> Step {
        let profile = text(message, "/result/activePermissionProfile/id");
        let network = message
            .pointer("/result/sandbox/networkAccess")
            .and_then(Value::as_bool);
        if profile != Some(PROFILE) || network != Some(self.about.network) {
            return self.loose("it did not take the permissions it was given");
        }
        let Some(thread) = text(message, "/result/thread/id") else {
            return self.loose("it named no thread");
        };
        if self.about.kept {
            seen.session = Some(thread.to_owned());
        }
        let images = self.about.images.iter();
        let images = images.map(|image| json!({ "type": "localImage", "path": image.path }));
        let input: Vec<Value> = [json!({ "type": "text", "text": self.about.prompt })]
            .into_iter()
            .chain(images)
            .collect();
        let mut params = json!({ "threadId": thread, "input": input });
        if let (Some(schema), Some(params)) = (self.about.schema.take(), params.as_object_mut()) {
            params.insert("outputSchema".to_owned(), schema);
        }
        self.thread = Some(thread.to_owned());
        self.say(&json!({ "method": "turn/start", "id": TURN, "params": params }));
        Step::Continue
    }

    /// It is not held in as it should be: nothing of it is believed.
    fn loose(&mut self, why: &str) -> Step {
        self.hang_up();
        Step::Stop(AgentOutcome::SandboxUnavailable {
            detail: why.to_owned(),
        })
    }

    /// The program asks something. There is nobody to answer it.
    fn asked(&mut self, id: &Value, method: &str, message: &Value) -> Step {
        let error = json!({ "code": -32601, "message": "nobody is there to answer" });
        self.say(&json!({ "id": id, "error": error }));
        if method != "item/tool/requestUserInput" {
            return Step::Continue;
        }
        let questions = message
            .pointer("/params/questions")
            .and_then(Value::as_array);
        let questions: Vec<&str> = questions
            .into_iter()
            .flatten()
            .filter_map(|question| text(question, "/question"))
            .collect();
        Step::Stop(AgentOutcome::NeedsInput {
            question: brief(&questions.join(" ")),
        })
    }

    fn told(&mut self, method: &str, message: &Value, seen: &mut Seen<'_>) -> Step {
        match method {
            "item/started" | "item/completed" => {
                let Some(item) = message.pointer("/params/item") else {
                    return Step::Continue;
                };
                items::camel_case(
                    item,
                    method == "item/completed",
                    &self.about.directory,
                    seen,
                )
                .into()
            }
            "rawResponseItem/completed" => match message.pointer("/params/item") {
                Some(item) => items::raw(item, &self.about.directory, seen).into(),
                None => Step::Continue,
            },
            "thread/tokenUsage/updated" => self.used(message, seen),
            "turn/started" => {
                self.turn = text(message, "/params/turn/id").map(str::to_owned);
                Step::Continue
            }
            "account/rateLimits/updated" => {
                self.refilled = used_up(message).or(self.refilled);
                Step::Continue
            }
            "error" if message.pointer("/params/willRetry") == Some(&Value::Bool(true)) => {
                let more = text(message, "/params/error/additionalDetails").unwrap_or_default();
                let words = text(message, "/params/error/message").unwrap_or_default();
                seen.tell(format!("{words} {more}"));
                Step::Continue
            }
            // None was named, so the repository's own configuration got in; it runs outside of the sandbox.
            "mcpServer/startupStatus/updated" => {
                self.loose("it started a server that only the repository names")
            }
            "turn/completed" => self.over(message),
            _ => Step::Continue,
        }
    }

    fn used(&self, message: &Value, seen: &mut Seen<'_>) -> Step {
        let total =
            |name: &str| number(message, &format!("/params/tokenUsage/total/{name}")).unwrap_or(0);
        let total = Usage {
            input_tokens: total("inputTokens"),
            output_tokens: total("outputTokens"),
            ..Usage::default()
        };
        // Before the turn it is what the session had used when it was resumed.
        if self.turn.is_none() {
            seen.before = total;
            return Step::Continue;
        }
        seen.used(total).into()
    }

    fn over(&mut self, message: &Value) -> Step {
        self.ended = Some(match text(message, "/params/turn/status") {
            Some("completed") => Ended::Completed,
            Some("interrupted") => Ended::Interrupted,
            _ => {
                let words = text(message, "/params/turn/error/message").unwrap_or("it failed");
                let code = message.pointer("/params/turn/error/codexErrorInfo");
                let code = code.unwrap_or(&Value::Null);
                Ended::Failed(failure::by_code(code, words, self.refilled))
            }
        });
        self.hang_up();
        Step::Final
    }
}

impl Decoder for AppServer<'_> {
    fn line(&mut self, message: &Value, seen: &mut Seen<'_>) -> Step {
        match (message.get("id"), text(message, "/method")) {
            (Some(id), Some(method)) => {
                let (id, method) = (id.clone(), method.to_owned());
                self.asked(&id, &method, message)
            }
            (Some(id), None) => match id.as_u64() {
                Some(id) => self.answered(id, message, seen),
                None => Step::Continue,
            },
            (None, Some(method)) => {
                let method = method.to_owned();
                self.told(&method, message, seen)
            }
            (None, None) => {
                seen.strange();
                Step::Continue
            }
        }
    }

    fn interrupt(&mut self) -> bool {
        let (Some(thread), Some(turn)) = (&self.thread, &self.turn) else {
            return false;
        };
        let params = json!({ "threadId": thread, "turnId": turn });
        self.say(&json!({ "method": "turn/interrupt", "id": INTERRUPT, "params": params }))
    }

    fn outcome(&mut self, _seen: &Seen<'_>, end: &End<'_>) -> AgentOutcome {
        match self.ended.take() {
            Some(Ended::Completed) if end.is_clean() => AgentOutcome::Completed,
            Some(Ended::Completed) => crashed(end, "it failed after its turn had ended"),
            Some(Ended::Failed(outcome)) => outcome,
            Some(Ended::Interrupted) => crashed(end, "its turn was interrupted by somebody else"),
            None => crashed(end, "it ended in the middle of its turn"),
        }
    }
}

/// Returns when the last of the used up windows is filled again.
fn used_up(message: &Value) -> Option<Timestamp> {
    let window = |name: &str| {
        let window = message.pointer(&format!("/params/rateLimits/{name}"))?;
        let used = window.get("usedPercent")?.as_f64()?;
        let resets = window.get("resetsAt")?.as_i64()?;
        (used >= 100.0).then(|| Timestamp::from_millis(resets.saturating_mul(1000)))
    };
    window("primary").max(window("secondary"))
}

fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}
