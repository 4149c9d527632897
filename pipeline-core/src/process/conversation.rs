//! Talking with a child that stays: requests in, answers of any bytes out.

use std::io;
use std::time::Duration;

use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::process::ChildStderr;
use tokio::process::ChildStdin;
use tokio::process::ChildStdout;
use tokio::time::timeout;

use super::error::ProcessError;
use super::leader::Leader;

/// A child that answers requests until it is dropped, which ends its process group.
///
/// Unlike a run to the end, what it says is not collected: the caller reads exactly as much as the
/// child's own protocol announces. Its standard error is read and dropped, so that it never blocks on
/// it.
///
/// # Cancel safety
/// A dropped future may leave half an answer unread, after which nothing read from this value means
/// what it seems to: drop the conversation with it.
#[derive(Debug)]
pub struct Conversation {
    _leader: Leader,
    name: String,
    patience: Duration,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Conversation {
    pub(super) fn new(
        mut leader: Leader,
        name: String,
        patience: Duration,
    ) -> Result<Self, ProcessError> {
        let watch = |source| ProcessError::Watch {
            program: name.clone(),
            source,
        };
        let (Some(stdin), Some(stdout), Some(stderr)) = leader.pipes() else {
            return Err(watch(io::ErrorKind::BrokenPipe.into()));
        };
        let stdin = ChildStdin::from_std(stdin).map_err(watch)?;
        let stdout = ChildStdout::from_std(stdout).map_err(watch)?;
        let mut stderr = ChildStderr::from_std(stderr).map_err(watch)?;
        // Ends by itself, once the child is gone and its pipe with it.
        tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
        Ok(Self {
            _leader: leader,
            name,
            patience,
            stdin,
            stdout: BufReader::with_capacity(64 << 10, stdout),
        })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// [`ProcessError::Conversation`] if the child has ended or does not read in time.
    pub async fn send(&mut self, request: &[u8]) -> Result<(), ProcessError> {
        let sent = timeout(self.patience, self.stdin.write_all(request)).await;
        self.told(sent)
    }

    /// Reads up to and including the next `end`, which is not part of what is returned.
    ///
    /// # Errors
    /// [`ProcessError::Conversation`] if the child ends first, does not answer in time, or says more than `cap` bytes.
    pub async fn until(&mut self, end: u8, cap: usize) -> Result<Vec<u8>, ProcessError> {
        let mut answer = Vec::new();
        let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
        let mut part = (&mut self.stdout).take(limit);
        let read = timeout(self.patience, part.read_until(end, &mut answer)).await;
        self.told(read)?;
        if answer.pop() == Some(end) {
            Ok(answer)
        } else {
            Err(self.broken(io::ErrorKind::UnexpectedEof.into()))
        }
    }

    /// Reads exactly `len` bytes.
    ///
    /// # Errors
    /// [`ProcessError::Conversation`] if the child ends first or does not answer in time.
    pub async fn exactly(&mut self, len: usize) -> Result<Vec<u8>, ProcessError> {
        let mut answer = vec![0; len];
        let read = timeout(self.patience, self.stdout.read_exact(&mut answer)).await;
        self.told(read).map(|_| answer)
    }

    /// Reads and drops exactly `len` bytes.
    ///
    /// # Errors
    /// [`ProcessError::Conversation`] if the child ends first or does not answer in time.
    pub async fn skip(&mut self, len: u64) -> Result<(), ProcessError> {
        let mut part = (&mut self.stdout).take(len);
        let mut sink = tokio::io::sink();
        let read = timeout(self.patience, tokio::io::copy(&mut part, &mut sink)).await;
        match self.told(read)? {
            skipped if skipped == len => Ok(()),
            _ => Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn told<T>(
        &self,
        outcome: Result<io::Result<T>, tokio::time::error::Elapsed>,
    ) -> Result<T, ProcessError> {
        outcome
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| self.broken(source))
    }

    fn broken(&self, source: io::Error) -> ProcessError {
        ProcessError::Conversation {
            program: self.name.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ProcessSpec;
    use super::*;

    fn cat() -> Conversation {
        ProcessSpec::new("cat", "/").converse().expect("cat starts")
    }

    #[tokio::test]
    async fn bytes_come_back_as_the_protocol_announces_them() {
        let mut cat = cat();
        cat.send(b"line\r\nab\0c").await.expect("sent");
        assert_eq!(cat.until(b'\n', 100).await.expect("answered"), b"line\r");
        assert_eq!(cat.exactly(2).await.expect("answered"), b"ab");
        cat.skip(1).await.expect("skipped");
        cat.send(b"d\0").await.expect("sent");
        assert_eq!(cat.until(0, 100).await.expect("answered"), b"cd");
    }

    #[tokio::test]
    async fn an_answer_over_the_cap_and_an_early_end_are_errors() {
        let mut cat = cat();
        cat.send(b"0123456789\n").await.expect("sent");
        cat.until(b'\n', 4).await.expect_err("too long");
        let mut over = ProcessSpec::new("true", "/").converse().expect("starts");
        over.exactly(1).await.expect_err("it says nothing");
    }

    #[tokio::test]
    async fn a_silent_child_is_given_up() {
        let spec = ProcessSpec::new("cat", "/").deadline(Duration::from_millis(20));
        let mut silent = spec.converse().expect("starts");
        let error = silent.exactly(1).await.expect_err("it says nothing");
        assert!(matches!(
            error,
            ProcessError::Conversation { source, .. } if source.kind() == io::ErrorKind::TimedOut
        ));
    }
}
