//! A shop in one process, its customer in another.

use std::collections::BTreeMap;
use std::time::Duration;

use guide::generated::shop::{ListenerClient, Shop, ShopClient, SoldOut, Till, TillClient};
use multiprocess::process::{Command, inherited_socket};
use multiprocess::{Connection, Error, Result};

struct MyShop;

impl Shop for MyShop {
    fn open_till(&self, on_sale: Option<ListenerClient>) -> Result<TillClient> {
        Ok(TillClient::new(MyTill { on_sale }))
    }
}

struct MyTill {
    on_sale: Option<ListenerClient>,
}

impl Till for MyTill {
    fn sell(&self, goods: BTreeMap<String, u32>, discount: Option<u32>) -> Result<u32> {
        if let Some((name, _)) = goods.iter().find(|(_, count)| **count > 10) {
            return Err(Error::raised(SoldOut::default().name(name.clone()).left(10)));
        }
        let total = goods.values().sum::<u32>().saturating_sub(discount.unwrap_or(0));
        if let Some(listener) = &self.on_sale {
            listener.sold(total).wait()?;
        }
        Ok(total)
    }
}

fn main() -> Result<()> {
    match std::env::args().nth(1) {
        Some(fd) => child(&fd),
        None => parent(),
    }
}

fn child(fd: &str) -> Result<()> {
    let socket = inherited_socket(fd)?;
    let parent = Connection::builder().serve(ShopClient::new(MyShop)).start(socket)?;
    parent.wait_disconnected();
    Ok(())
}

fn parent() -> Result<()> {
    let program = std::env::current_exe().expect("this program's own path");
    let (child, socket) = Command::new(program).spawn()?;
    let shop: ShopClient = Connection::new(socket)?.bootstrap()?;

    let listener = ListenerClient::from_fn(|total| {
        println!("the shop sold for {total}");
        Ok(())
    });
    let till = shop.open_till(Some(listener)).pipelined();
    let goods = BTreeMap::from([("tea".to_owned(), 2), ("cake".to_owned(), 3)]);
    let total = till.sell(goods, Some(1)).wait()?;
    println!("paid {total}");

    match till.sell(BTreeMap::from([("gold".to_owned(), 11)]), None).wait() {
        Err(error) => println!("no gold: {:?}", error.raised_as::<SoldOut>()),
        Ok(total) => println!("gold for {total}"),
    }

    drop((till, shop));
    child.shutdown(Duration::from_secs(10))?;
    Ok(())
}
