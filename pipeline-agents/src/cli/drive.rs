//! Seeing one program to its end: its lines are read as they come, and what they mean may end it.

use std::time::Duration;

use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentWatch;
use pipeline_core::process::Ending;
use pipeline_core::process::Exit;
use pipeline_core::process::Flow;
use pipeline_core::process::ProcessError;
use pipeline_core::process::ProcessSpec;
use pipeline_core::process::StdoutLine;
use pipeline_core::secret::Redactor;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::sleep;

use super::LONGEST_LINE;
use super::Seen;
use crate::schema::Schema;
use crate::words::brief;
use crate::words::last_words;

/// How long a program may stay after it said its last word; a command it left in the background can hold it for ever.
const LINGER: Duration = Duration::from_secs(3);
/// How long a program may take to stop by itself when it was asked to in its own protocol.
const INTERRUPT: Duration = Duration::from_millis(1500);

/// What a line means for the run.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// It goes on.
    Continue,
    /// It is over; the program leaves by itself, or is ended in a moment.
    Final,
    /// It has to end, with this outcome.
    Stop(AgentOutcome),
}

impl From<Option<AgentOutcome>> for Step {
    fn from(end: Option<AgentOutcome>) -> Self {
        end.map_or(Self::Continue, Self::Stop)
    }
}

/// How a program left that was not made to.
#[derive(Debug)]
pub(crate) struct End<'e> {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// It stayed after its last word and was then ended: its exit says nothing.
    pub(crate) lingered: bool,
    /// The last of its standard error, without secrets.
    pub(crate) stderr: &'e str,
}

impl End<'_> {
    /// Returns whether its exit speaks against what it said.
    pub(crate) const fn is_clean(&self) -> bool {
        self.lingered || matches!(self.code, Some(0))
    }
}

/// Reads the lines of one kind of program.
pub(crate) trait Decoder: Send {
    /// Reads one line: any JSON value.
    fn line(&mut self, line: &Value, seen: &mut Seen<'_>) -> Step;
    /// Asks the program to stop in its own protocol; `false` if there is no such way (now).
    fn interrupt(&mut self) -> bool;
    /// Says what a run came to that ended by itself, without its answer being judged.
    fn outcome(&mut self, seen: &Seen<'_>, end: &End<'_>) -> AgentOutcome;
}

/// What is known of a program that is over.
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) outcome: AgentOutcome,
    pub(crate) millis: u64,
    pub(crate) escaped: usize,
    /// The last of its standard error, without secrets.
    pub(crate) stderr: String,
}

/// Runs a program to its end.
///
/// # Errors
/// As [`ProcessSpec::start`].
///
/// # Cancel safety
/// Dropping the future ends the program's whole tree.
pub(crate) async fn drive(
    spec: ProcessSpec,
    input: Option<mpsc::Receiver<Vec<u8>>>,
    decoder: &mut dyn Decoder,
    seen: &mut Seen<'_>,
    watch: &dyn AgentWatch,
    redactor: &Redactor,
) -> Result<Driven, ProcessError> {
    let running = spec.start()?;
    watch.started(&running.identity()?);
    let running = match input {
        Some(input) => running.feed(input),
        None => running,
    };
    let (hurry, hurried) = watch::channel(None);
    let mut reader = Reader::new(decoder, seen);
    let mut on_line = |line: StdoutLine<'_>| {
        let next = reader.take(line);
        for line in reader.seen.take_told() {
            watch.progress(&redactor.redact(&brief(&line)));
        }
        match next {
            Next::More => {}
            Next::Within(time) => {
                hurry.send_replace(Some(time));
            }
            Next::End => return Flow::Stop,
        }
        Flow::Continue
    };
    let report = running
        .finish_lines(patience(hurried), LONGEST_LINE, &mut on_line)
        .await?;
    let stderr = redactor.redact(&last_words(&report.stderr().text()));
    let code = match report.exit() {
        Exit::Code(code) => Some(code),
        _ => None,
    };
    let outcome = reader.outcome(report.ending(), code, &stderr);
    Ok(Driven {
        outcome,
        millis: u64::try_from(report.duration().as_millis()).unwrap_or(u64::MAX),
        escaped: report.escaped(),
        stderr,
    })
}

/// What is to be done after a line.
#[derive(Debug, PartialEq)]
enum Next {
    /// Another line is read.
    More,
    /// The program may take this long to leave.
    Within(Duration),
    /// The program is ended.
    End,
}

/// Reads lines until they mean an end.
struct Reader<'d, 's, 'r> {
    decoder: &'d mut dyn Decoder,
    seen: &'s mut Seen<'r>,
    stopped: Option<AgentOutcome>,
    finished: bool,
}

impl<'d, 's, 'r> Reader<'d, 's, 'r> {
    fn new(decoder: &'d mut dyn Decoder, seen: &'s mut Seen<'r>) -> Self {
        Self {
            decoder,
            seen,
            stopped: None,
            finished: false,
        }
    }

    fn take(&mut self, line: StdoutLine<'_>) -> Next {
        // What was in a line that is too long is lost, and the run goes on: if it was the last word, that will be missed.
        let StdoutLine::Whole(bytes) = line else {
            self.seen.oversized();
            return Next::More;
        };
        if bytes.trim_ascii().is_empty() {
            return Next::More;
        }
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
            self.seen.strange();
            return Next::More;
        };
        match self.decoder.line(&value, self.seen) {
            Step::Final => {
                self.finished = true;
                Next::Within(LINGER)
            }
            Step::Stop(outcome) if self.stopped.is_none() && !self.finished => {
                self.stopped = Some(outcome);
                if self.decoder.interrupt() {
                    Next::Within(INTERRUPT)
                } else {
                    Next::End
                }
            }
            Step::Continue | Step::Stop(_) => Next::More,
        }
    }

    /// Says what a run came to: by what was done to it, and only then by what it said.
    fn outcome(&mut self, ending: Ending, code: Option<i32>, stderr: &str) -> AgentOutcome {
        if let Some(outcome) = self.stopped.take() {
            return outcome;
        }
        match ending {
            Ending::Flooded(_) => AgentOutcome::Flooded,
            Ending::Deadline if !self.finished => AgentOutcome::Deadline,
            Ending::Stalled if !self.finished => AgentOutcome::Stalled,
            _ => {
                let lingered = self.finished && ending != Ending::Exited;
                let end = End {
                    code,
                    lingered,
                    stderr,
                };
                self.decoder.outcome(self.seen, &end)
            }
        }
    }
}

/// Completes some time after it was said that there is no more to wait for.
async fn patience(mut hurried: watch::Receiver<Option<Duration>>) {
    let time = match hurried.wait_for(Option::is_some).await {
        Ok(time) => *time,
        Err(_) => None,
    };
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

/// The program ended without a last word that could be understood.
pub(crate) fn crashed(end: &End<'_>, why: &str) -> AgentOutcome {
    let stderr = match end.stderr {
        "" => why.to_owned(),
        stderr => format!("{why}: {stderr}"),
    };
    AgentOutcome::Crashed {
        code: end.code,
        stderr,
    }
}

/// Judges an answer: what the program called a success is one only if the answer fits what was asked for.
pub(crate) fn judged(
    schema: Option<&Schema>,
    answer: Option<Value>,
    message: &str,
) -> (AgentOutcome, Value) {
    let Some(schema) = schema else {
        return (AgentOutcome::Completed, Value::Null);
    };
    let violation = |detail: &str| {
        let detail = brief(detail);
        (AgentOutcome::SchemaViolation { detail }, Value::Null)
    };
    let answer = match answer {
        Some(answer) => answer,
        None if message.trim().is_empty() => {
            return violation("an answer was asked for, and it gave none");
        }
        None => match serde_json::from_str(unfenced(message)) {
            Ok(answer) => answer,
            Err(error) => return violation(&format!("the answer is no JSON: {error}")),
        },
    };
    match schema.check(&answer) {
        Ok(()) => (AgentOutcome::Completed, answer),
        Err(detail) => violation(&detail),
    }
}

/// Returns what stands inside a Markdown code block, if a text is one.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text
        .strip_prefix("```json")
        .or_else(|| text.strip_prefix("```"))
        .and_then(|rest| rest.strip_suffix("```"));
    inner.map_or(text, str::trim)
}

#[cfg(test)]
pub(crate) mod replay;
