//! One address does not take the places of others.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use multiprocess_tokio::tls::{Address, Listener, connect};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::authority::Authority;
use super::serving::listen;
use crate::stall::{LONG, soon};

const HOST: &str = "127.0.0.1";

/// A client that says nothing, of an address of its own.
async fn silent(to: &Address) -> TcpStream {
    let Address::Tls { host, port } = to else { panic!("{to}") };
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let to = SocketAddr::new(host.parse().unwrap(), *port);
    soon(socket.connect(to)).await.unwrap()
}

async fn refusal(listener: &mut Listener) -> String {
    soon(listener.next()).await.unwrap().unwrap_err().to_string()
}

#[tokio::test]
async fn one_address_gets_its_places_and_others_theirs() {
    let authority = Authority::new("ours");
    let (listener, address) = listen(&authority.member(HOST)).await;
    let mut listener = listener.handshake(LONG * 10).max_handshakes(4).max_handshakes_of_address(2);
    // Two make their handshakes, four wait for their turn, and two are too many.
    let mut silent_ones = Vec::new();
    for _ in 0..8 {
        silent_ones.push(silent(&address).await);
    }
    for _ in 0..2 {
        let refused = refusal(&mut listener).await;
        assert!(refused.starts_with("tls:127.0.0.2:"), "{refused}");
        assert!(refused.contains("its address has too many handshakes under way"), "{refused}");
    }
    for _ in 0..2 {
        let mut refused = silent_ones.pop().unwrap();
        assert_eq!(soon(refused.read(&mut [0])).await.unwrap(), 0);
    }

    // Who comes from elsewhere is not held up, again and again.
    for name in ["a.example", "b.example", "c.example"] {
        let (client, to) = (authority.member(name), address.clone());
        let honest = tokio::spawn(async move { connect(&to, &client).await });
        let accepted = soon(listener.next()).await.unwrap().unwrap();
        assert!(accepted.peer().has_name(name));
        soon(honest).await.unwrap().unwrap();
    }

    // Those that wait have their turn when others end: in the order in which they came.
    for silent in silent_ones {
        let from = format!("tls:{} is refused", silent.local_addr().unwrap());
        drop(silent);
        let refused = refusal(&mut listener).await;
        assert!(refused.starts_with(&from), "{refused}");
        assert!(refused.contains("closed the connection in the handshake"), "{refused}");
    }
}

#[tokio::test]
async fn who_waits_for_a_turn_has_no_more_time_than_others() {
    let authority = Authority::new("ours");
    let (listener, address) = listen(&authority.member(HOST)).await;
    let mut listener = listener.handshake(Duration::from_millis(200)).max_handshakes_of_address(1);
    let _silent = [silent(&address).await, silent(&address).await, silent(&address).await];
    // From here on the clock goes only while all wait for it, and then at once to the next moment.
    tokio::time::pause();
    let begun = Instant::now();
    for _ in 0..3 {
        let refused = refusal(&mut listener).await;
        assert!(refused.contains("has not made the handshake of TLS within 200ms"), "{refused}");
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(300), "the last had {took:?}");
}
