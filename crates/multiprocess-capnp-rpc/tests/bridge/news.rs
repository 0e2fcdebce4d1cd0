//! A publisher and its subscribers, as in capnp-rpc's example: objects that live as long as they are wanted.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};

use bridge_schemas::news::{PublisherClient, SubscriberClient};
use bridge_schemas::news_capnp::{publisher, subscriber, subscription};
use capnp_rpc::new_client;
use multiprocess::{Connection, Limits};
use multiprocess_capnp_rpc::Bridge;

use crate::loops::{PATIENCE, bridge_thread, sockets, soon, with_bridge};

#[derive(Default)]
struct Subscribers {
    next: u64,
    all: HashMap<u64, subscriber::Client>,
}

struct Publisher(Rc<RefCell<Subscribers>>);

impl publisher::Server for Publisher {
    async fn subscribe(
        self: Rc<Self>,
        params: publisher::SubscribeParams,
        mut results: publisher::SubscribeResults,
    ) -> capnp::Result<()> {
        let subscriber = params.get()?.get_subscriber()?;
        let mut subscribers = self.0.borrow_mut();
        let id = subscribers.next;
        subscribers.next += 1;
        subscribers.all.insert(id, subscriber);
        let subscription = Subscription { id, subscribers: Rc::clone(&self.0) };
        results.get().set_subscription(new_client(subscription));
        Ok(())
    }
}

struct Subscription {
    id: u64,
    subscribers: Rc<RefCell<Subscribers>>,
}

impl subscription::Server for Subscription {}

impl Drop for Subscription {
    fn drop(&mut self) {
        let subscriber = self.subscribers.borrow_mut().all.remove(&self.id);
        drop(subscriber);
    }
}

/// Sends a message to all until nobody has subscribed any more. Then the connections may end.
async fn publish(subscribers: &RefCell<Subscribers>) {
    let mut number = 0;
    loop {
        let all: Vec<_> = subscribers.borrow().all.values().cloned().collect();
        if all.is_empty() && subscribers.borrow().next > 1 {
            return;
        }
        for subscriber in all {
            let mut request = subscriber.push_request();
            request.get().set_message(format!("message {number}"));
            // One that is gone takes its subscription with it.
            let _ = request.send().promise.await;
        }
        number += 1;
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

struct Reader(Sender<String>);

impl subscriber::Server for Reader {
    async fn push(
        self: Rc<Self>,
        params: subscriber::PushParams,
        _: subscriber::PushResults,
    ) -> capnp::Result<()> {
        let _ = self.0.send(params.get()?.get_message()?.to_string()?);
        Ok(())
    }
}

/// One subscriber written for capnp-rpc, in another process as it were, and one behind a handle.
#[test]
fn come_to_all_subscribers_as_long_as_they_want() {
    let (ours, theirs) = sockets();
    let (our_handle, their_handle) = sockets();
    let server = bridge_thread(async move |bridge: Bridge| {
        let subscribers = Rc::new(RefCell::new(Subscribers::default()));
        let publisher: publisher::Client = new_client(Publisher(Rc::clone(&subscribers)));
        let one = bridge.serve(theirs, Limits::default(), publisher.clone()).unwrap();
        let other = bridge.serve(their_handle, Limits::default(), publisher).unwrap();
        bridge.read_here(&one);
        publish(&subscribers).await;
        one.disconnected().await;
        other.disconnected().await;
    });
    let handles = std::thread::spawn(move || {
        let publisher: PublisherClient = Connection::new(our_handle).unwrap().bootstrap().unwrap();
        let (tell, messages) = channel();
        let subscriber = SubscriberClient::from_fn(move |message| {
            let _ = tell.send(message);
            Ok(())
        });
        let subscription = publisher.subscribe(Some(subscriber)).wait().unwrap();
        assert!(messages.recv_timeout(PATIENCE).unwrap().starts_with("message "));
        assert!(messages.recv_timeout(PATIENCE).unwrap().starts_with("message "));
        drop(subscription);
        // The subscriber is dropped with the subscription, and its channel's sender with it.
        while messages.recv_timeout(PATIENCE).is_ok() {}
    });
    with_bridge(async |bridge: Bridge| {
        let connection = Connection::new(ours).unwrap();
        bridge.read_here(&connection);
        let publisher: publisher::Client = bridge.bootstrap(&connection).unwrap();
        let (tell, messages) = channel();
        let mut request = publisher.subscribe_request();
        request.get().set_subscriber(new_client(Reader(tell)));
        let response = request.send().promise.await.unwrap();
        let subscription = response.get().unwrap().get_subscription().unwrap();
        drop(response);
        let next = async || loop {
            match messages.try_recv() {
                Ok(message) => return Some(message),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return None,
                Err(std::sync::mpsc::TryRecvError::Empty) => {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        };
        assert!(soon(next()).await.unwrap().starts_with("message "));
        assert!(soon(next()).await.unwrap().starts_with("message "));
        drop(subscription);
        soon(async { while next().await.is_some() {} }).await;
    });
    handles.join().unwrap();
    server.join();
}
