//! Interfaces that extend others: over two levels, and from two parents.

use std::sync::Arc;

use multiprocess::Result;
use multiprocess_everything::generated::everything::Everything;
use multiprocess_everything::generated::foo::{
    ExtendedCallback, ExtendedCallbackClient, Foo, FooCallback, FooCallbackClient, FooClient,
};
use multiprocess_everything::generated::objects::{
    Named, NamedClient, ObjectsClient, PartClient, SizedClient, TintedClient, Whole, WholeClient,
};
use multiprocess_everything::generated::types::Color;
use multiprocess_everything::pair::{Pair, pair, serve};

#[test]
fn a_handle_has_the_methods_of_all_parents() {
    let (_server, pair) = pair().unwrap();
    let whole = pair.object.make_whole("w").wait().unwrap();
    assert_eq!(whole.name().wait().unwrap(), "w");
    assert_eq!(whole.index().wait().unwrap(), 0);
    assert_eq!(whole.size().wait().unwrap(), 3);
    assert_eq!(whole.color().wait().unwrap(), Color::Green);
    assert_eq!(whole.rename("v").wait().unwrap(), "w");
    let parts = whole.parts().wait().unwrap();
    let names = parts.iter().map(|part| part.as_ref().map(|part| part.name().wait().unwrap()));
    let wanted = [Some("v.1".to_owned()), None, Some("v.2".to_owned())];
    assert_eq!(names.collect::<Vec<_>>(), wanted);
}

#[test]
fn a_handle_becomes_one_of_any_parent() {
    let (server, pair) = pair().unwrap();
    // For a remote object and for one of this process.
    for object in [pair.object.clone(), server.client()] {
        let whole = object.make_whole("w").wait().unwrap();
        let part = PartClient::from(whole.clone());
        assert_eq!((part.name().wait().unwrap(), part.index().wait().unwrap()), ("w".into(), 0));
        assert_eq!(NamedClient::from(part).name().wait().unwrap(), "w");
        assert_eq!(NamedClient::from(whole.clone()).name().wait().unwrap(), "w");
        assert_eq!(TintedClient::from(whole.clone()).name().wait().unwrap(), "w");
        assert_eq!(SizedClient::from(whole.clone()).size().wait().unwrap(), 3);
        assert_eq!(FooClient::from(object.clone()).add(1, 2).wait().unwrap(), 3);
        assert_eq!(ObjectsClient::from(object).counters().wait().unwrap(), 0);
    }
}

#[test]
fn a_parent_and_a_child_as_arguments_and_home_again() {
    let (_server, pair) = pair().unwrap();
    let whole = pair.object.make_whole("w").wait().unwrap();
    assert_eq!(pair.object.name_of(whole.clone().into()).wait().unwrap(), "w");
    let described = pair.object.describe(whole).wait().unwrap();
    assert_eq!(described, "w is number 0, has size 3 and 3 parts");
}

/// Implements all interfaces that it extends.
struct Both;

impl FooCallback for Both {
    fn call(&self, arg: i32) -> Result<i32> {
        Ok(arg + 1)
    }
}

impl ExtendedCallback for Both {
    fn call_extended(&self, arg: i32) -> Result<i32> {
        Ok(self.call(arg)? * 10)
    }
}

#[test]
fn a_childs_object_where_the_parent_is_wanted() {
    let (_server, pair) = pair().unwrap();
    let both = ExtendedCallbackClient::new(Both);
    assert_eq!(pair.object.callback(both.clone().into(), 1).wait().unwrap(), 2);
    assert_eq!(pair.object.callback_extended(both.clone(), 1).wait().unwrap(), 20);
    // An object that is served as the child can be called by a peer that knows only the parent.
    let parent: Pair<ExtendedCallbackClient> = serve(both).unwrap();
    let error = parent.object.call(1).wait().unwrap_err();
    assert!(error.to_string().contains("no thread specified"), "{error}");
    let parent: Pair<FooClient> = serve(pair.object.clone()).unwrap();
    assert_eq!(parent.object.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn upcast_handles_are_of_the_same_object() {
    let counted = Arc::new(Both);
    let alive = Arc::downgrade(&counted);
    let child = ExtendedCallbackClient::from(counted);
    let (sender, receiver) = std::sync::mpsc::channel();
    child.add_cleanup(move || sender.send(()).unwrap());
    let parent = FooCallbackClient::from(child.clone());
    drop(child);
    assert_eq!(parent.call(1).wait().unwrap(), 2);
    assert!(receiver.try_recv().is_err());
    drop(parent);
    receiver.recv().unwrap();
    assert!(alive.upgrade().is_none());
}

#[test]
fn a_trait_object_of_the_child_is_one_of_the_parents() {
    let (server, pair) = pair().unwrap();
    let whole: Arc<dyn Whole> = Arc::new(server.client().make_whole("w").wait().unwrap());
    let named: Arc<dyn Named> = whole.clone();
    assert_eq!(named.name().unwrap(), "w");
    let whole = WholeClient::from(whole);
    assert_eq!(pair.object.describe(whole).wait().unwrap(), {
        "w is number 0, has size 3 and 3 parts"
    });
    let everything: Arc<dyn Everything> = server;
    let parent: Arc<dyn Foo> = everything;
    assert_eq!(parent.add(1, 2).unwrap(), 3);
}
