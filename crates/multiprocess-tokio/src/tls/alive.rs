//! What is set on a TCP socket: packets go out at once, and a machine that is gone without a word is noticed.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// For so long nothing has come, and the system asks the other machine whether it is still there.
const IDLE: Duration = Duration::from_secs(60);
/// It asks again after this time.
const AGAIN: Duration = Duration::from_secs(10);
/// After so many questions without an answer the connection ends.
const QUESTIONS: u32 = 6;

/// Sets it. The system then ends the connection two minutes after the other machine has lost its power or the way to it
/// is cut. On other systems than Linux that is so only where this side has nothing to send: otherwise it is their own time
/// for sending again.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    // A call must not wait for others to fill a packet.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(IDLE).with_interval(AGAIN).with_retries(QUESTIONS);
    socket.set_tcp_keepalive(&keepalive)?;
    // While data waits to be acknowledged the system does not ask, and would send it again for a quarter of an hour.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(IDLE + AGAIN * QUESTIONS))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket2::SockRef;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_machine_that_is_gone_is_noticed_in_two_minutes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        super::prepare(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        let (time, interval) =
            (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
        let questions = socket.tcp_keepalive_retries().unwrap();
        assert_eq!(time + interval * questions, Duration::from_secs(120));
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(120)));
    }
}
