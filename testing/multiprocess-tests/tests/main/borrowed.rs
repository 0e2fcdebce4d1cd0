//! Methods that borrow their parameters from the message.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use multiprocess::{Connection, Interface, Result};
use multiprocess_tests::generated::borrowed::{Color, Row, RowView, Shelf, ShelfClient};
use multiprocess_tests::generated::borrowed_capnp::shelf;
use multiprocess_tests::raw::{RawPeer, Target};

struct MyShelf;

impl Shelf for MyShelf {
    fn describe(&self, name: &str, bytes: &[u8], at: u64, part: Option<i32>) -> Result<String> {
        Ok(format!("{name} {bytes:?} {at} {part:?}"))
    }

    fn index(
        &self,
        rows: multiprocess::ListView<'_, multiprocess::rt::Struct<Row>>,
        words: multiprocess::ListView<'_, multiprocess::rt::Text>,
        maybe: Option<RowView<'_>>,
    ) -> Result<String> {
        let rows = rows.iter().map(|row| tell(row?)).collect::<Result<Vec<_>>>()?;
        let words = words.iter().collect::<Result<Vec<&str>>>()?;
        let maybe = maybe.map(tell).transpose()?;
        Ok(format!("{rows:?} {words:?} {maybe:?}"))
    }

    fn again(&self) -> Result<ShelfClient> {
        Ok(ShelfClient::new(MyShelf))
    }
}

/// A handle on such an object over a socket, and the end that serves it.
fn connect(shelf: ShelfClient) -> (ShelfClient, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(shelf).start(theirs).unwrap();
    (Connection::new(ours).unwrap().bootstrap().unwrap(), serving)
}

fn tell(row: RowView<'_>) -> Result<String> {
    let tags = row.tags()?;
    let tags = tags.iter().map(|tags| tags?.iter().collect::<Result<Vec<u8>>>());
    let tags = tags.collect::<Result<Vec<_>>>()?;
    let next = row.next()?.map(tell).transpose()?;
    Ok(format!("{} {} {tags:?} {:?} {next:?}", row.key()?, row.size()?, row.color()?))
}

fn row(key: &str) -> Row {
    Row { key: key.to_owned(), ..Row::default() }
}

fn rows() -> Vec<Row> {
    let inner = Row { size: 0, color: Color::Blue, ..row("inner") };
    let outer = Row {
        next: Some(Box::new(inner)),
        tags: vec![vec![1], vec![], vec![2, 3]],
        ..row("outer")
    };
    vec![outer, Row { color: Color::from(9), ..row("last") }]
}

const DESCRIBED: &str = "tea [1, 2] 7 Some(-3)";
const INDEXED: &str = "[\"outer 1 [[1], [], [2, 3]] Red Some(\\\"inner 0 [] Blue None\\\")\", \
                       \"last 1 [] Unknown(9) None\"] [\"a\", \"\"] Some(\"m 1 [] Red None\")";

fn check(shelf: &ShelfClient) {
    let described = shelf.describe("tea", vec![1, 2], 7, Some(-3)).wait().unwrap();
    assert_eq!(described, DESCRIBED);
    assert_eq!(shelf.describe("", vec![], 0, None).wait().unwrap(), " [] 0 None");
    let words = || vec!["a".to_owned(), String::new()];
    assert_eq!(shelf.index(rows(), words(), Some(row("m"))).wait().unwrap(), INDEXED);
    assert_eq!(shelf.index(vec![], vec![], None).wait().unwrap(), "[] [] None");
}

#[test]
fn an_object_in_another_process_looks_at_the_message() {
    let (shelf, _theirs) = connect(ShelfClient::new(MyShelf));
    check(&shelf);
}

#[test]
fn an_object_of_this_process_looks_at_the_callers_values() {
    check(&ShelfClient::new(MyShelf));
}

#[test]
fn an_object_that_is_not_there_yet_looks_at_a_message_as_well() {
    let (shelf, _theirs) = connect(ShelfClient::new(MyShelf));
    check(&shelf.again().pipelined());
}

#[test]
fn a_handle_forwards_borrowed_parameters() {
    let (shelf, _theirs) = connect(ShelfClient::new(MyShelf));
    let object: Arc<dyn Shelf> = Arc::new(shelf);
    assert_eq!(object.describe("tea", &[1, 2], 7, Some(-3)).unwrap(), DESCRIBED);
    // Served again, to a third.
    let (further, _theirs) = connect(ShelfClient::from(object));
    check(&further);
}

#[test]
fn what_does_not_decode_is_an_error_with_its_path() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _serving = Connection::builder().serve(ShelfClient::new(MyShelf)).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let bootstrap = Target::Bootstrap(peer.bootstrap());
    let answer = peer.ask(bootstrap, (ShelfClient::ID, 2), &[], |content| {
        let params: shelf::index_params::Builder<'_> = content.init_as();
        let mut words = params.init_words(2);
        words.set(0, "fine");
        words.set(1, capnp::text::Reader(b"\xff"));
    });
    let problem = answer.exception();
    assert!(problem.starts_with("cannot decode [1]: the text is not UTF-8"), "{problem}");
}
