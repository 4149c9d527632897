//! Running a command to its end, and talking to one that stays.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::process::Child;
use tokio::process::ChildStdin;
use tokio::process::ChildStdout;
use tokio::process::Command;

use crate::error::GitError;
use crate::git::Finished;
use crate::git::GitCommand;

/// How much of standard error is kept.
const STDERR_CAP: usize = 64 << 10;

impl GitCommand {
    /// Runs to the end, whatever the exit code.
    ///
    /// Dropping the future kills git.
    pub(crate) async fn finish(mut self) -> Result<Finished, GitError> {
        let input = std::mem::take(&mut self.stdin);
        let name = self.name();
        let mut child = self.spawn()?;
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (limit, cap) = (self.deadline, self.output_cap);
        let work = async {
            let feed = async move {
                if let Some(mut stdin) = stdin {
                    // git may stop reading early, and then its exit code says why.
                    let fed = stdin.write_all(&input).await;
                    tracing::trace!(?fed, "input handed over");
                }
                Ok(())
            };
            let ((), out, err) =
                tokio::try_join!(feed, bounded(stdout, cap), bounded(stderr, STDERR_CAP))?;
            io::Result::Ok((out, err, child.wait().await?))
        };
        let file = |source| GitError::File {
            action: "talk to",
            path: "git".into(),
            source,
        };
        let (out, err, status) = tokio::time::timeout(limit, work)
            .await
            .map_err(|_| GitError::TimedOut {
                command: name.clone(),
                limit,
            })?
            .map_err(file)?;
        if out.flooded {
            return Err(GitError::Flooded {
                command: name,
                limit: cap,
            });
        }
        let code = status.code();
        if code != Some(0) {
            tracing::debug!(command = %name, ?code, "git ended with a code");
        }
        Ok(Finished {
            code,
            stdout: out.bytes,
            stderr: err.bytes,
        })
    }

    /// Starts a command that answers requests until it is dropped.
    pub(crate) fn converse(self) -> Result<Conversation, GitError> {
        let name = self.name();
        let mut child = self.spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Conversation {
                name,
                _child: child,
                stdin,
                stdout: BufReader::with_capacity(64 << 10, stdout),
            }),
            _ => Err(GitError::Unexpected {
                command: name,
                what: "no pipes to it",
            }),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "every git command starts here")]
    fn spawn(&self) -> Result<Child, GitError> {
        let argv = self.argv();
        tracing::debug!(command = %self.name(), git_dir = ?self.git_dir, "git");
        Command::new(&self.git.shared.options.program)
            .args(&argv)
            .env_clear()
            .envs(self.environment())
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| GitError::Missing {
                program: self.git.shared.options.program.clone(),
                source,
            })
    }
}

struct Bounded {
    bytes: Vec<u8>,
    flooded: bool,
}

/// Reads to the end, keeping at most `cap` bytes.
async fn bounded(from: Option<impl AsyncRead + Unpin>, cap: usize) -> io::Result<Bounded> {
    let mut bytes = Vec::new();
    let Some(mut from) = from else {
        return Ok(Bounded {
            bytes,
            flooded: false,
        });
    };
    let limit = u64::try_from(cap).unwrap_or(u64::MAX);
    (&mut from).take(limit).read_to_end(&mut bytes).await?;
    let dropped = tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(Bounded {
        bytes,
        flooded: dropped > 0,
    })
}

/// A command that stays and answers requests, such as `cat-file --batch`.
#[derive(Debug)]
pub(crate) struct Conversation {
    name: String,
    _child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(120);

impl Conversation {
    /// Sends a request.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<(), GitError> {
        let sent = async {
            self.stdin.write_all(request).await?;
            self.stdin.flush().await
        };
        within(&self.name, sent).await
    }

    /// Reads one line of the answer without its newline.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, GitError> {
        let mut line = Vec::new();
        within(&self.name, self.stdout.read_until(b'\n', &mut line)).await?;
        if line.pop() == Some(b'\n') {
            Ok(line)
        } else {
            Err(GitError::Unexpected {
                command: self.name.clone(),
                what: "it ended early",
            })
        }
    }

    /// Reads exactly so many bytes of the answer.
    pub(crate) async fn exactly(&mut self, len: usize) -> Result<Vec<u8>, GitError> {
        let mut bytes = vec![0; len];
        within(&self.name, self.stdout.read_exact(&mut bytes)).await?;
        Ok(bytes)
    }

    /// Drops so many bytes of the answer.
    pub(crate) async fn skip(&mut self, len: u64) -> Result<(), GitError> {
        let mut part = (&mut self.stdout).take(len);
        within(
            &self.name,
            tokio::io::copy(&mut part, &mut tokio::io::sink()),
        )
        .await?;
        Ok(())
    }
}

async fn within<T>(name: &str, work: impl Future<Output = io::Result<T>>) -> Result<T, GitError> {
    match tokio::time::timeout(ANSWER, work).await {
        Err(_) => Err(GitError::TimedOut {
            command: name.to_owned(),
            limit: ANSWER,
        }),
        Ok(Err(_)) => Err(GitError::Unexpected {
            command: name.to_owned(),
            what: "it ended early",
        }),
        Ok(Ok(done)) => Ok(done),
    }
}
