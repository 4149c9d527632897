//! The child itself, and the guard that ends its tree.

use std::process::Child;
use std::process::ChildStderr;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;
use rustix::process::kill_process;
use rustix::process::kill_process_group;
use rustix::process::waitid;
use tokio::signal::unix::Signal as SignalStream;

use super::identity::ProcessIdentity;
use super::report::Exit;
use super::sweep::Sweeper;

/// How long between two looks whether a child that was asked to end has done so.
const PAUSE: Duration = Duration::from_millis(5);

/// Holds an unreaped child, so that its number and its group's number stay its own.
///
/// Dropping it before [`reap`](Self::reap) kills the whole tree, or has it asked to end first.
#[derive(Debug)]
pub(super) struct Leader {
    child: Child,
    pid: Pid,
    sweeper: Option<Sweeper>,
    /// How long the group may take to end once this is dropped.
    gently: Option<Duration>,
    over: bool,
}

impl Leader {
    pub(super) fn new(child: Child, sweeper: Option<Sweeper>, gently: Option<Duration>) -> Self {
        let pid = Pid::from_child(&child);
        Self {
            child,
            pid,
            sweeper,
            gently,
            over: false,
        }
    }

    pub(super) fn identity(&self) -> std::io::Result<ProcessIdentity> {
        ProcessIdentity::of(self.pid)
    }

    pub(super) fn pipes(
        &mut self,
    ) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (
            self.child.stdin.take(),
            self.child.stdout.take(),
            self.child.stderr.take(),
        )
    }

    /// Waits until the child has exited, without reaping it.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn exited(&self, signals: &mut SignalStream) -> std::io::Result<()> {
        while !self.has_exited()? {
            if signals.recv().await.is_none() {
                return Err(std::io::Error::other("no more notices of ended children"));
            }
        }
        Ok(())
    }

    fn has_exited(&self) -> std::io::Result<bool> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid), look) {
            Ok(status) => Ok(status.is_some()),
            // Somebody else took its status (a host program that reaps every child): it is over.
            Err(rustix::io::Errno::CHILD) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers the descendants of the leader and its group, which can only be told while their parents live.
    pub(super) fn remember_family(&mut self) {
        if let Some(sweeper) = &mut self.sweeper {
            sweeper.remember_descendants(self.pid);
        }
    }

    /// Asks the group to end.
    pub(super) fn ask_to_end(&mut self) {
        self.remember_family();
        self.signal(Signal::TERM);
    }

    /// Kills the group and the leader, which may have left it.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if self.over {
            return;
        }
        // Neither can hit a stranger: the leader is unreaped, so its number is not given out again. "No such process" is the aim.
        let _ = kill_process_group(self.pid, signal);
        let _ = kill_process(self.pid, signal);
    }

    pub(super) const fn sweeper(&mut self) -> Option<&mut Sweeper> {
        self.sweeper.as_mut()
    }

    /// Takes the status of a child that has exited. From here on its number may be somebody else's.
    pub(super) fn reap(&mut self) -> std::io::Result<Exit> {
        let status = match self.child.try_wait() {
            Ok(Some(status)) => exit_of(status),
            Ok(None) => return Ok(Exit::Unknown),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::CHILD.raw_os_error()) => {
                Exit::Unknown
            }
            Err(error) => return Err(error),
        };
        self.over = true;
        Ok(status)
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.remember_family();
        match self.gently {
            Some(grace) => {
                self.signal(Signal::TERM);
                if !matches!(self.has_exited(), Ok(true)) && end_elsewhere(self.pid, grace) {
                    self.over = true;
                    return;
                }
                self.kill();
            }
            None => self.kill(),
        }
        if let Some(sweeper) = &mut self.sweeper {
            sweeper.sweep_blocking();
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            reap_elsewhere(self.pid);
        }
        self.over = true;
    }
}

/// Waits for a child that was asked to end on a thread of its own, and kills its group if that takes too long; false if
/// there is no thread to be had.
fn end_elsewhere(pid: Pid, grace: Duration) -> bool {
    let wait = move || {
        let began = Instant::now();
        // Nobody else reaps it, so until then the number is its own.
        let over = || {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            !matches!(waitid(WaitId::Pid(pid), look), Ok(None))
        };
        while !over() {
            if began.elapsed() > grace {
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
                return;
            }
            thread::sleep(PAUSE);
        }
    };
    let ender = thread::Builder::new().name("pipeline-ender".to_owned());
    ender.spawn(wait).is_ok()
}

/// Waits for a killed child on a thread of its own, since a drop must not wait for the kernel.
fn reap_elsewhere(pid: Pid) {
    let wait = move || {
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
    };
    // Without a thread the child stays a zombie until this process ends, which harms nobody.
    drop(
        thread::Builder::new()
            .name("pipeline-reaper".to_owned())
            .spawn(wait),
    );
}
