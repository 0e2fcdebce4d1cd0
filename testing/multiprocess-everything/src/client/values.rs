//! The methods that return what they are given.

use std::collections::{BTreeSet, HashMap};

use multiprocess::capnp::text;
use multiprocess::{AnyPointer, Result};

use super::same;
use crate::codecs::Age;
use crate::generated::types::{CodedWithDefault, Color, Defaults, Lists, Nullables, Optionals};
use crate::generated::unions::{Chosen, EventWhich, Tree, Wraps};
use crate::generated::values::ValuesClient;
use crate::samples::{self, point};

pub(super) fn check(values: &ValuesClient) -> Result<()> {
    check_types(values)?;
    check_unions(values)?;
    check_arguments(values)?;
    check_borrowed(values)
}

fn check_borrowed(values: &ValuesClient) -> Result<()> {
    let points = vec![point(3, 4), point(5, 6)];
    let (texts, numbers) =
        (vec!["x".to_owned(), "é".to_owned()], vec![vec![7], vec![], vec![8, 9]]);
    let all = values
        .borrowed(
            -1,
            "text",
            vec![1, 255],
            Color::Blue,
            point(1, 2),
            points,
            texts.clone(),
            numbers,
            samples::tree(),
            Some("there".to_owned()),
            None,
        )
        .wait()?;
    let wanted = "-1 text 2 1,2 3,4 5,6 x é 7 8 9 15 there -";
    same("borrowed", (all.result.as_str(), all.bytes), (wanted, 256))?;
    let none = values
        .borrowed(
            0,
            "",
            Vec::new(),
            Color::Unknown(9),
            point(0, 0),
            Vec::new(),
            Vec::new(),
            Vec::new(),
            Tree::default(),
            None,
            Some(String::new()),
        )
        .wait()?;
    same("borrowed", (none.result.as_str(), none.bytes), ("0  9 0,0 0 - ", 0))?;
    same("borrowedInline", values.borrowed_inline(texts).wait()?, 2)
}

fn check_types(values: &ValuesClient) -> Result<()> {
    let arg = samples::scalars();
    same("scalars", values.scalars(arg.clone()).wait()?, arg)?;
    same("defaults", values.defaults(Defaults::default()).wait()?, Defaults::default())?;
    for arg in [samples::lists(), Lists::default()] {
        same("lists", values.lists(arg.clone()).wait()?, arg)?;
    }
    for arg in [samples::nullables(), Nullables::default()] {
        same("nullables", values.nullables(arg.clone()).wait()?, arg)?;
    }
    for arg in [samples::optionals(), Optionals::default()] {
        same("optionals", values.optionals(arg.clone()).wait()?, arg)?;
    }
    let arg = samples::collections();
    same("collections", values.collections(arg.clone()).wait()?, arg)?;
    let arg = samples::coded();
    same("coded", values.coded(arg.clone()).wait()?, arg)?;
    let arg = CodedWithDefault { age: Age(7) };
    same("codedWithDefault", values.coded_with_default(arg.clone()).wait()?, arg)?;
    let arg = samples::partial();
    same("partial", values.partial(arg.clone()).wait()?, arg)?;
    let arg = samples::secret();
    same("secret", values.secret(arg.clone()).wait()?, arg)?;
    let arg = samples::keywords();
    same("keywords", values.keywords(arg.clone()).wait()?, arg)?;
    let arg = samples::result();
    same("results", values.results(arg.clone()).wait()?, arg)?;
    let arg = samples::tags()?;
    same("tags", values.tags(arg.clone()).wait()?, arg)?;
    let arg = samples::open()?;
    same("open", values.open(arg.clone()).wait()?, arg)
}

fn check_unions(values: &ValuesClient) -> Result<()> {
    for arg in samples::shapes() {
        same("shape", values.shape(arg.clone()).wait()?, arg)?;
    }
    for arg in samples::events() {
        same("event", values.event(arg.clone()).wait()?, arg)?;
    }
    for arg in samples::accounts() {
        same("account", values.account(arg.clone()).wait()?, arg)?;
    }
    same("chosen", values.chosen(Chosen::default()).wait()?, Chosen::default())?;
    let arg = samples::grouped();
    same("grouped", values.grouped(arg.clone()).wait()?, arg)?;
    for arg in [samples::tree(), Tree::default()] {
        same("tree", values.tree(arg.clone()).wait()?, arg)?;
    }
    let arg = samples::expr();
    same("expr", values.expr(arg.clone()).wait()?, arg)?;
    let arg = samples::ping();
    same("ping", values.ping(arg.clone()).wait()?, arg)?;
    let arg = samples::link();
    same("link", values.link(arg.clone()).wait()?, arg)?;
    for arg in [samples::wraps(), Wraps::default()] {
        same("wraps", values.wraps(arg.clone()).wait()?, arg)?;
    }
    let arg = samples::eithers();
    same("eithers", values.eithers(arg.clone()).wait()?, arg)
}

fn check_arguments(values: &ValuesClient) -> Result<()> {
    let points = vec![point(1, 2), point(3, 4)];
    let direct = values
        .direct(true, -8, -64, 16, 0.5, -0.25, "text", [1, 2], Color::Green, points.clone())
        .wait()?;
    same("direct.flag", direct.flag, true)?;
    same("direct.int8", direct.int8, -8)?;
    same("direct.int64", direct.int64, -64)?;
    same("direct.uint16", direct.uint16, 16)?;
    same("direct.float32", direct.float32, 0.5)?;
    same("direct.float64", direct.float64, -0.25)?;
    same("direct.text", direct.text.as_str(), "text")?;
    same("direct.data", direct.data, vec![1, 2])?;
    same("direct.color", direct.color, Color::Green)?;
    same("direct.points", direct.points, points)?;

    let given = values.with_defaults(0, "", point(0, 0), Vec::new(), Color::Red).wait()?;
    same("withDefaults.number", given.number, 0)?;
    same("withDefaults.text", given.text.as_str(), "")?;
    same("withDefaults.point", given.point, point(0, 0))?;
    same("withDefaults.numbers", given.numbers, Vec::new())?;
    same("withDefaults.color", given.color, Color::Red)?;

    let words = BTreeSet::from(["b".to_owned(), "a".to_owned()]);
    let amounts = HashMap::from([("x".to_owned(), 1)]);
    let sets = values.sets(words.clone(), amounts.clone()).wait()?;
    same("sets.words", sets.words, words)?;
    same("sets.amounts", sets.amounts, amounts)?;

    for (text, point) in [(None, None), (Some(String::new()), Some(point(0, 0)))] {
        let nullable = values.nullable(text.clone(), point.clone()).wait()?;
        same("nullable.text", nullable.text, text)?;
        same("nullable.point", nullable.point, point)?;
    }

    same("age", values.age(Age(33)).wait()?, Age(33))?;
    for any in [AnyPointer::default(), AnyPointer::new::<text::Owned>("any")?] {
        same("any", values.any(any.clone()).wait()?, any.clone())?;
        same("generic", values.generic(any.clone()).wait()?, any)?;
    }
    let moved = values.point(8, -9).wait()?;
    same("point", (moved.x, moved.y), (8, -9))?;
    for member in [EventWhich::Moved(point(1, 2)), EventWhich::Failed(String::new())] {
        let event = values.event_fields(3, "which", member.clone()).wait()?;
        same("eventFields", (event.id, event.which.as_str()), (3, "which"))?;
        same("eventFields.which", event.which_, member)?;
    }
    for shape in samples::shapes() {
        same("shapeFields", values.shape_fields(shape.clone()).wait()?, shape)?;
    }
    same("sum", values.sum(vec![vec![1, 2], Vec::new(), vec![-10]]).wait()?, -7)
}
