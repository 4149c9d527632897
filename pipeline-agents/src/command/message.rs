//! What is said to a command and what it may say back, version 1.

use std::path::Path;
use std::path::PathBuf;

use pipeline_core::agent::AgentTask;
use pipeline_core::agent::ExecutedCommand;
use pipeline_core::agent::RunId;
use pipeline_core::agent::RunMode;
use pipeline_core::agent::TaskKind;
use pipeline_core::agent::Usage;
use pipeline_core::clock::Timestamp;
use pipeline_core::issue::IssueKey;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::words::brief;
use crate::words::last_words;

const VERSION: u32 = 1;
const LONGEST_SESSION: usize = 200;

/// The task, as it stands on the command's standard input.
///
/// Spelled out instead of serialising the task itself, so that the protocol only changes on purpose.
#[derive(Debug, Serialize)]
pub(super) struct TaskMessage<'a> {
    v: u32,
    run: &'a RunId,
    issue: &'a IssueKey,
    kind: TaskKind,
    mode: RunMode,
    prompt: &'a str,
    schema: Option<&'a Value>,
    input: &'a Value,
    workdir: Option<&'a Path>,
    images: &'a [PathBuf],
    model: Option<&'a str>,
    session: Option<&'a str>,
    deadline_seconds: u64,
}

impl<'a> TaskMessage<'a> {
    pub(super) fn new(task: &'a AgentTask) -> Self {
        Self {
            v: VERSION,
            run: &task.run,
            issue: &task.issue,
            kind: task.kind,
            mode: task.mode,
            prompt: &task.prompt,
            schema: task.schema.as_ref(),
            input: &task.input,
            workdir: task.workdir.as_deref(),
            images: &task.images,
            model: task.model.as_deref(),
            session: task.session.as_deref(),
            deadline_seconds: task.limits.deadline.as_secs(),
        }
    }

    /// Returns the message as one line.
    pub(super) fn to_line(&self) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// What a command says about its run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutcomeMessage {
    v: u32,
    pub(super) outcome: Word,
    #[serde(default)]
    pub(super) answer: Value,
    #[serde(default)]
    pub(super) message: String,
    /// Of `needs_input`.
    #[serde(default)]
    pub(super) question: String,
    /// Of `refused`, `authentication_failed` and `sandbox_unavailable`.
    #[serde(default)]
    pub(super) detail: String,
    /// Of `rate_limited` and `usage_limit`.
    pub(super) until: Option<Timestamp>,
    #[serde(default)]
    pub(super) usage: UsageMessage,
    #[serde(default)]
    pub(super) commands: Vec<CommandMessage>,
    pub(super) session: Option<String>,
}

/// The outcomes that a command itself can know. How it ended otherwise (late, silent, flooding, crashed) is seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    Completed,
    NeedsInput,
    Refused,
    RateLimited,
    UsageLimit,
    AuthenticationFailed,
    ContextOverflow,
    OverBudget,
    SandboxUnavailable,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UsageMessage {
    input_tokens: u64,
    output_tokens: u64,
    cost_micros: Option<u64>,
}

impl UsageMessage {
    /// Returns the usage, with the time that was measured here.
    pub(super) fn with_time(self, time: std::time::Duration) -> Usage {
        Usage {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost_micros: self.cost_micros,
            millis: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandMessage {
    command: String,
    exit_code: Option<i32>,
}

impl From<CommandMessage> for ExecutedCommand {
    fn from(message: CommandMessage) -> Self {
        Self {
            command: message.command,
            exit_code: message.exit_code,
        }
    }
}

/// What stood on a command's standard output.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// Nothing, or blanks only.
    Nothing,
    /// Words, but no outcome; the last of them.
    Words(String),
    /// An outcome.
    Outcome(Box<OutcomeMessage>),
    /// Something that begins like an outcome and is none; why.
    Unreadable(String),
}

/// Returns whether a line begins the outcome. Lines before it are progress.
pub(super) fn begins_outcome(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
}

/// Reads a command's standard output.
pub(super) fn read(stdout: &[u8]) -> Said {
    let mut start = 0;
    for line in stdout.split_inclusive(|byte| *byte == b'\n') {
        if begins_outcome(line) {
            return read_outcome(stdout.get(start..).unwrap_or_default());
        }
        start += line.len();
    }
    let words = String::from_utf8_lossy(stdout);
    let words = words.trim();
    if words.is_empty() {
        Said::Nothing
    } else {
        Said::Words(last_words(words))
    }
}

fn read_outcome(json: &[u8]) -> Said {
    if std::str::from_utf8(json).is_err() {
        return Said::Unreadable("its outcome is not UTF-8 text".to_owned());
    }
    let message: OutcomeMessage = match serde_json::from_slice(json) {
        Ok(message) => message,
        Err(error) => {
            return Said::Unreadable(brief(&format!("its outcome cannot be read: {error}")));
        }
    };
    let session_ok = message.session.as_deref().is_none_or(|session| {
        (1..=LONGEST_SESSION).contains(&session.len())
            && session.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if message.v != VERSION {
        Said::Unreadable(format!(
            "its outcome has version {}, known is {VERSION}",
            message.v
        ))
    } else if session_ok {
        Said::Outcome(Box::new(message))
    } else {
        Said::Unreadable(format!(
            "its session is not 1 to {LONGEST_SESSION} printable ASCII characters"
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn why(stdout: &[u8]) -> String {
        match read(stdout) {
            Said::Unreadable(why) => why,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_outcome_is_told_in_words() {
        insta::assert_snapshot!(why(br#"{"v":1,"outcome":"completed""#), @"its outcome cannot be read: EOF while parsing an object at line 1 column 28");
        insta::assert_snapshot!(why(br#"{"v":1,"outcome":"completed"} {"v":1}"#), @"its outcome cannot be read: trailing characters at line 1 column 31");
        insta::assert_snapshot!(why(br#"{"v":2,"outcome":"completed"}"#), @"its outcome has version 2, known is 1");
        insta::assert_snapshot!(why(br#"{"outcome":"completed"}"#), @"its outcome cannot be read: missing field `v` at line 1 column 23");
        insta::assert_snapshot!(why(br#"{"v":1,"outcome":"approved"}"#), @"its outcome cannot be read: unknown variant `approved`, expected one of `completed`, `needs_input`, `refused`, `rate_limited`, `usage_limit`, `authentication_failed`, `context_overflow`, `over_budget`, `sandbox_unavailable` at line 1 column 27");
        insta::assert_snapshot!(why(br#"{"v":1,"outcome":"completed","anwser":{}}"#), @"its outcome cannot be read: unknown field `anwser`, expected one of `v`, `outcome`, `answer`, `message`, `question`, `detail`, `until`, `usage`, `commands`, `session` at line 1 column 37");
        insta::assert_snapshot!(why(br#"{"v":1,"outcome":"completed","outcome":"refused"}"#), @"its outcome cannot be read: duplicate field `outcome` at line 1 column 38");
        insta::assert_snapshot!(why(br#"{"v":1,"outcome":"completed","session":"a b"}"#), @"its session is not 1 to 200 printable ASCII characters");
        insta::assert_snapshot!(why(br#"{"v":1,"outcome":"completed","usage":{"input_tokens":-1}}"#), @"its outcome cannot be read: invalid value: integer `-1`, expected u64 at line 1 column 55");
        insta::assert_snapshot!(why(b"{\"v\":1,\"message\":\"\xff\"}"), @"its outcome is not UTF-8 text");
        insta::assert_snapshot!(why(format!("{}1", "{\"a\":".repeat(500)).as_bytes()), @"its outcome cannot be read: unknown field `a`, expected one of `v`, `outcome`, `answer`, `message`, `question`, `detail`, `until`, `usage`, `commands`, `session` at line 1 column 4");
    }

    #[test]
    fn lines_before_the_outcome_are_no_part_of_it() {
        let said = read(b"reading\nthinking \xff\n  {\n  \"v\": 1,\n \"outcome\": \"needs_input\", \"question\": \"Which?\"}\n");
        let Said::Outcome(message) = said else {
            panic!("{said:?}")
        };
        assert_eq!(
            (message.outcome, message.question.as_str()),
            (Word::NeedsInput, "Which?")
        );
        assert_eq!(read(b" \n\t\n"), Said::Nothing);
        assert_eq!(read(b"I am done.\n"), Said::Words("I am done.".to_owned()));
    }

    #[test]
    fn a_full_outcome_is_read_whole() {
        let said = read(
            br#"{"v":1,"outcome":"rate_limited","until":"2026-03-01T09:30:00Z","message":"later",
            "usage":{"input_tokens":1,"output_tokens":2,"cost_micros":3},"commands":[{"command":"ls","exit_code":0}],"session":"s-1"}"#,
        );
        let Said::Outcome(message) = said else {
            panic!("{said:?}")
        };
        assert_eq!(message.until, Timestamp::parse("2026-03-01T09:30:00Z"));
        assert_eq!(
            message
                .usage
                .with_time(std::time::Duration::from_millis(4))
                .millis,
            4
        );
        assert_eq!(message.commands.len(), 1);
    }

    proptest! {
        #[test]
        fn any_output_is_read_without_a_panic(stdout in prop::collection::vec(any::<u8>(), 0..400)) {
            read(&stdout);
        }

        #[test]
        fn any_output_that_begins_like_an_outcome_is_read_without_a_panic(rest in ".{0,200}") {
            read(format!("{{{rest}").as_bytes());
        }
    }
}
