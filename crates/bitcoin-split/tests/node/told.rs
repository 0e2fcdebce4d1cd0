//! What user interfaces are told.

use std::sync::{Arc, Condvar, Mutex};

use bitcoin_ipc::common::BilingualStr;
use bitcoin_ipc_draft::chain::ChainClient;
use bitcoin_ipc_draft::node::{
    BannedListChangedCallbackClient, BlockTip, InitMessageCallbackClient, InitWalletCallbackClient,
    MessageBoxCallbackClient, NotifyAlertChangedCallbackClient, NotifyBlockTipCallbackClient,
    NotifyHeaderTipCallbackClient, NotifyNetworkActiveChangedCallbackClient,
    ShowNodeProgressCallbackClient,
};
use bitcoin_ipc_draft::wallet::{WalletLoader, WalletLoaderClient};
use bitcoin_split::Message;
use multiprocess::Error;

use crate::support::{Told, connect, serve, wait_until};

#[test]
fn each_tip_is_told_until_the_handler_ends() {
    let served = serve();
    served.mine(1);
    let node = served.ui_node();
    let (tell, told) = Told::new();
    let headers = tell.clone();
    let block = NotifyBlockTipCallbackClient::from_fn(move |state, tip: BlockTip, progress| {
        tell.send(("block", state, tip, progress)).unwrap();
        Ok(())
    });
    let block = node.handle_notify_block_tip(Some(block)).wait().unwrap().unwrap();
    served.mine(1);
    let tip = served.node.chain().tip();
    let time = served.node.chain().block_by_height(2).unwrap().header.time;
    let expected = BlockTip::default().block_height(2).block_time(time.into());
    let expected = expected.block_hash(Some(tip.hash));
    assert_eq!(told.next(), ("block", 2, expected, 1.0));

    let header = NotifyHeaderTipCallbackClient::from_fn(move |state, tip: BlockTip, progress| {
        headers.send(("header", state, tip, progress)).unwrap();
        Ok(())
    });
    let header = node.handle_notify_header_tip(Some(header)).wait().unwrap().unwrap();
    block.disconnect().wait().unwrap();
    served.mine(1);
    let (which, _, tip, _) = told.next();
    assert_eq!((which, tip.block_height), ("header", 3), "the other one has ended");
    // It ends with its handle, too: both callbacks are let go, and were told no more.
    drop(header);
    assert_eq!(told.rest(), []);
    wait_until("nobody waits for blocks", || served.node.chain().waiters() == 0);
}

#[test]
fn a_reorganisation_is_told_by_its_new_tip() {
    let served = serve();
    served.mine(5);
    let (tell, told) = Told::new();
    let callback = NotifyBlockTipCallbackClient::from_fn(move |_, tip: BlockTip, _| {
        tell.send(tip.block_hash).unwrap();
        Ok(())
    });
    let _handler = served.ui_node().handle_notify_block_tip(Some(callback)).wait().unwrap();
    let below = served.node.chain().hash_at(3).unwrap();
    let gone = served.node.chain().hash_at(4).unwrap();
    assert!(served.node.chain().invalidate_block(&gone));
    assert_eq!(told.next(), Some(below));
}

/// A gate that callbacks wait at.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        drop(self.changed.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

#[test]
fn a_slow_subscriber_holds_up_nobody_and_then_sees_the_newest_tip() {
    let served = serve();
    served.mine(1);
    let node = served.ui_node();
    let gate = Arc::new(Gate::default());
    let subscribe = |gate: Option<Arc<Gate>>| {
        let (tell, told) = Told::new();
        let callback = NotifyBlockTipCallbackClient::from_fn(move |_, tip: BlockTip, _| {
            tell.send(tip.block_height).unwrap();
            gate.iter().for_each(|gate| gate.pass());
            Ok(())
        });
        let handler = node.handle_notify_block_tip(Some(callback)).wait().unwrap().unwrap();
        (told, handler)
    };
    let (slow, _slow) = subscribe(Some(gate.clone()));
    let (quick, _quick) = subscribe(None);
    served.mine(1);
    // The slow one is told of this one, and waits at the gate from then on.
    assert_eq!([slow.next(), quick.next()], [2, 2]);
    for height in 3..10 {
        served.mine(1);
        assert_eq!(quick.next(), height);
    }
    gate.open();
    assert_eq!(slow.next(), 9);
}

#[test]
fn messages_go_to_who_asked_for_their_kind() {
    let served = serve();
    let node = served.ui_node();
    let (tell, told) = Told::new();
    let tells = || tell.clone();

    let tell_init = tells();
    let callback = InitMessageCallbackClient::from_fn(move |text: String| {
        tell_init.send(format!("init {text}")).unwrap();
        Ok(())
    });
    let _init = node.handle_init_message(Some(callback)).wait().unwrap().unwrap();
    let tell_box = tells();
    let callback = MessageBoxCallbackClient::from_fn(move |text: BilingualStr, style: u32| {
        tell_box.send(format!("box {} {style:#x}", text.original)).unwrap();
        Ok(true)
    });
    let boxes = node.handle_message_box(Some(callback)).wait().unwrap().unwrap();
    let tell_progress = tells();
    let callback =
        ShowNodeProgressCallbackClient::from_fn(move |title: String, percent, resume| {
            tell_progress.send(format!("progress {title} {percent} {resume}")).unwrap();
            Ok(())
        });
    let _progress = node.handle_show_progress(Some(callback)).wait().unwrap().unwrap();

    // As a wallet process says it.
    let chain = served.init.make_chain().wait().unwrap().unwrap();
    chain.init_message("Loading wallet").wait().unwrap();
    assert_eq!(told.next(), "init Loading wallet");
    chain.init_warning(BilingualStr::from("old")).wait().unwrap();
    assert_eq!(told.next(), "box old 0x1");
    chain.init_error(BilingualStr::from("broken")).wait().unwrap();
    assert_eq!(told.next(), "box broken 0x10000402");
    chain.show_progress("Rescanning", 7, true).wait().unwrap();
    assert_eq!(told.next(), "progress Rescanning 7 true");

    boxes.disconnect().wait().unwrap();
    chain.init_warning(BilingualStr::from("not told")).wait().unwrap();
    chain.init_message("last").wait().unwrap();
    assert_eq!(told.next(), "init last");
}

#[derive(Clone)]
struct Wallets;

impl ChainClient for Wallets {}

impl WalletLoader for Wallets {}

#[test]
fn the_wallet_process_coming_and_going_is_told_and_warned_of() {
    let served = serve();
    let node = served.ui_node();
    let (tell, told) = Told::new();
    let alerts = tell.clone();
    let callback = InitWalletCallbackClient::from_fn(move || {
        tell.send("wallets").unwrap();
        Ok(())
    });
    let _wallets = node.handle_init_wallet(Some(callback)).wait().unwrap().unwrap();
    assert_eq!(node.get_warnings().wait().unwrap().original, "");
    served.node.set_wallet_loader(Some(WalletLoaderClient::new(Wallets)));
    assert_eq!(told.next(), "wallets");
    assert_eq!(node.get_warnings().wait().unwrap().original, "");

    let callback = NotifyAlertChangedCallbackClient::from_fn(move || {
        alerts.send("alert").unwrap();
        Ok(())
    });
    let alert = node.handle_notify_alert_changed(Some(callback)).wait().unwrap().unwrap();
    served.node.set_wallet_loader(None);
    assert_eq!(told.next(), "alert");
    let warning = node.get_warnings().wait().unwrap().original;
    assert!(warning.contains("the wallet process is gone"), "{warning}");
    alert.disconnect().wait().unwrap();
    served.node.set_wallet_loader(Some(WalletLoaderClient::new(Wallets)));
    assert_eq!(told.next(), "wallets");
    assert_eq!(node.get_warnings().wait().unwrap().original, "");
}

#[test]
fn whether_it_is_to_have_peers_is_told_when_it_changes() {
    let served = serve();
    let node = served.ui_node();
    let (tell, told) = Told::new();
    let callback = NotifyNetworkActiveChangedCallbackClient::from_fn(move |active| {
        tell.send(active).unwrap();
        Ok(())
    });
    let _handler = node.handle_notify_network_active_changed(Some(callback)).wait().unwrap();
    assert!(node.get_network_active().wait().unwrap());
    for active in [true, false, false, true] {
        node.set_network_active(active).wait().unwrap();
        assert_eq!(node.get_network_active().wait().unwrap(), active);
    }
    assert_eq!([told.next(), told.next()], [false, true]);
}

#[test]
fn what_never_happens_is_accepted_and_let_go() {
    let served = serve();
    let node = served.ui_node();
    let (tell, told) = Told::<()>::new();
    let callback = BannedListChangedCallbackClient::from_fn(move || {
        tell.send(()).unwrap();
        Ok(())
    });
    let handler = node.handle_banned_list_changed(Some(callback)).wait().unwrap().unwrap();
    handler.disconnect().wait().unwrap();
    // Ends because the callback is dropped, while the handler is still there.
    assert_eq!(told.rest(), []);
    drop(handler);
    let error = node.handle_banned_list_changed(None).wait().map(drop).unwrap_err();
    assert!(error.to_string().contains("callback must be an object"), "{error}");
}

/// As a user interface that is gone: nothing is left of its subscriptions.
#[test]
fn a_subscriber_that_is_gone_is_let_go() {
    let served = serve();
    let (init, ui, serving) = connect::<bitcoin_ipc_draft::init::InitClient>(&served.node);
    multiprocess::PeerVersion::assume(&init, "2026-07").unwrap();
    let node = init.make_node().wait().unwrap().unwrap();
    let callback = NotifyBlockTipCallbackClient::from_fn(|_, _, _| Ok(()));
    let _tips = node.handle_notify_block_tip(Some(callback)).wait().unwrap().unwrap();
    let callback = InitMessageCallbackClient::from_fn(|_| Ok(()));
    let _messages = node.handle_init_message(Some(callback)).wait().unwrap().unwrap();
    wait_until("it waits for blocks", || served.node.chain().waiters() == 1);
    ui.disconnect();
    serving.wait_disconnected();
    wait_until("nobody waits for blocks", || served.node.chain().waiters() == 0);
    wait_until("nobody waits for messages", || served.node.messages().subscribers() == 0);
}

/// One that fails is told of the next as well.
#[test]
fn a_subscriber_that_fails_stays() {
    let served = serve();
    let (tell, told) = Told::new();
    let callback = InitMessageCallbackClient::from_fn(move |text: String| {
        tell.send(text).unwrap();
        Err(Error::failed("no screen"))
    });
    let _handler = served.ui_node().handle_init_message(Some(callback)).wait().unwrap();
    served.node.messages().send(Message::Init("a".to_owned()));
    served.node.messages().send(Message::Init("b".to_owned()));
    assert_eq!([told.next(), told.next()], ["a", "b"]);
}
