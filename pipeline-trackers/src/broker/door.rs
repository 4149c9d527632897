//! Where a broker is reached.

use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::PathBuf;

use pipeline_core::random;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::UnixListener;

/// Where a broker is reached, on this machine only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Door {
    /// A port of `127.0.0.1`.
    #[default]
    Loopback,
    /// A port of a loopback address of its own, for a sandbox that can let through one address with all its ports: nothing
    /// that listens on `127.0.0.1` is reached by it. Only where all of `127.0.0.0/8` is loopback, as on Linux.
    OwnAddress,
    /// A socket in the file system, for a sandbox without a network. Its folder says who may use it.
    Socket(PathBuf),
}

impl Door {
    pub(super) async fn open(&self) -> io::Result<Listener> {
        Ok(match self {
            Self::Loopback => Listener::Port(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?),
            Self::OwnAddress => Listener::Port(TcpListener::bind((own_address(), 0)).await?),
            Self::Socket(path) => Listener::Socket(UnixListener::bind(path)?),
        })
    }
}

/// Returns a loopback address that nobody else is likely to have, and that is not the usual one.
fn own_address() -> Ipv4Addr {
    let nonce = random::nonce();
    let digits = nonce.bytes().filter(u8::is_ascii_hexdigit);
    let mut number = digits.fold(0_u32, |n, digit| n.rotate_left(5) ^ u32::from(digit));
    // From 1 to 254 in each place: the others mean something of their own.
    let mut place = || {
        let part = u8::try_from(number % 254).unwrap_or_default() + 1;
        number /= 254;
        part
    };
    Ipv4Addr::new(127, place().max(2), place(), place())
}

/// Returns what callers may call an address.
pub(super) fn names(address: SocketAddr) -> Vec<String> {
    let mut names = vec![address.to_string()];
    if address.ip() == Ipv4Addr::LOCALHOST {
        names.push(format!("localhost:{}", address.port()));
    }
    names
}

/// An open door.
#[derive(Debug)]
pub(super) enum Listener {
    Port(TcpListener),
    Socket(UnixListener),
}

/// What goes through it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    /// Returns its address; a socket has none.
    pub(super) fn address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Port(listener) => listener.local_addr().map(Some),
            Self::Socket(_) => Ok(None),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Port(listener) => Box::new(listener.accept().await?.0),
            Self::Socket(listener) => Box::new(listener.accept().await?.0),
        })
    }
}
