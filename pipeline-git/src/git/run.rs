//! Running a command to its end, and talking to one that stays.

use pipeline_core::process;
use pipeline_core::process::Capture;
use pipeline_core::process::Ending;
use pipeline_core::process::Exit;
use pipeline_core::process::ProcessError;
use pipeline_core::process::ProcessSpec;

use crate::error::GitError;
use crate::git::Finished;
use crate::git::GitCommand;

/// How much of standard error is kept, and how much git may say there.
const STDERR: Capture = Capture::tail(64 << 10, 64 << 20);
/// The longest line an answer may have.
const LINE: usize = 64 << 20;

impl GitCommand {
    /// Runs to the end, whatever the exit code.
    ///
    /// Dropping the future ends git.
    pub(crate) async fn finish(mut self) -> Result<Finished, GitError> {
        let input = std::mem::take(&mut self.stdin);
        let (name, limit, cap) = (self.name(), self.deadline, self.output_cap);
        let report = self
            .spec()
            .stdin(input)
            .deadline(limit)
            .stdout(Capture::all(cap))
            .stderr(STDERR)
            .run()
            .await
            .map_err(|source| self.failed(source))?;
        let code = match report.ending() {
            Ending::Exited => match report.exit() {
                Exit::Code(code) => Some(code),
                _ => None,
            },
            Ending::Flooded(_) => {
                return Err(GitError::Flooded {
                    command: name,
                    limit: cap,
                });
            }
            _ => {
                return Err(GitError::TimedOut {
                    command: name,
                    limit,
                });
            }
        };
        if code != Some(0) {
            tracing::debug!(command = %name, ?code, "git ended with a code");
        }
        let stderr = report.stderr().bytes().to_vec();
        Ok(Finished {
            code,
            stdout: report.into_stdout(),
            stderr,
        })
    }

    /// Starts a command that answers requests until it is dropped, each within its deadline.
    pub(crate) fn converse(self) -> Result<Conversation, GitError> {
        let spec = self.spec().deadline(self.deadline);
        let inner = spec.converse().map_err(|source| self.failed(source))?;
        Ok(Conversation {
            command: self.name(),
            inner,
        })
    }

    fn spec(&self) -> ProcessSpec {
        tracing::debug!(command = %self.name(), git_dir = ?self.git_dir, "git");
        ProcessSpec::new(&self.git.shared.options.program, &self.directory)
            .args(self.argv())
            .envs(self.environment())
            // git removes its lock files when it is asked to end, and leaves them when it is killed.
            .ended_gently()
    }

    fn failed(&self, source: ProcessError) -> GitError {
        match source {
            ProcessError::NotFound { .. } | ProcessError::Spawn { .. } => GitError::Missing {
                program: self.git.shared.options.program.clone(),
                source: source.into(),
            },
            source => GitError::Broken {
                command: self.name(),
                source,
            },
        }
    }
}

/// A command that stays and answers requests, such as `cat-file --batch`.
#[derive(Debug)]
pub(crate) struct Conversation {
    command: String,
    inner: process::Conversation,
}

impl Conversation {
    /// Sends a request.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<(), GitError> {
        let sent = self.inner.send(request).await;
        self.told(sent)
    }

    /// Reads one line of the answer without its newline.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, GitError> {
        let line = self.inner.until(b'\n', LINE).await;
        self.told(line)
    }

    /// Reads up to the next NUL.
    pub(crate) async fn field(&mut self) -> Result<Vec<u8>, GitError> {
        let field = self.inner.until(0, LINE).await;
        self.told(field)
    }

    /// Reads exactly so many bytes of the answer.
    pub(crate) async fn exactly(&mut self, len: usize) -> Result<Vec<u8>, GitError> {
        let bytes = self.inner.exactly(len).await;
        self.told(bytes)
    }

    /// Drops so many bytes of the answer.
    pub(crate) async fn skip(&mut self, len: u64) -> Result<(), GitError> {
        let skipped = self.inner.skip(len).await;
        self.told(skipped)
    }

    fn told<T>(&self, answer: Result<T, ProcessError>) -> Result<T, GitError> {
        answer.map_err(|source| GitError::Broken {
            command: self.command.clone(),
            source,
        })
    }
}
