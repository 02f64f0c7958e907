//! The listening sockets: one address, one socket for each shard, between which the kernel spreads what comes in.
//!
//! What accepted connections need is set here once, for they inherit it. Knows no HTTP.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

#[cfg(target_os = "linux")]
use nix::sys::socket::{setsockopt, sockopt::SetUsize};
use socket2::{Domain, Protocol, Socket, Type};

/// `TCP_DEFER_ACCEPT`, in seconds.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy)]
struct DeferAccept;

#[cfg(target_os = "linux")]
nix::setsockopt_impl!(
    DeferAccept,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    usize,
    SetUsize
);

/// Connections that the kernel keeps for us while we are busy, as far as it lets us (`net.core.somaxconn`).
const BACKLOG: i32 = 65_535;

/// How long the kernel keeps a connection to itself that has said nothing yet: who speaks is accepted with its first bytes.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// An address to listen on.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: SocketAddr,
}

impl Listener {
    /// Takes an address for this process alone; port 0 takes any.
    ///
    /// # Errors
    /// The address is in use, or not ours.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket(address)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or_else(|| io::Error::other("no address of the internet"))?;
        Ok(Self { socket, address })
    }

    /// The address, with its port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// As many sockets as there are shards, with what their connections inherit.
    pub(super) fn split(self, count: usize, stall: Duration) -> io::Result<Vec<TcpListener>> {
        let mut sockets = Vec::with_capacity(count);
        if count > 1 {
            // Only now: until here nobody could take the address beside us, and from now on only our own user's processes that ask for it
            // in the same way, which a second server does not.
            self.socket.set_reuse_port(true)?;
        }
        for _ in 1..count {
            let sibling = socket(self.address)?;
            sibling.set_reuse_port(true)?;
            sibling.bind(&self.address.into())?;
            sibling.listen(BACKLOG)?;
            sockets.push(sibling);
        }
        sockets.push(self.socket);
        sockets
            .into_iter()
            .map(|socket| inherit(socket, stall))
            .collect()
    }
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What a socket can do without is not worth failing for.
fn inherit(socket: Socket, stall: Duration) -> io::Result<TcpListener> {
    // Frames are flushed once a tick; waiting for more would only add delay.
    let _ = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        let _ = socket.set_tcp_user_timeout(Some(stall));
        let _ = setsockopt(&socket, DeferAccept, &(SILENCE.as_secs() as usize));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stall;
    Ok(socket.into())
}
