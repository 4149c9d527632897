//! `bridge`: a port in a sandbox that has no network, behind which a broker's socket is.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use pipeline_core::process::ProcessSpec;
use tokio::net::TcpListener;
use tokio::net::UnixStream;

use super::arguments::BridgeArguments;
use super::broker::KEPT;
use crate::surroundings::Surroundings;

/// The code of a bridge that could not be made, as shells use it for a command that could not be run.
const NO_BRIDGE: u8 = 126;

/// Runs the command with the bridge beside it, and ends as it ends.
///
/// # Cancel safety
/// Dropping the future ends the command.
pub(super) async fn run(around: &Surroundings, arguments: &BridgeArguments) -> ExitCode {
    match bridged(around, arguments).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            drop(writeln!(
                std::io::stderr(),
                "the bridge to the broker cannot be made: {error}"
            ));
            ExitCode::from(NO_BRIDGE)
        }
    }
}

async fn bridged(around: &Surroundings, arguments: &BridgeArguments) -> std::io::Result<u8> {
    // Before the command is there, so that its first call finds somebody.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await?;
    let bridge = tokio::spawn(carry(listener, arguments.socket.clone()));
    let (program, rest) = arguments
        .command
        .split_first()
        .ok_or_else(|| std::io::Error::other("no command was named"))?;
    let report = ProcessSpec::new(Path::new(program), &around.directory)
        .args(rest)
        .envs(around.named(&arguments.env))
        .stdout(KEPT)
        .run()
        .await
        .map_err(std::io::Error::other)?;
    bridge.abort();
    std::io::stdout().write_all(report.stdout().text().as_bytes())?;
    std::io::stderr().write_all(report.stderr().text().as_bytes())?;
    let code = report.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(1))
}

/// Carries bytes between callers and the socket, for as long as it runs.
async fn carry(listener: TcpListener, socket: PathBuf) {
    // Ends with this task.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((mut caller, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let socket = socket.clone();
        connections.spawn(async move {
            if let Ok(mut broker) = UnixStream::connect(socket).await {
                // Whoever hung up first, the other one notices.
                drop(tokio::io::copy_bidirectional(&mut caller, &mut broker).await);
            }
        });
    }
}
