//! A machine that is switched off. Nobody refuses a connection to it: the packets are lost, and the client waits.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

/// A connection on this machine is open sooner.
const AT_ONCE: Duration = Duration::from_millis(100);

/// An address whose packets are lost until this is dropped: a listener whose queue is full, so that the kernel drops what
/// arrives. It needs no privileges, as a packet filter would.
#[derive(Debug)]
pub(crate) struct SwitchedOff {
    _listener: TcpListener,
    /// What fills the queue. `None`: a connection of somebody else does.
    _waiting: Option<TcpStream>,
}

impl SwitchedOff {
    pub(crate) async fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        // The queue of 0 takes one connection.
        let listener = socket.listen(0)?;
        let waiting = timeout(AT_ONCE, TcpStream::connect(address)).await.ok().and_then(Result::ok);
        Ok(Self { _listener: listener, _waiting: waiting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_waits_while_the_machine_is_off_and_is_refused_before_and_after() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let connect = async || timeout(3 * AT_ONCE, TcpStream::connect(address)).await.map(|to| to.is_ok());
        assert_eq!(connect().await.ok(), Some(false));
        let off = SwitchedOff::at(address).await.unwrap();
        assert_eq!(connect().await.ok(), None, "the machine answers");
        drop(off);
        assert_eq!(connect().await.ok(), Some(false));
    }
}
