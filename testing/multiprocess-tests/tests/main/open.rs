//! Objects of any interface (`Capability`), pointers to anything, and lists as type arguments.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

use multiprocess::capnp::text;
use multiprocess::{AnyPointer, Capability, Connection, Error, Result};
use multiprocess_tests::generated::untyped::open::{
    Box_, Color, Keeper, KeeperClient, KeeperListsResults, Named, NamedClient, Tool, ToolClient,
    Trouble,
};
use multiprocess_tests::generated::untyped::persistent::{
    PersistentSaveParams, PersistentSaveResults,
};
use multiprocess_tests::wait_until;

/// Answers with its number, and counts itself.
struct Hammer(i32, Arc<AtomicI32>);

impl Hammer {
    fn new(number: i32, count: &Arc<AtomicI32>) -> Hammer {
        count.fetch_add(1, Ordering::SeqCst);
        Hammer(number, Arc::clone(count))
    }
}

impl Drop for Hammer {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Named for Hammer {
    fn name(&self) -> Result<String> {
        Ok(format!("hammer {}", self.0))
    }
}

impl Tool for Hammer {
    fn use_(&self, number: i32) -> Result<i32> {
        Ok(self.0 + number)
    }
}

#[derive(Default)]
struct Shed {
    kept: Mutex<Option<Capability>>,
    tools: Arc<AtomicI32>,
}

impl Keeper for Shed {
    fn keep(&self, object: Option<Capability>) -> Result<Option<Capability>> {
        Ok(std::mem::replace(&mut *self.kept.lock().unwrap(), object))
    }

    fn echo(&self, any: AnyPointer) -> Result<AnyPointer> {
        Ok(any)
    }

    fn all(
        &self,
        mut objects: Vec<Option<Capability>>,
        sure: Capability,
    ) -> Result<Vec<Option<Capability>>> {
        objects.push(Some(sure));
        Ok(objects)
    }

    fn lists(
        &self,
        colors: Box_<Vec<Color>>,
        bytes: Box_<Vec<u8>>,
        nothing: Box_<Vec<()>>,
    ) -> Result<KeeperListsResults> {
        let (colors, bytes, nothing) = (colors.value, bytes.value, nothing.value);
        Ok(KeeperListsResults { colors, bytes, nothing })
    }

    fn lend(&self) -> Result<ToolClient> {
        Ok(ToolClient::new(Hammer::new(100, &self.tools)))
    }

    fn tools(&self) -> Result<i32> {
        Ok(self.tools.load(Ordering::SeqCst))
    }

    fn save(&self, params: PersistentSaveParams<String>) -> Result<PersistentSaveResults<String>> {
        Ok(PersistentSaveResults { sturdy_ref: params.seal_for })
    }

    fn fail(&self, how: String) -> Result<()> {
        let trouble = Trouble { what: how.clone() };
        Err(match how.as_str() {
            "denied" => Error::raised_in("denied", trouble),
            "locked" => Error::raised_in("locked", trouble),
            "other" => Error::raised_in("other", trouble),
            "text" => Error::raised(how),
            _ => Error::raised(trouble),
        })
    }
}

fn connect(shed: KeeperClient) -> (KeeperClient, Connection, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(shed).start(theirs).unwrap();
    let connection = Connection::new(ours).unwrap();
    (connection.bootstrap().unwrap(), connection, serving)
}

fn tool(number: i32) -> ToolClient {
    ToolClient::new(Hammer::new(number, &Arc::default()))
}

/// An object of this process comes back as itself; the peer casts it, calls it, and passes it on.
#[test]
fn an_object_of_any_interface_goes_there_and_back() {
    let shed = Arc::new(Shed::default());
    let (keeper, _connection, _serving) = connect(KeeperClient::from(Arc::clone(&shed)));
    let own = Capability::from(tool(5));
    assert!(keeper.keep(Some(own.clone())).wait().unwrap().is_none());

    let there = shed.kept.lock().unwrap().clone().unwrap();
    assert!(!there.is_local());
    assert_eq!(there.cast::<ToolClient>().unwrap().use_(2).wait().unwrap(), 7);
    assert_eq!(there.cast::<NamedClient>().unwrap().name().wait().unwrap(), "hammer 5");
    // Nobody asks whether the object has the interface; its calls say so.
    let error = there.cast::<KeeperClient>().unwrap().tools().wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error:?}");

    let back = keeper.keep(None).wait().unwrap().unwrap();
    assert!(back.is_local() && back == own && back != Capability::from(tool(5)));
    assert_eq!(back.cast::<ToolClient>().unwrap().use_(3).wait().unwrap(), 8);
    assert_eq!(back.cast::<NamedClient>().unwrap().name().wait().unwrap(), "hammer 5");
    let error = back.cast::<KeeperClient>().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("the object is a Tool, which is no Keeper"), "{error}");
}

#[test]
fn lists_of_objects_and_objects_that_are_there() {
    let (keeper, _connection, _serving) = connect(KeeperClient::new(Shed::default()));
    let (first, second) = (Capability::from(tool(1)), Capability::from(tool(2)));
    let objects = keeper.all(vec![Some(first.clone()), None], second.clone()).wait().unwrap();
    assert_eq!(objects, [Some(first), None, Some(second)]);
}

#[test]
fn an_any_pointer_has_its_objects() {
    let (keeper, _connection, _serving) = connect(KeeperClient::new(Shed::default()));
    let own = Capability::from(tool(1));
    let back = keeper.echo(AnyPointer::from(own.clone())).wait().unwrap();
    assert_eq!((back.capability().unwrap(), back.capabilities().len()), (Some(own.clone()), 1));
    assert_eq!(back, AnyPointer::from(own.clone()));

    // One segment of four words: a list of three pointers, to the second object, the first, and the
    // second again.
    let head = [0_u32.to_le_bytes(), 4_u32.to_le_bytes()].concat();
    let words: [u64; 4] = [1 | (3 << 3 | 6) << 32, 3 | 1 << 32, 3, 3 | 1 << 32];
    let words = words.iter().flat_map(|word| word.to_le_bytes());
    let bytes: Vec<u8> = head.into_iter().chain(words).collect();
    let other = Capability::from(tool(2));
    let list = AnyPointer::from_bytes(bytes);
    let list = list.with_capabilities(vec![Some(own.clone()), Some(other.clone())]);
    let error = list.capability().unwrap_err();
    assert!(matches!(error, Error::Decode { .. }), "{error:?}");
    let back = keeper.echo(list).wait().unwrap();
    // In the order in which the message names them.
    let objects = [other.clone(), own, other].map(Some);
    assert_eq!(back.capabilities(), objects);
    assert!(format!("{back:?}").ends_with(", 3 objects)"), "{back:?}");

    let plain = AnyPointer::new::<text::Owned>("hello").unwrap();
    assert_eq!(keeper.echo(plain.clone()).wait().unwrap(), plain);
    assert_eq!(AnyPointer::default().capability().unwrap(), None);
}

/// Its end is that of the handle that it was cast to, and of itself.
#[test]
fn an_object_of_the_peer_ends_with_the_last_handle() {
    let shed = Arc::new(Shed::default());
    let (keeper, _connection, _serving) = connect(KeeperClient::from(Arc::clone(&shed)));
    let tools = || shed.tools.load(Ordering::SeqCst);
    let untyped = Capability::from(keeper.lend().wait().unwrap());
    assert_eq!(untyped.cast::<ToolClient>().unwrap().use_(1).wait().unwrap(), 101);
    assert_eq!(keeper.tools().wait().unwrap(), 1);
    // It goes back as it is.
    assert!(keeper.keep(Some(untyped.clone())).wait().unwrap().is_none());
    assert!(shed.kept.lock().unwrap().take().unwrap().is_local());
    assert_eq!(untyped.cast::<ToolClient>().unwrap().use_(1).wait().unwrap(), 101);
    drop(untyped);
    wait_until("the tool is gone", || tools() == 0);

    // The same of one that arrives without a type.
    let lent = shed.lend().unwrap();
    assert!(shed.keep(Some(Capability::from(lent))).unwrap().is_none());
    let untyped = keeper.keep(None).wait().unwrap().unwrap();
    let typed: ToolClient = untyped.cast().unwrap();
    drop(untyped);
    assert_eq!(typed.use_(2).wait().unwrap(), 102);
    typed.close().wait().unwrap();
    assert_eq!(tools(), 0);
}

/// Calls of a third process's object are forwarded by its handle.
#[test]
fn what_goes_to_a_third_process_says_that_its_interface_is_needed() {
    let (first, _connection, _serving) = connect(KeeperClient::new(Shed::default()));
    let shed = Arc::new(Shed::default());
    let (second, _connection2, _serving2) = connect(KeeperClient::from(Arc::clone(&shed)));
    let lent = first.lend().wait().unwrap();
    // From a handle: it is known.
    second.keep(Some(Capability::from(lent.clone()))).wait().unwrap();
    let there = shed.kept.lock().unwrap().take().unwrap();
    let error = there.cast::<ToolClient>().unwrap().use_(1).wait().unwrap_err().to_string();
    assert!(error.contains("has to cast the Capability, and pass the handle"), "{error}");
    // It comes back as what it is.
    let untyped = Capability::from(lent);
    second.keep(Some(untyped.clone())).wait().unwrap();
    let first = shed.kept.lock().unwrap().clone();
    assert_eq!(second.keep(Some(untyped.clone())).wait().unwrap().as_ref(), Some(&untyped));
    // Given again, it is the same there.
    assert_eq!(shed.kept.lock().unwrap().clone(), first);
    assert_eq!(second.keep(None).wait().unwrap(), Some(untyped));
}

#[test]
fn lists_of_enums_bytes_and_nothing_are_type_arguments() {
    let (keeper, _connection, _serving) = connect(KeeperClient::new(Shed::default()));
    let colors = vec![Color::Green, Color::Unknown(9), Color::Red];
    let (bytes, nothing) = (vec![1, 2, 255], vec![(); 3]);
    let boxes = (Box_ { value: colors.clone() }, Box_ { value: bytes.clone() });
    let call = keeper.lists(boxes.0, boxes.1, Box_ { value: nothing.clone() });
    assert_eq!(call.wait().unwrap(), KeeperListsResults { colors, bytes, nothing });
}

#[test]
fn types_of_cap_n_protos_own_schemas() {
    let (keeper, _connection, _serving) = connect(KeeperClient::new(Shed::default()));
    let params = PersistentSaveParams { seal_for: "me".to_owned() };
    assert_eq!(keeper.save(params).wait().unwrap().sturdy_ref, "me");
}

#[test]
fn exceptions_of_one_type_are_told_apart() {
    let (keeper, _connection, _serving) = connect(KeeperClient::new(Shed::default()));
    let fail = |how: &str| keeper.fail(how).wait().unwrap_err();
    for how in ["denied", "locked"] {
        let error = fail(how);
        let Error::Raised(raised) = &error else { panic!("{error:?}") };
        let trouble = Trouble { what: how.to_owned() };
        assert_eq!((raised.result(), raised.get::<Trouble>()), (Some(how), Some(&trouble)));
    }
    let error = fail("text");
    let Error::Raised(raised) = &error else { panic!("{error:?}") };
    assert_eq!((raised.result(), raised.get()), (Some("text"), Some(&"text".to_owned())));
    // Which of the two it is, nobody has said; the other is none of the method's.
    for how in ["", "other"] {
        let error = fail(how);
        assert!(
            matches!(&error, Error::Remote { message, .. } if message.contains("Trouble")),
            "{error:?}"
        );
    }
}
