//! Streaming methods as sinks.

use std::sync::atomic::Ordering;

use futures_util::{SinkExt, StreamExt, poll, stream};
use multiprocess_tokio::{CallSink, sink};
use tokio::runtime::Handle;

use crate::market::OrderClient;
use crate::stall::{Pair, Stall, pair, soon, until};

type Goods = CallSink<OrderClient, String, fn(&OrderClient, String) -> multiprocess::Call<()>>;

async fn order(stall: &Stall) -> (Pair, OrderClient, Goods) {
    let pair = pair(stall.client(&Handle::current()));
    let order = pair.market.order().await.unwrap();
    let goods: Goods = sink(order.clone(), |order, goods| order.add(goods));
    (pair, order, goods)
}

fn numbers(count: u32) -> Vec<String> {
    (0..count).map(|i| i.to_string()).collect()
}

#[tokio::test]
async fn all_is_served_in_order_when_it_is_closed() {
    let stall = Stall::default();
    let (_pair, order, mut goods) = order(&stall).await;
    let mut all = stream::iter(numbers(1000)).map(Ok);
    soon(goods.send_all(&mut all)).await.unwrap();
    soon(goods.close()).await.unwrap();
    // `close` has waited, so that nothing is under way.
    assert_eq!(*stall.0.goods.lock().unwrap(), numbers(1000));
    let error = goods.send("more".to_owned()).await.unwrap_err();
    assert!(error.to_string().contains("the sink was closed"), "{error}");
    soon(goods.close()).await.unwrap();
    assert_eq!(order.total().await.unwrap(), 1000);
}

#[tokio::test]
async fn it_waits_while_the_peer_takes_nothing() {
    let stall = Stall::default();
    let (_pair, order, mut goods) = order(&stall).await;
    stall.0.shut.store(true, Ordering::SeqCst);
    let mut sent = 0;
    // As many are under way as flow control lets.
    loop {
        let mut send = Box::pin(goods.feed(sent.to_string()));
        if poll!(&mut send).is_pending() {
            // This item had no room: it goes with its future. None before it does.
            break;
        }
        sent += 1;
    }
    assert_eq!(sent, 64);
    let mut flush = Box::pin(goods.flush());
    assert!(poll!(&mut flush).is_pending());
    drop(flush);
    let mut close = Box::pin(goods.close());
    assert!(poll!(&mut close).is_pending());
    drop(close);
    stall.0.shut.store(false, Ordering::SeqCst);
    soon(goods.feed("64".to_owned())).await.unwrap();
    assert_eq!(soon(order.total()).await.unwrap(), 65);
    assert_eq!(*stall.0.goods.lock().unwrap(), numbers(65));
}

#[tokio::test]
async fn the_error_of_an_item_is_that_of_what_comes_after_it() {
    let stall = Stall::default();
    let (_pair, order, mut goods) = order(&stall).await;
    goods.send("tea".to_owned()).await.unwrap();
    goods.send("gold".to_owned()).await.unwrap();
    let error = soon(async {
        loop {
            if let Err(error) = goods.send("cake".to_owned()).await {
                return error;
            }
        }
    })
    .await;
    assert!(error.to_string().contains("there is no gold"), "{error}");
    let error = soon(goods.close()).await.unwrap_err();
    assert!(error.to_string().contains("there is no gold"), "{error}");
    assert!(order.total().await.is_err());
    assert_eq!(*stall.0.goods.lock().unwrap(), ["tea"]);
}

#[tokio::test]
async fn a_sink_that_is_dropped_takes_nothing_back() {
    let stall = Stall::default();
    let (_pair, order, mut goods) = order(&stall).await;
    stall.0.shut.store(true, Ordering::SeqCst);
    for item in numbers(64) {
        goods.feed(item).await.unwrap();
    }
    drop(goods);
    stall.0.shut.store(false, Ordering::SeqCst);
    assert_eq!(soon(order.total()).await.unwrap(), 64);
    assert_eq!(*stall.0.goods.lock().unwrap(), numbers(64));
}

#[tokio::test]
async fn an_object_of_this_process_takes_them_one_after_the_other() {
    let stall = Stall::default();
    let order = OrderClient::new_async(stall.clone(), multiprocess_tokio::on(&Handle::current()));
    let mut goods = sink(order, |order: &OrderClient, goods: String| order.add(goods));
    let mut all = stream::iter(numbers(50)).map(Ok);
    soon(goods.send_all(&mut all)).await.unwrap();
    soon(goods.close()).await.unwrap();
    assert_eq!(*stall.0.goods.lock().unwrap(), numbers(50));
}

/// Here each item is answered, so that the next call would be made as if nothing had happened.
#[tokio::test]
async fn nor_does_an_object_of_this_process_get_what_comes_after_an_item_that_failed() {
    let stall = Stall::default();
    let order = OrderClient::new_async(stall.clone(), multiprocess_tokio::on(&Handle::current()));
    let mut goods = sink(order.clone(), |order: &OrderClient, goods: String| order.add(goods));
    goods.send("tea".to_owned()).await.unwrap();
    let no_gold = |error: multiprocess::Error| error.to_string().contains("there is no gold");
    assert!(no_gold(goods.send("gold".to_owned()).await.unwrap_err()));
    assert!(no_gold(goods.send("cake".to_owned()).await.unwrap_err()));
    assert!(no_gold(goods.feed("cake".to_owned()).await.unwrap_err()));
    assert!(no_gold(goods.flush().await.unwrap_err()));
    assert_eq!(*stall.0.goods.lock().unwrap(), ["tea"]);
    assert!(no_gold(goods.close().await.unwrap_err()));
    // It is closed all the same.
    soon(goods.close()).await.unwrap();
    let error = goods.send("cake".to_owned()).await.unwrap_err();
    assert!(error.to_string().contains("the sink was closed"), "{error}");
    assert!(order.total().await.is_err());
}

#[tokio::test]
async fn the_end_of_the_connection_is_an_error() {
    let stall = Stall::default();
    let (pair, _order, mut goods) = order(&stall).await;
    stall.0.shut.store(true, Ordering::SeqCst);
    for item in numbers(64) {
        goods.feed(item).await.unwrap();
    }
    pair.serving.disconnect();
    let error = soon(goods.flush()).await.unwrap_err();
    assert!(error.is_disconnect(), "{error}");
    until("the connection has ended", || !pair.calling.is_connected()).await;
    assert!(goods.feed("more".to_owned()).await.is_err() || goods.flush().await.is_err());
    stall.0.shut.store(false, Ordering::SeqCst);
}
