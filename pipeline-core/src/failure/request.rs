//! What is asked: a log and what the platform knows about its job.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::ser::Error as _;

/// The bytes of a log, cheap to clone.
///
/// A log need not be UTF-8; what is quoted from it is.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct LogText(Arc<Vec<u8>>);

impl LogText {
    /// Returns the bytes as they came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for LogText {
    /// Shows the size only: a log may hold what nobody wants in another log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogText({} bytes)", self.0.len())
    }
}

impl From<&str> for LogText {
    fn from(text: &str) -> Self {
        Self(Arc::new(text.as_bytes().to_vec()))
    }
}

impl From<String> for LogText {
    fn from(text: String) -> Self {
        Self(Arc::new(text.into_bytes()))
    }
}

impl From<Vec<u8>> for LogText {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

/// Where the log is.
///
/// On the wire it is a string, an array of lines, or `{"json_lines": "…"}`. A file never comes over the
/// wire: a service must not open what a stranger names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogSource {
    /// The text itself.
    Text(LogText),
    /// One JSON object per line, as log collectors write them; the text is in the first of the fields
    /// `log`, `message`, `msg`, `line` or `text`. A line that is no such object is taken as it stands.
    JsonLines(LogText),
    /// A file on this machine, read in pieces.
    File(PathBuf),
}

impl Default for LogSource {
    fn default() -> Self {
        Self::Text(LogText::default())
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a log is a string, an array of strings, or an object with the string `json_lines`"
)]
enum WireLog {
    Text(String),
    Lines(Vec<String>),
    JsonLines { json_lines: String },
}

impl<'de> Deserialize<'de> for LogSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match WireLog::deserialize(deserializer)? {
            WireLog::Text(text) => Self::Text(text.into()),
            WireLog::Lines(lines) => Self::Text(lines.join("\n").into()),
            WireLog::JsonLines { json_lines } => Self::JsonLines(json_lines.into()),
        })
    }
}

impl Serialize for LogSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct JsonLines<'a> {
            json_lines: &'a str,
        }
        match self {
            Self::Text(text) => serializer.serialize_str(&String::from_utf8_lossy(text.as_bytes())),
            Self::JsonLines(text) => JsonLines {
                json_lines: &String::from_utf8_lossy(text.as_bytes()),
            }
            .serialize(serializer),
            Self::File(_) => Err(S::Error::custom(
                "a log file stays on its machine; send its text instead",
            )),
        }
    }
}

/// Asks why a job failed.
///
/// Everything beside the log is optional and only sharpens the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogAnalysisRequest {
    /// The log of the failed job.
    pub log: LogSource,
    /// The name of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The pipeline stage the job belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The exit code of the failed command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What the platform says about the failure, in its own words (`runner_system_failure`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// The tools the job is known to run (`cargo`, `npm`), which settle a tie between rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Whether the log is still being written, so that its end may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// The log of a run of the same job that passed: what stands there too explains nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passing_log: Option<LogSource>,
}

impl LogAnalysisRequest {
    /// Asks about the log at `log`.
    #[must_use]
    pub fn new(log: LogSource) -> Self {
        Self {
            log,
            ..Self::default()
        }
    }

    /// Asks about a log that is at hand as text or bytes.
    #[must_use]
    pub fn from_text(text: impl Into<LogText>) -> Self {
        Self::new(LogSource::Text(text.into()))
    }

    /// Asks about a log in a file.
    #[must_use]
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        Self::new(LogSource::File(path.into()))
    }

    /// Names the job.
    #[must_use]
    pub fn with_job(mut self, job: impl Into<String>) -> Self {
        self.job = Some(job.into());
        self
    }

    /// Names the stage.
    #[must_use]
    pub fn with_stage(mut self, stage: impl Into<String>) -> Self {
        self.stage = Some(stage.into());
        self
    }

    /// Gives the exit code of the failed command.
    #[must_use]
    pub fn with_exit_code(mut self, exit_code: i32) -> Self {
        self.exit_code = Some(exit_code);
        self
    }

    /// Gives the platform's own reason.
    #[must_use]
    pub fn with_failure_reason(mut self, reason: impl Into<String>) -> Self {
        self.failure_reason = Some(reason.into());
        self
    }

    /// Adds the name of a tool the job runs.
    #[must_use]
    pub fn with_tool(mut self, tool: impl Into<String>) -> Self {
        self.tools.push(tool.into());
        self
    }

    /// Says that the log is still being written.
    #[must_use]
    pub fn with_incomplete_log(mut self) -> Self {
        self.incomplete = true;
        self
    }

    /// Gives the log of a run that passed.
    #[must_use]
    pub fn with_passing_log(mut self, log: LogSource) -> Self {
        self.passing_log = Some(log);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_takes_text_lines_and_json_lines() {
        let text: LogAnalysisRequest = serde_json::from_str(r#"{"log":"a\nb"}"#).unwrap();
        let lines: LogAnalysisRequest = serde_json::from_str(r#"{"log":["a","b"]}"#).unwrap();
        assert_eq!(text, lines);
        let json: LogAnalysisRequest =
            serde_json::from_str(r#"{"log":{"json_lines":"{}"}, "exit_code": 2}"#).unwrap();
        assert_eq!(json.log, LogSource::JsonLines("{}".into()));
        assert_eq!(json.exit_code, Some(2));
    }

    #[test]
    fn the_wire_opens_no_file() {
        let refused =
            serde_json::from_str::<LogAnalysisRequest>(r#"{"log":{"file":"/etc/passwd"}}"#);
        assert_eq!(
            refused.unwrap_err().to_string(),
            "a log is a string, an array of strings, or an object with the string `json_lines` \
             at line 1 column 30"
        );
        let file = LogAnalysisRequest::from_file("/etc/passwd");
        assert!(serde_json::to_string(&file).is_err());
    }

    #[test]
    fn debug_output_keeps_the_log_to_itself() {
        let request = LogAnalysisRequest::from_text("hunter2");
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
